//! The closed words of a record: what became of a request, why, and what it said of an order.

use serde::{Deserialize, Serialize};

/// What became of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Answered as asked.
    Ok,
    /// Certainly without effect.
    Failed,
    /// May have had an effect.
    #[default]
    Unknown,
    /// Never sent: a limit of the generator.
    Dropped,
    /// Open when the drain ended.
    Unfinished,
}

impl Outcome {
    /// All, in the order of tables.
    pub const ALL: [Self; 5] =
        [Self::Ok, Self::Failed, Self::Unknown, Self::Dropped, Self::Unfinished];

    /// The word in tables and tags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Dropped => "dropped",
            Self::Unfinished => "unfinished",
        }
    }
}

/// Why a request has no answer, or one that was not understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// There is an answer, and it was understood.
    #[default]
    #[serde(rename = "")]
    None,
    /// The connection was refused.
    Refused,
    /// The connection could not be made for another reason.
    Connect,
    /// No connection within the time-out: nothing was sent.
    ConnectTimeout,
    /// No answer within the time-out.
    Timeout,
    /// The connection ended before the answer did.
    Reset,
    /// The answer is not HTTP.
    Garbled,
    /// Its head is longer than what is read.
    HeadTooLong,
    /// Its body is longer than what is read.
    BodyTooLong,
    /// An order was asked for, and its answer is longer than what is kept.
    AnswerTooLong,
    /// An order was asked for, and the body is no JSON object.
    NotJson,
    /// The object lacks an id, key or status that is a text.
    FieldMissing,
    /// It tells of another order.
    OtherOrder,
    /// The order's state is none that this answer may tell.
    StateUnknown,
    /// Too many requests were open.
    #[serde(rename = "in-flight-limit")]
    InFlight,
}

impl Trouble {
    /// All, the most innocent first.
    pub const ALL: [Self; 15] = [
        Self::None,
        Self::Refused,
        Self::Connect,
        Self::ConnectTimeout,
        Self::Timeout,
        Self::Reset,
        Self::Garbled,
        Self::HeadTooLong,
        Self::BodyTooLong,
        Self::AnswerTooLong,
        Self::NotJson,
        Self::FieldMissing,
        Self::OtherOrder,
        Self::StateUnknown,
        Self::InFlight,
    ];

    /// The word in tables; empty for none.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Refused => "refused",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect-timeout",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Garbled => "garbled",
            Self::HeadTooLong => "head-too-long",
            Self::BodyTooLong => "body-too-long",
            Self::AnswerTooLong => "answer-too-long",
            Self::NotJson => "not-json",
            Self::FieldMissing => "field-missing",
            Self::OtherOrder => "other-order",
            Self::StateUnknown => "state-unknown",
            Self::InFlight => "in-flight-limit",
        }
    }
}

/// What an acknowledgement said of the order's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Receipt {
    /// Not an order, or not acknowledged.
    #[default]
    #[serde(rename = "")]
    None,
    /// 202: the final state follows.
    Pending,
    /// 201: paid.
    Paid,
    /// 201: declined.
    Declined,
}

impl Receipt {
    /// All, in the order of an order's life.
    pub const ALL: [Self; 4] = [Self::None, Self::Pending, Self::Paid, Self::Declined];

    /// The word in tables; empty for none.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Declined => "declined",
        }
    }

    /// Whether the order's state was told at all.
    #[must_use]
    pub fn is_told(self) -> bool {
        self != Self::None
    }

    /// Whether the order's state will not change.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Paid | Self::Declined)
    }
}
