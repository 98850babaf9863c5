//! Who else works on this machine: all that is neither this process nor descends from it. It knows neither what
//! they do nor what should be done about them.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;

use rustix::param::clock_ticks_per_second;
use tokio::time::Instant;

use crate::cores::Cores;
use crate::tree::{Census, Member, Stat};

/// With less than this of one core in use by others, a machine is quiet: a desktop's clock and mail take 5 %, a
/// program that spins takes 100 %.
const QUIET_CORES: f64 = 0.2;

/// What others used.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    /// All of them together, in cores.
    pub cores: f64,
    /// The busiest of them, if one was seen to work.
    pub busiest: Option<Busy>,
    /// At most so many of the systems' cores were used by programs that are not of this measurement. The kernel's
    /// own threads are none.
    pub rivals: f64,
}

/// A process that works.
#[derive(Clone, Debug, PartialEq)]
pub struct Busy {
    /// Its program's name.
    pub name: String,
    /// Its id.
    pub pid: u32,
    /// What it used, in cores.
    pub cores: f64,
}

impl Foreign {
    /// Whether a measurement would not feel them.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.cores < QUIET_CORES
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "other processes use {:.0} % of a core", self.cores * 100.0)?;
        let Some(Busy { name, pid, cores }) = &self.busiest else { return Ok(()) };
        write!(f, ", the busiest {name} (process {pid}), {:.0} %", cores * 100.0)
    }
}

/// The first half of a look at others.
pub struct Look {
    begun: Instant,
    ours: Vec<usize>,
    busy_ticks: u64,
    systems: Vec<usize>,
    systems_ticks: u64,
    census: Census,
}

impl Look {
    /// Begins; what is used from now on on these cores counts.
    #[must_use]
    pub fn begin(cores: &Cores) -> Self {
        let mut ours: Vec<usize> = cores.generator.iter().chain(&cores.systems).copied().collect();
        ours.sort_unstable();
        ours.dedup();
        let systems = cores.systems.clone();
        Self {
            begun: Instant::now(),
            busy_ticks: busy_ticks(&ours),
            ours,
            systems_ticks: busy_ticks(&systems),
            systems,
            census: Census::take(),
        }
    }

    /// What others used meanwhile. Of a process that came or went in between it is only known that all of them
    /// together used more.
    #[must_use]
    pub fn end(self) -> Foreign {
        let now = Census::take();
        let systems_ticks = busy_ticks(&self.systems).saturating_sub(self.systems_ticks);
        let busy_ticks = busy_ticks(&self.ours).saturating_sub(self.busy_ticks);
        let cores = |ticks: u64| {
            ticks as f64 / clock_ticks_per_second() as f64 / self.begun.elapsed().as_secs_f64()
        };
        let own = std::process::id();
        let family: BTreeSet<u32> =
            now.below(own).into_iter().map(|stat| stat.pid).chain([own]).collect();
        let used = |pid: u32| {
            let (before, after) = (self.census.get(pid)?, now.get(pid)?);
            let same = before.started == after.started;
            same.then(|| after.own_ticks.saturating_sub(before.own_ticks))
        };
        let own_ticks: u64 = family.iter().filter_map(|pid| used(*pid)).sum();
        let others = now.pids().filter(|pid| !family.contains(pid));
        let busiest = others.filter_map(|pid| Some((used(pid)?, pid))).max();
        let busiest = busiest.filter(|(ticks, _)| *ticks > 0).map(|(ticks, pid)| Busy {
            name: Member::of(pid).map(|member| member.name()).unwrap_or_default(),
            pid,
            cores: cores(ticks),
        });
        // The generator has cores of its own, or there is but one.
        let of_systems = |stat: &Stat| family.contains(&stat.pid) && stat.pid != own;
        let beside = systems_ticks.saturating_sub(spent(&self.census, &now, of_systems));
        let programs =
            spent(&self.census, &now, |stat| !family.contains(&stat.pid) && !stat.is_of_kernel());
        let rivals = cores(beside.min(programs));
        Foreign { cores: cores(busy_ticks.saturating_sub(own_ticks)), busiest, rivals }
    }
}

/// Clock ticks that those who are meant spent between two looks, with all that ended meanwhile and was waited
/// for. What somebody had spent before, who has ended since, stands in his parent's account too: it goes off.
fn spent(before: &Census, now: &Census, meant: impl Fn(&Stat) -> bool) -> u64 {
    let all = |stat: &Stat| stat.own_ticks + stat.reaped_ticks;
    let same = |a: &Stat, b: &Stat| a.pid == b.pid && a.started == b.started;
    let known = |census: &Census, stat: &Stat| {
        census.get(stat.pid).filter(|other| same(other, stat)).map(all)
    };
    let grown = now.stats().filter(|stat| meant(stat));
    let grown: u64 =
        grown.map(|stat| all(stat).saturating_sub(known(before, stat).unwrap_or(0))).sum();
    let gone = before.stats().filter(|stat| meant(stat) && known(now, stat).is_none());
    grown.saturating_sub(gone.map(all).sum())
}

/// Clock ticks in which these cores worked, since boot: proc(5), stat. What a hypervisor took is not of this
/// machine.
fn busy_ticks(cores: &[usize]) -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let of_core = |core: &usize| {
        let name = format!("cpu{core} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name))?;
        let fields: Vec<u64> = line.split_whitespace().map_while(|f| f.parse().ok()).collect();
        // user, nice, system, idle, iowait, irq, softirq
        Some([0, 1, 2, 5, 6].iter().filter_map(|field| fields.get(*field)).sum::<u64>())
    };
    cores.iter().filter_map(of_core).sum()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    /// A shell that spins and that somebody else started, as far as can be seen: its parent has gone.
    #[test]
    fn who_spins_is_named() {
        let cores = Cores::divide().unwrap();
        let script = "(while :; do :; done) >/dev/null 2>&1 & echo $!";
        let told = Command::new("sh").args(["-c", script]).output().unwrap().stdout;
        let pid: u32 = String::from_utf8(told).unwrap().trim().parse().unwrap();
        let spinner = Member::of(pid).unwrap();
        let mut found = None;
        for _ in 0..50 {
            let look = Look::begin(&cores);
            std::thread::sleep(Duration::from_millis(200));
            let foreign = look.end();
            if foreign.busiest.as_ref().is_some_and(|busy| busy.pid == pid) {
                found = Some(foreign);
                break;
            }
        }
        spinner.signal(rustix::process::Signal::KILL).unwrap();
        let foreign = found.expect("the spinner is never the busiest");
        assert!(foreign.rivals <= foreign.cores + 1e-9, "{foreign:?}");
        assert!(foreign.cores > 0.0 && foreign.to_string().contains("the busiest sh"), "{foreign}");
    }

    #[test]
    fn a_quiet_machine_is_quiet() {
        let foreign = |cores| Foreign { cores, busiest: None, rivals: 0.0 };
        assert!(foreign(0.19).is_quiet() && !foreign(0.21).is_quiet());
        let busy = Busy { name: "rustc".to_owned(), pid: 7, cores: 0.931 };
        let text = Foreign { cores: 1.2, busiest: Some(busy), rivals: 0.0 }.to_string();
        assert_eq!(
            text,
            "other processes use 120 % of a core, the busiest rustc (process 7), 93 %"
        );
    }
}
