//! How long the kernel takes to wake a sleeping thread: tens of microseconds on a virtual machine,
//! more when the core had gone to a deeper sleep.

/// More is no wake-up but a disturbance, and is not asked away.
const MOST_NS: u64 = 100_000;
/// One longer wake-up raises the estimate by as much as three shorter ones lower it: it settles where
/// three of four wake-ups are quicker.
const UP_NS: u64 = 1_500;
const DOWN_NS: u64 = 500;

/// An estimate that follows the upper quartile of recent wake-ups.
#[derive(Clone, Copy, Debug)]
pub(super) struct WakeUp {
    estimate_ns: u64,
    alone: bool,
}

impl WakeUp {
    /// Without a core of its own nothing is asked away: that would take the core from others.
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
            (self.estimate_ns + UP_NS).min(MOST_NS)
        } else {
            self.estimate_ns.saturating_sub(DOWN_NS)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_upper_quartile_up_and_down_and_no_further_than_the_bound() {
        let mut wake_up = WakeUp::new(true);
        for n in 0..4_000_u64 {
            wake_up.took(n % 100 * 1_000); // evenly 0 to 99 µs
        }
        let settled = wake_up.typical_ns();
        assert!((60_000..90_000).contains(&settled), "{settled}");
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
