//! Orders that are spread over several databases, as whoever runs the shop sees and widens that.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Result;

/// Over how many databases orders are spread, and how that becomes more.
#[async_trait]
pub trait Spread: Send + Sync {
    /// Begins to move orders; customers are served meanwhile. What was begun goes on after a crash. Errors: `Busy` while
    /// an earlier move goes on, `Invalid` if there is no database left or none of this number, `Unavailable`.
    async fn widen(&self, how: Wider) -> Result<()>;
    /// How they are spread, and how far the last move has come.
    async fn told(&self) -> Result<Spreading>;
}

/// Which orders a further database gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Wider {
    /// Those of as many customers of each as leaves all alike.
    Add {},
    /// Those of half of the customers of this one, counted from 0.
    Split {
        /// The database that has too many.
        of: usize,
    },
}

/// How orders are spread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spreading {
    /// How many orders each database has, those included that have none yet.
    pub orders: Vec<u64>,
    /// How many of the databases are in use; while orders are moved, those that will be.
    pub used: usize,
    /// The last move since the process began; `None` if there was none.
    pub moving: Option<Move>,
}

/// How far a move has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Move {
    /// Whether all is where it belongs.
    pub done: bool,
    /// Customers that were moved, of those that have orders.
    pub customers: u64,
    /// Their orders.
    pub orders: u64,
    /// Customers with orders that stayed where they were.
    pub stayed: u64,
    /// Since it began, or went on after a start; until it was done.
    pub took_ms: u64,
    /// Why it stood still last, if it did.
    pub error: Option<String>,
}
