//! Whether a trial may be believed, as the manifest keeps it: sentences for people, and beside them
//! the same reasons by kind.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Reason;

/// Whether a trial's numbers may be believed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Validity {
    /// False if any reason is given.
    pub valid: bool,
    /// Stopped before its end by a signal.
    pub interrupted: bool,
    /// Ended early by a condition of the scenario; absent if it was not.
    pub aborted: Option<Aborted>,
    /// Why not.
    pub reasons: Vec<Reason>,
}

/// The condition that ended a trial early.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aborted {
    /// The second at whose begin it held.
    pub at_s: u64,
    /// The condition and what was found.
    pub reason: String,
    /// Whether it is a condition on the generator's send lag; false in older records.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_send_lag: bool,
}

/// As it stands in the file.
#[derive(Serialize, Deserialize)]
struct Written {
    valid: bool,
    interrupted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aborted: Option<Aborted>,
    /// Sentences.
    reasons: Vec<String>,
    /// The same with kind and numbers; not in older records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    kinds: Vec<Value>,
}

impl Validity {
    /// The reasons in words.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        self.reasons.iter().map(Reason::to_string).collect()
    }

    /// In one word and with its reasons why a trial may not be believed.
    #[must_use]
    pub fn doubt(&self) -> String {
        let word = match self {
            Self { interrupted: true, .. } => "INTERRUPTED",
            Self { aborted: Some(_), .. } => "ABORTED",
            _ => "INVALID",
        };
        let reasons = self.sentences().join("; ");
        if reasons.is_empty() { word.to_owned() } else { format!("{word}: {reasons}") }
    }
}

impl From<Written> for Validity {
    /// The sentence is what holds: a kind that says something else, or that this version does not know,
    /// is left out.
    fn from(written: Written) -> Self {
        let Written { valid, interrupted, aborted, reasons, kinds } = written;
        let mut kinds = kinds.into_iter().map(serde_json::from_value::<Reason>);
        let reason = |sentence: String| {
            let kind = kinds.next().and_then(Result::ok);
            let same = kind.filter(|kind| kind.to_string() == sentence);
            same.unwrap_or_else(|| Reason::parse(&sentence))
        };
        let reasons = reasons.into_iter().map(reason).collect();
        Self { valid, interrupted, aborted, reasons }
    }
}

impl From<Validity> for Written {
    fn from(validity: Validity) -> Self {
        let reasons = validity.sentences();
        // A reason is made of texts and finite numbers: it has a JSON.
        let kinds = validity.reasons.iter().flat_map(serde_json::to_value).collect();
        let Validity { valid, interrupted, aborted, .. } = validity;
        Self { valid, interrupted, aborted, reasons, kinds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &Value) -> Validity {
        serde_json::from_value(json.clone()).unwrap()
    }

    #[test]
    fn a_record_without_kinds_is_read_and_one_with_them_keeps_its_numbers() {
        let old = serde_json::json!({
            "valid": false,
            "interrupted": false,
            "reasons": ["the hypervisor took 6.2 % of the machine's time", "stopped by the user"],
        });
        let Validity { reasons, aborted, .. } = read(&old);
        let stopped = Reason::Other { sentence: "stopped by the user".to_owned() };
        assert_eq!((reasons, aborted), (vec![Reason::Steal { share: 0.062 }, stopped], None));
        let exact = Reason::Steal { share: 0.061_512 };
        let validity = Validity { reasons: vec![exact], ..Validity::default() };
        let json = serde_json::to_value(&validity).unwrap();
        assert_eq!(json["reasons"][0], "the hypervisor took 6.2 % of the machine's time");
        assert_eq!(json["kinds"][0], serde_json::json!({"kind": "steal", "share": 0.061_512}));
        assert_eq!(read(&json), validity);
    }

    #[test]
    fn a_kind_that_contradicts_its_sentence_or_is_of_a_later_version_is_left_out() {
        for kind in [
            serde_json::json!({"kind": "steal", "share": 0.5}),
            serde_json::json!({"kind": "full-moon"}),
            serde_json::json!(7),
        ] {
            let json = serde_json::json!({
                "valid": false,
                "interrupted": false,
                "reasons": ["orders were still pending at the end of the drain"],
                "kinds": [kind],
            });
            assert_eq!(read(&json).reasons, [Reason::StillPending]);
        }
    }
}
