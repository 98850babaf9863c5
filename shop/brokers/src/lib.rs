//! How messages travel: the port, its adapters, and the embedded durable broker.
//!
//! Bytes and typed topics only: this crate knows no shop. Delivery is at least once, so a consumer
//! must be idempotent; publishing twice stores two messages.

mod breaker;
pub mod channel;
mod claim;
mod clock;
pub mod embedded;
mod error;
mod lane;
mod lease;
mod port;
mod settings;
mod topic;
mod window;
mod worker;

use std::sync::Arc;

pub use error::{Error, Result};
pub use port::{
    Broker, DeadLetter, Delivery, Depth, Failure, Message, Micros, Receipt, Settle,
    SubscribeOptions, Subscription,
};
pub use settings::{Backoff, Settings};
pub use topic::{Handled, Inbox, Received, Topic, Trouble};

/// The broker that the URL's scheme names: `embedded://HOST:PORT`, or `channel:` for a new one inside
/// this process. It need not be there yet: until it is, its operations answer `Unavailable`.
///
/// # Errors
/// `Invalid` for a scheme that is not known.
pub fn connect(url: &str) -> Result<Arc<dyn Broker>> {
    if let Some(address) = url.strip_prefix("embedded://") {
        return Ok(Arc::new(embedded::Client::new(address.trim_end_matches('/'))));
    }
    if url == "channel:" {
        return Ok(Arc::new(channel::Channel::new(Settings::default())));
    }
    let scheme = url.split_once(':').map_or(url, |(scheme, _)| scheme);
    Err(Error::Invalid(format!(
        "unknown broker `{scheme}:`; known are embedded://HOST:PORT and channel:"
    )))
}
