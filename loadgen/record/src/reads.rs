//! `reads.csv.zst`: what customers read after the drain, each his own orders: the audit holds it against
//! the ledger.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ledger::{OrderRow, Rows};
use super::number;
use super::packed_table::read_table;
use crate::files;

/// How an order was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// By its id: GET /orders/{id}.
    #[default]
    Get,
    /// In its customer's list: GET /orders.
    List,
    /// The list ended here: it has no further order.
    End,
}

/// One order as its customer read it, or why he did not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadRow {
    /// Who read.
    pub customer: u32,
    /// How.
    pub how: How,
    /// The HTTP status; 0 without an answer, or one that is no order.
    pub status: u16,
    /// The key of the order that was asked for (get).
    pub about: String,
    /// What was shown, as in a row of the ledger; empty if nothing was.
    pub key: String,
    /// As above.
    pub id: String,
    /// As above: pending, paid, declined.
    pub state: String,
    /// As above.
    #[serde(deserialize_with = "number::whole")]
    pub total_cents: i64,
    /// As above.
    #[serde(deserialize_with = "number::whole")]
    pub created_at: i64,
    /// As above.
    #[serde(default, deserialize_with = "number::whole_or_none")]
    pub settled_at: Option<i64>,
    /// As above.
    pub charge_id: Option<String>,
}

impl ReadRow {
    /// A read that showed this order, or none.
    #[must_use]
    pub fn new(customer: u32, how: How, status: u16, about: &str, shown: Option<OrderRow>) -> Self {
        let shown = shown.unwrap_or_default();
        Self {
            customer,
            how,
            status,
            about: about.to_owned(),
            key: shown.key,
            id: shown.id,
            state: shown.status,
            total_cents: shown.total_cents,
            created_at: shown.created_at,
            settled_at: shown.settled_at,
            charge_id: shown.charge_id,
        }
    }

    /// The order that was shown.
    #[must_use]
    pub fn order(&self) -> OrderRow {
        OrderRow {
            key: self.key.clone(),
            id: self.id.clone(),
            status: self.state.clone(),
            total_cents: self.total_cents,
            created_at: self.created_at,
            settled_at: self.settled_at,
            charge_id: self.charge_id.clone(),
        }
    }
}

/// The reads of a record; `None` if it has no such table.
///
/// # Errors
/// If the table is broken.
pub fn read(folder: &Path) -> anyhow::Result<Option<Rows<ReadRow>>> {
    let path = folder.join(files::READS);
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(Box::new(read_table(&path)?)))
}
