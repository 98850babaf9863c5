//! How long a server asks its clients to wait (RFC 9110, 10.2.3): seconds, or a date.

use std::time::{Duration, SystemTime};

/// The wait that the header's value asks for; `None` if it is no such value.
pub(super) fn parse(value: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than that are longer than anybody waits.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    Some(until.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates() {
        let second = Duration::from_secs(1);
        assert_eq!(parse(b"0"), Some(Duration::ZERO));
        assert_eq!(parse(b"120"), Some(second * 120));
        assert_eq!(parse(b"99999999999999999999999"), Some(second * u32::MAX));
        assert_eq!(parse(b"Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
        let later = httpdate::fmt_http_date(SystemTime::now() + second * 100);
        let wait = parse(later.as_bytes()).unwrap();
        assert!(second * 90 < wait && wait <= second * 100, "{wait:?}");
        for wrong in ["", "-1", "+1", "1.5", "soon", "\u{e9}"] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
