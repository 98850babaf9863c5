//! What became of a move of orders to a further database, as the system told it.

use serde::{Deserialize, Serialize};

use crate::read::Validate;

/// A move that came to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Databases in use after it.
    pub databases: u64,
    /// Customers that were moved, of those that have orders.
    pub customers: u64,
    /// Customers with orders that stayed where they were.
    pub stayed: u64,
    /// Orders that were moved.
    pub orders: u64,
    /// How long it took, ms.
    pub took_ms: u64,
}

impl Validate for Moved {
    fn check(&self) -> Result<(), String> {
        if self.databases > 1 { Ok(()) } else { Err(format!("databases {}", self.databases)) }
    }
}
