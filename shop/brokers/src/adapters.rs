//! The brokers that there are, and from a URL to one of them. To add one: its file, its `mod` in `lib.rs`,
//! and its name here. The contract suite asks each of them.

use std::sync::Arc;

use crate::adapter::{Adapter, Keeper};
#[cfg(feature = "kafka")]
use crate::kafka;
#[cfg(feature = "nats")]
use crate::nats;
#[cfg(feature = "postgres")]
use crate::postgres;
#[cfg(feature = "rabbitmq")]
use crate::rabbitmq;
#[cfg(feature = "redis")]
use crate::redis;
#[cfg(feature = "sqs")]
use crate::sqs;
use crate::{Broker, Error, Result, Settings, channel, embedded, memory};

const ADAPTERS: &[Adapter] = &[
    embedded::ADAPTER,
    embedded::INSIDE,
    channel::ADAPTER,
    memory::ADAPTER,
    #[cfg(feature = "nats")]
    nats::ADAPTER,
    #[cfg(feature = "kafka")]
    kafka::ADAPTER,
    #[cfg(feature = "postgres")]
    postgres::ADAPTER,
    #[cfg(feature = "rabbitmq")]
    rabbitmq::ADAPTER,
    #[cfg(feature = "rabbitmq")]
    rabbitmq::LAVINMQ,
    #[cfg(feature = "redis")]
    redis::ADAPTER,
    #[cfg(feature = "sqs")]
    sqs::ADAPTER,
];
/// What a build without its feature does not know.
const LEFT_OUT: &[&str] = &[
    #[cfg(not(feature = "nats"))]
    "nats",
    #[cfg(not(feature = "kafka"))]
    "kafka",
    #[cfg(not(feature = "postgres"))]
    "postgres",
    #[cfg(not(feature = "rabbitmq"))]
    "rabbitmq",
    #[cfg(not(feature = "rabbitmq"))]
    "lavinmq",
    #[cfg(not(feature = "redis"))]
    "redis",
    #[cfg(not(feature = "sqs"))]
    "sqs",
];

/// All that there are.
#[must_use]
pub fn adapters() -> &'static [Adapter] {
    ADAPTERS
}

/// The broker that a URL names, such as `embedded://HOST:PORT`; `?lease=10s&attempts=8&backoff=100ms`,
/// `backoff-max` and `depth-max` set what a client keeps. It need not be there yet: until it is, its
/// operations answer `Unavailable`.
///
/// # Errors
/// `Invalid` for a URL that is not understood.
pub fn connect(url: &str) -> Result<Arc<dyn Broker>> {
    let Target { adapter, address, settings } = Target::parse(url)?;
    (adapter.open)(address, settings)
}

/// What a client of this broker says of it: nothing of what the server says itself.
///
/// # Errors
/// As `connect`.
pub fn told(url: &str) -> Result<http_server::Settings> {
    let Target { adapter, settings, .. } = Target::parse(url)?;
    let told = http_server::Settings::default();
    Ok(match adapter.settings {
        Keeper::Server => told,
        Keeper::Client => told.and(settings.told()).with("messages", adapter.told()),
    })
}

/// What a URL says.
struct Target<'a> {
    adapter: &'static Adapter,
    address: &'a str,
    settings: Settings,
}

impl<'a> Target<'a> {
    fn parse(url: &'a str) -> Result<Self> {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let (scheme, rest) = place.split_once(':').unwrap_or((place, ""));
        let named = adapters().iter().find(|adapter| adapter.scheme == scheme);
        let met = named.and_then(|adapter| Some((adapter, adapter.address(rest)?)));
        let (adapter, address) = met.ok_or_else(|| unknown(scheme))?;
        if adapter.settings == Keeper::Server && !query.is_empty() {
            let text = format!("{scheme}: takes no settings: its process has flags for them");
            return Err(Error::Invalid(text));
        }
        Ok(Self { adapter, address, settings: Settings::parse(query)? })
    }
}

/// The scheme alone is shown: the rest of a URL may hold a password.
fn unknown(scheme: &str) -> Error {
    if LEFT_OUT.contains(&scheme) {
        let build = "cargo build --release --workspace --bins --features engines";
        return Error::Invalid(format!("this build has no `{scheme}:`; build with `{build}`"));
    }
    let known: Vec<_> = adapters().iter().map(|adapter| adapter.form).collect();
    Error::Invalid(format!("no broker is reached by `{scheme}:…`; known are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_url_names_an_adapter_an_address_and_settings() {
        let target = Target::parse("embedded://127.0.0.1:7400/").unwrap();
        assert_eq!((target.adapter.scheme, target.address), ("embedded", "127.0.0.1:7400"));
        let target = Target::parse("channel:?lease=4s&attempts=3").unwrap();
        let settings =
            Settings { lease: Duration::from_secs(4), attempts_max: 3, ..Settings::default() };
        assert_eq!((target.address, target.settings), ("", settings));
    }

    #[test]
    fn settings_that_a_server_keeps_are_refused() {
        let refused = Target::parse("embedded://127.0.0.1:7400?lease=4s").err().unwrap();
        assert!(refused.to_string().contains("its process has flags"), "{refused}");
    }

    #[test]
    fn a_client_tells_what_it_keeps_and_who_does_what() {
        assert_eq!(told("embedded://127.0.0.1:7400"), Ok(http_server::Settings::default()));
        let told = serde_json::to_value(told("channel:?lease=4s").unwrap()).unwrap();
        assert_eq!(told["lease of a message"], "4 s");
        let share = "channel: leases, delays, dead letters by itself, nothing by our code";
        assert_eq!(told["messages"], share);
        let told = serde_json::to_value(super::told("memory:").unwrap()).unwrap();
        let share = "memory: leases by itself, delays, dead letters by our code";
        assert_eq!(told["messages"], share);
    }
}
