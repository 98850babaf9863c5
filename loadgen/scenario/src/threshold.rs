//! `[[threshold]]`: what a scenario promises.

use serde::{Deserialize, Serialize};

use super::Condition;
use crate::operation;
use record::Operation;

/// One promise of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// What must hold.
    pub expect: Condition,
    /// Of which operation; without it, of `place` (or of the only one).
    #[serde(
        default,
        deserialize_with = "operation::read",
        skip_serializing_if = "Option::is_none"
    )]
    pub operation: Option<Operation>,
    /// In which phase; without it, in each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}
