//! Orders that stay pending because nobody remembers their charge any more are handed over again. A
//! message can be given up, or be lost with all that a queue has kept; the order is still there. It
//! knows no queue: who carries charges tells which of them are on their way.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::ages::Ages;
use super::{Number, Order, OrderStore, Pending};
use crate::{Charge, Error, Result};

/// Orders that one pass looks at, and hands over at most.
const BATCH: u32 = 500;
/// The longest wait before an order is handed over once more.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// The first wait where nobody can tell whether a charge is on its way: each time in vain costs a
/// repetition.
const BLIND_WAIT: Duration = Duration::from_secs(60);
/// Orders that were handed over again and are still pending; further ones wait until some are final.
const TRACKED_MAX: usize = 10_000;

/// Carries charges from orders to payments, and what became of them back.
#[async_trait]
pub trait Courier: Send + Sync {
    /// The keys of these that are on their way, there or back; `None` if it cannot tell. Errors if it
    /// is behind, or cannot be asked: then nothing is handed over.
    async fn carries(&self, keys: &[String]) -> Result<Option<HashSet<String>>>;
    /// Takes charges, perhaps for another time; returned means that it will not forget them by itself.
    async fn take(&self, charges: Vec<Charge>) -> Result<()>;
}

/// Hands over again what has been pending for longer than `age` and is not on its way, for as long as
/// it is polled: a pass, then a pause of `every`. An order that it has handed over before waits twice
/// as long each time. A pass that fails is followed by another: what it leaves stays pending, in the
/// ledger; `tell` is given the error.
pub async fn keep_reconciling(
    store: Arc<dyn OrderStore>,
    courier: Arc<dyn Courier>,
    age: Duration,
    every: Duration,
    tell: impl Fn(&Error),
) {
    let mut reconciliation = Reconciliation::new(store, courier, age);
    loop {
        if let Err(error) = reconciliation.pass(Instant::now()).await {
            tell(&error);
        }
        sleep(every).await;
    }
}

struct Reconciliation {
    store: Arc<dyn OrderStore>,
    courier: Arc<dyn Courier>,
    age: Duration,
    ages: Ages,
    /// Where the next pass begins: each looks at a further part of what is pending, round by round.
    next: Number,
    again: HashMap<Number, Again>,
}

/// An order that was handed over again, or waits for that.
#[derive(Clone, Copy)]
struct Again {
    times: u32,
    not_before: Instant,
    /// Whether this round has met it: what was not met is final.
    met: bool,
}

impl Reconciliation {
    fn new(store: Arc<dyn OrderStore>, courier: Arc<dyn Courier>, age: Duration) -> Self {
        Self { store, courier, age, ages: Ages::new(age), next: 0, again: HashMap::new() }
    }

    /// Looks at the next part of what is pending and old; returns how many were handed over.
    async fn pass(&mut self, now: Instant) -> Result<usize> {
        let end = self.ages.old(now).saturating_add(1);
        let Pending { orders, newest } = self.store.pending(self.next..end, BATCH).await?;
        self.ages.note(now, newest);
        let further = orders.last().filter(|_| orders.len() == BATCH as usize);
        let further = further.map(|(last, _)| last + 1);
        let due = self.due(orders, now);
        let handed = self.reconcile(due, now).await?;
        match further {
            Some(next) => self.next = next,
            None => self.begin_anew(),
        }
        Ok(handed)
    }

    /// What is not waiting for its time.
    fn due(&mut self, orders: Vec<(Number, Order)>, now: Instant) -> Vec<(Number, Charge)> {
        let full = self.again.len() >= TRACKED_MAX;
        let mut due = Vec::new();
        for (number, order) in orders {
            let waits = match self.again.get_mut(&number) {
                Some(again) => {
                    again.met = true;
                    again.not_before > now
                }
                None => full,
            };
            due.extend(order.charge().filter(|_| !waits).map(|charge| (number, charge)));
        }
        due
    }

    /// Hands over what nobody carries.
    async fn reconcile(&mut self, mut due: Vec<(Number, Charge)>, now: Instant) -> Result<usize> {
        if due.is_empty() {
            return Ok(0);
        }
        let keys: Vec<String> = due.iter().map(|(_, charge)| charge.key.clone()).collect();
        let first = match self.courier.carries(&keys).await? {
            Some(carried) => {
                due.retain(|(_, charge)| !carried.contains(&charge.key));
                self.age
            }
            None => {
                due.retain(|(number, _)| self.has_waited(*number, now));
                BLIND_WAIT
            }
        };
        let numbers: Vec<_> = due.iter().map(|(number, _)| *number).collect();
        // Shorter than the first wait that follows: none is refused to who claimed it before.
        let handed = self.hand_over(due, first).await?;
        for number in numbers {
            let times = self.again.get(&number).map_or(0, |again| again.times) + 1;
            let wait = first.saturating_mul(2_u32.saturating_pow(times)).min(WAIT_MAX);
            self.again.insert(number, Again { times, not_before: now + wait, met: true });
        }
        Ok(handed)
    }

    /// Hands over those that no other sweep is just handing over; returns how many.
    async fn hand_over(&self, mut due: Vec<(Number, Charge)>, span: Duration) -> Result<usize> {
        if due.is_empty() {
            return Ok(0);
        }
        let numbers = due.iter().map(|(number, _)| *number).collect();
        let ours: HashSet<Number> = self.store.claim(numbers, span).await?.into_iter().collect();
        due.retain(|(number, _)| ours.contains(number));
        if due.is_empty() {
            return Ok(0);
        }
        let charges = due.into_iter().map(|(_, charge)| charge).collect();
        if let Err(error) = self.courier.take(charges).await {
            // If this fails, they are free when their time is over.
            let _ = self.store.let_go(ours.into_iter().collect()).await;
            return Err(error);
        }
        Ok(ours.len())
    }

    /// Whether the first wait of an order is over; it begins when this is first asked.
    fn has_waited(&mut self, number: Number, now: Instant) -> bool {
        let first = Again { times: 0, not_before: now + BLIND_WAIT, met: true };
        self.again.entry(number).or_insert(first).not_before <= now
    }

    fn begin_anew(&mut self) {
        self.next = 0;
        self.again.retain(|_, again| std::mem::take(&mut again.met));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::Error;
    use crate::orders::kept::Kept;

    const AGE: Duration = Duration::from_secs(5);
    const EVERY: Duration = Duration::from_secs(1);

    /// Remembers what it took; what it carries is said by the test.
    #[derive(Default)]
    struct Hands {
        down: bool,
        blind: bool,
        carried: HashSet<String>,
        taken: Vec<String>,
    }

    #[async_trait]
    impl Courier for Mutex<Hands> {
        async fn carries(&self, keys: &[String]) -> Result<Option<HashSet<String>>> {
            let hands = self.lock().unwrap();
            if hands.down {
                return Err(Error::Unavailable("the queue is down".to_owned()));
            }
            let carried = keys.iter().filter(|key| hands.carried.contains(*key)).cloned();
            Ok((!hands.blind).then(|| carried.collect()))
        }

        async fn take(&self, charges: Vec<Charge>) -> Result<()> {
            let mut hands = self.lock().unwrap();
            for Charge { key, .. } in charges {
                hands.taken.push(key);
            }
            Ok(())
        }
    }

    struct Rig {
        kept: Arc<Kept>,
        hands: Arc<Mutex<Hands>>,
    }

    impl Rig {
        /// Orders that nobody carries, and the sweep that runs beside them.
        async fn start(orders: usize) -> Self {
            let rig = Self { kept: Arc::default(), hands: Arc::default() };
            let (store, courier) = (Arc::clone(&rig.kept) as _, Arc::clone(&rig.hands) as _);
            tokio::spawn(keep_reconciling(store, courier, AGE, EVERY, |_| ()));
            sleep(EVERY).await;
            rig.leave("lost", orders);
            rig
        }

        fn leave(&self, prefix: &str, orders: usize) {
            for n in 0..orders {
                self.kept.leave(&format!("{prefix}-{n:05}"));
            }
        }

        fn set(&self, change: impl FnOnce(&mut Hands)) {
            change(&mut self.hands.lock().unwrap());
        }

        fn taken(&self) -> usize {
            self.hands.lock().unwrap().taken.len()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_carries_is_handed_over_when_it_is_old() {
        let rig = Rig::start(3).await;
        rig.leave("carried", 2);
        let carried = (0..2).map(|n| format!("carried-{n:05}")).collect();
        rig.set(|hands| hands.carried = carried);
        sleep(AGE - EVERY).await;
        assert_eq!(rig.taken(), 0, "too young");
        sleep(EVERY * 4).await;
        let taken = rig.hands.lock().unwrap().taken.clone();
        assert_eq!(taken, ["lost-00000", "lost-00001", "lost-00002"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_waits_twice_as_long_each_time() {
        let rig = Rig::start(1).await;
        let mut times = Vec::new();
        for second in 0..3_600 {
            sleep(EVERY).await;
            if rig.taken() > times.len() {
                times.push(second);
            }
        }
        let waits: Vec<i32> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(waits[..6], [10, 20, 40, 80, 160, 320], "{times:?}");
        assert!(waits[6..].iter().all(|wait| *wait == 600), "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn two_sweeps_hand_an_order_over_as_often_as_one() {
        for blind in [false, true] {
            let rig = Rig::start(3).await;
            rig.set(|hands| hands.blind = blind);
            let (store, courier) = (Arc::clone(&rig.kept) as _, Arc::clone(&rig.hands) as _);
            sleep(EVERY / 2).await;
            tokio::spawn(keep_reconciling(store, courier, AGE, EVERY, |_| ()));
            let alone = Rig::start(3).await;
            alone.set(|hands| hands.blind = blind);
            sleep(Duration::from_secs(3_600)).await;
            let (shared, alone) = (rig.taken(), alone.taken());
            assert!(shared.abs_diff(alone) <= 3, "{shared} by two, {alone} by one");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_handed_over_while_nobody_can_be_asked() {
        let rig = Rig::start(10).await;
        rig.set(|hands| hands.down = true);
        sleep(Duration::from_secs(3_600)).await;
        assert_eq!(rig.taken(), 0);
        rig.set(|hands| hands.down = false);
        sleep(EVERY * 2).await;
        assert_eq!(rig.taken(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_backlog_is_handed_over_once_and_part_by_part() {
        let rig = Rig::start(3_000).await;
        sleep(AGE + EVERY * 3).await;
        let soon = rig.taken();
        assert!((1..=2_000).contains(&soon), "{soon} handed over");
        sleep(EVERY * 5).await;
        let mut taken = rig.hands.lock().unwrap().taken.clone();
        taken.sort();
        taken.dedup();
        assert_eq!(taken.len(), 3_000);
        assert_eq!(rig.taken(), 3_000);
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_can_tell_repetitions_are_few() {
        let rig = Rig::start(5).await;
        rig.set(|hands| hands.blind = true);
        sleep(AGE + BLIND_WAIT - EVERY).await;
        assert_eq!(rig.taken(), 0);
        sleep(Duration::from_secs(3_600)).await;
        assert!((5..=5 * 9).contains(&rig.taken()), "{} in an hour", rig.taken());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_final_is_forgotten() {
        let kept = Arc::new(Kept::default());
        let hands = Arc::new(Mutex::new(Hands::default()));
        let mut sweep = Reconciliation::new(Arc::clone(&kept) as _, Arc::clone(&hands) as _, AGE);
        for n in 0..3 {
            kept.leave(&format!("k-{n}"));
        }
        assert_eq!(
            sweep.pass(Instant::now()).await,
            Ok(3),
            "nobody works on what was there before"
        );
        assert_eq!(sweep.again.len(), 3);
        for n in 0..3 {
            kept.pay(&format!("k-{n}")).await;
        }
        for _ in 0..2 {
            assert_eq!(sweep.pass(Instant::now()).await, Ok(0));
        }
        assert!(sweep.again.is_empty());
    }
}
