//! Reads what an inventory holds, held and sold, when nothing is held for orders that are final any more. It
//! judges nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::listing::TEXT_BYTES_MAX;
use record::ledger::{ReservationRow, ShelfRow};
use record::{PackedTable, files};
use supervise::asking::{self, Patience};

const POLL: Duration = Duration::from_millis(250);
const PAGE: &str = "1000";
const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
const PAGE_WITHIN: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Shelves {
    shelves: Vec<ShelfRow>,
}

#[derive(Deserialize)]
struct Reservations {
    reservations: Vec<Reservation>,
}

#[derive(Deserialize)]
struct Reservation {
    id: i64,
    key: String,
    state: String,
    quantities: BTreeMap<String, i64>,
}

/// An inventory that lists its stock at this address; it cannot have more rows than `most`.
pub(super) struct Inventory<'a> {
    pub(super) base: &'a str,
    pub(super) most: u64,
}

impl Inventory<'_> {
    /// Waits until nothing is held, then writes both tables; returns whether nothing was held in time.
    ///
    /// # Errors
    /// If it cannot be read, or a table not be written.
    pub(super) async fn read(
        &self,
        folder: &Path,
        patience: &Patience,
        reading: impl Fn() -> Patience,
    ) -> anyhow::Result<bool> {
        loop {
            let whole = reading().hold(self.base, self.save(folder)).await? == 0;
            if whole || patience.bear(sleep(POLL)).await.is_none() {
                return Ok(whole);
            }
        }
    }

    /// Writes both tables; returns how many reservations are held.
    async fn save(&self, folder: &Path) -> anyhow::Result<u64> {
        let (mut held, mut after, mut count) = (0, 0, 0);
        let mut table = PackedTable::begin(&folder.join(files::RESERVATIONS))?;
        loop {
            let page: Reservations = self.page("reservations", &after.to_string()).await?;
            let Some(last) = page.reservations.last().map(|row| row.id) else { break };
            ensure!(last > after, "{}: after number {after} comes {last}", self.base);
            (after, count) = (last, count + page.reservations.len() as u64);
            ensure!(count <= self.most, "{}: it goes on after {count} reservations", self.base);
            for Reservation { key, state, quantities, .. } in page.reservations {
                held += u64::from(state == "held");
                for (sku, quantity) in quantities {
                    let row =
                        ReservationRow { key: key.clone(), state: state.clone(), sku, quantity };
                    ensure!(row.key.len() + row.sku.len() <= TEXT_BYTES_MAX, "{}: long", self.base);
                    table.put(&row)?;
                }
            }
        }
        table.end()?;
        self.save_shelves(folder).await?;
        Ok(held)
    }

    async fn save_shelves(&self, folder: &Path) -> anyhow::Result<()> {
        let (mut after, mut count) = (String::new(), 0);
        let mut table = PackedTable::begin(&folder.join(files::STOCK))?;
        loop {
            let page: Shelves = self.page("shelves", &after).await?;
            let Some(last) = page.shelves.last().map(|row| row.sku.clone()) else { break };
            ensure!(last > after, "{}: after {after:?} comes {last:?}", self.base);
            (after, count) = (last, count + page.shelves.len() as u64);
            ensure!(count <= self.most, "{}: it goes on after {count} articles", self.base);
            page.shelves.iter().try_for_each(|row| table.put(row))?;
        }
        table.end()?;
        Ok(())
    }

    async fn page<T: DeserializeOwned>(&self, what: &str, after: &str) -> anyhow::Result<T> {
        let http = supervise::http::client(PAGE_WITHIN)?;
        let base = format!("{}/{what}", self.base);
        let url = asking::url(&base, &[("after", after), ("limit", PAGE)])?;
        asking::ask_json(http.get(url), PAGE_BYTES_MAX, &format!("GET {base}")).await
    }
}
