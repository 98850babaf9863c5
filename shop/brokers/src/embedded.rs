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
mod delivering;
mod exchange;
mod figures;
mod link;
mod offers;
mod queue;
mod reading;
mod server;
mod topics;
mod wire;

use std::sync::Arc;

use crate::adapter::{Adapter, Capabilities, Keeper};

pub use client::Client;
pub use queue::{Options, Queue};
pub use reading::TopicDepth;
pub use server::serve;
pub use topics::Counts;

pub(crate) const ADAPTER: Adapter = Adapter {
    scheme: "embedded",
    form: "embedded://HOST:PORT",
    capabilities: Capabilities::ALL,
    settings: Keeper::Server,
    server: None,
    open: |address, _| Ok(Arc::new(Client::new(address))),
};
