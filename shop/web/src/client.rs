//! Clients that implement the shop's ports over HTTP, on one bounded pool of connections.

mod base;
mod callbacks;
mod credential;
mod follower;
mod http_client;
mod manner;
mod payments;
mod probe;
mod provider;
mod stock;
mod timeouts;
mod verify;

pub use base::{Base, BaseError};
pub use callbacks::RemoteCallbacks;
pub use credential::Credential;
pub use follower::RemoteFollower;
pub use http_client::{Http, IDLE_MAX};
pub use manner::{Again, BreakerRule, Budget, Manner, Tail, Throttle};
pub use payments::RemotePayments;
pub use probe::Probe;
pub use provider::RemoteProvider;
pub use stock::RemoteStock;
pub use timeouts::{CALLBACK_CALL, CONNECT, PROVIDER_CALL, Patience, SERVICE_CALL};
pub use verify::RemoteVerify;
