//! Clients that implement the shop's ports over HTTP, on one bounded pool of connections.

mod base;
mod http_client;
mod payments;
mod provider;
mod ready;
mod verify;

pub use base::{Base, BaseError};
pub use http_client::Http;
pub use payments::RemotePayments;
pub use provider::RemoteProvider;
pub use ready::Dependencies;
pub use verify::RemoteVerify;
