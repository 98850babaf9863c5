//! Ports that are a trial's own for as long as it runs, also while nobody listens there: another trial's
//! process that took the port of one that is dead would be taken for it, and charge its cards. It knows
//! names, not who listens.

use std::collections::BTreeMap;
use std::net::TcpListener;

use anyhow::Context;

/// Free ports by name; also listened to until all are known, so that no two names share one.
#[derive(Default)]
pub(super) struct Ports {
    named: BTreeMap<String, TcpListener>,
    reserved: Reserved,
}

/// Keeps other harnesses from these ports while it lives; with the process it ends by itself.
#[derive(Default)]
pub(super) struct Reserved(Vec<free_port::Reserved>);

impl Ports {
    /// A text with the numbers instead of the names.
    pub(super) fn fill(&mut self, text: &str) -> anyhow::Result<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{port:") {
            let (name, behind) = after
                .split_once('}')
                .with_context(|| format!("{text:?}: {{port: without a closing brace"))?;
            out.push_str(before);
            out.push_str(&self.port(name)?.to_string());
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The ports are free to be listened to, and still nobody else's.
    pub(super) fn reserved(self) -> Reserved {
        self.reserved
    }

    fn port(&mut self, name: &str) -> anyhow::Result<u16> {
        if !self.named.contains_key(name) {
            let (listener, reservation) = free_port::take().context("no free port was found")?;
            self.named.insert(name.to_owned(), listener);
            self.reserved.0.push(reservation);
        }
        Ok(self.named[name].local_addr()?.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_one_number_wherever_it_is_named() {
        let mut ports = Ports::default();
        let a = ports.fill("http://127.0.0.1:{port:a}/x").unwrap();
        assert_eq!(a, ports.fill("http://127.0.0.1:{port:a}/x").unwrap());
        assert_ne!(a, ports.fill("http://127.0.0.1:{port:b}/x").unwrap());
        assert!(ports.fill("{port:a").is_err());
        assert_eq!(ports.fill("plain").unwrap(), "plain");
    }

    #[test]
    fn once_all_are_known_who_they_are_for_can_listen() {
        let mut ports = Ports::default();
        let number: u16 = ports.fill("{port:a}").unwrap().parse().unwrap();
        assert!(TcpListener::bind(("127.0.0.1", number)).is_err());
        let _kept = ports.reserved();
        drop(TcpListener::bind(("127.0.0.1", number)).unwrap());
    }
}
