//! The record of a trial: plain files that reports and audits read and nothing else.

mod answers;
pub mod atomic_write;
mod bounded;
mod class;
mod control;
mod counts;
mod doubt;
pub mod files;
pub mod history;
mod key;
pub mod latency;
pub mod ledger;
mod manifest;
mod moved;
pub mod number;
mod old_faults;
mod operation;
mod outcome;
mod packed_table;
pub mod poisoned;
pub mod read;
pub mod reads;
mod reason;
pub mod redact;
pub mod requests;
mod sample;
pub mod seal;
mod sentence;
mod tables;
mod validity;
mod verdict;
mod words;

pub use answers::not_ok;
pub use class::{Class, Kind, classes, violations};
pub use control::ExpectedViolation;
pub use counts::RequestCounts;
pub use doubt::{Doubt, JournalFlaw};
pub use history::Attempt;
pub use key::{Known, prepared_keys};
pub use manifest::{
    Attempts, Cost, FORMAT, FORMAT_OLDEST, Fsync, Generator, GeneratorLimits, Manifest, Phase,
    RatePoint, Stall, Touched, TruthReading,
};
pub use moved::Moved;
pub use operation::Operation;
pub use outcome::{Outcome, Receipt, Trouble};
pub use packed_table::{PackedTable, read_table, write_table};
pub use reason::Reason;
pub use sample::{Sample, Told};
pub use tables::{FaultRow, FileRow, GENERATOR, ResourceRow, TimelineRow};
pub use tables::{header, write_csv};
pub use validity::{Aborted, Validity};
pub use verdict::{
    Answer, AuditCounts, FaultRecovery, Finding, Forecast, Met, Metastable, PHASE, Recovery,
    Verdict,
};
