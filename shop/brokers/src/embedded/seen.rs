//! When something happened at the broker, by the clock of its client: not before the instant that this says. It knows
//! no socket.

use std::time::Duration;

use tokio::time::Instant;

use crate::Micros;

/// What a broker's clock said in answer to a question that was asked at this instant: it said so later.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) asked: Instant,
    pub(super) at_us: Micros,
}

impl Seen {
    /// When the broker's clock stood there: at this instant or later. How much later is at most how long the answer took.
    pub(super) fn here(self, at_us: Micros) -> Instant {
        let span = Duration::from_micros(at_us.abs_diff(self.at_us));
        let here = if at_us < self.at_us {
            self.asked.checked_sub(span)
        } else {
            self.asked.checked_add(span)
        };
        // Never: that is before this machine was started, or after the end of time.
        here.unwrap_or(self.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_at_the_broker_is_placed_by_what_its_clock_said() {
        let asked = Instant::now() + Duration::from_secs(60);
        let seen = Seen { asked, at_us: 5_000_000 };
        let ms = Duration::from_millis;
        assert_eq!(seen.here(5_000_000), asked);
        assert_eq!(seen.here(5_250_000), asked + ms(250));
        assert_eq!(seen.here(4_750_000), asked - ms(250));
    }
}
