//! What the commands of `loadgen` do: a trial from its start to its record, the searches and campaigns made
//! of trials, and the folder that their records go into.
//!
//! It shares no type with the systems that it measures: it knows URLs, commands and files.

// one trial
mod fsync;
pub mod prepare;
pub mod quiet;
mod second0;
pub mod trial;
pub mod truth;
// commands
pub mod attack_url;
pub mod capacity_search;
pub mod decide;
pub mod doctor;
pub mod environment;
pub mod list;
mod results;
pub mod run;
pub mod selftest;
pub mod serve;
pub mod terminal;
use std::pin::Pin;

/// What a command does: in a box, so that it is compiled here and not once more in the program that waits for it
/// (decision 38).
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

// whatever the bytes
#[cfg(test)]
mod foreign_histograms;
#[cfg(test)]
mod hostile;
