//! The rules of charging.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{CardNetwork, Charge, Charged, PaymentStore, Payments, Settlement};
use crate::{Error, Result};

/// Charges over a store and the card network.
pub struct PaymentService {
    store: Arc<dyn PaymentStore>,
    network: Arc<dyn CardNetwork>,
    turns: Turns,
}

impl PaymentService {
    /// The service over these parts.
    #[must_use]
    pub fn new(store: Arc<dyn PaymentStore>, network: Arc<dyn CardNetwork>) -> Self {
        Self { store, network, turns: Turns::default() }
    }
}

#[async_trait]
impl Payments for PaymentService {
    async fn charge(&self, charge: Charge) -> Result<Charged> {
        let turn = self.turns.of(&charge.key);
        let _held = turn.line.lock().await;
        if let Some(found) = self.store.find(&charge.key).await? {
            if found.amount_cents != charge.amount_cents {
                return Err(Error::KeyReused);
            }
            return Ok(Charged::Now(found));
        }
        let verdict = self.network.capture(&charge).await?;
        let Charge { key, amount_cents, .. } = charge;
        let settled = self.store.record(Settlement { key, amount_cents, verdict }).await?;
        Ok(Charged::Now(settled))
    }
}

type Line = Arc<tokio::sync::Mutex<()>>;

/// One charge at a time per key: a repetition waits for the first and then finds its result.
#[derive(Default)]
struct Turns(Mutex<HashMap<String, Line>>);

/// A place in the line for one key; the last to leave removes the line.
struct Turn<'a> {
    line: Line,
    turns: &'a Turns,
    key: String,
}

impl Turns {
    fn of(&self, key: &str) -> Turn<'_> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = Arc::clone(lines.entry(key.to_owned()).or_default());
        Turn { line, turns: self, key: key.to_owned() }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut lines = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The map holds one reference and this turn another.
        if Arc::strong_count(&self.line) == 2 {
            lines.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::Verdict;

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

    /// A network that charges again whenever it is asked (`raw`).
    #[derive(Default)]
    struct Raw(AtomicUsize);

    #[async_trait]
    impl CardNetwork for Raw {
        async fn capture(&self, _: &Charge) -> Result<Verdict> {
            tokio::task::yield_now().await;
            let nth = self.0.fetch_add(1, Ordering::SeqCst);
            Ok(Verdict::Paid { charge_id: format!("ch-{nth}") })
        }
    }

    fn charge(amount_cents: i64) -> Charge {
        Charge { key: "k".to_owned(), amount_cents, card: "card".to_owned() }
    }

    #[tokio::test]
    async fn concurrent_repetitions_reach_the_network_once() {
        let network = Arc::new(Raw::default());
        let service = Arc::new(PaymentService::new(
            Arc::new(Remembered::default()),
            Arc::clone(&network) as _,
        ));
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
        assert!(service.turns.0.lock().unwrap().is_empty(), "the line is gone when all left");
        assert_eq!(service.charge(charge(901)).await, Err(Error::KeyReused));
    }
}
