//! An order as an answer tells it, read by what it means: escapes, space, the order of names, number
//! forms and further fields make no difference. It knows neither status codes nor what was asked.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use record::{Trouble, number};

/// A longer id is not kept: a UUID has 36 bytes.
const ID_BYTES_MAX: usize = 256;

/// What the answer says.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Order<'a> {
    /// The order's id; not empty.
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    /// The idempotency key.
    #[serde(borrow)]
    pub(super) key: Cow<'a, str>,
    /// Its state's word.
    #[serde(borrow)]
    pub(super) status: Cow<'a, str>,
    /// Its sum; `None` if it is not told as a whole number.
    #[serde(default, rename = "total_cents", deserialize_with = "number::whole_or_none")]
    pub(super) amount_cents: Option<i64>,
}

/// Reads the order of an answer's body.
///
/// # Errors
/// Why it was not understood.
pub(super) fn order(body: &[u8]) -> Result<Order<'_>, Trouble> {
    // Borrows what has no escapes; what it refuses may still be JSON, as names that are told twice.
    let order = serde_json::from_slice(body).or_else(|_| by_value(body))?;
    match order {
        Order { id, .. } if id.is_empty() => Err(Trouble::FieldMissing),
        Order { id, .. } if id.len() > ID_BYTES_MAX => Err(Trouble::AnswerTooLong),
        order => Ok(order),
    }
}

/// The slow way. Of a name that is told twice the last counts, as with most readers (RFC 8259, 4).
fn by_value(body: &[u8]) -> Result<Order<'static>, Trouble> {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else {
        return Err(Trouble::NotJson);
    };
    let amount_cents = fields.remove("total_cents").and_then(|cents| number::whole(cents).ok());
    let mut text = |name: &str| match fields.remove(name) {
        Some(Value::String(text)) => Ok(Cow::Owned(text)),
        _ => Err(Trouble::FieldMissing),
    };
    Ok(Order { id: text("id")?, key: text("key")?, status: text("status")?, amount_cents })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use hostile_input::mutation;

    #[track_caller]
    fn check(body: &str, expected: Result<(&str, &str, &str, Option<i64>), Trouble>) {
        let found = order(body.as_bytes());
        let found =
            found.as_ref().map(|o| (&*o.id, &*o.key, &*o.status, o.amount_cents)).map_err(|t| *t);
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn every_legal_spelling_is_understood() {
        let told = Ok(("o1", "k-1", "paid", Some(500)));
        check(r#"{"id":"o1","key":"k-1","status":"paid","total_cents":500}"#, told);
        check(
            "\t{ \"status\" :\r\n\"paid\",\"total_cents\":5e2 ,\"key\":\"k-1\",\"id\":\"o1\" }\n",
            told,
        );
        check(
            r#"{"id":"\u006f1","key":"k\u002d1","st\u0061tus":"p\u0061id","total_cents":500.0}"#,
            told,
        );
        check(
            r#"{"a":[{"id":"x"},"\ud83d\ude00"],"id":"o1","key":"k-1","status":"paid","total_cents":0.5e3}"#,
            told,
        );
        check(
            r#"{"id":"x","id":"o1","key":"k-1","status":"paid","total_cents":1,"total_cents":500}"#,
            told,
        );
        check(r#"{"id":"\"\\\/\n","key":"","status":"ü"}"#, Ok(("\"\\/\n", "", "ü", None)));
    }

    #[test]
    fn what_is_not_a_whole_number_is_no_sum() {
        for cents in ["null", "\"500\"", "5.5", "[5]", "9223372036854775808", "1e300"] {
            let body = format!(r#"{{"id":"o","key":"k","status":"paid","total_cents":{cents}}}"#);
            check(&body, Ok(("o", "k", "paid", None)));
        }
    }

    #[test]
    fn what_is_not_understood_has_its_reason() {
        for body in ["", "null", "[]", "\"id\"", "<html>", "{\"id\":\"o\"", "{} {}"] {
            check(body, Err(Trouble::NotJson));
        }
        check("{}", Err(Trouble::FieldMissing));
        check(r#"{"id":17,"key":"k","status":"paid"}"#, Err(Trouble::FieldMissing));
        check(r#"{"id":"","key":"k","status":"paid"}"#, Err(Trouble::FieldMissing));
        check(r#"{"id":"o","key":"k","status":null}"#, Err(Trouble::FieldMissing));
        let long = "o".repeat(ID_BYTES_MAX + 1);
        check(
            &format!(r#"{{"id":"{long}","key":"k","status":"paid"}}"#),
            Err(Trouble::AnswerTooLong),
        );
    }

    /// A text with each character as itself or as an escape.
    fn text(of: &str, escapes: &[bool]) -> String {
        let spelled = of.chars().zip(escapes.iter().cycle());
        let one = |(c, escape): (char, &bool)| match c {
            '"' | '\\' => format!("\\{c}"),
            c if *escape || c.is_control() => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().map(|u| format!("\\u{u:04X}")).collect()
            }
            c => c.to_string(),
        };
        format!("\"{}\"", spelled.map(one).collect::<String>())
    }

    fn space() -> impl Strategy<Value = &'static str> {
        select(&["", "", " ", "\n\t", "\r\n  "][..])
    }

    /// An object with these fields among others, in any order and spelling.
    fn spelled() -> impl Strategy<Value = (String, [String; 3], Option<i64>)> {
        let word = || "[ -~äß€😀\n]{1,6}";
        let cents = prop_oneof![
            (0_i64..1_000_000).prop_map(|n| (n.to_string(), Some(n))),
            (0_i64..1_000_000).prop_map(|n| (format!("{n}.00"), Some(n))),
            (0_i64..9_999).prop_map(|n| (format!("{n}E+2"), Some(n * 100))),
            Just(("0.25".to_owned(), None)),
            Just(("null".to_owned(), None)),
        ];
        let other = select(&["1", "\"x\"", "[1,{\"id\":2}]", "{\"key\":[]}", "true"][..]);
        let escapes = proptest::collection::vec(any::<bool>(), 1..5);
        (word(), word(), word(), cents, other, escapes, space(), space()).prop_flat_map(
            |(id, key, status, (cents, amount), other, escapes, a, b)| {
                let name = |name: &str| format!("{a}{}{b}:{a}", text(name, &escapes));
                let fields = vec![
                    format!("{}{}{b}", name("id"), text(&id, &escapes)),
                    format!("{}{}", name("key"), text(&key, &escapes)),
                    format!("{}{}{a}", name("status"), text(&status, &escapes)),
                    format!("{}{cents}", name("total_cents")),
                    format!("{}{other}", name("further")),
                ];
                let told = ([id, key, status], amount);
                Just(fields).prop_shuffle().prop_map(move |fields| {
                    (format!("{a}{{{}}}{b}", fields.join(",")), told.0.clone(), told.1)
                })
            },
        )
    }

    proptest! {
        #[test]
        fn the_spelling_makes_no_difference((body, [id, key, status], amount) in spelled()) {
            let found = order(body.as_bytes());
            prop_assert_eq!(
                found,
                Ok(Order { id: id.into(), key: key.into(), status: status.into(), amount_cents: amount }),
                "{}", body
            );
        }

        /// Whatever the bytes: where serde_json reads an object, both ways read the same of it.
        #[test]
        fn both_ways_agree(bytes in spelled().prop_flat_map(|(body, ..)| mutation::small(body.into_bytes()))) {
            if serde_json::from_slice::<Value>(&bytes).is_ok() {
                let slow = by_value(&bytes);
                if let Ok(quick) = serde_json::from_slice::<Order<'_>>(&bytes) {
                    prop_assert_eq!(Ok(quick), slow);
                }
            }
        }
    }
}
