//! Faults of a running system: injected and healed with proof, and certainly taken back.
//!
//! A kind of fault is one file in `kinds/`. What several kinds do alike lies beside it, and knows no kind.

mod bounds;
mod chaos;
mod disk;
#[cfg(test)]
mod document;
pub mod fits;
pub mod fsync;
mod kind;
mod kinds;
mod leading;
mod limits;
mod link;
mod need;
mod overlap;
mod parse;
mod plan;
mod planned;
mod process;
mod proof;
mod provider;
pub mod requirements;
mod stage;
mod walk;

pub use kind::{Example, Facts, Lasts, Targets};
pub use kinds::Fault;
pub use need::Need;
pub use plan::{Experiment, Plan, equip};
pub use planned::Planned;
pub use provider::set_provider;
pub use stage::{Poisoner, Stage};
pub use walk::walk;

/// What is always true of each kind.
pub fn facts() -> impl Iterator<Item = &'static Facts> {
    kinds::ALL.iter().map(|sort| &sort.facts)
}

#[cfg(test)]
mod tests;
