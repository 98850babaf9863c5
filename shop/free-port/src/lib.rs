//! Ports of loopback that are nobody else's, also while nobody listens there: a process that took the port of
//! one that is dead, or not yet up, would be taken for it.

use std::io;
use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// What the kernel gives to those who ask for any port, unless it was told otherwise.
const EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;
/// Well-known ports lie below.
const LOWEST: u16 = 10_000;
/// Fewer are no choice for several trials.
const CHOICE_MIN: u16 = 1_000;
const TRIES: u32 = 1_000;

/// Keeps all who ask here from a port while it lives; with the process it ends by itself.
#[derive(Debug)]
pub struct Reserved(#[expect(dead_code, reason = "it ends when it is dropped")] UnixListener);

/// A port that nobody has or has reserved, and that nobody is given who asks the kernel for any. It is listened
/// to, so that it is free to be listened to once the listener is dropped.
///
/// # Errors
/// If none was found.
pub fn take() -> io::Result<(TcpListener, Reserved)> {
    let told = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let from = choice(told.ok().and_then(|text| ephemeral(&text)).unwrap_or(EPHEMERAL));
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..TRIES {
        match listen(rand::random_range(from.clone())) {
            Ok(taken) => return Ok(taken),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen(number: u16) -> io::Result<(TcpListener, Reserved)> {
    let reserved = reserve(number)?;
    Ok((TcpListener::bind(("127.0.0.1", number))?, reserved))
}

/// An address that only one socket of this machine can have, and that is gone with it.
fn reserve(number: u16) -> io::Result<Reserved> {
    let address = SocketAddr::from_abstract_name(format!("loadgen-port-{number}"))?;
    UnixListener::bind_addr(&address).map(Reserved)
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
    fn a_port_stays_its_owner_s_while_nobody_listens() {
        let (listener, kept) = take().unwrap();
        let number = listener.local_addr().unwrap().port();
        assert!(TcpListener::bind(("127.0.0.1", number)).is_err());
        drop(listener);
        drop(TcpListener::bind(("127.0.0.1", number)).unwrap());
        let refused = reserve(number).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "another is refused");
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
