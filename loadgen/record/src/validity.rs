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
    /// What gives its figures two ends; it makes none of them wrong. Empty in older records, where the same
    /// was a reason.
    pub blurs: Vec<Reason>,
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

impl From<&Aborted> for Reason {
    fn from(aborted: &Aborted) -> Self {
        let Aborted { at_s, reason, of_send_lag } = aborted.clone();
        Self::Aborted { at_s, condition: reason, of_send_lag }
    }
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
    /// Sentences of what blurs figures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blurs: Vec<String>,
}

impl Validity {
    /// The reasons in words.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        self.reasons.iter().map(Reason::to_string).collect()
    }

    /// What speaks against the measurement: the reasons not to believe it, and what blurs it.
    pub fn doubts(&self) -> impl Iterator<Item = &Reason> + Clone {
        self.reasons.iter().chain(&self.blurs)
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
        let Written { valid, interrupted, aborted, reasons, kinds, blurs } = written;
        let mut kinds = kinds.into_iter().map(serde_json::from_value::<Reason>);
        let reason = |sentence: String| {
            let kind = kinds.next().and_then(Result::ok);
            let same = kind.filter(|kind| kind.to_string() == sentence);
            same.unwrap_or_else(|| Reason::parse(&sentence))
        };
        let reasons = reasons.into_iter().map(reason).collect();
        let blurs = blurs.iter().map(|sentence| Reason::parse(sentence)).collect();
        Self { valid, interrupted, aborted, reasons, blurs }
    }
}

impl From<Validity> for Written {
    fn from(validity: Validity) -> Self {
        let reasons = validity.sentences();
        // A reason is made of texts and finite numbers: it has a JSON.
        let kinds = validity.reasons.iter().flat_map(serde_json::to_value).collect();
        let Validity { valid, interrupted, aborted, blurs, .. } = validity;
        let blurs = blurs.iter().map(Reason::to_string).collect();
        Self { valid, interrupted, aborted, reasons, kinds, blurs }
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
    fn what_blurs_a_trial_does_not_make_it_invalid() {
        let lag = Reason::SendLag { p99_us: 4_000, allowed_us: 1_000 };
        let blurred = Validity { valid: true, blurs: vec![lag], ..Validity::default() };
        let json = serde_json::to_value(&blurred).unwrap();
        assert_eq!(json["blurs"][0], "send lag p99 is 4000 µs; the scenario allows 1000 µs");
        assert_eq!(read(&json), blurred);
        assert_eq!((blurred.reasons.len(), blurred.doubts().count()), (0, 1));
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
