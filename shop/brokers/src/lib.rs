//! How messages travel: the port, its adapters, and the embedded durable broker.
//!
//! Bytes and typed topics only: this crate knows no shop. Delivery is at least once, so a consumer
//! must be idempotent; publishing twice stores two messages.

// The tests of the modules start servers as those of the crate do.
#[cfg(test)]
extern crate self as brokers;

mod adapter;
mod adapters;
mod breaker;
pub mod channel;
mod claim;
mod clock;
mod door;
pub mod embedded;
mod engine;
mod error;
mod inbox;
#[cfg(feature = "kafka")]
mod kafka;
mod lane;
#[cfg(any(feature = "nats", feature = "rabbitmq"))]
mod lazy;
mod lease;
mod memory;
#[cfg(feature = "nats")]
mod nats;
mod port;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(
    feature = "kafka",
    feature = "nats",
    feature = "postgres",
    feature = "rabbitmq",
    feature = "sqs"
))]
mod room;
// The features whose tests start a server.
#[cfg(test)]
#[cfg(any(
    feature = "kafka",
    feature = "nats",
    feature = "postgres",
    feature = "rabbitmq",
    feature = "redis"
))]
#[path = "../tests/rig/server.rs"]
mod server;
mod settings;
#[cfg(feature = "sqs")]
mod sqs;
mod supplied;
mod topic;
mod window;
mod worker;

pub use adapter::{Adapter, Capabilities, Keeper};
pub use adapters::{adapters, connect, told};
pub use door::{Afar, Behind, Door, Leads};
pub use error::{Error, Result};
pub use inbox::{Handled, Inbox, Received, Trouble};
pub use port::{
    Broker, DeadLetter, Delivery, Depth, Failure, Message, Micros, Receipt, Settle,
    SubscribeOptions, Subscription,
};
pub use settings::{Backoff, Settings, parse_span};
pub use topic::Topic;
