//! Who is told when: in the order's own request, and again by the sweep.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::telling::{Pass, Telling};
use super::*;
use crate::Error;

const AGE: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_secs(1);

/// Owes what it is told to owe.
#[derive(Default)]
struct Ledger(Mutex<(Number, BTreeMap<Number, Settled>)>);

impl Ledger {
    fn owe(&self, key: &str) {
        let mut ledger = self.0.lock().unwrap();
        ledger.0 += 1;
        let number = ledger.0;
        ledger.1.insert(number, settled(key));
    }

    fn left(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }
}

#[async_trait]
impl Events for Ledger {
    async fn insert(&self, order: Order, _: Handover, _: Option<String>) -> Result<Placed> {
        Ok(Placed::New(order))
    }

    async fn settle(&self, _: Settlement, _: Micros) -> Result<(Order, Option<Settled>)> {
        Err(Error::NotFound)
    }

    async fn owed(&self, numbers: Range<Number>, limit: u32) -> Result<Owed> {
        let ledger = self.0.lock().unwrap();
        let events = ledger.1.range(numbers).take(limit as usize);
        let events = events.map(|(number, settled)| (*number, settled.clone())).collect();
        let newest = ledger.1.last_key_value().map_or(0, |(number, _)| *number);
        Ok(Owed { events, newest })
    }

    async fn items(&self, _: Vec<String>) -> Result<Vec<Vec<Item>>> {
        Ok(Vec::new())
    }

    async fn told(&self, key: &str) -> Result<()> {
        self.0.lock().unwrap().1.retain(|_, settled| settled.key != key);
        Ok(())
    }
}

/// Refuses these keys, or all.
#[derive(Default)]
struct Ear {
    down: Mutex<bool>,
    refuses: HashSet<String>,
    heard: Mutex<Vec<String>>,
}

#[async_trait]
impl Follower for Ear {
    async fn tell(&self, settled: &Settled) -> Result<()> {
        if *self.down.lock().unwrap() || self.refuses.contains(&settled.key) {
            return Err(Error::Unavailable("deaf".to_owned()));
        }
        self.heard.lock().unwrap().push(settled.key.clone());
        Ok(())
    }
}

fn settled(key: &str) -> Settled {
    Settled {
        id: OrderId(Uuid::nil()),
        key: key.to_owned(),
        status: OrderStatus::Declined,
        total_cents: 1,
        charge_id: None,
        settled_at: 1,
        callback_url: None,
    }
}

fn rig(ears: &[&Arc<Ear>]) -> (Arc<Ledger>, Following) {
    let ledger = Arc::new(Ledger::default());
    let ears = ears.iter().map(|ear| Arc::clone(ear) as Arc<dyn Follower>).collect();
    (Arc::clone(&ledger), Following::new(ledger, ears))
}

#[tokio::test]
async fn an_event_is_owed_until_the_last_follower_knows_it() {
    let (good, bad) = (Arc::new(Ear::default()), Arc::new(Ear::default()));
    *bad.down.lock().unwrap() = true;
    let (ledger, following) = rig(&[&good, &bad]);
    ledger.owe("a");
    let told = following.tell(&settled("a")).await;
    assert_eq!(told, Err(Error::Unavailable("deaf".to_owned())));
    assert_eq!((ledger.left(), good.heard.lock().unwrap().len()), (1, 1), "one fails, one is told");
    *bad.down.lock().unwrap() = false;
    assert_eq!(following.tell(&settled("a")).await, Ok(()));
    assert_eq!(ledger.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_told_when_it_is_old() {
    let ear = Arc::new(Ear::default());
    let (ledger, following) = rig(&[&ear]);
    tokio::spawn(keep_telling(following, AGE, EVERY, 100, |_, _| ()));
    sleep(EVERY / 2).await;
    ledger.owe("young");
    sleep(AGE).await;
    assert_eq!(ledger.left(), 1, "its request may still be telling");
    sleep(EVERY * 2).await;
    assert_eq!(ledger.left(), 0);
    assert_eq!(*ear.heard.lock().unwrap(), ["young"]);
}

#[tokio::test(start_paused = true)]
async fn during_an_outage_few_are_tried_and_after_it_all_are_told() {
    let ear = Arc::new(Ear::default());
    let (ledger, following) = rig(&[&ear]);
    (0..1_000).for_each(|n| ledger.owe(&n.to_string()));
    *ear.down.lock().unwrap() = true;
    let mut telling = Telling::new(following, AGE, 256);
    for _ in 0..10 {
        let Pass { told, failed } = telling.pass(Instant::now()).await.unwrap();
        assert_eq!((told, failed.unwrap().0), (0, 8));
    }
    *ear.down.lock().unwrap() = false;
    let mut passes = 0;
    while ledger.left() > 0 {
        telling.pass(Instant::now()).await.unwrap();
        passes += 1;
    }
    assert!(passes <= 12, "{passes} passes");
}

#[tokio::test(start_paused = true)]
async fn those_that_fail_for_ever_keep_no_other_from_its_turn() {
    let refuses = (0..50).map(|n| n.to_string()).collect();
    let ear = Arc::new(Ear { refuses, ..Ear::default() });
    let (ledger, following) = rig(&[&ear]);
    (0..60).for_each(|n| ledger.owe(&n.to_string()));
    let mut telling = Telling::new(following, AGE, 256);
    for _ in 0..20 {
        telling.pass(Instant::now()).await.unwrap();
    }
    assert_eq!(ledger.left(), 50);
    assert_eq!(ear.heard.lock().unwrap().len(), 10);
}
