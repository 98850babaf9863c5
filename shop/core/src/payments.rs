//! Whether it was paid: one charge per key, whatever is repeated.

mod service;

use async_trait::async_trait;

use crate::{Charge, Handover, Result, Settlement, Verdict};

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
    /// How an order's charge reaches this service.
    fn handover(&self) -> Handover {
        Handover::Direct
    }
}

/// Where finished charges are remembered. Returned means durable.
#[async_trait]
pub trait PaymentStore: Send + Sync {
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
}
