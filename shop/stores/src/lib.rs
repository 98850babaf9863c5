//! Where the shop remembers: one adapter per database, chosen by the scheme of a URL.
//!
//! It answers the shop's storage ports and decides nothing: what an order may become is the shop's
//! business. Returned means durable, except in memory.

mod adapter;
mod memory;
mod open;
#[cfg(feature = "postgres")]
mod postgres;
mod shards;
mod sqlite;

pub use adapter::{Adapter, OpenError, Stores};
pub use group_commit::Stats;
pub use open::{adapters, open};
