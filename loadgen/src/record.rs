//! The record of a trial: plain files that reports and audits read and nothing else.

mod answers;
pub mod latency;
mod manifest;
pub mod poisoned;
pub mod read;
pub mod seal;
mod tables;
mod verdict;
pub(crate) mod whole;

pub use answers::not_ok;
pub use manifest::{
    Aborted, Attempts, Cost, Evidence, FORMAT, FORMAT_OLDEST, Fsync, Generator, Limits, Manifest,
    Phase, RatePoint, RequestCounts, Validity,
};
pub use tables::{FaultRow, FileRow, GENERATOR, ResourceRow, TimelineRow};
pub(crate) use tables::{header, write_csv};
pub use verdict::{
    Answer, AuditCounts, FaultRecovery, Finding, Met, Metastable, PHASE, Recovery, Verdict,
};
