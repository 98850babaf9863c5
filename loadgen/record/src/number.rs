//! Whole numbers in whatever form a table or JSON may give them: `500`, `500.0` and `5e2` are one.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// Up to here a double holds every whole number (IEEE 754: 53 bits).
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Reads a field of a whole number.
///
/// # Errors
/// If it is none, or too large.
pub fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    deserializer.deserialize_any(Whole)
}

/// Reads a field that may be null, or empty in a table.
///
/// # Errors
/// If it is something else than a whole number.
pub fn whole_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    struct Number(i64);

    impl<'de> Deserialize<'de> for Number {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            whole(deserializer).map(Self)
        }
    }

    Ok(Option::<Number>::deserialize(deserializer)?.map(|number| number.0))
}

struct Whole;

impl Visitor<'_> for Whole {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
        number.try_into().map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    /// Whose text may be as long as a file: it is not repeated.
    fn visit_str<E: Error>(self, _: &str) -> Result<i64, E> {
        Err(E::invalid_type(Unexpected::Other("a text"), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<i64, E> {
        if number.fract() == 0.0 && number.abs() <= EXACT_MAX {
            return Ok(number as i64);
        }
        Err(E::invalid_value(Unexpected::Float(number), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Row {
        #[serde(deserialize_with = "whole")]
        sum: i64,
        #[serde(default, deserialize_with = "whole_or_none")]
        at: Option<i64>,
    }

    #[track_caller]
    fn check(sum: &str, at: &str, expected: Option<(i64, Option<i64>)>) {
        let json = format!("{{\"sum\":{sum},\"at\":{}}}", if at.is_empty() { "null" } else { at });
        let csv = format!("sum,at\n{sum},{at}\n");
        let expected = expected.map(|(sum, at)| Row { sum, at });
        assert_eq!(serde_json::from_str(&json).ok(), expected, "{json}");
        let mut table = csv::Reader::from_reader(csv.as_bytes());
        let row: Option<Row> = table.deserialize().next().unwrap().ok();
        assert_eq!(row, expected, "{csv}");
    }

    #[test]
    fn every_form_of_a_whole_number_is_read() {
        check("500", "-7", Some((500, Some(-7))));
        check("500.0", "5e2", Some((500, Some(500))));
        check("-0.0", "", Some((0, None)));
        check("9223372036854775807", "-9223372036854775808", Some((i64::MAX, Some(i64::MIN))));
    }

    #[test]
    fn what_is_none_is_refused() {
        for wrong in ["0.5", "9223372036854775808", "1e300", "true"] {
            check(wrong, "", None);
            check("1", wrong, None);
        }
        assert!(serde_json::from_str::<Row>("{\"sum\":\"500\"}").is_err());
    }
}
