//! When a rate counts as kept: data of a search's record.

use serde::{Deserialize, Serialize};

use scenario::Threshold;

/// When a rate counts as kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Keeps {
    /// The share of the offered orders that must complete within the objective.
    pub share: f64,
    /// The scenario's thresholds that name no phase; all must be met.
    pub thresholds: Vec<Threshold>,
    /// The part of the arrivals that are of the main operation; not in older records.
    #[serde(default)]
    pub main_share: Option<f64>,
    /// What tells whether open orders grow.
    #[serde(default)]
    pub told_by: ToldBy,
}

/// What tells whether open orders grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToldBy {
    /// In older records: samples of the window's first and last third.
    #[default]
    Thirds,
    /// Averages and minima of its seconds, with what chance makes of them.
    Seconds,
}
