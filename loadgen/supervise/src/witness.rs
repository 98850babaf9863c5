//! The card network as a witness: its lines bear a number and a seal that only who has the run's secret
//! can make, and it says how many it wrote. It judges no order.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::asking;
use record::ledger::ChargeRow;

const SEAL_BYTES: usize = 16;
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
const MARK_BYTES_MAX: usize = 4_096;

/// Tells whether a line is the network's: HMAC-SHA256 (RFC 2104), the first half.
#[derive(Clone)]
pub struct Seals(Hmac<Sha256>);

impl Seals {
    /// With the secret that the network was given.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        match Hmac::new_from_slice(secret.as_bytes()) {
            Ok(mac) => Self(mac),
            Err(_) => unreachable!("a key of HMAC may have any length"),
        }
    }

    /// What stands under the network's line of this content, hexadecimal.
    #[must_use]
    pub fn of(&self, row: &ChargeRow) -> String {
        let ChargeRow { at_us, event, key, amount_cents, charge_id, n } = row;
        let (n, id) = (n.unwrap_or(0), charge_id.as_deref().unwrap_or("-"));
        let mut mac = self.0.clone();
        mac.update(format!("line {n} {at_us} {event} {amount_cents} {id} {key}").as_bytes());
        let bytes = mac.finalize().into_bytes();
        bytes.iter().take(SEAL_BYTES).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// How far the journal was when the network was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Mark {
    /// Its lines.
    pub lines: u64,
    /// The seal of the last.
    pub seal: String,
}

/// Asks the network at `base` how far its journal is.
///
/// # Errors
/// If it does not say.
pub async fn mark(base: &str, token: &str) -> anyhow::Result<Mark> {
    let http = crate::http::client(ANSWERS_WITHIN)?;
    let url = format!("{base}/control/journal");
    let what = format!("GET {url}");
    asking::ask_json(http.get(&url).bearer_auth(token), MARK_BYTES_MAX, &what).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same line as in the network's own test, from a third implementation.
    #[test]
    fn a_seal_is_the_one_that_the_network_makes() {
        let row = ChargeRow {
            at_us: 5,
            event: "captured".to_owned(),
            key: "1-2 x".to_owned(),
            amount_cents: 900,
            charge_id: Some("ch-1".to_owned()),
            n: Some(7),
        };
        let seals = Seals::new("secret");
        assert_eq!(seals.of(&row), "8b12e665bcefe1a63be1988c25015d56");
        assert_ne!(seals.of(&row), Seals::new("Secret").of(&row));
        assert_ne!(seals.of(&row), seals.of(&ChargeRow { n: Some(8), ..row.clone() }));
    }
}
