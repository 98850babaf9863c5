//! The TCP fault proxy: one process for all links of a system, which delays, holds, loses and cuts
//! bytes on command.
//!
//! It knows bytes, not packets or protocols. It is told what to do by lines on its standard input
//! alone, so no page in a browser can drive it, and it ends when that input ends.

mod child;
mod connection;
mod control;
mod line;
mod link_fault;
mod probe;
mod proxy;
mod pump;
mod tally;

pub use child::Links;
pub use control::serve_standard_streams;
pub use link_fault::{Direction, LinkFault};
pub use probe::{Answered, Probe};
pub use tally::Counts;

#[cfg(test)]
mod tests;
