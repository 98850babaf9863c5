//! The shop over HTTP: routes that serve its ports, clients that implement them.
//!
//! It translates and decides nothing: what may be bought is the shop's affair, what may be sent the
//! server's. Which routes a process plays is said by its wiring.

mod accounts;
mod charges;
pub mod client;
mod gate;
mod orders;
pub mod problem;
mod ready;
mod request;
mod routes;
mod settlements;
mod shards;
mod shedding;
mod stock;
mod threads;

pub use ready::Ready;
pub use routes::Routes;
pub use shedding::Shedding;
pub use threads::Threads;
