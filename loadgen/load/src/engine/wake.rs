//! How long the kernel takes to wake a sleeping thread: tens of microseconds on a virtual machine,
//! more when the core had gone to a deeper sleep.

/// More is no wake-up but something else that ran, and no busy-wait makes up for it.
const MOST_NS: u64 = 100_000;
/// One longer wake-up raises the estimate by as much as a shorter one lowers it: it settles where half
/// of them are quicker. A higher quantile would wait longer for a lag that is a microsecond already.
const STEP_NS: u64 = 1_000;

/// An estimate that follows the median of recent wake-ups.
#[derive(Clone, Copy, Debug)]
pub(super) struct WakeUp {
    estimate_ns: u64,
    alone: bool,
}

impl WakeUp {
    /// Without a core of its own there is no busy-wait: that would take the core from others.
    pub(super) fn new(alone: bool) -> Self {
        Self { estimate_ns: 0, alone }
    }

    pub(super) fn typical_ns(self) -> u64 {
        self.estimate_ns
    }

    pub(super) fn took(&mut self, ns: u64) {
        if !self.alone {
            return;
        }
        self.estimate_ns = if ns > self.estimate_ns {
            (self.estimate_ns + STEP_NS).min(MOST_NS)
        } else {
            self.estimate_ns.saturating_sub(STEP_NS)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_median_up_and_down_and_no_further_than_the_bound() {
        let mut wake_up = WakeUp::new(true);
        for n in 0..4_000_u64 {
            wake_up.took(n * 37 % 100 * 1_000); // evenly 0 to 99 µs, in no order
        }
        let settled = wake_up.typical_ns();
        assert!((35_000..65_000).contains(&settled), "{settled}");
        (0..1_000).for_each(|_| wake_up.took(10_000_000));
        assert_eq!(wake_up.typical_ns(), MOST_NS);
        (0..1_000).for_each(|_| wake_up.took(0));
        assert_eq!(wake_up.typical_ns(), 0);
    }

    #[test]
    fn it_never_asks_on_a_shared_core() {
        let mut wake_up = WakeUp::new(false);
        (0..100).for_each(|_| wake_up.took(50_000));
        assert_eq!(wake_up.typical_ns(), 0);
    }
}
