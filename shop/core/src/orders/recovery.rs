//! Orders that a crash or an outage left pending are charged again, until they settle. It knows
//! neither why they were left nor who else may be settling them; what another sweep has claimed it leaves alone.

use std::collections::HashSet;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;

use tokio::time::Instant;

use super::ages::Ages;
use super::{Number, Order, OrderService, OrderStatus, Pending};
use crate::{Error, Result, now_us};

/// What a pass takes up after one in which nothing succeeded.
const FEW: u32 = 8;
/// How long an order belongs to one sweep of several: as long as its charge to one of several payments. Who ends
/// meanwhile leaves it to others after that.
const CLAIMED_FOR: Duration = Duration::from_secs(8);

/// Charges again what is left pending, pass by pass.
struct Recovery {
    service: Arc<OrderService>,
    ages: Ages,
    /// Orders that a pass takes up at most.
    most: u32,
    /// Orders that the next pass takes up.
    size: u32,
}

type Numbered = (Number, Order);

struct Pass {
    taken: usize,
    settled: usize,
    /// It took up all that it could and all settled: there may be more of them.
    more: bool,
    /// How many charges failed, and the first error.
    failed: Option<(usize, Error)>,
}

/// Recovers orders older than `age` for as long as it is polled, `most` of them at once: a pause of
/// `every`, a pass, and so on; without the pause after a pass that settled all it could take up. The
/// first takes up one order; a pass twice as many as one in which hardly any failed, otherwise as many as have settled,
/// a few at least: who can do little is not asked for more, and does not work for those who have given up. What was
/// there when it began counts as old. A pass that fails is followed by another: what it leaves stays
/// pending, in the ledger. `tell` is given how many orders could not be settled (0 if they could not even
/// be read or claimed), and the first error.
pub async fn keep_recovering(
    service: Arc<OrderService>,
    age: Duration,
    every: Duration,
    most: u32,
    tell: impl Fn(usize, &Error),
) {
    let mut recovery = Recovery::new(service, age, most);
    // A process that ends of one of them serves its customers for that long before.
    tokio::time::sleep(every).await;
    loop {
        let pass = recovery.pass().await;
        match &pass {
            Ok(Pass { failed: Some((count, first)), .. }) => tell(*count, first),
            Err(error) => tell(0, error),
            Ok(_) => {}
        }
        if !pass.is_ok_and(|pass| pass.more) {
            tokio::time::sleep(every).await;
        }
    }
}

impl Recovery {
    fn new(service: Arc<OrderService>, age: Duration, most: u32) -> Self {
        Self { service, ages: Ages::new(age), most: most.max(1), size: 1 }
    }

    /// Charges orders that have been pending for longer than the age. Repeating a charge is harmless: it
    /// carries the order's key. One that fails does not keep the others from being tried, and its order
    /// may be taken up again by the next pass; those that fail for ever cannot keep the others from their
    /// turn, even if each pass ends with the process.
    ///
    /// Errors: the store's.
    async fn pass(&mut self) -> Result<Pass> {
        let outcome = self.charge_some().await;
        self.size = match &outcome {
            Ok(Pass { taken: 0, .. }) => self.size,
            Ok(Pass { settled: 0, .. }) | Err(_) => FEW,
            Ok(Pass { taken, failed, .. }) if is_hardly_any(failed, *taken) => {
                self.size.saturating_mul(2)
            }
            Ok(Pass { settled, .. }) => FEW.max(*settled as u32),
        };
        self.size = self.size.min(self.most);
        outcome
    }

    /// Those from anywhere first: what always comes first might never let others have their turn.
    async fn charge_some(&mut self) -> Result<Pass> {
        let (anywhere, oldest) = self.left().await?;
        let mut results = self.charge(anywhere).await?;
        results.extend(self.charge(oldest).await?);
        let taken = results.len();
        let (settled, failed) = outcome(results.into_iter().map(|r| r.map(|order| order.status)));
        let more = settled == taken && taken >= self.size.div_ceil(2) as usize;
        Ok(Pass { taken, settled, more, failed })
    }

    /// Charges those of them that no other sweep has; lets go of those that did not settle.
    async fn charge(&self, mut orders: Vec<Numbered>) -> Result<Vec<Result<Order>>> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let workflow = &self.service.workflow;
        let mut numbers = orders.iter().map(|(number, _)| *number).collect();
        numbers = workflow.store.claim(numbers, CLAIMED_FOR).await?;
        orders.retain(|(number, _)| numbers.contains(number));
        let charges = orders.into_iter().map(async |(number, order)| {
            let charged = unpanicked(workflow.charge(order)).await;
            (number, charged)
        });
        let charged = join_all(charges).await;
        let left = charged.iter().filter(|(_, result)| !is_settled(result));
        let left: Vec<Number> = left.map(|(number, _)| *number).collect();
        if !left.is_empty() {
            // If this fails, they are free when their time is over.
            let _ = workflow.store.let_go(left).await;
        }
        Ok(charged.into_iter().map(|(_, result)| result).collect())
    }

    /// What a pass takes up: half of it from anywhere, half of it the oldest.
    async fn left(&mut self) -> Result<(Vec<Numbered>, Vec<Numbered>)> {
        let now = Instant::now();
        let end = self.ages.old(now).saturating_add(1);
        let half = self.size.div_ceil(2);
        let Pending { orders: oldest, newest } =
            self.service.workflow.store.pending(0..end, half).await?;
        self.ages.note(now, newest);
        let Some((first, _)) = oldest.first() else { return Ok((Vec::new(), Vec::new())) };
        let anywhere = self.anywhere(*first..end.min(newest + 1), half).await?;
        let known: HashSet<Number> = anywhere.iter().map(|(number, _)| *number).collect();
        let rest = (self.size - half) as usize;
        let oldest = oldest.into_iter().filter(|(number, _)| !known.contains(number));
        Ok((anywhere, oldest.take(rest).collect()))
    }

    /// Orders from a random one of these numbers on, in which there is one: a number after which
    /// there is none bounds the next that is drawn, so the drawing soon stays among them.
    async fn anywhere(&self, mut numbers: Range<Number>, most: u32) -> Result<Vec<Numbered>> {
        loop {
            // Passes begin at any microsecond: random enough to choose by, without a generator.
            let from = numbers.start + now_us() % (numbers.end - numbers.start).max(1);
            let found = self.service.workflow.store.pending(from..numbers.end, most).await?.orders;
            if !found.is_empty() || from <= numbers.start {
                return Ok(found);
            }
            numbers.end = from;
        }
    }
}

/// A charge that panics has failed like one that returns an error: the pass goes on.
async fn unpanicked<T>(charge: impl Future<Output = Result<T>>) -> Result<T> {
    let caught = AssertUnwindSafe(charge).catch_unwind().await;
    caught.unwrap_or_else(|_| Err(Error::Internal("the charge panicked".to_owned())))
}

/// Whether so few failed that it tells nothing of what could be done: an order may fail for ever.
fn is_hardly_any(failed: &Option<(usize, Error)>, taken: usize) -> bool {
    let failed = failed.as_ref().map_or(0, |(count, _)| *count);
    failed <= FEW as usize / 2 || failed <= taken / 8
}

fn is_settled(result: &Result<Order>) -> bool {
    result.as_ref().is_ok_and(|order| order.status != OrderStatus::Pending)
}

/// How many settled; how many failed, and why the first did.
fn outcome(charged: impl Iterator<Item = Result<OrderStatus>>) -> (usize, Option<(usize, Error)>) {
    let (mut settled, mut failed) = (0, None);
    for result in charged {
        match result {
            Ok(status) => settled += usize::from(status != OrderStatus::Pending),
            Err(error) => failed.get_or_insert((0, error)).0 += 1,
        }
    }
    (settled, failed)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use async_trait::async_trait;
    use tokio::time::{sleep, sleep_until};
    use uuid::Uuid;

    use super::*;
    use crate::orders::OrderId;
    use crate::orders::kept::Kept;
    use crate::{
        Charge, Charged, Item, Orders, Payments, PlaceOrder, Settlement, Tasks, UserId, Verdict,
        Verify,
    };

    struct Anybody;

    #[async_trait]
    impl Verify for Anybody {
        async fn verify(&self, _: &str) -> Result<UserId> {
            Ok(UserId(Uuid::nil()))
        }
    }

    /// Orders that a pass may take up.
    const MOST: u32 = 400;

    /// Takes a second per charge; refuses the keys that begin with `bad`, and all until `up`. Those that begin with
    /// `line` are served one after the other, 20 a second, also when nobody waits any more; who asks waits 750 ms, three
    /// times.
    struct Slow {
        up: Instant,
        line_until: Mutex<Instant>,
        asked: AtomicUsize,
        running: AtomicUsize,
        most: AtomicUsize,
    }

    #[async_trait]
    impl Payments for Slow {
        async fn charge(&self, charge: Charge) -> Result<Charged> {
            self.asked.fetch_add(1, SeqCst);
            self.most.fetch_max(self.running.fetch_add(1, SeqCst) + 1, SeqCst);
            let is_served = if charge.key.starts_with("line") {
                self.stand_in_line().await
            } else {
                sleep(Duration::from_secs(1)).await;
                true
            };
            self.running.fetch_sub(1, SeqCst);
            assert!(!charge.key.starts_with("poison"), "poison");
            if !is_served || charge.key.starts_with("bad") || Instant::now() < self.up {
                return Err(Error::Unavailable(charge.key));
            }
            let Charge { key, amount_cents, .. } = charge;
            let verdict = Verdict::Paid { charge_id: format!("ch-{key}") };
            Ok(Charged::Now(Settlement { key, amount_cents, verdict }))
        }
    }

    impl Slow {
        async fn stand_in_line(&self) -> bool {
            for _ in 0..3 {
                let served = {
                    let mut until = self.line_until.lock().unwrap();
                    *until = (*until).max(Instant::now()) + Duration::from_millis(50);
                    *until
                };
                let gives_up = Instant::now() + Duration::from_millis(750);
                sleep_until(served.min(gives_up)).await;
                if served <= gives_up {
                    return true;
                }
            }
            false
        }
    }

    struct Shop {
        service: Arc<OrderService>,
        kept: Arc<Kept>,
        payments: Arc<Slow>,
    }

    fn shop(down_s: u64) -> Shop {
        let kept = Arc::new(Kept::default());
        let up = Instant::now() + Duration::from_secs(down_s);
        let count = || AtomicUsize::new(0);
        let line_until = Mutex::new(Instant::now());
        let (asked, running, most) = (count(), count(), count());
        let payments = Arc::new(Slow { up, line_until, asked, running, most });
        let service = OrderService::new(
            Arc::new(Anybody),
            Arc::clone(&kept) as _,
            Arc::clone(&payments) as _,
            String::new(),
            Arc::new(Tasks::new(1_000, |work| work)),
            None,
        );
        Shop { service: Arc::new(service), kept, payments }
    }

    async fn place(shop: &Shop, key: String) -> Result<Order> {
        let items = vec![Item { sku: "tea".to_owned(), quantity: 1, price_cents: 450 }];
        let request = PlaceOrder { key, items, card: "card".to_owned(), callback_url: None };
        shop.service.place("token", request).await
    }

    /// Leaves orders pending, as an outage does.
    async fn leave(shop: &Shop, prefix: &str, count: usize) {
        for n in 0..count {
            assert!(place(shop, format!("{prefix}-{n:03}")).await.is_err());
        }
    }

    /// How many orders a pass settles.
    async fn settled_by(recovery: &mut Recovery) -> Result<usize> {
        recovery.pass().await.map(|pass| pass.settled)
    }

    /// A recovery whose next pass takes up so many.
    fn recovery(shop: &Shop, age_s: u64, size: u32) -> Recovery {
        let mut recovery =
            Recovery::new(Arc::clone(&shop.service), Duration::from_secs(age_s), MOST);
        recovery.size = size;
        recovery
    }

    fn recover(shop: &Shop, every: Duration) {
        let service = Arc::clone(&shop.service);
        tokio::spawn(keep_recovering(service, Duration::ZERO, every, MOST, |_, _| ()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_is_left_alone_until_it_is_old_whatever_its_clock_says() {
        let shop = shop(10);
        leave(&shop, "before", 2).await;
        sleep(Duration::from_secs(10)).await;
        let mut recovery = recovery(&shop, 5, MOST);
        assert_eq!(settled_by(&mut recovery).await, Ok(2), "there before it began: nobody's");
        for (key, hours) in [("set-back", 1), ("set-forward", -1)] {
            let mut late = shop.kept.0.lock().unwrap()[0].clone();
            (late.key, late.status) = (key.to_owned(), OrderStatus::Pending);
            late.id = OrderId(Uuid::now_v7());
            late.created_at = now_us() + hours * 3_600_000_000;
            shop.kept.0.lock().unwrap().push(late);
        }
        for second in 0..5 {
            assert_eq!(settled_by(&mut recovery).await, Ok(0), "after {second} s");
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(settled_by(&mut recovery).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_left_by_a_failed_charge_settles_without_help() {
        let shop = shop(60);
        assert!(place(&shop, "k".to_owned()).await.is_err());
        assert_eq!(shop.kept.count(OrderStatus::Pending), 1);
        let every = Duration::from_secs(5);
        let kept = Arc::clone(&shop.kept);
        let told = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&told);
        let tell = move |count, first: &Error| hears.lock().unwrap().push((count, first.clone()));
        tokio::spawn(keep_recovering(Arc::clone(&shop.service), Duration::ZERO, every, MOST, tell));
        sleep(Duration::from_secs(50)).await;
        assert_eq!(kept.count(OrderStatus::Paid), 0, "payments are still down");
        assert_eq!(told.lock().unwrap().first(), Some(&(1, Error::Unavailable("k".to_owned()))));
        sleep(Duration::from_secs(20)).await;
        assert_eq!(kept.count(OrderStatus::Paid), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_goes_on_after_an_error_and_charges_half_of_it_at_once() {
        let shop = shop(100);
        leave(&shop, "bad", 3).await;
        leave(&shop, "good", 20).await;
        sleep(Duration::from_secs(100)).await;
        let begun = Instant::now();
        let mut recovery = recovery(&shop, 3_600, 46);
        assert_eq!(settled_by(&mut recovery).await, Ok(20));
        assert!(begun.elapsed().as_secs() <= 2, "those from anywhere, then the rest");
        assert!(shop.payments.most.load(SeqCst) <= 23);
        let Pass { settled, failed, .. } = recovery.pass().await.unwrap();
        assert_eq!((settled, failed.map(|(count, _)| count)), (0, Some(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn few_try_while_nothing_succeeds_and_all_soon_after() {
        let shop = shop(1_000);
        leave(&shop, "k", 500).await;
        let before = shop.payments.asked.load(SeqCst);
        let every = Duration::from_secs(1);
        recover(&shop, every);
        sleep(Duration::from_secs(490)).await;
        let asked = shop.payments.asked.load(SeqCst) - before;
        assert!(asked <= 490 * FEW as usize, "{asked} charges of an outage");
        sleep(Duration::from_secs(30)).await;
        assert_eq!(shop.kept.count(OrderStatus::Paid), 500, "20 s after it");
        assert!(shop.payments.most.load(SeqCst) <= MOST as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_pass_takes_up_one_alone() {
        let shop = shop(100);
        leave(&shop, "good", 20).await;
        sleep(Duration::from_secs(100)).await;
        let mut recovery = Recovery::new(Arc::clone(&shop.service), Duration::ZERO, MOST);
        for most in [1, 2, 4, 8] {
            // Of those from anywhere some may be the oldest, too.
            let settled = settled_by(&mut recovery).await.unwrap();
            assert!((1..=most).contains(&settled), "{settled} of {most}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_sweeps_share_what_is_left() {
        let shop = shop(1_000);
        leave(&shop, "good", 100).await;
        sleep(Duration::from_secs(1_000)).await;
        let before = shop.payments.asked.load(SeqCst);
        let (mut one, mut other) = (recovery(&shop, 0, MOST), recovery(&shop, 0, MOST));
        let passes = join_all([one.pass(), other.pass()]).await;
        let settled: usize = passes.into_iter().map(|pass| pass.unwrap().settled).sum();
        assert_eq!((settled, shop.payments.asked.load(SeqCst) - before), (100, 100));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_sweep_that_ended_had_is_free_after_its_time() {
        let shop = shop(100);
        leave(&shop, "good", 20).await;
        sleep(Duration::from_secs(100)).await;
        let mut ends = recovery(&shop, 0, MOST);
        assert!(tokio::time::timeout(Duration::from_millis(500), ends.pass()).await.is_err());
        let mut other = recovery(&shop, 0, MOST);
        let at_once = settled_by(&mut other).await.unwrap();
        assert!(at_once < 20, "what is in work is left alone");
        sleep(CLAIMED_FOR).await;
        assert_eq!(settled_by(&mut other).await, Ok(20 - at_once));
    }

    #[tokio::test(start_paused = true)]
    async fn a_charge_that_panics_does_not_end_the_recovery() {
        let shop = shop(1_000);
        leave(&shop, "good", 5).await;
        let poison = place(&shop, "poison".to_owned()).await;
        assert!(matches!(poison, Err(Error::Internal(_))), "{poison:?}");
        sleep(Duration::from_secs(1_000)).await;
        let mut recovery = recovery(&shop, 0, MOST);
        assert_eq!(settled_by(&mut recovery).await, Ok(5));
        assert_eq!(shop.kept.count(OrderStatus::Pending), 1, "the poison alone");
    }

    #[tokio::test(start_paused = true)]
    async fn orders_that_fail_for_ever_do_not_starve_the_others() {
        let shop = shop(1_000);
        leave(&shop, "bad", 300).await;
        leave(&shop, "good", 20).await;
        sleep(Duration::from_secs(1_000)).await;
        let every = Duration::from_secs(1);
        recover(&shop, every);
        for _ in 0..1_000 {
            sleep(Duration::from_secs(60)).await;
            if shop.kept.count(OrderStatus::Paid) == 20 {
                return;
            }
        }
        panic!("{} of 20 settled", shop.kept.count(OrderStatus::Paid));
    }

    #[tokio::test(start_paused = true)]
    async fn who_can_do_little_is_not_overrun() {
        let shop = shop(1_000);
        leave(&shop, "line", 300).await;
        sleep(Duration::from_secs(1_000)).await;
        recover(&shop, Duration::from_secs(1));
        // It could do 20 a second.
        sleep(Duration::from_secs(60)).await;
        assert_eq!(shop.kept.count(OrderStatus::Paid), 300);
    }

    #[tokio::test(start_paused = true)]
    async fn a_backlog_is_worked_off_without_pauses() {
        let shop = shop(1_000);
        leave(&shop, "k", 250).await;
        sleep(Duration::from_secs(1_000)).await;
        let every = Duration::from_secs(3600);
        recover(&shop, every);
        sleep(every - Duration::from_secs(1)).await;
        assert_eq!(shop.kept.count(OrderStatus::Paid), 0, "who ends of one serves before");
        sleep(Duration::from_secs(60)).await;
        assert_eq!(shop.kept.count(OrderStatus::Paid), 250);
    }
}
