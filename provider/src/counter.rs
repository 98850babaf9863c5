//! Clerks at a counter: so many charges are worked on at once, the others wait in a line, first come, first served.
//! Nobody leaves the line, whether his client still waits or not: the work is done all the same.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Who is served, and until when. A clerk is given away at a charge's arrival and never given back, so that the time
/// which a timer is late is no time of a clerk: at once / time is the capacity, exactly.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    /// When each clerk is free.
    free_at: Vec<Instant>,
    /// When each charge in the line begins, ascending.
    begin_at: VecDeque<Instant>,
}

impl Counter {
    /// When a charge that comes now and takes so long is done; `None` if `queue` charges wait already. Clerks that are
    /// taken away finish what they have.
    pub(crate) fn done_at(
        &mut self,
        now: Instant,
        (at_once, queue): (u32, Option<u32>),
        takes: Duration,
    ) -> Option<Instant> {
        self.free_at.sort_unstable();
        self.free_at.resize(at_once as usize, now);
        while self.begin_at.front().is_some_and(|begin| *begin <= now) {
            self.begin_at.pop_front();
        }
        let free = self.free_at.iter_mut().min()?;
        let begin = now.max(*free);
        if begin > now {
            if queue.is_some_and(|most| self.begin_at.len() >= most as usize) {
                return None;
            }
            self.begin_at.push_back(begin);
        }
        *free = begin + takes;
        Some(*free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// When charges that come at these ms are done, in ms.
    fn done(at_once: u32, queue: Option<u32>, takes_ms: u32, come_ms: &[u32]) -> Vec<Option<u128>> {
        let (mut counter, start) = (Counter::default(), Instant::now());
        let mut one = |at_ms: &u32| {
            let done = counter.done_at(start + MS * *at_ms, (at_once, queue), MS * takes_ms);
            done.map(|done| (done - start).as_millis())
        };
        come_ms.iter().map(&mut one).collect()
    }

    #[test]
    fn so_many_are_served_at_once_and_the_others_in_their_order() {
        let found = done(2, None, 10, &[0, 0, 0, 0, 3, 40]);
        assert_eq!(found, [10, 10, 20, 20, 30, 50].map(Some));
    }

    #[test]
    fn the_capacity_is_exact_however_late_a_timer_is() {
        let found = done(4, None, 25, &[0; 161]);
        assert_eq!(found[159], Some(1_000));
        assert_eq!(found[160], Some(1_025));
    }

    #[test]
    fn a_full_line_takes_nobody_until_somebody_begins() {
        let found = done(1, Some(2), 10, &[0, 0, 0, 0, 9, 10, 10]);
        assert_eq!(found, [Some(10), Some(20), Some(30), None, None, Some(40), None]);
        assert_eq!(done(1, Some(0), 10, &[0, 5, 10]), [Some(10), None, Some(20)]);
    }
}
