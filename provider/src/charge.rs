//! What is asked of the network and what it answers.

use serde::{Deserialize, Serialize};

const FIELD_CHARS_MAX: usize = 256;

/// A request for money. No `Debug`: it holds a card.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Charge {
    pub(crate) key: String,
    pub(crate) amount_cents: i64,
    card: String,
}

impl Charge {
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let filled = |field: &str| !field.is_empty() && field.chars().count() <= FIELD_CHARS_MAX;
        if !filled(&self.key) {
            return Err("a key has 1 to 256 characters");
        }
        if !filled(&self.card) {
            return Err("a card has 1 to 256 characters");
        }
        if self.amount_cents <= 0 {
            return Err("an amount is at least one cent");
        }
        Ok(())
    }
}

/// What the network decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub(crate) enum Decision {
    Captured {
        charge_id: String,
    },
    Declined,
    /// Its merchant took it back before.
    Voided,
}
