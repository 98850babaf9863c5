//! What is asked of the card network for an order, and what came of it.

use serde::{Deserialize, Serialize};

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

impl Charge {
    /// The settlement of a charge that is not made, because the inventory lacks what was ordered.
    #[must_use]
    pub fn out_of_stock(self) -> Settlement {
        let Self { key, amount_cents, .. } = self;
        Settlement { key, amount_cents, verdict: Verdict::OutOfStock }
    }
}

impl std::fmt::Debug for Charge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Charge");
        shown.field("key", &self.key).field("amount_cents", &self.amount_cents);
        shown.finish_non_exhaustive()
    }
}

/// What was decided of a charge: by the card network, or before it was asked.
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
    /// What was ordered is not there, so nothing was charged.
    #[serde(rename = "out-of-stock")]
    OutOfStock,
    /// The customer took it back before it was charged, and it never will be.
    Cancelled,
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
