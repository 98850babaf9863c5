//! Whether it was paid: one charge per key, whatever is repeated.

mod service;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Handover, Result};

pub use service::PaymentService;

/// A request for money. `Debug` hides the card.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The order's key; the card network sees it too.
    pub key: String,
    /// The sum, in cents.
    pub amount_cents: i64,
    /// What to charge.
    pub card: String,
}

impl std::fmt::Debug for Charge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Charge");
        shown.field("key", &self.key).field("amount_cents", &self.amount_cents);
        shown.finish_non_exhaustive()
    }
}

/// What the card network decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// The money is captured.
    Paid {
        /// The card network's reference.
        charge_id: String,
    },
    /// The card was refused.
    Declined,
}

/// The end of a charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// The order's key.
    pub key: String,
    /// The sum that was asked for, in cents.
    pub amount_cents: i64,
    /// What was decided.
    #[serde(flatten)]
    pub verdict: Verdict,
}

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
