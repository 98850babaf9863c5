//! What an adapter is: a kind of broker, by the scheme of its URLs, and what it can do by itself.

use std::sync::Arc;

use crate::{Broker, Result, Settings};

/// A kind of broker.
pub struct Adapter {
    /// What stands before the colon of its URLs.
    pub scheme: &'static str,
    /// What its URLs look like.
    pub form: &'static str,
    /// What it does by itself.
    pub capabilities: Capabilities,
    /// Who keeps the settings of its topics.
    pub settings: Keeper,
    /// Who starts a server of it, by the name of its recipe; none if it needs none, or is our own.
    pub server: Option<&'static str>,
    /// From an address, and the settings of its topics, to the port.
    pub(crate) open: fn(&str, Settings) -> Result<Arc<dyn Broker>>,
}

/// Who knows how long a lease lasts, how often a message may fail, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// The server, by its own flags.
    Server,
    /// Each client: the URL says them, `?lease=10s&attempts=8`.
    Client,
}

/// What a broker does by itself. Of the rest our code supplies delays, dead letters, replay and attempts;
/// the others it cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// What it stored survives its process.
    pub durable: bool,
    /// A delivery that nobody settles or extends comes again, even while its consumer is there.
    pub lease: bool,
    /// It counts attempts, and lets a message wait, by itself.
    pub delay: bool,
    /// It puts apart what is given up, and puts it back.
    pub dead_letters: bool,
    /// What comes again has its place by time among what is fresh, instead of beside it.
    pub order: bool,
    /// It tells messages that wait from those that a consumer has: else only their sum is right.
    pub depth: bool,
    /// It finds messages by their keys.
    pub lookup: bool,
}

impl Adapter {
    /// A broker at this address, whose client keeps these settings.
    ///
    /// # Errors
    /// `Invalid` if this is no address of its.
    pub fn open(&self, address: &str, settings: Settings) -> Result<Arc<dyn Broker>> {
        (self.open)(address, settings)
    }

    /// The address in what stands behind the colon; none if it is not as the form says.
    pub(crate) fn address<'a>(&self, rest: &'a str) -> Option<&'a str> {
        if self.form.ends_with(":PATH") {
            return (!rest.is_empty()).then_some(rest);
        }
        if !self.form.ends_with("//HOST:PORT") {
            return rest.is_empty().then_some(rest);
        }
        let address = rest.strip_prefix("//")?.trim_end_matches('/');
        (!address.is_empty()).then_some(address)
    }

    /// Who does what, for who compares systems.
    pub(crate) fn told(&self) -> String {
        let (by_itself, ours) = self.capabilities.shares();
        let [by_itself, ours] = [by_itself, ours].map(|shares| match shares.is_empty() {
            true => "nothing".to_owned(),
            false => shares.join(", "),
        });
        format!("{}: {by_itself} by itself, {ours} by our code", self.scheme)
    }
}

impl Capabilities {
    /// Of an engine that can no more than an engine must.
    pub const NONE: Self = Self {
        durable: false,
        lease: false,
        delay: false,
        dead_letters: false,
        order: false,
        depth: false,
        lookup: false,
    };
    /// Of our own brokers, when they outlive their process.
    pub const ALL: Self = Self {
        durable: true,
        lease: true,
        delay: true,
        dead_letters: true,
        order: true,
        depth: true,
        lookup: true,
    };

    /// What it does, and what is done for it.
    fn shares(self) -> (Vec<&'static str>, Vec<&'static str>) {
        let all =
            [(self.lease, "leases"), (self.delay, "delays"), (self.dead_letters, "dead letters")];
        let (by_itself, ours): (Vec<_>, Vec<_>) = all.into_iter().partition(|(can, _)| *can);
        let names =
            |shares: Vec<(bool, &'static str)>| shares.into_iter().map(|(_, n)| n).collect();
        (names(by_itself), names(ours))
    }
}
