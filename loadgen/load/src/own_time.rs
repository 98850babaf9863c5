//! What the generator itself spends. It knows no other process.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

/// CPU seconds of all threads of this process so far.
pub(super) fn own_cpu_s() -> f64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

/// Run and wait time of a thread, seconds (schedstat).
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadTime {
    /// On a core.
    pub run_s: f64,
    /// Runnable, but waiting for a core.
    pub wait_s: f64,
}

impl ThreadTime {
    /// The calling thread's so far; zero where the kernel does not tell.
    #[must_use]
    pub fn now() -> Self {
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let mut numbers = text.split_whitespace().map(|n| n.parse::<f64>().unwrap_or(0.0) / 1e9);
        Self { run_s: numbers.next().unwrap_or(0.0), wait_s: numbers.next().unwrap_or(0.0) }
    }
}
