//! The names of a record's files: those of a run first, then those of a trial.

use std::path::{Path, PathBuf};

/// Machine and tools.
pub const ENVIRONMENT: &str = "environment.json";
/// In it, once the run has ended: the card network's luck. Until then nobody may know it.
pub const LUCK: &str = "luck of the card network";
/// Which claims were asked, and what is run for each; absent where none was.
pub const DECIDED: &str = "decided.json";
/// The figures that verdicts rest on, and those that are told beside them.
pub const FIGURES: &str = "figures.csv";
/// How a record that is kept for good was made; in it trials have no histories, orders and charges, and [`FIGURES`]
/// stand for what was read off them.
pub const REFERENCE: &str = "reference.json";

/// Settings, ledger of requests, validity; written last: a folder without it is no record.
pub const MANIFEST: &str = "manifest.json";
/// The verdict.
pub const AUDIT: &str = "audit.json";
/// How the scenario's promises fared; absent if nothing was promised or the trial ended early.
pub const THRESHOLDS: &str = "thresholds.json";
/// Times as histograms.
pub const LATENCIES: &str = "latency.hlog";
/// Second by second.
pub const TIMELINE: &str = "timeline.csv";
/// What processes used.
pub const RESOURCES: &str = "resources.csv";
/// How large files were.
pub const FILE_SIZES: &str = "files.csv";
/// Each fault with its instants and proofs.
pub const FAULTS: &str = "faults.csv";
/// What became of the last move of orders to a further database; absent without any.
pub const MOVED: &str = "moved.json";
/// One line per attempt.
pub const HISTORY: &str = "history.csv.zst";
/// Attempts to place poisonous orders; absent without any.
pub const POISONED: &str = "poisoned.csv.zst";
/// Orders as the system tells them; of further replicas [`orders`].
pub const ORDERS: &str = "orders.csv.zst";
/// The card network's journal.
pub const CHARGES: &str = "charges.csv.zst";
/// Dead letters; absent without any.
pub const DEAD_LETTERS: &str = "dead.csv.zst";
/// What an inventory says of its articles; absent without one.
pub const STOCK: &str = "stock.csv.zst";
/// What it holds or held for orders; absent without one.
pub const RESERVATIONS: &str = "reservations.csv.zst";
/// What customers read after the drain; absent where nobody read, and in older records.
pub const READS: &str = "reads.csv.zst";

/// What a load shows while it runs; gone when it is over.
pub const LIVE: &str = "live.jsonl";

/// A file as it is named where it is packed.
#[must_use]
pub fn packed(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}.zst"))
}

/// Orders as a replica tells them, from 1.
#[must_use]
pub fn orders(replica: usize) -> String {
    if replica == 1 { ORDERS.to_owned() } else { format!("orders-{replica}.csv.zst") }
}
