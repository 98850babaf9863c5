//! A line of the network's journal: what happened, when, under which key. It is written and sealed elsewhere.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    Captured,
    Declined,
    /// A key is not captured from now on.
    Voided,
    /// A repetition of a key was answered with its first result.
    Repeated,
    /// An attempt was answered 500; no money moved.
    Error,
    /// A customer was notified that the order of this key is paid. No money moves by it.
    #[serde(rename = "notified-paid")]
    NotifiedPaid,
    /// The same, that it is declined.
    #[serde(rename = "notified-declined")]
    NotifiedDeclined,
}

impl Event {
    /// Its word in the journal.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Declined => "declined",
            Self::Voided => "voided",
            Self::Repeated => "repeated",
            Self::Error => "error",
            Self::NotifiedPaid => "notified-paid",
            Self::NotifiedDeclined => "notified-declined",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Microseconds since the Unix epoch.
    pub(crate) at_us: i64,
    pub(crate) event: Event,
    pub(crate) key: String,
    pub(crate) amount_cents: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) charge_id: Option<String>,
}

impl Line {
    /// A line of this moment.
    pub(crate) fn now(
        event: Event,
        key: &str,
        amount_cents: i64,
        charge_id: Option<String>,
    ) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_us = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        Self { at_us, event, key: key.to_owned(), amount_cents, charge_id }
    }
}
