//! The embedded broker: a durable queue kept in SQLite, the small process that serves it over
//! TCP, and the client that speaks to it.
//!
//! Publish returned: the row is fsynced (WAL, `synchronous=FULL`). Messages, attempts, leases and
//! dead letters survive kill -9 and power loss. When a connection closes, its leases return at
//! once; when the broker dies they last anew from its next start, and their receipts work until then.

mod alarm;
mod batch;
mod calls;
mod claiming;
mod client;
mod connection;
mod consumer;
mod control;
mod delivering;
mod exchange;
mod link;
mod offers;
mod queue;
mod reading;
mod server;
mod topics;
mod wire;

pub use client::Client;
pub use control::Control;
pub use queue::{Options, Queue};
pub use server::serve;
pub use topics::{Counts, TopicDepth};
