//! Which operations a scenario may name: those of customers. What they are is in the record.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::config;
use record::Operation;

/// The one of this name.
pub(crate) fn named(word: &str) -> Option<Operation> {
    Operation::of_customers().find(|operation| operation.as_str() == word)
}

/// All names, for messages.
pub(crate) fn names() -> Vec<&'static str> {
    Operation::of_customers().map(Operation::as_str).collect()
}

/// Reads a key that names one.
pub(crate) fn read<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Operation>, D::Error> {
    let Some(word) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let unknown = || D::Error::custom(config::unknown("value", &word, &names()));
    named(&word).map(Some).ok_or_else(unknown)
}
