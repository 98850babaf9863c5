//! Where requests come from, and when: a schedule that is fixed beforehand (open loop), users who
//! wait for their answers (closed loop), or sessions that arrive openly and proceed step by step
//! (partly open). Only the first can measure what a stalled system does to its customers.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::iter::Peekable;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};

use super::Judged;
use crate::workload::Job;
use record::{Operation, Outcome, Receipt, Trouble};

/// A supply of requests.
pub trait Source: Send {
    /// The next request's intended instant, ns, if one is known.
    fn next_ns(&mut self) -> Option<u64>;
    /// Takes that request.
    fn take(&mut self) -> Option<(u64, Job)>;
    /// Whether what is sent depends on answers.
    fn heeds_answers(&self) -> bool {
        true
    }
    /// A request has ended, with an answer or for want of one; that may make a further one known.
    fn ended(&mut self, _job: &Job, _now_ns: u64, _judged: &Judged) {}
}

/// Open loop: intended instants and jobs, ascending, fixed beforehand.
pub struct Schedule<I: Iterator<Item = (u64, Job)>>(Peekable<I>);

impl<I: Iterator<Item = (u64, Job)>> Schedule<I> {
    /// The requests of this iterator.
    pub fn new(requests: I) -> Self {
        Self(requests.peekable())
    }
}

impl<I: Iterator<Item = (u64, Job)> + Send> Source for Schedule<I> {
    fn heeds_answers(&self) -> bool {
        false
    }

    fn next_ns(&mut self) -> Option<u64> {
        self.0.peek().map(|(at_ns, _)| *at_ns)
    }

    fn take(&mut self) -> Option<(u64, Job)> {
        self.0.next()
    }
}

/// Closed loop: each user sends, waits for the end, thinks, and sends again, until the time is up. Users
/// who find nobody come back later and later: else they would do nothing but ask, as fast as they can.
pub struct Users<J> {
    jobs: J,
    /// When users will send, and which, earliest first.
    ready: BinaryHeap<Reverse<(u64, u32)>>,
    /// They wait until their order is final, each in an account of his own; the first pause before a look-up.
    poll_ns: Option<u64>,
    /// Users whose order is pending, and their last pause.
    looking: HashMap<u32, u64>,
    think: Think,
    until_ns: u64,
    count: u32,
    /// Requests in a row, of whichever user, to which nobody listened.
    refused: u32,
}

/// The first pause of a user who finds nobody; it doubles when all have found nobody once more.
const REFUSED_NS: u64 = 10_000_000;
const REFUSED_MOST_NS: u64 = 1_000_000_000;
/// The longest pause between two look-ups.
const LOOK_MOST_NS: u64 = 1_000_000_000;

/// How long a user thinks: exponential with this mean, or not at all.
pub struct Think {
    mean_ns: f64,
    rng: ChaCha8Rng,
}

impl Think {
    /// Thinking times of this mean.
    #[must_use]
    pub fn new(mean_ns: u64, seed: u64) -> Self {
        Self { mean_ns: mean_ns as f64, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn draw_ns(&mut self) -> u64 {
        if self.mean_ns == 0.0 {
            return 0;
        }
        let unit: f64 = Exp1.sample(&mut self.rng);
        (unit * self.mean_ns) as u64
    }
}

impl<J: Iterator<Item = Job>> Users<J> {
    /// As many users, each of whom begins after one thinking time.
    pub fn new(count: u32, mut think: Think, until_ns: u64, jobs: J) -> Self {
        let ready = (0..count).map(|user| Reverse((think.draw_ns(), user))).collect();
        let (poll_ns, looking) = (None, HashMap::new());
        Self { jobs, ready, poll_ns, looking, think, until_ns, count, refused: 0 }
    }

    /// They wait until their order is final, and look it up after pauses, of which this is the first.
    #[must_use]
    pub fn until_final(self, poll_ns: Option<u64>) -> Self {
        Self { poll_ns, ..self }
    }

    /// The pause before the user's next look-up, if his order is pending; what is not told leaves it so.
    fn look_ns(&mut self, job: &Job, judged: &Judged) -> Option<u64> {
        let first_ns = self.poll_ns?;
        let looks = job.operation == Operation::Get && judged.outcome != Outcome::Ok;
        if judged.receipt != Receipt::Pending && !looks {
            self.looking.remove(&job.customer);
            return None;
        }
        let last_ns = self.looking.get(&job.customer);
        let pause_ns = last_ns.map_or(first_ns, |last| last.saturating_add(last / 2));
        let pause_ns = pause_ns.min(LOOK_MOST_NS);
        self.looking.insert(job.customer, pause_ns);
        Some(pause_ns)
    }

    /// How long a user stays away at least, after this end of his request.
    fn pause_ns(&mut self, trouble: Trouble) -> u64 {
        if !matches!(trouble, Trouble::Refused | Trouble::Connect | Trouble::Reset) {
            self.refused = 0;
            return 0;
        }
        let rounds = (self.refused / self.count.max(1)).min(16);
        self.refused = self.refused.saturating_add(1);
        (REFUSED_NS << rounds).min(REFUSED_MOST_NS)
    }
}

impl<J: Iterator<Item = Job> + Send> Source for Users<J> {
    fn next_ns(&mut self) -> Option<u64> {
        self.ready.peek().map(|r| r.0.0).filter(|at_ns| *at_ns < self.until_ns)
    }

    fn take(&mut self) -> Option<(u64, Job)> {
        let at_ns = self.next_ns()?;
        let Reverse((_, user)) = self.ready.pop()?;
        let mut job = self.jobs.next()?;
        if self.poll_ns.is_some() {
            job.customer = user;
        }
        let looks = self.looking.contains_key(&user);
        Some((at_ns, if looks { job.look_up() } else { job }))
    }

    fn ended(&mut self, job: &Job, now_ns: u64, judged: &Judged) {
        let pause_ns = self.pause_ns(judged.trouble);
        let away_ns = match self.look_ns(job, judged) {
            Some(look_ns) => look_ns,
            None => self.think.draw_ns(),
        };
        // Without accounts of their own users are all alike.
        let user = if self.poll_ns.is_some() { job.customer } else { 0 };
        self.ready.push(Reverse((now_ns + away_ns.max(pause_ns), user)));
    }
}

/// Partly open: sessions arrive by a schedule; within one, each step begins after the one before has
/// ended and a thinking time has passed.
pub struct Sessions<I: Iterator<Item = (u64, Job)>> {
    arrivals: Peekable<I>,
    steps: Vec<Operation>,
    /// Further steps: when, which, of which session.
    waiting: BinaryHeap<Reverse<(u64, usize, u64)>>,
    /// The first job of each open session, by its number.
    open: HashMap<u64, (Job, usize)>,
    think: Think,
    next_seq: u64,
}

impl<I: Iterator<Item = (u64, Job)>> Sessions<I> {
    /// Sessions of these steps; an arrival's job says which customer comes.
    pub fn new(arrivals: I, steps: Vec<Operation>, think: Think) -> Self {
        Self {
            arrivals: arrivals.peekable(),
            steps,
            waiting: BinaryHeap::new(),
            open: HashMap::new(),
            think,
            next_seq: 0,
        }
    }

    /// The step of this session as a request with a number of its own.
    fn request(&mut self, mut job: Job, step: usize) -> Option<Job> {
        job.operation = *self.steps.get(step)?;
        job.seq = self.next_seq;
        self.next_seq += 1;
        self.open.insert(job.seq, (job, step));
        Some(job)
    }
}

impl<I: Iterator<Item = (u64, Job)> + Send> Source for Sessions<I> {
    fn next_ns(&mut self) -> Option<u64> {
        let arrival = self.arrivals.peek().map(|(at_ns, _)| *at_ns);
        let step = self.waiting.peek().map(|Reverse((at_ns, ..))| *at_ns);
        match (arrival, step) {
            (Some(a), Some(s)) => Some(a.min(s)),
            (a, s) => a.or(s),
        }
    }

    fn take(&mut self) -> Option<(u64, Job)> {
        let due = self.next_ns()?;
        let step_due = self.waiting.peek().is_some_and(|Reverse((at_ns, ..))| *at_ns == due);
        if step_due {
            let Reverse((at_ns, step, seq)) = self.waiting.pop()?;
            let (job, _) = self.open.remove(&seq)?;
            return Some((at_ns, self.request(job, step)?));
        }
        let (at_ns, job) = self.arrivals.next()?;
        Some((at_ns, self.request(job, 0)?))
    }

    fn ended(&mut self, job: &Job, now_ns: u64, _: &Judged) {
        let Some((_, step)) = self.open.get(&job.seq).copied() else { return };
        if step + 1 < self.steps.len() {
            self.waiting.push(Reverse((now_ns + self.think.draw_ns(), step + 1, job.seq)));
        } else {
            self.open.remove(&job.seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Workload;
    use scenario::Mix;

    fn ended(trouble: Trouble) -> Judged {
        Judged { trouble, ..Judged::plain(Outcome::Ok) }
    }

    fn told(receipt: Receipt) -> Judged {
        Judged { receipt, ..Judged::plain(Outcome::Ok) }
    }

    fn jobs() -> Workload {
        Workload::new(Mix { place: 1.0, ..Mix::default() }, 3, 1)
    }

    #[test]
    fn a_user_waits_for_the_answer_and_thinks() {
        let mut users = Users::new(2, Think::new(0, 1), 1_000, jobs());
        let (first, job) = users.take().unwrap();
        assert_eq!((first, users.take().unwrap().0), (0, 0));
        assert_eq!(users.next_ns(), None, "both wait for their answers");
        users.ended(&job, 400, &ended(Trouble::None));
        assert_eq!(users.take().unwrap().0, 400);
        users.ended(&job, 1_000, &ended(Trouble::None));
        assert_eq!(users.next_ns(), None, "the time is up");
    }

    #[test]
    fn a_user_who_waits_until_his_order_is_final_looks_it_up() {
        let minute_ns = 60_000_000_000;
        let users = Users::new(2, Think::new(0, 1), minute_ns, jobs());
        let mut users = users.until_final(Some(10_000_000));
        let (_, first) = users.take().unwrap();
        let (_, second) = users.take().unwrap();
        assert_eq!((first.customer, second.customer), (0, 1), "each has an account of his own");
        users.ended(&first, 0, &told(Receipt::Pending));
        let mut looked = Vec::new();
        for answer in [Receipt::Pending, Receipt::Pending, Receipt::Paid] {
            let (at_ns, job) = users.take().unwrap();
            assert_eq!((job.operation, job.customer, job.back()), (Operation::Get, 0, 0));
            looked.push(at_ns / 1_000_000);
            users.ended(&job, at_ns, &told(answer));
        }
        assert_eq!(looked, [10, 25, 47], "pauses of 10, 15 and 22.5 ms");
        let (at_ns, next) = users.take().unwrap();
        assert_eq!((at_ns, next.operation, next.customer), (47_500_000, Operation::Place, 0));
        users.ended(&second, 50_000_000, &told(Receipt::Paid));
        assert_eq!(users.take().unwrap().1.operation, Operation::Place, "201 is final");
    }

    #[test]
    fn a_look_up_that_fails_is_made_again() {
        let users = Users::new(1, Think::new(0, 1), 60_000_000_000, jobs());
        let mut users = users.until_final(Some(10_000_000));
        let (_, job) = users.take().unwrap();
        users.ended(&job, 0, &told(Receipt::Pending));
        let (at_ns, look) = users.take().unwrap();
        users.ended(&look, at_ns, &Judged::plain(Outcome::Failed));
        assert_eq!(users.take().unwrap().1.operation, Operation::Get);
    }

    #[test]
    fn users_who_find_nobody_come_back_later_and_later() {
        let mut users = Users::new(2, Think::new(0, 1), 60_000_000_000, jobs());
        let mut away_ms = |trouble| {
            let (at_ns, job) = users.take().unwrap();
            users.ended(&job, at_ns, &ended(trouble));
            let back_ns = users.ready.iter().map(|r| r.0.0).max().unwrap();
            (back_ns - at_ns) / 1_000_000
        };
        let refused: Vec<u64> = (0..20).map(|_| away_ms(Trouble::Refused)).collect();
        assert_eq!(refused[..6], [10, 10, 20, 20, 40, 40]);
        assert_eq!(refused[16..], [1_000; 4], "and no later than that");
        // Both are away now: the next of them is answered.
        away_ms(Trouble::None);
        assert_eq!(users.refused, 0);
        let (at_ns, job) = users.take().unwrap();
        users.ended(&job, at_ns, &ended(Trouble::Reset));
        assert_eq!(users.refused, 1);
    }

    #[test]
    fn thinking_has_its_mean() {
        let mut think = Think::new(1_000_000, 3);
        let mean = (0..20_000).map(|_| think.draw_ns() as f64).sum::<f64>() / 20_000.0;
        assert!((mean / 1e6 - 1.0).abs() < 0.04, "{mean}");
    }

    #[test]
    fn a_session_goes_step_by_step_and_arrivals_do_not_wait() {
        let steps = vec![Operation::Login, Operation::Place, Operation::Get];
        let mut sessions = Sessions::new([10, 20].into_iter().zip(jobs()), steps, Think::new(0, 1));
        let (at, login) = sessions.take().unwrap();
        assert_eq!((at, login.operation), (10, Operation::Login));
        assert_eq!(sessions.next_ns(), Some(20), "the second arrives though the first waits");
        sessions.ended(&login, 15, &ended(Trouble::None));
        let (at, place) = sessions.take().unwrap();
        assert_eq!((at, place.operation, place.customer), (15, Operation::Place, login.customer));
        let (at, second) = sessions.take().unwrap();
        assert_eq!((at, second.operation), (20, Operation::Login));
        sessions.ended(&place, 30, &ended(Trouble::None));
        let (at, get) = sessions.take().unwrap();
        assert_eq!((at, get.operation), (30, Operation::Get));
        sessions.ended(&get, 40, &ended(Trouble::None));
        assert_eq!(sessions.next_ns(), None);
        let mut numbers = [login.seq, place.seq, second.seq, get.seq];
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2, 3], "every request has a number of its own");
        assert_eq!(sessions.open.len(), 1, "only the second session is open");
    }
}
