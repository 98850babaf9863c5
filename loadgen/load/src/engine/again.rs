//! Who asks again, and when: the requests that wait for their next attempt. It knows no socket.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::Judged;
use crate::workload::Job;
use record::Operation;
use scenario::Retries;

/// Requests that may wait for their next attempt, about 150 bytes each: all that 20,000 arrivals per
/// second leave in five seconds of an outage.
const WAITING_MAX: usize = 100_000;
/// Pauses draw from a stream of their own of the scenario's seed.
const STREAM: u64 = 0x7265_7472_6965_7300;

/// How customers ask again, and the seed of what is drawn.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The scenario's setting.
    pub retries: Retries,
    /// The trial's seed.
    pub seed: u64,
}

/// The requests that wait for their next attempt.
#[derive(Debug, Default)]
pub(super) struct Again {
    policy: Option<Policy>,
    /// By due instant and number: the job, and which attempt it will be.
    waiting: BTreeMap<(u64, u64), (Job, u8)>,
    /// Those for which there was no room.
    lost: u64,
}

impl Again {
    pub(super) fn new(policy: Option<Policy>) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Whether anybody asks again at all.
    pub(super) fn is_on(&self) -> bool {
        self.policy.is_some()
    }

    /// When the next of them is due.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|((due_ns, _), _)| *due_ns)
    }

    /// Takes that one: when it was due, the job, and which retry it is.
    pub(super) fn take(&mut self) -> Option<(u64, Job, u8)> {
        self.waiting.pop_first().map(|((due_ns, _), (job, retry))| (due_ns, job, retry))
    }

    /// How many retries could not be made, for want of room.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether the customer asks again after this end of attempt `retry`; if so, it is waited for.
    /// `wait` is what the answer said of it.
    pub(super) fn follows(
        &mut self,
        (job, retry): (&Job, u8),
        judged: &Judged,
        status: u16,
        wait: Option<Duration>,
        now_ns: u64,
    ) -> bool {
        let Some(policy) = self.policy.as_ref().filter(|_| job.operation == Operation::Place)
        else {
            return false;
        };
        let Some(pause) = policy.pause((job, retry), judged, status, wait) else { return false };
        if self.waiting.len() >= WAITING_MAX {
            self.lost += 1;
            return false;
        }
        let pause_ns = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        self.waiting.insert((now_ns.saturating_add(pause_ns), job.seq), (*job, retry + 1));
        true
    }
}

impl Policy {
    /// The pause before the next attempt, if there is one.
    fn pause(
        &self,
        (job, retry): (&Job, u8),
        judged: &Judged,
        status: u16,
        wait: Option<Duration>,
    ) -> Option<Duration> {
        let Retries { attempts, after, backoff, longest, retry_after, .. } = &self.retries;
        let again = after.iter().any(|a| a.holds(judged.outcome, judged.trouble, status));
        if !again || retry + 1 >= *attempts {
            return None;
        }
        let doubled = backoff.0.saturating_mul(1 << u32::from(retry).min(30)).min(longest.0);
        let drawn = doubled.mul_f64(1.0 - self.retries.jitter * self.draw(job.seq, retry));
        let told = wait.filter(|_| *retry_after).unwrap_or_default();
        (told <= longest.0).then_some(drawn.max(told))
    }

    /// Even over 0 to 1, and the same for the same attempt of the same order, whoever else asks again.
    fn draw(&self, seq: u64, retry: u8) -> f64 {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ STREAM);
        rng.set_stream(seq);
        rng.set_word_pos(u128::from(retry) * 16);
        rng.random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Workload;
    use record::{Outcome, Trouble};
    use scenario::Mix;
    use scenario::config::Span;

    const SECOND: Duration = Duration::from_secs(1);

    fn job() -> Job {
        Workload::new(Mix { place: 1.0, ..Mix::default() }, 1, 1).job(Operation::Place, 0)
    }

    fn policy(jitter: f64) -> Policy {
        Policy { retries: Retries { jitter, ..Retries::default() }, seed: 7 }
    }

    fn timed_out() -> Judged {
        Judged { trouble: Trouble::Timeout, ..Judged::plain(Outcome::Unknown) }
    }

    fn pause_ms(policy: &Policy, retry: u8, status: u16, wait: Option<Duration>) -> Option<u128> {
        let judged = Judged::plain(if status == 422 { Outcome::Failed } else { Outcome::Unknown });
        policy.pause((&job(), retry), &judged, status, wait).map(|pause| pause.as_millis())
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_end_with_the_last_attempt() {
        let mut policy = policy(0.0);
        assert_eq!(
            [0, 1, 2].map(|n| pause_ms(&policy, n, 503, None)),
            [Some(500), Some(1_000), None]
        );
        policy.retries.attempts = 20;
        assert_eq!(
            [3, 4, 18].map(|n| pause_ms(&policy, n, 503, None)),
            [4_000, 5_000, 5_000].map(Some)
        );
        assert_eq!(pause_ms(&policy, 0, 422, None), None);
    }

    #[test]
    fn nobody_comes_before_the_time_that_was_told_and_nobody_waits_longer_than_the_longest() {
        let mut policy = policy(0.0);
        assert_eq!(pause_ms(&policy, 0, 503, Some(SECOND)), Some(1_000));
        assert_eq!(pause_ms(&policy, 0, 503, Some(SECOND / 10)), Some(500));
        assert_eq!(pause_ms(&policy, 0, 503, Some(SECOND * 6)), None);
        policy.retries.retry_after = false;
        assert_eq!(pause_ms(&policy, 0, 503, Some(SECOND * 6)), Some(500));
    }

    #[test]
    fn half_of_a_pause_is_drawn_from_the_seed_of_its_order() {
        let one = policy(0.5);
        let draws: Vec<f64> = (0..4_000).map(|seq| one.draw(seq, 0)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        assert!(
            (mean - 0.5).abs() < 0.02 && draws.iter().all(|d| (0.0..1.0).contains(d)),
            "{mean}"
        );
        assert_ne!(one.draw(1, 0), one.draw(1, 1));
        assert_ne!(one.draw(1, 0), Policy { seed: 8, ..one.clone() }.draw(1, 0));
        assert_eq!(one.draw(1, 0), policy(0.5).draw(1, 0), "whoever else asks again");
        let pauses = [0, 1].map(|n| pause_ms(&one, n, 503, None).unwrap());
        assert!(
            (250..=500).contains(&pauses[0]) && (500..=1_000).contains(&pauses[1]),
            "{pauses:?}"
        );
    }

    #[test]
    fn they_come_in_the_order_in_which_they_are_due() {
        let mut again = Again::new(Some(policy(0.0)));
        let mut jobs = Workload::new(Mix { place: 1.0, ..Mix::default() }, 1, 1);
        let (first, second) = (jobs.next().unwrap(), jobs.next().unwrap());
        assert!(again.follows((&first, 1), &timed_out(), 0, None, 100));
        assert!(again.follows((&second, 0), &timed_out(), 0, None, 100));
        assert_eq!(again.next_ns(), Some(500_000_100));
        let (due_ns, job, retry) = again.take().unwrap();
        assert_eq!((due_ns, job.seq, retry), (500_000_100, 1, 1));
        assert_eq!(
            again.take().map(|(due_ns, job, retry)| (due_ns, job.seq, retry)),
            Some((1_000_000_100, 0, 2))
        );
        assert_eq!(again.take(), None);
    }

    #[test]
    fn only_orders_are_asked_for_again_and_only_if_the_scenario_says_so() {
        let mut get = job();
        get.operation = Operation::Get;
        assert!(!Again::new(Some(policy(0.0))).follows((&get, 0), &timed_out(), 0, None, 0));
        assert!(!Again::new(None).follows((&job(), 0), &timed_out(), 0, None, 0));
    }

    #[test]
    fn those_who_find_no_room_are_counted() {
        let mut many = policy(0.0);
        many.retries.backoff = Span::secs(1);
        let mut again = Again::new(Some(many));
        let jobs = Workload::new(Mix { place: 1.0, ..Mix::default() }, 1, 1).take(WAITING_MAX + 2);
        let followed = jobs.filter(|job| again.follows((job, 0), &timed_out(), 0, None, 0)).count();
        assert_eq!((followed, again.lost()), (WAITING_MAX, 2));
    }
}
