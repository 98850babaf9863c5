//! The manner in which our services call each other: how long one waits, what is asked again, and what is not asked at
//! all. Rungs of a ladder, each as well-known stacks have it (decision 66).

mod breaker;
mod budget;
mod rolling;
mod tail;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_server::Settings;
use shop::{Error, Result};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use breaker::Breaker;
pub use breaker::Rule as BreakerRule;
pub use budget::{Budget, Throttle};
use budget::{Spent, Throttling};
use tail::Lasted;
pub use tail::Tail;

/// How one service is called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Manner {
    /// How long one try may take; none: as long as it takes.
    pub try_within: Option<Duration>,
    /// When it may take less, as the others did.
    pub tail: Option<Tail>,
    /// How long all tries of a call may take.
    pub in_all: Option<Duration>,
    /// What is asked again.
    pub again: Again,
    /// When nobody is asked for a while.
    pub breaker: Option<BreakerRule>,
    /// When fewer are asked.
    pub throttle: Option<Throttle>,
    /// Calls at once; a further one is refused at once.
    pub at_once: Option<usize>,
}

/// What is asked again: calls that failed for a while, by an error of the server's, silence, or a refusal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Again {
    /// So often.
    pub most: u32,
    /// After a pause of so long, which doubles each time,
    pub pause: Duration,
    /// up to this;
    pub longest: Duration,
    /// of the pause, at least this share: the rest is left to chance. 1: nothing is.
    pub sure: f64,
    /// And no more than this in all.
    pub budget: Option<Budget>,
}

impl Again {
    /// Never.
    pub const NEVER: Self =
        Self { most: 0, pause: Duration::ZERO, longest: Duration::ZERO, sure: 1.0, budget: None };

    /// The pause before the n-th further try, from 1, by a number that was drawn from 0 to 1.
    fn pause(&self, n: u32, drawn: f64) -> Duration {
        let doubled = self.pause.saturating_mul(1_u32.checked_shl(n - 1).unwrap_or(u32::MAX));
        doubled.min(self.longest).mul_f64(self.sure + (1.0 - self.sure) * drawn)
    }
}

impl Manner {
    /// Waits for ever and asks once: RestTemplate, Java's `HttpClient`, Go, axios, requests and gRPC, as they come.
    pub const NAIVE: Self = Self {
        try_within: None,
        tail: None,
        in_all: None,
        again: Again::NEVER,
        breaker: None,
        throttle: None,
        at_once: None,
    };

    /// Waits a second and asks again at once, three times, whatever came: what is written first after an outage.
    pub const BLIND: Self = Self {
        try_within: Some(Duration::from_secs(1)),
        in_all: None,
        again: Again { most: 3, ..Again::NEVER },
        ..Self::NAIVE
    };

    /// What guides recommend: Microsoft's standard pipeline, with a tenth of its times, for a call here takes
    /// milliseconds.
    pub const USUAL: Self = Self {
        try_within: Some(Duration::from_secs(1)),
        tail: None,
        in_all: Some(Duration::from_secs(3)),
        again: Again {
            most: 3,
            pause: Duration::from_millis(200),
            longest: Duration::from_secs(3),
            sure: 0.5,
            budget: None,
        },
        breaker: Some(BreakerRule {
            window: Duration::from_secs(30),
            least: 100,
            share: 0.1,
            open: Duration::from_secs(5),
        }),
        throttle: None,
        at_once: Some(1_000),
    };

    /// What the big ones do: time-outs from measured tails, few retries under a budget, and fewer calls to who refuses
    /// (Amazon, Finagle, Google).
    pub const HARDENED: Self = Self {
        try_within: Some(Duration::from_secs(1)),
        tail: Some(Tail { share: 0.999, window: Duration::from_secs(60), least: 1_000 }),
        in_all: Some(Duration::from_secs(3)),
        again: Again {
            most: 2,
            pause: Duration::from_millis(50),
            longest: Duration::from_secs(1),
            sure: 0.0,
            budget: Some(Budget { share: 0.2, per_s: 10.0 }),
        },
        breaker: None,
        throttle: Some(Throttle { k: 2.0, window: Duration::from_secs(10), least: 20 }),
        at_once: Some(1_000),
    };

    /// What a process says of it.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let time = |time: Option<Duration>| {
            time.map_or("none".to_owned(), |t| format!("{} s", t.as_secs_f64()))
        };
        let Again { most, pause, longest, sure, budget } = self.again;
        let again = match most {
            0 => "never".to_owned(),
            most => {
                let (pause, longest, chance) =
                    (pause.as_millis(), longest.as_secs_f64(), 100.0 * (1.0 - sure));
                let budget = budget.map_or(String::new(), |b| {
                    format!(", at most {} % and {}/s", 100.0 * b.share, b.per_s)
                });
                format!(
                    "{most} times, after {pause} ms, doubled up to {longest} s, {chance} % of it chance{budget}"
                )
            }
        };
        let breaker = self.breaker.map_or("none".to_owned(), |rule| {
            let (share, window, open) =
                (100.0 * rule.share, rule.window.as_secs(), rule.open.as_secs());
            format!("opens for {open} s at {share} % of {} calls or more in {window} s", rule.least)
        });
        let throttle = self.throttle.map_or("none".to_owned(), |throttle| {
            format!(
                "asks for {} times what was accepted in {} s",
                throttle.k,
                throttle.window.as_secs()
            )
        });
        let tail = self.tail.map_or(String::new(), |tail| {
            let (share, window) = (100.0 * tail.share, tail.window.as_secs());
            format!(", less where {share} % of {} or more in {window} s took less", tail.least)
        });
        Settings::default()
            .with("time-out of a try", time(self.try_within) + &tail)
            .with("time-out of a call", time(self.in_all))
            .with("asked again", again)
            .with("breaker", breaker)
            .with("throttling", throttle)
            .with("calls at once", self.at_once.map_or("no bound".to_owned(), |n| n.to_string()))
    }
}

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// An answer that counts against nobody.
    Good,
    /// A failure of the service's, which may be over soon.
    Failed,
    /// Its time ran out, here or there.
    Late,
}

/// The calls to one service, in some manner.
#[derive(Debug)]
pub(crate) struct Calls {
    manner: Manner,
    places: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    breaker: Option<Breaker>,
    throttling: Option<Throttling>,
    spent: Option<Spent>,
    lasted: Option<Lasted>,
}

impl Calls {
    pub(crate) fn new(manner: Manner) -> Self {
        let now = Instant::now();
        let state = State {
            breaker: manner.breaker.map(|rule| Breaker::new(rule, now)),
            throttling: manner.throttle.map(|throttle| Throttling::by(throttle, now)),
            spent: manner.again.budget.map(|budget| Spent::of(budget, now)),
            lasted: manner.tail.map(|tail| Lasted::by(tail, now)),
        };
        let most = manner.at_once.unwrap_or(Semaphore::MAX_PERMITS);
        Self { manner, places: Semaphore::new(most), state: Mutex::new(state) }
    }

    /// Makes a call, and makes it again as its manner is, within `granted` in all. `attempt` is given how long it may
    /// take, and `judge` says what came of it.
    pub(crate) async fn make<T, F>(
        &self,
        granted: Option<Duration>,
        judge: impl Fn(&Result<T>) -> Came,
        attempt: impl Fn(Option<Duration>) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let Ok(_place) = self.places.try_acquire() else {
            return Err(Error::Busy(
                "too many calls are under way; this one was not made".to_owned(),
            ));
        };
        let within = least(granted, self.manner.in_all);
        let deadline = within.map(|within| Instant::now() + within);
        let left = |now: Instant| deadline.map(|at| at.saturating_duration_since(now));
        let (half, mut tries) = (self.half(), 0);
        if left(Instant::now()).is_some_and(|left| left < half) {
            let text = format!("less time is left than half of the calls take, {half:?}");
            return Err(Error::TimedOut(text));
        }
        loop {
            self.may()?;
            if tries == 0 {
                self.counted_first();
            }
            let asked = Instant::now();
            let result = attempt(self.within(left(asked), asked)).await;
            let came = judge(&result);
            self.ended(asked.elapsed(), came);
            if came == Came::Good || tries >= self.manner.again.most {
                return result;
            }
            tries += 1;
            let pause = self.manner.again.pause(tries, rand::random());
            let is_late = left(Instant::now() + pause)
                .is_some_and(|left| left.is_zero() || left < self.half());
            if is_late || !self.may_again() {
                return result;
            }
            sleep(pause).await;
        }
    }

    fn may(&self) -> Result<()> {
        let (now, mut state) = (Instant::now(), self.state());
        if state.throttling.as_mut().is_some_and(|throttling| !throttling.may(rand::random(), now))
        {
            return Err(Error::Unavailable(
                "it refuses too much; this call was not made".to_owned(),
            ));
        }
        if state.breaker.as_mut().is_some_and(|breaker| !breaker.may(now)) {
            return Err(Error::Unavailable(
                "the breaker is open; this call was not made".to_owned(),
            ));
        }
        Ok(())
    }

    fn counted_first(&self) {
        if let Some(spent) = &mut self.state().spent {
            spent.first(Instant::now());
        }
    }

    fn may_again(&self) -> bool {
        self.state().spent.as_mut().is_none_or(|spent| spent.again(Instant::now()))
    }

    /// With less time it is not worth asking; none if that is not known.
    fn half(&self) -> Duration {
        let (now, mut state) = (Instant::now(), self.state());
        state.lasted.as_mut().and_then(|lasted| lasted.half(now)).unwrap_or_default()
    }

    /// How long a try may take that is made now.
    fn within(&self, left: Option<Duration>, now: Instant) -> Option<Duration> {
        let mut state = self.state();
        let others = state.lasted.as_mut().and_then(|lasted| lasted.try_within(now));
        least(left, least(others, self.manner.try_within))
    }

    /// A try ended after so long.
    fn ended(&self, after: Duration, came: Came) {
        let (now, mut state) = (Instant::now(), self.state());
        let failed = came != Came::Good;
        if let Some(lasted) = &mut state.lasted {
            match came {
                Came::Good => lasted.answered(after, now),
                Came::Late => lasted.cut_off(now),
                Came::Failed => {}
            }
        }
        if let Some(breaker) = &mut state.breaker {
            breaker.ended(failed, now);
        }
        if let Some(throttling) = &mut state.throttling
            && !failed
        {
            throttling.accepted(now);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn least(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use futures_util::future::join_all;

    use super::*;

    fn judged<T>(result: &Result<T>) -> Came {
        match result {
            Err(Error::TimedOut(_)) => Came::Late,
            Err(Error::Unavailable(_)) => Came::Failed,
            _ => Came::Good,
        }
    }

    fn down() -> Error {
        Error::Unavailable("down".to_owned())
    }

    /// Calls a service that fails so often before it answers, a second after it is asked or when that takes too long;
    /// how often it was asked, and what became of it.
    async fn asked(manner: Manner, failures: u32, error: fn() -> Error) -> (u32, Result<u32>) {
        let calls = Calls::new(manner);
        let asked = Cell::new(0);
        let result = calls.make(None, judged, |_| async {
            asked.set(asked.get() + 1);
            if asked.get() > failures { Ok(7) } else { Err(error()) }
        });
        let result = result.await;
        (asked.get(), result)
    }

    #[tokio::test(start_paused = true)]
    async fn each_rung_asks_as_often_as_it_says() {
        for (manner, most) in
            [(Manner::NAIVE, 1), (Manner::BLIND, 4), (Manner::USUAL, 4), (Manner::HARDENED, 3)]
        {
            assert_eq!(asked(manner, u32::MAX, down).await, (most, Err(down())));
            if most > 1 {
                assert_eq!(asked(manner, 1, down).await, (2, Ok(7)));
            }
            let refused = || Error::KeyReused;
            assert_eq!(
                asked(manner, 9, refused).await,
                (1, Err(Error::KeyReused)),
                "it will not pass"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tries_and_pauses_stay_within_what_is_granted() {
        let calls = Calls::new(Manner::USUAL);
        let granted = RefCell::new(Vec::new());
        let begun = Instant::now();
        let result: Result<()> = calls
            .make(Some(Duration::from_millis(2_500)), judged, |within| {
                granted.borrow_mut().push(within.unwrap());
                async move {
                    sleep(within.unwrap()).await;
                    Err(Error::TimedOut("silence".to_owned()))
                }
            })
            .await;
        assert!(matches!(result, Err(Error::TimedOut(_))));
        assert!(begun.elapsed() <= Duration::from_millis(2_501), "{:?}", begun.elapsed());
        let granted = granted.into_inner();
        assert_eq!(granted[0], Duration::from_secs(1));
        assert!(
            granted.len() >= 2 && granted.iter().all(|within| *within <= Duration::from_secs(1))
        );
    }

    /// A service that was asked a thousand times at once, and has answered each after so long.
    async fn known(manner: Manner, took: Duration) -> Calls {
        let calls = Calls::new(Manner { throttle: None, ..manner });
        let ask = |_| {
            calls.make(None, judged, |_| async {
                sleep(took).await;
                Ok(())
            })
        };
        let answered = join_all((0..1_000).map(ask)).await;
        assert!(answered.iter().all(Result::is_ok));
        calls
    }

    /// How long the next try may take if so much time is left, after a thousand answers each of which took 8 ms.
    async fn granted(left: Option<Duration>) -> Result<Option<Duration>> {
        let calls = known(Manner::HARDENED, Duration::from_millis(8)).await;
        calls.make(left, judged, |within| async move { Ok(within) }).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_may_take_a_second_at_most_however_long_others_took() {
        let calls = known(Manner::HARDENED, Duration::from_secs(2)).await;
        let within = calls.make(None, judged, |within| async move { Ok(within) }).await;
        assert_eq!(within, Ok(Some(Duration::from_secs(1))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_becomes_slower_is_soon_waited_for_again() {
        let manner = Manner { again: Again::NEVER, ..Manner::HARDENED };
        let calls = known(manner, Duration::from_millis(8)).await;
        for _ in 0..3 {
            let cut_off: Result<()> = calls
                .make(None, judged, |within| async move {
                    sleep(within.unwrap()).await;
                    Err(Error::TimedOut("silence".to_owned()))
                })
                .await;
            assert!(cut_off.is_err());
        }
        let within = calls.make(None, judged, |within| async move { Ok(within) }).await;
        assert_eq!(within, Ok(Some(Duration::from_secs(1))));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_asked_again_with_less_time_than_half_of_the_calls_take() {
        let again =
            Again { pause: Duration::ZERO, longest: Duration::ZERO, ..Manner::HARDENED.again };
        for (left_ms, tries) in [(14, 1), (16, 2)] {
            let took = Duration::from_millis(8);
            let calls = known(Manner { again, ..Manner::HARDENED }, took).await;
            let asked = Cell::new(0);
            let left = Some(Duration::from_millis(left_ms));
            let result: Result<()> = calls
                .make(left, judged, |_| async {
                    asked.set(asked.get() + 1);
                    sleep(took).await;
                    Err(down())
                })
                .await;
            assert_eq!((result, asked.get()), (Err(down()), tries), "{left_ms} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_may_take_as_long_as_others_took() {
        let within = granted(None).await.unwrap().unwrap();
        assert!(within >= Duration::from_millis(8) && within < Duration::from_millis(10));
        let less = Duration::from_millis(8);
        assert_eq!(granted(Some(less)).await, Ok(Some(less)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_less_time_than_half_of_the_calls_take_is_not_asked() {
        let asked = granted(Some(Duration::from_millis(6))).await;
        assert!(matches!(asked, Err(Error::TimedOut(_))), "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_had_too_little_time_has_told_nothing_of_the_service() {
        let calls = Calls::new(Manner::HARDENED);
        for left in [None; 1_000].into_iter().chain([Some(Duration::from_millis(2)); 3_000]) {
            let _: Result<()> = calls
                .make(left, judged, |_| async {
                    sleep(Duration::from_millis(8)).await;
                    Ok(())
                })
                .await;
        }
        for _ in 0..100 {
            assert_eq!(calls.make(None, judged, |_| async { Ok(()) }).await, Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_at_once_makes_no_time_out_short() {
        let calls = Calls::new(Manner { throttle: None, again: Again::NEVER, ..Manner::HARDENED });
        for _ in 0..2_000 {
            let _: Result<()> = calls.make(None, judged, |_| async { Err(down()) }).await;
        }
        let within = calls.make(None, judged, |within| async move { Ok(within) }).await;
        assert_eq!(within, Ok(Some(Duration::from_secs(1))));
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_a_part_of_them_is_chance() {
        let again = Manner::USUAL.again;
        let ms = |n, drawn| again.pause(n, drawn).as_millis();
        assert_eq!(
            [ms(1, 0.0), ms(1, 1.0), ms(2, 0.0), ms(3, 1.0), ms(9, 1.0)],
            [100, 200, 200, 800, 3_000]
        );
        assert_eq!(Manner::HARDENED.again.pause(1, 0.0), Duration::ZERO);
        assert_eq!(Manner::BLIND.again.pause(3, 1.0), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn after_many_failures_the_breaker_refuses_without_asking() {
        let calls = Calls::new(Manner { again: Again::NEVER, ..Manner::USUAL });
        let asked = Cell::new(0);
        for _ in 0..200 {
            let _: Result<()> = calls
                .make(None, judged, |_| async {
                    asked.set(asked.get() + 1);
                    Err(down())
                })
                .await;
        }
        assert_eq!(asked.get(), 100);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(calls.make(None, judged, |_| async { Ok(1) }).await, Ok(1));
        assert_eq!(calls.make(None, judged, |_| async { Ok(1) }).await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_of_failures_is_asked_again_no_more_than_the_budget_allows() {
        let calls = Calls::new(Manner { throttle: None, ..Manner::HARDENED });
        let asked = Cell::new(0_u32);
        for _ in 0..1_000 {
            let _: Result<()> = calls
                .make(None, judged, |_| async {
                    asked.set(asked.get() + 1);
                    Err(down())
                })
                .await;
        }
        let again = f64::from(asked.get()) - 1_000.0;
        // 20 %, and 10 for each second that the pauses took.
        assert!(again >= 200.0, "{again}");
        let calls = Calls::new(Manner::HARDENED);
        let made = Cell::new(0_u32);
        for _ in 0..1_000 {
            let _: Result<()> = calls
                .make(None, judged, |_| async {
                    made.set(made.get() + 1);
                    Err(down())
                })
                .await;
        }
        assert!(made.get() < 200, "{} calls to who refuses all", made.get());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_beyond_the_bound_is_refused_at_once() {
        let calls = Calls::new(Manner { at_once: Some(1), ..Manner::NAIVE });
        let slow = calls.make(None, judged, |_| async {
            sleep(Duration::from_secs(1)).await;
            Ok(1)
        });
        let beside = async {
            tokio::task::yield_now().await;
            calls.make(None, judged, |_| async { Ok(2) }).await
        };
        let (slow, beside) = tokio::join!(slow, beside);
        assert!(slow == Ok(1) && matches!(beside, Err(Error::Busy(_))), "{beside:?}");
        assert_eq!(calls.make(None, judged, |_| async { Ok(3) }).await, Ok(3));
    }
}
