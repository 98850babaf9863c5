//! Faults: harm to the processes of a running system, with proof of effect and certain undo.
//!
//! A kind of fault is one file in `kinds/`. What several kinds do alike lies beside it, and knows no kind.

mod bounds;
mod chaos;
mod disk;
mod document;
pub mod fits;
pub mod fsync;
mod kind;
mod kinds;
mod limits;
mod link;
mod overlap;
mod parse;
mod plan;
mod process;
mod provider;
pub mod requirements;
mod stage;
mod walk;

use std::time::Duration;

pub use document::table;
pub use kind::{Example, Facts, Harms, Lasts, Needs};
pub use kinds::{Fault, Poisoner};
pub use plan::{Experiment, Plan, Planned, equip};
pub use provider::set_provider;
pub use stage::Stage;
use stage::{Entries, Scene};
pub use walk::walk;

const PROOF_WITHIN: Duration = Duration::from_secs(2);
const PROOF_POLL: Duration = Duration::from_millis(2);

/// What is always true of each kind.
pub fn facts() -> impl Iterator<Item = &'static Facts> {
    kinds::ALL.iter().map(|sort| &sort.facts)
}

#[cfg(test)]
mod tests;
