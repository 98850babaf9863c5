//! Which cores the generator has and which the contestants: never the same where there are two.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores {
    /// The generator's: the first one allowed.
    pub generator: Vec<usize>,
    /// The contestants': all others, or the same one if there is but one.
    pub systems: Vec<usize>,
}

impl Cores {
    /// Divides the cores that this process may use.
    ///
    /// # Errors
    /// If the kernel does not tell which they are.
    pub fn divide() -> io::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
        let systems = if all.len() > 1 { all[1..].to_vec() } else { all.clone() };
        Ok(Self { generator: all[..1].to_vec(), systems })
    }

    /// Whether generator and contestants share no core.
    #[must_use]
    pub fn apart(&self) -> bool {
        self.generator.iter().all(|core| !self.systems.contains(core))
    }

    /// Keeps the calling thread, and what it starts from now on, on these cores.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn pin(cores: &[usize]) -> io::Result<()> {
        let mut set = CpuSet::new();
        for core in cores {
            set.set(*core);
        }
        Ok(sched_setaffinity(None, &set)?)
    }
}
