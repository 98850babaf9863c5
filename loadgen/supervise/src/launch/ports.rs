//! Ports that are a trial's own for as long as it runs, also while nobody listens there: another trial's
//! process that took the port of one that is dead would be taken for it, and charge its cards. It knows
//! names, not who listens.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use anyhow::Context;

/// What the kernel gives to those who ask for any port, unless it was told otherwise.
const EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;
/// Well-known ports lie below.
const LOWEST: u16 = 10_000;
/// Fewer are no choice for several trials.
const CHOICE_MIN: u16 = 1_000;
const TRIES: u32 = 1_000;

/// Free ports by name; also listened to until all are known, so that no two names share one.
#[derive(Default)]
pub(super) struct Ports {
    named: BTreeMap<String, TcpListener>,
    reserved: Reserved,
}

/// Keeps other harnesses from these ports while it lives; with the process it ends by itself.
#[derive(Default)]
pub(super) struct Reserved(Vec<UnixListener>);

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
            let (listener, reservation) = take().context("no free port was found")?;
            self.named.insert(name.to_owned(), listener);
            self.reserved.0.push(reservation);
        }
        Ok(self.named[name].local_addr()?.port())
    }
}

/// A port that nobody has or has reserved, and that nobody is given who asks for any.
fn take() -> io::Result<(TcpListener, UnixListener)> {
    let told = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let from = choice(told.ok().and_then(|text| ephemeral(&text)).unwrap_or(EPHEMERAL));
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..TRIES {
        let number = rand::random_range(from.clone());
        match reserve(number).and_then(|kept| Ok((TcpListener::bind(("127.0.0.1", number))?, kept)))
        {
            Ok(taken) => return Ok(taken),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// An address that only one socket of this machine can have, and that is gone with it.
fn reserve(number: u16) -> io::Result<UnixListener> {
    let address = SocketAddr::from_abstract_name(format!("loadgen-port-{number}"))?;
    UnixListener::bind_addr(&address)
}

/// Below the ephemeral ports, or above; among them only where there is no room beside them.
fn choice(ephemeral: RangeInclusive<u16>) -> RangeInclusive<u16> {
    let (low, high) = (*ephemeral.start(), *ephemeral.end());
    if low >= LOWEST + CHOICE_MIN {
        return LOWEST..=low - 1;
    }
    if high <= u16::MAX - CHOICE_MIN {
        return high + 1..=u16::MAX;
    }
    ephemeral
}

/// Two numbers, as the kernel tells them.
fn ephemeral(text: &str) -> Option<RangeInclusive<u16>> {
    let mut words = text.split_whitespace();
    let (low, high) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (low <= high).then_some(low..=high)
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
    fn a_port_stays_the_trial_s_own_while_nobody_listens() {
        let mut ports = Ports::default();
        let number: u16 = ports.fill("{port:a}").unwrap().parse().unwrap();
        assert!(TcpListener::bind(("127.0.0.1", number)).is_err());
        let kept = ports.reserved();
        drop(TcpListener::bind(("127.0.0.1", number)).unwrap());
        let refused = reserve(number).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "another harness is refused");
        let any = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let told = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
        let given = ephemeral(&told).unwrap();
        assert!(given.contains(&any), "{any} in {given:?}");
        assert!(
            !given.contains(&number) || choice(given.clone()) == given,
            "{number} in {given:?}"
        );
        drop(kept);
        assert!(reserve(number).is_ok());
    }

    #[test]
    fn the_choice_lies_beside_what_the_kernel_gives_away() {
        assert_eq!(choice(32_768..=60_999), 10_000..=32_767);
        assert_eq!(choice(1_024..=60_999), 61_000..=65_535);
        assert_eq!(choice(1_024..=65_000), 1_024..=65_000);
        assert_eq!(ephemeral("32768\t60999\n"), Some(32_768..=60_999));
        for odd in ["", "1", "9 3", "x y", "1 70000"] {
            assert_eq!(ephemeral(odd), None, "{odd}");
        }
    }
}
