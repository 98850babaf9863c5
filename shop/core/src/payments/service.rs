//! The rules of charging.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OwnedMutexGuard;

use super::{Begun, CardNetwork, Charge, Charged, PaymentStore, Payments, Settlement};
use crate::{Error, Result, Tasks};

/// How long a charge belongs to the process that has begun it: longer than network and store are waited for. Who
/// ends meanwhile leaves it to others after that.
const CHARGING_MAX: Duration = Duration::from_secs(8);

/// Charges over a store and the card network.
pub struct PaymentService {
    desk: Arc<Desk>,
    turns: Arc<Turns>,
    tasks: Arc<Tasks>,
}

/// What is finished once it has begun.
struct Desk {
    store: Arc<dyn PaymentStore>,
    network: Arc<dyn CardNetwork>,
}

impl PaymentService {
    /// The service over these parts. Charges are made and recorded in `tasks`.
    #[must_use]
    pub fn new(
        store: Arc<dyn PaymentStore>,
        network: Arc<dyn CardNetwork>,
        tasks: Arc<Tasks>,
    ) -> Self {
        Self { desk: Arc::new(Desk { store, network }), turns: Arc::default(), tasks }
    }
}

#[async_trait]
impl Payments for PaymentService {
    async fn charge(&self, charge: Charge) -> Result<Charged> {
        self.decide(charge, Wish::Capture).await
    }

    async fn cancel(&self, charge: Charge) -> Result<Charged> {
        self.decide(charge, Wish::Void).await
    }
}

/// What is asked of the card network, of a key that is not decided.
#[derive(Clone, Copy)]
enum Wish {
    Capture,
    Void,
}

impl PaymentService {
    async fn decide(&self, charge: Charge, wish: Wish) -> Result<Charged> {
        // Whoever goes away while he waits for his turn has begun nothing.
        let turn = Turns::take(&self.turns, &charge.key).await;
        let desk = Arc::clone(&self.desk);
        let work = async move {
            let _turn = turn;
            desk.decide(charge, wish).await
        };
        self.tasks.run(work).await
    }
}

impl Desk {
    async fn decide(&self, charge: Charge, wish: Wish) -> Result<Charged> {
        match self.store.begin(&charge, CHARGING_MAX).await? {
            Begun::Ours => {}
            Begun::Theirs => {
                let text = "another process charges it at this moment".to_owned();
                return Err(Error::Busy(text));
            }
            Begun::Settled(found) if found.amount_cents != charge.amount_cents => {
                return Err(Error::KeyReused);
            }
            Begun::Settled(found) => return Ok(Charged::Now(found)),
        }
        let decided = match wish {
            Wish::Capture => self.network.capture(&charge).await,
            Wish::Void => self.network.void(&charge).await,
        };
        if decided.is_err() {
            // If this fails, too, it is free again when its time is over.
            let _ = self.store.give_up(&charge.key).await;
        }
        let (verdict, Charge { key, amount_cents, .. }) = (decided?, charge);
        let settled = self.store.record(Settlement { key, amount_cents, verdict }).await?;
        Ok(Charged::Now(settled))
    }
}

type Line = Arc<tokio::sync::Mutex<()>>;

/// One charge at a time per key: a repetition waits for the first and then finds its result.
#[derive(Default)]
struct Turns(Mutex<HashMap<String, Line>>);

/// A place in the line for one key; the last to leave removes the line.
struct Place {
    line: Line,
    turns: Arc<Turns>,
    key: String,
}

/// The turn of one key, given up before the place.
struct Turn {
    _held: OwnedMutexGuard<()>,
    _place: Place,
}

impl Turns {
    async fn take(turns: &Arc<Self>, key: &str) -> Turn {
        let line = Arc::clone(turns.lines().entry(key.to_owned()).or_default());
        let place = Place { line, turns: Arc::clone(turns), key: key.to_owned() };
        let held = Arc::clone(&place.line).lock_owned().await;
        Turn { _held: held, _place: place }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<String, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.turns.lines();
        // The map holds one reference and this place another.
        if Arc::strong_count(&self.line) == 2 {
            lines.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::Verdict;

    /// How long the network takes.
    const CHARGE: Duration = Duration::from_millis(300);

    #[derive(Default)]
    struct Remembered(Mutex<HashMap<String, Settlement>>);

    #[async_trait]
    impl PaymentStore for Remembered {
        async fn find(&self, key: &str) -> Result<Option<Settlement>> {
            Ok(self.0.lock().unwrap().get(key).cloned())
        }
        async fn record(&self, settlement: Settlement) -> Result<Settlement> {
            let mut all = self.0.lock().unwrap();
            Ok(all.entry(settlement.key.clone()).or_insert(settlement).clone())
        }
    }

    /// A network that charges again whenever it is asked (`raw`), and voids at once.
    #[derive(Default)]
    struct Raw(AtomicUsize);

    #[async_trait]
    impl CardNetwork for Raw {
        async fn capture(&self, _: &Charge) -> Result<Verdict> {
            sleep(CHARGE).await;
            let nth = self.0.fetch_add(1, Ordering::SeqCst);
            Ok(Verdict::Paid { charge_id: format!("ch-{nth}") })
        }

        async fn void(&self, _: &Charge) -> Result<Verdict> {
            Ok(Verdict::Cancelled)
        }
    }

    fn charge(amount_cents: i64) -> Charge {
        Charge { key: "k".to_owned(), amount_cents, card: "card".to_owned() }
    }

    fn service(network: &Arc<Raw>) -> Arc<PaymentService> {
        let tasks = Arc::new(Tasks::new(100, |work| work));
        let store = Arc::new(Remembered::default());
        Arc::new(PaymentService::new(store, Arc::clone(network) as _, tasks))
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_repetitions_reach_the_network_once() {
        let network = Arc::new(Raw::default());
        let service = service(&network);
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let service = Arc::clone(&service);
                tokio::spawn(async move { service.charge(charge(900)).await })
            })
            .collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap().unwrap());
        }
        assert!(answers.windows(2).all(|w| w[0] == w[1]));
        assert_eq!(network.0.load(Ordering::SeqCst), 1);
        assert!(service.turns.lines().is_empty(), "the line is gone when all left");
        assert_eq!(service.charge(charge(901)).await, Err(Error::KeyReused));
    }

    fn settled(verdict: Verdict) -> Result<Charged> {
        Ok(Charged::Now(Settlement { key: "k".to_owned(), amount_cents: 900, verdict }))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_cancelled_before_is_never_charged() {
        let network = Arc::new(Raw::default());
        let service = service(&network);
        assert_eq!(service.cancel(charge(900)).await, settled(Verdict::Cancelled));
        assert_eq!(service.charge(charge(900)).await, settled(Verdict::Cancelled));
        assert_eq!(network.0.load(Ordering::SeqCst), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_cancels_during_a_charge_or_after_it_is_told_what_came_of_it() {
        let network = Arc::new(Raw::default());
        let service = service(&network);
        let charging = Arc::clone(&service);
        let charging = tokio::spawn(async move { charging.charge(charge(900)).await });
        sleep(CHARGE / 2).await;
        let paid = || settled(Verdict::Paid { charge_id: "ch-0".to_owned() });
        assert_eq!(service.cancel(charge(900)).await, paid());
        assert_eq!(charging.await.unwrap(), paid());
        assert_eq!(service.cancel(charge(900)).await, paid());
        assert_eq!(service.cancel(charge(901)).await, Err(Error::KeyReused));
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_during_a_charge_or_while_waiting_costs_no_second_one() {
        let network = Arc::new(Raw::default());
        let service = service(&network);
        for _ in 0..5 {
            let leaves = timeout(CHARGE / 10, service.charge(charge(900))).await;
            assert!(leaves.is_err(), "{leaves:?}");
        }
        let charged = service.charge(charge(900)).await;
        let verdict = Verdict::Paid { charge_id: "ch-0".to_owned() };
        let settled = Settlement { key: "k".to_owned(), amount_cents: 900, verdict };
        assert_eq!(charged, Ok(Charged::Now(settled)));
        assert_eq!(network.0.load(Ordering::SeqCst), 1);
        service.tasks.drain().await;
        assert!(service.turns.lines().is_empty(), "the line is gone when all left");
    }
}
