//! What the network alone knows, and whoever runs the experiment: with it lines are sealed and luck is
//! drawn. It never leaves this process.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::line::Line;

/// Bytes of a seal: half of the hash. To guess one takes 2¹²⁸ tries.
const SEAL_BYTES: usize = 16;

/// Two keys of HMAC-SHA256 (RFC 2104): another run may have the same luck, and never the same seals.
#[derive(Clone)]
pub(crate) struct Secret {
    seal: Hmac<Sha256>,
    luck: Hmac<Sha256>,
}

impl Secret {
    /// The environment variable that gives it.
    pub(crate) const VARIABLE: &str = "TRIPTYCH_NETWORK_SECRET";

    /// That of the environment; without it one that everybody knows.
    pub(crate) fn from_environment() -> Self {
        Self::new(&std::env::var(Self::VARIABLE).unwrap_or_default())
    }

    /// Lines are sealed with the whole text; luck is drawn with what follows a colon, or else the whole.
    pub(crate) fn new(text: &str) -> Self {
        let luck = text.split_once(':').map_or(text, |(_, luck)| luck);
        Self { seal: key(text), luck: key(luck) }
    }

    /// The seal of the n-th line, hexadecimal. The key comes last: it alone may hold a space.
    pub(crate) fn seal(&self, n: u64, line: &Line) -> String {
        let Line { at_us, event, key, amount_cents, charge_id } = line;
        let (event, id) = (event.as_str(), charge_id.as_deref().unwrap_or("-"));
        let mac = of(
            &self.seal,
            format!("line {n} {at_us} {event} {amount_cents} {id} {key}").as_bytes(),
        );
        mac[..SEAL_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The seed of one draw of luck.
    pub(crate) fn luck(&self, seed: u64, purpose: u8, attempt: u32, key: &str) -> [u8; 32] {
        of(&self.luck, format!("luck {seed} {purpose} {attempt} {key}").as_bytes())
    }
}

fn key(text: &str) -> Hmac<Sha256> {
    match Hmac::new_from_slice(text.as_bytes()) {
        Ok(mac) => mac,
        Err(_) => unreachable!("a key of HMAC may have any length"),
    }
}

fn of(key: &Hmac<Sha256>, words: &[u8]) -> [u8; 32] {
    let mut mac = key.clone();
    mac.update(words);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Event;

    fn line(key: &str, charge_id: Option<&str>) -> Line {
        let charge_id = charge_id.map(ToOwned::to_owned);
        Line { at_us: 5, event: Event::Captured, key: key.to_owned(), amount_cents: 900, charge_id }
    }

    /// From another implementation: python3 -c 'import hmac, hashlib;
    /// print(hmac.new(b"secret", b"line 7 5 captured 900 ch-1 1-2 x", hashlib.sha256).hexdigest()[:32])'
    #[test]
    fn a_seal_is_the_one_that_others_compute() {
        let secret = Secret::new("secret");
        let seal = secret.seal(7, &line("1-2 x", Some("ch-1")));
        assert_eq!(seal, "8b12e665bcefe1a63be1988c25015d56");
        assert_ne!(seal, secret.seal(8, &line("1-2 x", Some("ch-1"))), "another place");
        assert_ne!(seal, secret.seal(7, &line("1-2", Some("ch-1"))), "another key");
        assert_ne!(seal, secret.seal(7, &line("1-2 x", None)), "another id");
        assert_ne!(seal, Secret::new("").seal(7, &line("1-2 x", Some("ch-1"))), "another secret");
    }

    #[test]
    fn luck_is_the_same_for_who_knows_the_secret_alone() {
        let luck = |secret: &str| Secret::new(secret).luck(1, 2, 3, "k");
        assert_eq!(luck("a"), luck("a"));
        assert_ne!(luck("a"), luck("b"));
        assert_eq!(luck("one:a"), luck("other:a"), "another run with the same luck");
        assert_ne!(luck("one:a"), luck("one:b"));
        let seal = |secret: &str| Secret::new(secret).seal(7, &line("k", None));
        assert_ne!(seal("one:a"), seal("other:a"), "who knows the luck cannot seal");
    }
}
