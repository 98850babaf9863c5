//! Whether it was paid: one charge per key, whatever is repeated.

mod service;

use std::time::Duration;

use async_trait::async_trait;

use crate::{Charge, Error, Handover, Result, Settlement, Verdict};

pub use service::PaymentService;

/// When the answer to a charge comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Charged {
    /// It is here.
    Now(Settlement),
    /// A settlement will follow.
    Later,
}

/// The service that takes money.
#[async_trait]
pub trait Payments: Send + Sync {
    /// Charges once per key. Errors: `Invalid`, `Busy`, `Unavailable`, `TimedOut`.
    async fn charge(&self, charge: Charge) -> Result<Charged>;
    /// Sees to it that this is never charged, unless it is decided: what stands then is the settlement. Errors: as
    /// `charge`.
    async fn cancel(&self, _charge: Charge) -> Result<Charged> {
        Err(Error::Unavailable("cancellations are not taken here".to_owned()))
    }
    /// How an order's charge reaches this service.
    fn handover(&self) -> Handover {
        Handover::Direct
    }
}

/// What whoever is about to charge finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Nobody else charges: it is the caller's.
    Ours,
    /// It is decided.
    Settled(Settlement),
    /// Another process charges at this moment, or has ended while it did.
    Theirs,
}

/// Where finished charges are remembered. Returned means durable.
#[async_trait]
pub trait PaymentStore: Send + Sync {
    /// Makes the charge of this key the caller's for so long, unless it is decided or another's. A store
    /// that one process has alone leaves it to that process to charge once at a time.
    async fn begin(&self, charge: &Charge, _span: Duration) -> Result<Begun> {
        Ok(self.find(&charge.key).await?.map_or(Begun::Ours, Begun::Settled))
    }
    /// Others may charge it now: the caller has not, or does not know.
    async fn give_up(&self, _key: &str) -> Result<()> {
        Ok(())
    }
    /// The settlement recorded for this key.
    async fn find(&self, key: &str) -> Result<Option<Settlement>>;
    /// Records a settlement and returns the one that stands: the first for its key.
    async fn record(&self, settlement: Settlement) -> Result<Settlement>;
}

/// The outside world that captures money.
#[async_trait]
pub trait CardNetwork: Send + Sync {
    /// Captures or declines. Errors: `Unavailable`, `TimedOut` (money may have moved), `Busy`.
    async fn capture(&self, charge: &Charge) -> Result<Verdict>;
    /// Never captures this key from now on, unless it is decided; returns what stands. Errors: as `capture`.
    async fn void(&self, _charge: &Charge) -> Result<Verdict> {
        Err(Error::Unavailable("this network voids nothing".to_owned()))
    }
}
