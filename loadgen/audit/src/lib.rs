//! What became of every order and every charge: what customers were told, held against the orders'
//! ledger, the provider's journal and the broker's dead letters.
//!
//! It reads records and knows no system. A customer's view has three values (acknowledged, certainly
//! failed, unknown), and so has the verdict: a doubt is never a pass.

pub mod campaign;
pub mod capacity;
mod clock;
pub mod digest;
mod doubt;
pub mod drift;
mod few;
mod journal;
mod judge;
mod operations;
mod reading;
mod recovery;
mod rules;
mod stock;
mod story;
pub mod threshold;
pub mod validity;
mod work;
// for those who want to see it
mod money;
mod order;
mod text;

pub use clock::Clock;
pub use judge::{Audit, Setting, Window, judge};
pub use money::{Flow, Money, Point};
pub use order::{Event, Traces, order};
pub use reading::{Read, record, traces, traces_of};
use recovery::recovery;
pub use text::{bound, events_text, table};

#[cfg(test)]
mod cases;
#[cfg(test)]
mod reference;
