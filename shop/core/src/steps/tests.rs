//! Workflows in simulated time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use super::*;
use crate::{Backlog, Item, Order, OrderId, Page, PlaceOrder, UserId, Verdict};

/// All that a workflow meets, and what it did there.
#[derive(Default)]
struct World {
    begun: Mutex<BTreeMap<i64, Charge>>,
    steps: Mutex<HashMap<(String, String), String>>,
    /// How often the charge of this key fails yet.
    failures: Mutex<HashMap<String, u32>>,
    log: Mutex<Vec<String>>,
}

impl World {
    fn of(keys: &[&str]) -> Arc<Self> {
        let world = Self::default();
        let charge = |key: &&str| Charge {
            key: (*key).to_owned(),
            amount_cents: 900,
            card: "card".to_owned(),
        };
        *world.begun.lock().unwrap() = (1..).zip(keys.iter().map(charge)).collect();
        Arc::new(world)
    }

    fn failing(self: Arc<Self>, key: &str, times: u32) -> Arc<Self> {
        self.failures.lock().unwrap().insert(key.to_owned(), times);
        self
    }

    fn workflows(self: &Arc<Self>, most: usize) -> Workflows {
        let executor = Arc::new(Journaled {
            journal: Arc::clone(self) as _,
            payments: Arc::clone(self) as _,
            orders: Arc::clone(self) as _,
        });
        Workflows { begun: Arc::clone(self) as _, executor, most }
    }

    fn did(&self, what: &str, key: &str) {
        self.log.lock().unwrap().push(format!("{what} {key}"));
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    /// Lets workflows go on for so long.
    async fn for_so_long(self: &Arc<Self>, most: usize, span: Duration) -> usize {
        let errors = Mutex::new(0);
        let tell = |_: &Error| *errors.lock().unwrap() += 1;
        self.workflows(most).keep_going(&Notify::new(), sleep(span), tell).await;
        errors.into_inner().unwrap()
    }
}

fn settlement(key: &str) -> Settlement {
    let verdict = Verdict::Paid { charge_id: format!("ch-{key}") };
    Settlement { key: key.to_owned(), amount_cents: 900, verdict }
}

#[async_trait]
impl Outbox for World {
    async fn let_go(&self, rows: Vec<i64>) -> Result<()> {
        self.did("let go", &format!("{rows:?}"));
        Ok(())
    }

    async fn claim(&self, behind: i64, limit: u32, _: Duration) -> Result<Vec<(i64, Charge)>> {
        let begun = self.begun.lock().unwrap();
        let rows = begun.range(behind.saturating_add(1)..).take(limit as usize);
        Ok(rows.map(|(row, charge)| (*row, charge.clone())).collect())
    }

    async fn unsent(&self, limit: u32) -> Result<Vec<(i64, Charge)>> {
        self.claim(0, limit, Duration::ZERO).await
    }

    async fn sent(&self, rows: Vec<i64>) -> Result<()> {
        self.begun.lock().unwrap().retain(|row, _| !rows.contains(row));
        Ok(())
    }

    async fn backlog(&self) -> Result<Backlog> {
        Ok(Backlog::default())
    }
}

#[async_trait]
impl StepStore for World {
    async fn result(&self, workflow: &str, step: &str) -> Result<Option<String>> {
        let at = (workflow.to_owned(), step.to_owned());
        Ok(self.steps.lock().unwrap().get(&at).cloned())
    }

    async fn record(&self, workflow: &str, step: &str, result: String) -> Result<String> {
        let at = (workflow.to_owned(), step.to_owned());
        Ok(self.steps.lock().unwrap().entry(at).or_insert(result).clone())
    }
}

#[async_trait]
impl Payments for World {
    async fn charge(&self, charge: Charge) -> Result<Charged> {
        self.did("charge", &charge.key);
        sleep(Duration::from_millis(10)).await;
        if let Some(left @ 1..) = self.failures.lock().unwrap().get_mut(&charge.key) {
            *left -= 1;
            return Err(Error::Unavailable("payments".to_owned()));
        }
        Ok(Charged::Now(settlement(&charge.key)))
    }
}

#[async_trait]
impl Orders for World {
    async fn place(&self, _: &str, _: PlaceOrder) -> Result<Order> {
        Err(Error::NotFound)
    }

    async fn settle(&self, settlement: Settlement) -> Result<Order> {
        let is_declined = settlement.verdict == Verdict::Declined;
        let was = if is_declined { "settle declined" } else { "settle" };
        self.did(was, &settlement.key);
        let items = vec![Item { sku: "tea".to_owned(), quantity: 1, price_cents: 900 }];
        let card = "4242424242424242".to_owned();
        let asked = PlaceOrder { key: settlement.key, items, card, callback_url: None };
        asked.order(UserId(uuid::Uuid::nil()))
    }

    async fn get(&self, _: &str, _: OrderId) -> Result<Order> {
        Err(Error::NotFound)
    }

    async fn list(&self, _: &str, _: Option<OrderId>, _: u32) -> Result<Page> {
        Err(Error::NotFound)
    }
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_workflow_charges_settles_and_is_forgotten() {
    let world = World::of(&["a"]);
    assert_eq!(world.for_so_long(8, LONG).await, 0);
    assert_eq!(world.log(), ["charge a", "settle a"]);
    assert!(world.begun.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_journal_has_is_not_done_again_and_the_first_result_stands() {
    let world = World::of(&["a"]);
    let first =
        serde_json::to_string(&Settlement { verdict: Verdict::Declined, ..settlement("a") });
    world.record("a", "charge", first.unwrap()).await.unwrap();
    world.for_so_long(8, LONG).await;
    assert_eq!(world.log(), ["settle declined a"]);
    let world = World::of(&["b"]);
    world.record("b", "charge", serde_json::to_string(&settlement("b")).unwrap()).await.unwrap();
    world.record("b", "settle", "null".to_owned()).await.unwrap();
    world.for_so_long(8, LONG).await;
    assert_eq!(world.log(), [""; 0]);
    assert!(world.begun.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_is_tried_again_and_keeps_no_other_from_its_turn() {
    let world = World::of(&["a", "b"]).failing("a", 3);
    assert_eq!(world.for_so_long(8, LONG).await, 3);
    let log = world.log();
    assert_eq!(log.iter().filter(|line| *line == "charge a").count(), 4);
    let at = |line: &str| log.iter().position(|l| l == line).unwrap();
    assert!(at("settle b") < at("settle a"), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn after_some_time_others_may_try() {
    let world = World::of(&["a"]).failing("a", u32::MAX);
    world.for_so_long(8, TRIES_FOR + LOOK_EVERY * 3).await;
    let log = world.log();
    let let_go = log.iter().position(|line| line == "let go [1]").unwrap();
    assert!(log[let_go..].contains(&"charge a".to_owned()), "it was taken up again");
    assert_eq!(world.begun.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn so_many_are_under_way_and_what_is_left_at_the_end_is_let_go() {
    let world = World::of(&["a", "b"]).failing("a", u32::MAX);
    world.for_so_long(1, Duration::from_secs(5)).await;
    let log = world.log();
    assert!(!log.contains(&"charge b".to_owned()), "{log:?}");
    assert_eq!(log.last().map(String::as_str), Some("let go [1]"));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_becomes_free_is_taken_at_once() {
    let keys: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
    let world = World::of(&keys.iter().map(String::as_str).collect::<Vec<_>>());
    // Each takes 10 ms, and nobody tells of them.
    world.for_so_long(1, Duration::from_millis(300)).await;
    assert!(world.begun.lock().unwrap().is_empty(), "{:?}", world.log());
}

#[tokio::test(start_paused = true)]
async fn what_always_fails_does_not_keep_who_comes_later_from_his_turn() {
    let world = World::of(&["a", "b"]).failing("a", u32::MAX);
    world.for_so_long(1, TRIES_FOR + LOOK_EVERY * 3).await;
    assert!(world.log().contains(&"settle b".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_at_the_end_is_finished() {
    let world = World::of(&["a"]);
    world.for_so_long(8, Duration::from_millis(5)).await;
    assert_eq!(world.log(), ["charge a", "settle a"]);
}

#[tokio::test]
async fn whose_result_comes_second_goes_on_with_the_first() {
    let world = World::of(&[]);
    let other = Arc::clone(&world);
    let own = async move {
        // Another executor is done with it meanwhile.
        other.record("a", "charge", "\"first\"".to_owned()).await?;
        Ok("second".to_owned())
    };
    let steps = InJournal { journal: Arc::clone(&world) as _, workflow: "a".to_owned() };
    assert_eq!(steps.step("charge", own).await, Ok("first".to_owned()));
}
