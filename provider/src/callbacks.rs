//! The server of the shop's customers, as far as they are told what became of their orders: it takes what
//! is signed with the secret that it shares with the shop, and the journal keeps it. It knows no orders.

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::line::{Event, Line};

const FIELD_CHARS_MAX: usize = 256;
/// A signature of another time may be a copy that somebody sends again.
const FRESH_S: i64 = 300;

/// What is read of a notification.
#[derive(Deserialize)]
struct Notice {
    key: String,
    status: Status,
    total_cents: i64,
    charge_id: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Paid,
    Declined,
}

/// Why a notification is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Untaken {
    /// Nobody is told here.
    Off,
    /// It is not the shop's, or an old one.
    Unsigned,
    /// It is no notification.
    Malformed,
}

/// Reads notifications under one secret; without it none.
pub(crate) struct Callbacks(Option<Hmac<Sha256>>);

impl Callbacks {
    /// The environment variable that gives the secret.
    pub(crate) const VARIABLE: &str = "TRIPTYCH_CALLBACK_SECRET";

    pub(crate) fn from_environment() -> Self {
        let secret = std::env::var(Self::VARIABLE).ok().filter(|secret| !secret.is_empty());
        Self::new(secret.as_deref())
    }

    pub(crate) fn new(secret: Option<&str>) -> Self {
        Self(secret.and_then(|secret| Hmac::new_from_slice(secret.as_bytes()).ok()))
    }

    /// The journal's line of this notification.
    pub(crate) fn read(
        &self,
        signature: Option<&str>,
        body: &[u8],
        now_s: i64,
    ) -> Result<Line, Untaken> {
        let key = self.0.as_ref().ok_or(Untaken::Off)?;
        signature.and_then(|text| checked(key, text, body, now_s)).ok_or(Untaken::Unsigned)?;
        let notice: Notice = serde_json::from_slice(body).map_err(|_| Untaken::Malformed)?;
        if notice.key.is_empty() || notice.key.chars().count() > FIELD_CHARS_MAX {
            return Err(Untaken::Malformed);
        }
        let event = match notice.status {
            Status::Paid => Event::NotifiedPaid,
            Status::Declined => Event::NotifiedDeclined,
        };
        let charge_id = notice.charge_id.filter(|id| id.len() <= FIELD_CHARS_MAX);
        Ok(Line::now(event, &notice.key, notice.total_cents, charge_id))
    }
}

/// Something, if `t=…,v1=…` is a fresh signature of this body.
fn checked(key: &Hmac<Sha256>, signature: &str, body: &[u8], now_s: i64) -> Option<()> {
    let (at_s, mac) = signature.strip_prefix("t=")?.split_once(",v1=")?;
    let fresh = at_s.parse::<i64>().ok()?.abs_diff(now_s) <= FRESH_S.unsigned_abs();
    let mac = bytes(mac).filter(|_| fresh)?;
    let over = key.clone().chain_update(format!("{at_s}.")).chain_update(body);
    over.verify_slice(&mac).ok()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks_exact(2).filter(|_| hex.len().is_multiple_of(2));
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"id":"x","key":"k","status":"paid","total_cents":900,"charge_id":"ch-1","settled_at":5}"#;

    fn signature(secret: &str, at_s: i64, body: &str) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        let mac = mac.chain_update(format!("{at_s}.{body}")).finalize().into_bytes();
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("t={at_s},v1={hex}")
    }

    #[track_caller]
    fn check(signature: Option<&str>, body: &str, expected: Result<Event, Untaken>) {
        let read = Callbacks::new(Some("secret")).read(signature, body.as_bytes(), 1_000);
        assert_eq!(read.map(|line| line.event), expected, "{signature:?} {body}");
    }

    #[test]
    fn only_what_is_signed_and_fresh_is_taken() {
        let good = |body: &str| signature("secret", 1_000, body);
        check(Some(&good(BODY)), BODY, Ok(Event::NotifiedPaid));
        let declined = BODY.replace("paid", "declined").replace("\"ch-1\"", "null");
        check(Some(&good(&declined)), &declined, Ok(Event::NotifiedDeclined));
        check(Some(&good(BODY)), &declined, Err(Untaken::Unsigned));
        check(Some(&signature("other", 1_000, BODY)), BODY, Err(Untaken::Unsigned));
        check(Some(&signature("secret", 600, BODY)), BODY, Err(Untaken::Unsigned));
        for wrong in ["", "t=1000", "v1=00", "t=1000,v1=", "t=x,v1=00", "t=1000,v1=zz"] {
            check(Some(wrong), BODY, Err(Untaken::Unsigned));
        }
        check(None, BODY, Err(Untaken::Unsigned));
    }

    #[test]
    fn what_is_no_notification_is_not_taken() {
        let pending = BODY.replace("paid", "pending");
        let long = BODY.replace("\"k\"", &format!("{:?}", "k".repeat(257)));
        for wrong in [pending.as_str(), &long, "{}", "[]", ""] {
            check(Some(&signature("secret", 1_000, wrong)), wrong, Err(Untaken::Malformed));
        }
        let off = Callbacks::new(None).read(Some("t=1,v1="), BODY.as_bytes(), 1);
        assert_eq!(off.map(|_| ()), Err(Untaken::Off));
    }
}
