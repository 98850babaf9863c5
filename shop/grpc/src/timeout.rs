//! How long a caller will still wait, as gRPC writes it: at most eight digits and a unit.

use std::time::Duration;

/// Where it stands.
pub(crate) const HEADER: &str = "grpc-timeout";
const DIGITS_MAX: usize = 8;

/// What such a header grants; `None` if it is none.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || digits.len() > DIGITS_MAX {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_in_its_unit() {
        let check = |text: &str, expected| assert_eq!(parse(text), expected, "{text}");
        check("1H", Some(Duration::from_secs(3_600)));
        check("2M", Some(Duration::from_secs(120)));
        check("3S", Some(Duration::from_secs(3)));
        check("250m", Some(Duration::from_millis(250)));
        check("99999999u", Some(Duration::from_micros(99_999_999)));
        check("7n", Some(Duration::from_nanos(7)));
        for wrong in ["", "m", "3", "3s", "-3S", "+3S", "123456789m", "3 S", "3ü"] {
            check(wrong, None);
        }
    }
}
