//! The embedded broker: a durable queue kept in memory and in a log of its own, the small process that serves it over
//! TCP, and the client that speaks to it.
//!
//! Publish returned: the log is fsynced. Messages, attempts, leases and dead letters survive kill -9 and power loss. When
//! a connection closes, its leases return at once; when the broker dies they last anew from its next start, and their
//! receipts work until then.

mod alarm;
mod batch;
mod calls;
mod change;
mod claiming;
mod client;
mod connection;
mod consumer;
mod delivering;
mod exchange;
mod figures;
mod inside;
mod link;
mod log;
mod offers;
mod queue;
mod seen;
mod server;
mod state;
mod topics;
mod wire;

use std::path::Path;
use std::sync::Arc;

use crate::adapter::{Adapter, Capabilities, Keeper};

use inside::Inside;

pub use client::Client;
pub use log::OpenError;
pub use queue::{Options, Queue};
pub use server::serve;
pub use state::TopicDepth;
pub use topics::Counts;

/// The queue inside the process that uses it.
pub(crate) const INSIDE: Adapter = Adapter {
    scheme: "log",
    form: "log:PATH",
    capabilities: Capabilities::ALL,
    settings: Keeper::Client,
    server: None,
    open: |path, settings| Ok(Arc::new(Inside::open(Path::new(path), settings)?)),
};

pub(crate) const ADAPTER: Adapter = Adapter {
    scheme: "embedded",
    form: "embedded://HOST:PORT",
    capabilities: Capabilities::ALL,
    settings: Keeper::Server,
    server: None,
    open: |address, _| Ok(Arc::new(Client::new(address))),
};
