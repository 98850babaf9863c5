//! Who of two servers of a pair writes, and who copies (decision 77): what a manager decides, and what a server does about
//! it. Pure: no clock, no network, no database.
//!
//! Each server asks the manager, several times a second, with what it is and has. The answer is its role in a term, and for
//! the one that writes a lease, which counts from the moment when it *asked*: whoever is late believes nothing that is old.
//! The manager lets the other take over only when that lease is over for certain, and only if the other had all that
//! customers were promised.

mod duty;
mod following;
mod term;
mod words;

pub use duty::{Duty, Runs, duty};
pub use following::{Counted, Following};
pub use term::{Kept, Shard, Timing};
pub use words::{Data, NODES, Order, Report, Role};
