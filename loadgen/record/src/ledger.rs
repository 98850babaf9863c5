//! The truth after the load: all orders as the system tells them, all charges as the provider's
//! journal tells them; read once and kept in the record.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::number;
use super::packed_table::{read_table, write_table};
use crate::{Receipt, files};

/// The event of a line of the journal that cannot be read; it keeps the line's place.
pub const UNREADABLE: &str = "unreadable";
/// The event of a line that does not bear the network's seal.
pub const FORGED: &str = "forged";
/// An order as the system tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OrderRow {
    /// The client's idempotency key.
    pub key: String,
    /// Its identity.
    pub id: String,
    /// pending, paid, declined.
    pub status: String,
    /// Its sum, cents.
    #[serde(deserialize_with = "number::whole")]
    pub total_cents: i64,
    /// When it was accepted, µs since the epoch.
    #[serde(deserialize_with = "number::whole")]
    pub created_at: i64,
    /// When it reached its final state.
    #[serde(default, deserialize_with = "number::whole_or_none")]
    pub settled_at: Option<i64>,
    /// The provider's reference.
    pub charge_id: Option<String>,
}

impl OrderRow {
    /// The state that its word stands for; one that nobody knows is not final.
    #[must_use]
    pub fn state(&self) -> Receipt {
        Receipt::parse(&self.status).unwrap_or(Receipt::Pending)
    }

    /// Whether it is paid or declined.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.state().is_final()
    }
}

/// A line of the provider's journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeRow {
    /// When, µs since the epoch.
    pub at_us: i64,
    /// captured, declined, repeated, error.
    pub event: String,
    /// The client's idempotency key.
    pub key: String,
    /// The sum, cents.
    #[serde(default)]
    pub amount_cents: i64,
    /// The provider's reference.
    #[serde(default)]
    pub charge_id: Option<String>,
    /// The line's number, from 1; `None` in older records.
    #[serde(default)]
    pub n: Option<u64>,
}

/// A message that the broker has given up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadRow {
    /// Where it is listed.
    pub source: String,
    /// The client's idempotency key.
    pub key: String,
    /// How often it was delivered.
    pub attempts: u32,
    /// When it was given up, µs since the epoch.
    pub died_us: i64,
    /// The last failure.
    pub error: String,
}

/// What an inventory says of an article.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShelfRow {
    /// The article.
    pub sku: String,
    /// Held for orders that are not final.
    pub held: i64,
    /// Sold.
    pub sold: i64,
    /// Held once, for orders that were declined.
    pub released: i64,
    /// How many there were at first; none: without end, or of a record from before that was told.
    #[serde(default)]
    pub stock: Option<i64>,
}

/// What an inventory holds or held of one article for one order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationRow {
    /// The client's idempotency key.
    pub key: String,
    /// held, sold, released; lacking: nothing was held, for something was not there.
    pub state: String,
    /// The article.
    pub sku: String,
    /// How many.
    pub quantity: i64,
}

/// All of it, as the audit reads it from a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// All orders.
    pub orders: Vec<OrderRow>,
    /// The whole journal.
    pub charges: Vec<ChargeRow>,
    /// All orders as the other replicas tell them.
    pub replicas: Vec<Vec<OrderRow>>,
    /// Dead letters.
    pub dead: Vec<DeadRow>,
}

/// Rows of a table, one at a time.
pub type Rows<T> = Box<dyn Iterator<Item = anyhow::Result<T>>>;

/// The orders of a record, as the system (replica 1) or another replica tells them.
///
/// # Errors
/// If the table is missing or broken.
pub fn orders(folder: &Path, replica: usize) -> anyhow::Result<Rows<OrderRow>> {
    Ok(Box::new(read_table(&folder.join(files::orders(replica)))?))
}

/// The journal of a record.
///
/// # Errors
/// If the table is missing or broken.
pub fn charges(folder: &Path) -> anyhow::Result<Rows<ChargeRow>> {
    Ok(Box::new(read_table(&folder.join(files::CHARGES))?))
}

/// The dead letters of a record; none if it has no such table.
///
/// # Errors
/// If the table is broken.
pub fn dead(folder: &Path) -> anyhow::Result<Rows<DeadRow>> {
    optional(&folder.join(files::DEAD_LETTERS))
}

/// The articles of a record; none if it has no such table.
///
/// # Errors
/// If the table is broken.
pub fn shelves(folder: &Path) -> anyhow::Result<Rows<ShelfRow>> {
    optional(&folder.join(files::STOCK))
}

/// The reservations of a record; none if it has no such table.
///
/// # Errors
/// If the table is broken.
pub fn reservations(folder: &Path) -> anyhow::Result<Rows<ReservationRow>> {
    optional(&folder.join(files::RESERVATIONS))
}

fn optional<T: DeserializeOwned + 'static>(path: &Path) -> anyhow::Result<Rows<T>> {
    if path.exists() { Ok(Box::new(read_table(path)?)) } else { Ok(Box::new(std::iter::empty())) }
}

/// The numbers of the replicas that a record has beside the first.
pub fn replicas(folder: &Path) -> impl Iterator<Item = usize> + use<'_> {
    (2..).take_while(|replica| folder.join(files::orders(*replica)).exists())
}

impl Ledger {
    /// Reads the ledger of a record.
    ///
    /// # Errors
    /// If a table is missing or broken.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let listing = |replica| orders(folder, replica)?.collect::<anyhow::Result<Vec<_>>>();
        Ok(Self {
            orders: listing(1)?,
            charges: charges(folder)?.collect::<anyhow::Result<_>>()?,
            replicas: replicas(folder).map(listing).collect::<anyhow::Result<_>>()?,
            dead: dead(folder)?.collect::<anyhow::Result<_>>()?,
        })
    }

    /// Writes the ledger into a record.
    ///
    /// # Errors
    /// If a table cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        write_table(&folder.join(files::ORDERS), &self.orders)?;
        for (replica, orders) in (2..).zip(&self.replicas) {
            write_table(&folder.join(files::orders(replica)), orders)?;
        }
        if !self.dead.is_empty() {
            write_table(&folder.join(files::DEAD_LETTERS), &self.dead)?;
        }
        write_table(&folder.join(files::CHARGES), &self.charges)
    }
}
