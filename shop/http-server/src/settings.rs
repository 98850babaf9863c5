//! What a process says of itself: the settings in force, by name, for who compares processes. It knows
//! none of them. Nothing secret belongs here: everybody may read it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use crate::answer::json;

/// Names and values, served as one JSON object at `/settings`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Settings(BTreeMap<&'static str, String>);

impl Settings {
    /// With this one, too.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.0.insert(name, value.to_string());
        self
    }

    /// With a time, as people write it.
    #[must_use]
    pub fn time(self, name: &'static str, value: Duration) -> Self {
        self.with(name, format!("{} s", value.as_secs_f64()))
    }

    /// With all of these, too.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The answer to `GET /settings`.
    #[must_use]
    pub fn answer(&self) -> Response<Bytes> {
        json(StatusCode::OK, self)
    }
}
