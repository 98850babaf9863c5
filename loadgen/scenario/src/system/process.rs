//! A process of a system file: what is started, what it plays, what it keeps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::secret;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    /// Its name in tables and logs.
    pub name: String,
    /// The roles that it plays.
    pub plays: Vec<String>,
    /// Program and arguments. The program is looked for beside `loadgen`, then on the PATH.
    pub command: Vec<String>,
    /// A URL that answers 200 when the process can work.
    pub ready: String,
    /// Places of its work at which a fault of the kind crash can end it.
    #[serde(default)]
    pub crash_points: Vec<String>,
    /// What it keeps, files or folders in `{data}`, for faults of the kind data-loss; a `*` at the end
    /// stands for any ending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<String>,
    /// Further environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Whether it keeps something in `{data}`: its command or environment names it.
    #[serde(skip)]
    pub keeps_data: bool,
}

impl ProcessSpec {
    pub(super) fn check_secrets(&self) -> Result<(), String> {
        let mut open = self.command.iter().chain([&self.ready]);
        let named = open.try_for_each(|text| secret::check_none(text));
        let named = named.and_then(|()| self.env.values().try_for_each(|text| secret::check(text)));
        let named = named.and_then(|()| self.check_network());
        named.map_err(|text| format!("process {:?}: {text}", self.name))
    }

    /// Who knows the card network's secret can write its journal and foresee its verdicts.
    fn check_network(&self) -> Result<(), String> {
        let is_network = self.plays.iter().all(|role| role == "provider") && !self.plays.is_empty();
        if is_network || !self.env.values().any(|text| secret::names_network(text)) {
            return Ok(());
        }
        Err("{secret:network} is for the process that plays the provider and nothing else"
            .to_owned())
    }

    pub(super) fn check_data(&self) -> Result<(), String> {
        let outside = |named: &&String| !named.starts_with("{data}/") || named.contains("..");
        self.data.iter().find(outside).map_or(Ok(()), |named| {
            Err(format!("process {:?}: data has {named:?}; expected {{data}}/…", self.name))
        })
    }
}
