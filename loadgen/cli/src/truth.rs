//! After the load: waits for orders that are not final, then reads what system, replicas, broker, network
//! and customers say, straight into the record's tables. It judges nothing.

mod journal;
mod letters;
mod listing;
mod notices;
mod reads;
mod stock;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;

use crate::second0::wall_us;
use record::PackedTable;
use record::files;
use scenario::system::{AuditSource, Entry};
use supervise::asking::Patience;
use supervise::witness::{self, Mark, Seals};

pub use journal::read_journal;
pub use letters::dead_letters;
pub use listing::OrdersReader;

/// Nothing may be pending for this long before the drain is over.
const QUIET: Duration = Duration::from_secs(1);
/// A listing may take as long as the drain, and at least this long: a million orders take 20 s.
const READ_WITHIN: Duration = Duration::from_secs(60);
/// After an interrupt pending orders are waited for so long, and each listing is read so long.
const INTERRUPTED: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];
/// A system may hold orders that nobody asked for: they are a finding, up to as many as were.
const PER_ASKED: u64 = 2;
/// So many more are read in any case.
const SPARE: u64 = 10_000;

/// Whom to ask, and for how long.
pub(crate) struct Truth {
    /// The trial's folder.
    pub(crate) folder: PathBuf,
    /// Where orders and dead letters are listed.
    pub(crate) source: AuditSource,
    /// Where customers and the network are.
    pub(crate) entry: Entry,
    /// Reads all orders.
    pub(crate) operator: String,
    /// Asks the network.
    pub(crate) control: String,
    /// The customers'.
    pub(crate) tokens: Tokens,
    /// How long pending orders are waited for.
    pub(crate) drain: Duration,
    /// Orders that were asked for.
    pub(crate) asked: u64,
    /// Becomes true when it shall end.
    pub(crate) interrupt: watch::Receiver<bool>,
}

/// With which customers read.
pub(crate) struct Tokens {
    /// One each.
    pub(crate) tokens: Vec<String>,
    /// Until when all are good, µs since the epoch, if that is known.
    pub(crate) until_us: Option<i64>,
}

/// How the reading went.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Whether orders that are known not to be final were left.
    pub(crate) pending: bool,
    /// Whether what is pending had its time.
    pub(crate) whole: bool,
    /// Why there is no ledger; empty if there is one.
    pub(crate) unreadable: String,
    /// What else could not be read.
    pub(crate) doubts: Vec<String>,
    /// How far the network's journal was, whenever it was asked.
    pub(crate) marks: Vec<Mark>,
}

impl Told {
    /// There is no ledger, for this reason.
    pub(crate) fn fail(&mut self, error: &anyhow::Error) {
        if self.unreadable.is_empty() {
            self.unreadable = format!("the ledger cannot be read: {error:#}");
        }
    }

    fn doubt<T>(&mut self, what: &str, result: anyhow::Result<T>) -> Option<T> {
        result.map_err(|error| self.doubts.push(format!("{what}: {error:#}"))).ok()
    }
}

impl Truth {
    /// Waits for what is not final, and reads all orders.
    pub(crate) async fn settle(&self, marks: Vec<Mark>) -> Told {
        let mut told = Told { marks, ..Told::default() };
        let path = self.folder.join(files::orders(1));
        match self.listing(self.source.orders.first(), QUIET, &path).await {
            Ok(open) => {
                told.pending = open > 0;
                let notified = told.pending || self.notices(&mut told).await;
                let stocked = told.pending || self.stock(&mut told).await;
                let whole = !told.pending && notified && stocked;
                told.whole = whole || !*self.interrupt.borrow();
            }
            Err(error) => told.fail(&error),
        }
        told
    }

    /// Whether the customers of all orders were notified, if that is what they asked for; waits for it.
    async fn notices(&self, told: &mut Told) -> bool {
        if self.entry.callbacks.is_none() {
            return true;
        }
        let journal = Path::new(&self.source.journal);
        let patience = Patience::until(self.drain, self.interrupt.clone(), INTERRUPTED[0]);
        let arrived = notices::arrive(&self.folder, journal, &patience).await;
        told.doubt("notifications cannot be waited for", arrived).unwrap_or(false)
    }

    /// Whether nothing is held in the inventory, if there is one; waits for it, and reads it.
    async fn stock(&self, told: &mut Told) -> bool {
        let Some(base) = self.source.stock.as_deref() else { return true };
        let patience = Patience::until(self.drain, self.interrupt.clone(), INTERRUPTED[0]);
        // Each order has three articles at most; the bounds are those of orders.
        let inventory = stock::Inventory { base, most: self.most() };
        let read = inventory.read(&self.folder, &patience, || self.reading()).await;
        told.doubt("the stock cannot be read", read).unwrap_or(false)
    }

    /// Reads everything else; what is not told is a doubt.
    pub(crate) async fn read(&self, told: &mut Told) {
        if !told.unreadable.is_empty() {
            return;
        }
        for (replica, url) in self.source.orders.all().iter().enumerate().skip(1) {
            let path = self.folder.join(files::orders(replica + 1));
            let read = self.listing(url, Duration::ZERO, &path).await;
            told.doubt("a replica cannot be read", read);
        }
        let letters = self.dead_letters().await;
        told.doubt("dead letters cannot be read", letters);
        let mark = witness::mark(&self.entry.provider, &self.control).await;
        let what = "the card network does not say how many lines its journal has";
        let mark = told.doubt(what, mark);
        told.marks.extend(mark);
        // What may still change need not agree, an old token need not be taken, and who interrupts does not
        // want to wait.
        let good = self.tokens.until_us.is_none_or(|until_us| wall_us() < until_us);
        if good && !told.pending && !*self.interrupt.borrow() {
            let base = self.entry.orders.first();
            let patience = self.reading();
            let read = reads::read_back(&self.folder, base, &self.tokens.tokens, &patience).await;
            told.doubt("customers cannot read their orders after the drain", read);
        }
    }

    /// How many orders of a listing are not final, once it had its time.
    async fn listing(&self, url: &str, quiet: Duration, path: &Path) -> anyhow::Result<u64> {
        let patience = Patience::until(self.drain, self.interrupt.clone(), INTERRUPTED[0]);
        let reader = OrdersReader::new(url, &self.operator)?.at_most(self.most());
        Ok(reader.settle(&patience, quiet, || self.reading(), path).await?.open)
    }

    fn reading(&self) -> Patience {
        let within = self.drain.max(READ_WITHIN);
        Patience::until(within, self.interrupt.clone(), INTERRUPTED[1])
    }

    fn most(&self) -> u64 {
        self.asked.saturating_mul(PER_ASKED).saturating_add(SPARE)
    }

    /// All dead letters, in a table if there are any.
    async fn dead_letters(&self) -> anyhow::Result<()> {
        let path = self.folder.join(files::DEAD_LETTERS);
        let mut table = PackedTable::begin(&path)?;
        for url in &self.source.dead_letters {
            let read = dead_letters(url, self.most(), |row| table.put(&row));
            self.reading().hold(url, read).await?;
        }
        if table.end()? == 0 {
            std::fs::remove_file(&path)?;
        }
        Ok(())
    }
}

/// Reads the network's journal into the record, after everything was stopped; returns doubts.
///
/// # Errors
/// If it cannot be read, or the table not be written.
pub(crate) fn charges(
    folder: &Path,
    journal: &Path,
    seals: &Seals,
    marks: &[Mark],
) -> anyhow::Result<Vec<String>> {
    let mut table = PackedTable::begin(&folder.join(files::CHARGES))?;
    let doubts = read_journal(journal, seals, marks, |row| table.put(&row))?;
    table.end()?;
    Ok(doubts)
}
