//! Signatures of requests to AWS (Signature Version 4): pure, as a function of time and key.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "sqs";
/// What is signed beside the body, in this sequence.
const SIGNED: &str = "content-type;host;x-amz-date;x-amz-target";

/// Who asks, and where.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) key: String,
    pub(super) secret: String,
    /// Of a session, where the key belongs to one.
    pub(super) token: Option<String>,
    pub(super) region: String,
}

/// What a signature covers.
pub(super) struct Signed<'a> {
    pub(super) host: &'a str,
    pub(super) target: &'a str,
    pub(super) content_type: &'a str,
    pub(super) body: &'a [u8],
}

impl Identity {
    /// The time as a header says it, and the header that proves who asked at that time.
    pub(super) fn sign(&self, signed: &Signed<'_>, now_s: i64) -> (String, String) {
        let date = date(now_s);
        let (day, region) = (&date[..8], &self.region);
        let scope = format!("{day}/{region}/{SERVICE}/aws4_request");
        let Signed { host, target, content_type, body } = signed;
        let headers = format!(
            "content-type:{content_type}\nhost:{host}\nx-amz-date:{date}\nx-amz-target:{target}\n"
        );
        let request = format!("POST\n/\n\n{headers}\n{SIGNED}\n{}", hex(&Sha256::digest(body)));
        let request = hex(&Sha256::digest(request));
        let text = format!("{ALGORITHM}\n{date}\n{scope}\n{request}");
        let signature = hex(&mac(&self.day_key(day, SERVICE), &text));
        let credential = format!("{}/{scope}", self.key);
        let header =
            format!("Credential={credential}, SignedHeaders={SIGNED}, Signature={signature}");
        (date, format!("{ALGORITHM} {header}"))
    }

    fn day_key(&self, day: &str, service: &str) -> Vec<u8> {
        let start = format!("AWS4{}", self.secret).into_bytes();
        [day, &self.region, service, "aws4_request"].iter().fold(start, |key, text| mac(&key, text))
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // Keys of any length are taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Seconds since the Unix epoch, as in 20150830T123600Z.
fn date(now_s: i64) -> String {
    const DAY_S: i64 = 86_400;
    let (day, second) = (now_s.div_euclid(DAY_S), now_s.rem_euclid(DAY_S));
    // Years begin in March here, so that a leap day is the last of its year.
    let days = day + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + next;
    let (hours, minutes, seconds) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{of_month:02}T{hours:02}{minutes:02}{seconds:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            key: "AKIDEXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
            region: "us-east-1".to_owned(),
        }
    }

    #[test]
    fn a_key_of_a_day_is_as_aws_publishes_it() {
        let key = identity().day_key("20150830", "iam");
        assert_eq!(hex(&key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }

    #[test]
    fn dates() {
        for (now_s, expected) in [
            (0, "19700101T000000Z"),
            (1_440_938_160, "20150830T123600Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_798_761_599, "20261231T235959Z"),
        ] {
            assert_eq!(date(now_s), expected);
        }
    }

    #[test]
    fn a_signature_covers_each_part() {
        let whole = Signed { host: "h", target: "t", content_type: "c", body: b"b" };
        let (_, first) = identity().sign(&whole, 7);
        assert!(
            first.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/19700101/us-east-1/sqs/")
        );
        for other in [
            Signed { host: "x", ..whole },
            Signed { target: "x", ..whole },
            Signed { content_type: "x", ..whole },
            Signed { body: b"x", ..whole },
        ] {
            assert_ne!(identity().sign(&other, 7).1, first);
        }
        assert_ne!(identity().sign(&whole, 8).1, first);
    }
}
