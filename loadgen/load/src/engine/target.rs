//! Where requests go: a host with all of its addresses. It knows no connection.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, ensure};

use super::tls::Tls;

/// A host's addresses, of which one is tried first: the one that was reached last.
#[derive(Clone, Debug)]
pub struct Target {
    addresses: Vec<SocketAddr>,
    first: usize,
    tls: Option<Tls>,
}

/// One try of a host's address: which one the tries began with, and how many were before this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Try {
    begun_with: usize,
    before: usize,
}

impl Target {
    /// All addresses of host:port, in the system's order.
    ///
    /// # Errors
    /// If there is none.
    pub fn resolve(host: &str) -> anyhow::Result<Self> {
        let found = host.to_socket_addrs().with_context(|| format!("cannot resolve {host}"))?;
        let addresses: Vec<SocketAddr> = found.collect();
        ensure!(!addresses.is_empty(), "{host} has no address");
        Ok(Self { addresses, first: 0, tls: None })
    }

    /// The same, encrypted.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// How its connections are encrypted, if they are.
    pub(super) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// The address that is tried first.
    #[must_use]
    pub fn first(&self) -> SocketAddr {
        self.addresses[self.first]
    }

    /// Tries begin here.
    pub(super) fn begin(&self) -> Try {
        Try { begun_with: self.first, before: 0 }
    }

    /// The address of a try; `None` when all were tried.
    pub(super) fn address(&self, of: Try) -> Option<SocketAddr> {
        let count = self.addresses.len();
        (of.before < count).then(|| self.addresses[(of.begun_with + of.before) % count])
    }

    /// Further tries begin with the address that was reached.
    pub(super) fn reached(&mut self, of: Try) {
        self.first = (of.begun_with + of.before) % self.addresses.len();
    }
}

impl Try {
    /// The one after this.
    pub(super) fn next(self) -> Self {
        Self { before: self.before + 1, ..self }
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self { addresses: vec![address], first: 0, tls: None }
    }
}

impl From<Vec<SocketAddr>> for Target {
    /// At least one.
    fn from(addresses: Vec<SocketAddr>) -> Self {
        Self { addresses, first: 0, tls: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_tried_once_and_the_one_that_was_reached_is_the_first_from_then_on() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut target = Target::from(vec![address(1), address(2), address(3)]);
        let all = |target: &Target| {
            let tries = std::iter::successors(Some(target.begin()), |of| Some(of.next()));
            tries.map_while(|of| target.address(of)).map(|a| a.port()).collect::<Vec<_>>()
        };
        assert_eq!(all(&target), [1, 2, 3]);
        target.reached(target.begin().next());
        assert_eq!(all(&target), [2, 3, 1]);
    }

    #[test]
    fn a_name_has_all_of_its_addresses() {
        let target = Target::resolve("127.0.0.1:80").unwrap();
        assert_eq!(target.addresses, [SocketAddr::from(([127, 0, 0, 1], 80))]);
        assert!(
            Target::resolve("no such host:80").unwrap_err().to_string().contains("no such host")
        );
    }
}
