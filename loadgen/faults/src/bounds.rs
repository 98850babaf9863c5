//! Bounds that parameters of several kinds have.

use scenario::config::Span;

/// What is slower than this does not come.
const DELAY_MAX: Span = Span::secs(60);

/// A time by which something is late.
pub(super) fn check_delay(delay: Span) -> Result<(), String> {
    if !delay.0.is_zero() && delay <= DELAY_MAX {
        return Ok(());
    }
    Err(format!("delay is {delay}; expected at most {DELAY_MAX}, and more than 0"))
}

/// A share of those that are harmed; none would be no fault.
pub(super) fn check_share(share: Option<f64>) -> Result<(), String> {
    match share {
        Some(share) if !(share > 0.0 && share <= 1.0) => {
            Err(format!("share is {share}; expected more than 0, at most 1"))
        }
        _ => Ok(()),
    }
}

/// A part of a whole; none and all are parts, too.
pub(super) fn check_part(key: &str, part: Option<f64>) -> Result<(), String> {
    match part {
        Some(part) if !(0.0..=1.0).contains(&part) => {
            Err(format!("{key} is {part}; expected 0 to 1"))
        }
        _ => Ok(()),
    }
}

/// More of it is not provided for.
pub(super) fn check_most(key: &str, value: u64, most: u64) -> Result<(), String> {
    if value <= most {
        return Ok(());
    }
    Err(format!("{key} is {value}; expected at most {most}"))
}

/// How many; none would be no fault.
pub(super) fn check_count(count: Option<u32>) -> Result<(), String> {
    match count {
        Some(0) => Err("count is 0; expected 1 or more".to_owned()),
        _ => Ok(()),
    }
}
