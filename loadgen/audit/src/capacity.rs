//! The capacity of a system: the highest arrival rate at which it keeps a scenario's objective.
//!
//! What a trial says is read off its finished record; what they say together is the search's. Who runs
//! them stands elsewhere.

mod chance;
mod findings;
mod judge;
mod keeps;
mod open;
pub mod replay;
pub mod search;
#[cfg(test)]
mod simulated;
mod thirds;
pub mod trial_at_rate;
pub mod used;
mod window;
