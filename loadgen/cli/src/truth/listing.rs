//! Reads a system's orders as its operator, and waits until they are final. Page by page: however long a
//! listing is, no more than a page of it is held.

use std::path::Path;
use std::time::Duration;

use anyhow::{bail, ensure};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use record::PackedTable;
use record::ledger::OrderRow;
use supervise::asking::{self, Beyond, Patience};

/// Orders that are asked for at once.
const PAGE: usize = 1_000;
/// A thousand orders of the largest body that the contract allows (16 KiB), and as much again.
const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Keys have 255 bytes at most; ids, states and charge ids are not longer.
pub(super) const TEXT_BYTES_MAX: usize = 256;
/// A listing of more orders than this is not read to its end, unless it is known to have more.
const ORDERS_MAX: u64 = 20_000_000;
/// How long one page may take.
const PAGE_WITHIN: Duration = Duration::from_secs(10);
/// How long a page is asked for: three times as long as a contestant may take for one request.
const ASK_AGAIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(200);

#[derive(Deserialize)]
struct Page {
    orders: Vec<OrderRow>,
    next: Option<String>,
}

/// What a whole listing came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Orders.
    pub(crate) rows: u64,
    /// Of these, not final.
    pub(crate) open: u64,
    /// The id of the last order before the first that is not final.
    before_open: Option<String>,
}

impl Listing {
    fn add(&mut self, row: &OrderRow) {
        self.rows += 1;
        if row.is_final() && self.open == 0 {
            self.before_open = Some(row.id.clone());
        }
        self.open += u64::from(!row.is_final());
    }
}

/// Reads orders from a system, as its operator.
pub struct OrdersReader {
    http: reqwest::Client,
    url: String,
    token: String,
    most: u64,
}

impl OrdersReader {
    /// A reader of the listing at `url`.
    ///
    /// # Errors
    /// If the HTTP client cannot be made.
    pub fn new(url: &str, token: &str) -> anyhow::Result<Self> {
        let http = supervise::http::client(PAGE_WITHIN)?;
        Ok(Self { http, url: url.to_owned(), token: token.to_owned(), most: ORDERS_MAX })
    }

    /// The same, of a listing that has no more orders than this.
    #[must_use]
    pub fn at_most(self, most: u64) -> Self {
        Self { most, ..self }
    }

    /// All orders after `after`, in the system's order.
    ///
    /// # Errors
    /// If a page cannot be read, or they do not end.
    pub async fn all(&self, after: Option<&str>) -> anyhow::Result<Vec<OrderRow>> {
        let mut orders = Vec::new();
        let mut take = |row| {
            orders.push(row);
            Ok(())
        };
        self.each(after, &mut take).await?;
        Ok(orders)
    }

    async fn each(
        &self,
        after: Option<&str>,
        take: &mut impl FnMut(OrderRow) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut after = after.map(ToOwned::to_owned);
        let (mut orders, mut pages) = (0, 0);
        loop {
            let page = self.page(after.as_deref()).await?;
            (orders, pages) = (orders + page.orders.len() as u64, pages + 1);
            if orders > self.most || pages > self.most + 1 {
                bail!(
                    "{}: the listing goes on after {orders} orders on {pages} pages; more than {} \
                     cannot have been placed",
                    self.url,
                    self.most
                );
            }
            for row in page.orders {
                self.check(&row)?;
                take(row)?;
            }
            match page.next {
                Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                Some(next) => bail!("{}: the page after {next} names itself as the next", self.url),
                None => return Ok(()),
            }
        }
    }

    fn check(&self, row: &OrderRow) -> anyhow::Result<()> {
        let charge_id = row.charge_id.as_deref().unwrap_or_default();
        for (name, text) in
            [("key", &*row.key), ("id", &row.id), ("status", &row.status), ("charge_id", charge_id)]
        {
            ensure!(
                text.len() <= TEXT_BYTES_MAX,
                "{}: an order's {name} has {} bytes; expected {TEXT_BYTES_MAX} at most",
                self.url,
                text.len()
            );
        }
        Ok(())
    }

    /// A page; what is answered with an error or not in time is asked again for a while, for a system
    /// that works off a backlog may be too busy to list it. Where nobody listens nobody will.
    async fn page(&self, after: Option<&str>) -> anyhow::Result<Page> {
        let give_up = Instant::now() + ASK_AGAIN;
        loop {
            let error = match self.ask(after).await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            let refused = error.downcast_ref::<reqwest::Error>().is_some_and(|e| e.is_connect());
            if refused || error.is::<Beyond>() || Instant::now() >= give_up {
                return Err(error);
            }
            sleep(POLL).await;
        }
    }

    async fn ask(&self, after: Option<&str>) -> anyhow::Result<Page> {
        let limit = PAGE.to_string();
        let mut parameters = vec![("limit", limit.as_str())];
        parameters.extend(after.map(|after| ("after", after)));
        let what = format!("GET {} (a page of orders, as the operator)", self.url);
        let request = self.http.get(asking::url(&self.url, &parameters)?);
        let page: Page =
            asking::ask_json(request.bearer_auth(&self.token), PAGE_BYTES_MAX, &what).await?;
        let found = page.orders.len();
        if found > PAGE {
            return Err(
                Beyond(format!("{what}: expected {PAGE} orders at most, found {found}")).into()
            );
        }
        Ok(page)
    }

    /// Waits until no order has been open for `quiet`, and none in the whole listing; returns whether
    /// that came within this time.
    ///
    /// # Errors
    /// If the orders cannot be read.
    pub async fn drain(&self, within: Duration, quiet: Duration) -> anyhow::Result<bool> {
        let patience = Patience::of(within);
        let mut cursor = None;
        while self.calm(&mut cursor, &patience, quiet).await? {
            let Some(listing) = patience.bear(self.look(None)).await else { return Ok(false) };
            let listing = listing?;
            if listing.open == 0 {
                return Ok(true);
            }
            cursor = listing.before_open;
        }
        Ok(false)
    }

    /// As [`Self::drain`], with the whole listing in a table at the end; `reading` is how long that may
    /// take.
    ///
    /// # Errors
    /// If the orders cannot be read, or the table not be written; then there is none.
    pub(crate) async fn settle(
        &self,
        patience: &Patience,
        quiet: Duration,
        reading: impl Fn() -> Patience,
        path: &Path,
    ) -> anyhow::Result<Listing> {
        let mut cursor = None;
        loop {
            let calm = self.calm(&mut cursor, patience, quiet).await?;
            let what = format!("{}: reading all orders", self.url);
            let listing = reading().hold(&what, self.save(path)).await?;
            // Behind the cursor there may be orders that were listed late, or are open again.
            if listing.open == 0 || !calm {
                return Ok(listing);
            }
            cursor = listing.before_open;
        }
    }

    /// Waits until nothing after the cursor has been open for `quiet`; moves the cursor up to the first
    /// that is, so that it disturbs little. Returns whether that came in time.
    async fn calm(
        &self,
        cursor: &mut Option<String>,
        patience: &Patience,
        quiet: Duration,
    ) -> anyhow::Result<bool> {
        let mut quiet_since = None;
        loop {
            let Some(looked) = patience.bear(self.look(cursor.as_deref())).await else {
                return Ok(false);
            };
            let Listing { open, before_open, .. } = looked?;
            *cursor = before_open.or(cursor.take());
            let now = Instant::now();
            let since = *quiet_since.get_or_insert(now);
            if open > 0 {
                quiet_since = None;
            } else if now - since >= quiet {
                return Ok(true);
            }
            if patience.bear(sleep(POLL)).await.is_none() {
                return Ok(false);
            }
        }
    }

    async fn look(&self, after: Option<&str>) -> anyhow::Result<Listing> {
        let mut listing = Listing::default();
        let mut take = |row: OrderRow| {
            listing.add(&row);
            Ok(())
        };
        self.each(after, &mut take).await?;
        Ok(listing)
    }

    async fn save(&self, path: &Path) -> anyhow::Result<Listing> {
        let (mut listing, mut table) = (Listing::default(), PackedTable::begin(path)?);
        let mut take = |row: OrderRow| {
            listing.add(&row);
            table.put(&row)
        };
        self.each(None, &mut take).await?;
        table.end()?;
        Ok(listing)
    }
}

#[cfg(test)]
#[path = "listing_tests.rs"]
pub(crate) mod tests;
