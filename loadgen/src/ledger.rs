//! The truth after the load: all orders as the system tells them, all charges as the provider's
//! journal tells them; read once and kept in the record.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::history::{read_table, write_table};

const ORDERS: &str = "orders.csv.zst";
const CHARGES: &str = "charges.csv.zst";
const PAGE: u32 = 1_000;
const POLL: Duration = Duration::from_millis(200);

/// An order as the system tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRow {
    /// The client's idempotency key.
    pub key: String,
    /// Its identity.
    pub id: String,
    /// pending, paid, declined.
    pub status: String,
    /// Its sum, cents.
    pub total_cents: i64,
    /// When it was accepted, µs since the epoch.
    pub created_at: i64,
    /// When it reached its final state.
    pub settled_at: Option<i64>,
    /// The provider's reference.
    pub charge_id: Option<String>,
}

/// A line of the provider's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// Both, as the audit reads them from a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// All orders.
    pub orders: Vec<OrderRow>,
    /// The whole journal.
    pub charges: Vec<ChargeRow>,
}

impl Ledger {
    /// Reads the ledger of a record.
    ///
    /// # Errors
    /// If a table is missing or broken.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let orders = read_table(&folder.join(ORDERS))?.collect::<Result<_, _>>()?;
        let charges = read_table(&folder.join(CHARGES))?.collect::<Result<_, _>>()?;
        Ok(Self { orders, charges })
    }

    /// Writes the ledger into a record.
    ///
    /// # Errors
    /// If a table cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        write_table(&folder.join(ORDERS), &self.orders)?;
        write_table(&folder.join(CHARGES), &self.charges)
    }
}

#[derive(Deserialize)]
struct Page {
    orders: Vec<OrderRow>,
    next: Option<String>,
}

/// Reads orders from a system, as its operator.
pub struct OrdersReader {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl OrdersReader {
    /// A reader of the listing at `url`.
    ///
    /// # Errors
    /// If the HTTP client cannot be made.
    pub fn new(url: &str, token: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
        Ok(Self { http, url: url.to_owned(), token: token.to_owned() })
    }

    /// All orders after `after`, in the system's order.
    ///
    /// # Errors
    /// If a page cannot be read.
    pub async fn all(&self, after: Option<&str>) -> anyhow::Result<Vec<OrderRow>> {
        let mut after = after.map(ToOwned::to_owned);
        let mut orders = Vec::new();
        loop {
            let page = self.page(after.as_deref()).await?;
            orders.extend(page.orders);
            match page.next {
                Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                Some(next) => bail!("{}: the page after {next} names itself as the next", self.url),
                None => return Ok(orders),
            }
        }
    }

    async fn page(&self, after: Option<&str>) -> anyhow::Result<Page> {
        let cursor = after.map(|a| format!("&after={a}")).unwrap_or_default();
        let url = format!("{}?limit={PAGE}{cursor}", self.url);
        let answer = self.http.get(&url).bearer_auth(&self.token).send().await?;
        let status = answer.status();
        if !status.is_success() {
            bail!("GET {url} answered {status}: {}", answer.text().await.unwrap_or_default());
        }
        answer.json().await.with_context(|| format!("GET {url} is not a page of orders"))
    }

    /// Waits until no order has been pending for `quiet`, or the deadline; returns whether.
    /// Asks only for orders from the oldest pending one on, so that it disturbs little.
    ///
    /// # Errors
    /// If the orders cannot be read.
    pub async fn drain(&self, within: Duration, quiet: Duration) -> anyhow::Result<bool> {
        let deadline = Instant::now() + within;
        let mut settled_up_to: Option<String> = None;
        let mut quiet_since = None;
        loop {
            let orders = self.all(settled_up_to.as_deref()).await?;
            let pending = orders.iter().position(|o| o.status == "pending");
            let settled = pending.unwrap_or(orders.len());
            if let Some(last) = settled.checked_sub(1).and_then(|i| orders.get(i)) {
                settled_up_to = Some(last.id.clone());
            }
            let now = Instant::now();
            match (pending, quiet_since) {
                (None, Some(since)) if now - since >= quiet => return Ok(true),
                (None, None) if quiet.is_zero() => return Ok(true),
                (None, None) => quiet_since = Some(now),
                (None, Some(_)) => {}
                (Some(_), _) => quiet_since = None,
            }
            if now > deadline {
                return Ok(pending.is_none());
            }
            sleep(POLL).await;
        }
    }
}

/// Reads the provider's journal; a torn last line (a kill in mid-write) is left out.
///
/// # Errors
/// If the file is missing or a line before the last does not parse.
pub fn read_journal(path: &Path) -> anyhow::Result<Vec<ChargeRow>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the provider's journal {}", path.display()))?;
    let lines: Vec<&str> = text.lines().collect();
    let mut rows = Vec::with_capacity(lines.len());
    for (n, line) in lines.iter().enumerate() {
        match serde_json::from_str(line) {
            Ok(row) => rows.push(row),
            Err(_) if n + 1 == lines.len() && !text.ends_with('\n') => {}
            Err(e) => bail!("{}:{}: not a line of the journal: {e}", path.display(), n + 1),
        }
    }
    Ok(rows)
}
