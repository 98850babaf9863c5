//! A system: which processes to start, which roles they play, where requests go. Data, not code.

mod chain;
mod change;
mod link;
mod process;
mod replicas;
pub mod secret;
mod spec;
mod variant;
mod wrong;

#[cfg(test)]
mod family_tests;

use std::path::Path;

use crate::config::ConfigError;
use crate::{Target, locate, names};
use process::NETWORK_ROLE;
use wrong::{At, Wrong};

pub use chain::FOLDER;
pub use link::LINKS;
pub use process::{Init, ProcessSpec, Stop, StopSignal};
pub use spec::{AuditSource, Entry, LinkSpec, SystemSpec, Urls};

/// Where a text names the lease.
pub const LEASE: &str = "{lease}";

impl SystemSpec {
    /// Reads and checks a system: a name in `./systems`, or a path.
    ///
    /// # Errors
    /// If a file is missing, does not parse, or breaks a rule; with the file of the chain and the line.
    pub fn read(name: &str) -> Result<Self, ConfigError> {
        let path = locate(FOLDER, name)?;
        let (mut system, mut places) = chain::read(&path)?;
        let made = replicas::expand(&mut system).map_err(|wrong| places.error(&path, wrong))?;
        made.into_iter().for_each(|(replica, of)| places.also(&replica, &of));
        for process in &mut system.processes {
            let keeps_data = process.texts().any(|text| text.contains("{data}"));
            process.keeps_data = keeps_data;
        }
        system.check().map_err(|wrong| places.error(&path, wrong))?;
        Ok(system)
    }

    /// Reads the systems of these names; of none, those that have a place among the default ones.
    ///
    /// # Errors
    /// As [`Self::read`], and if none is named and no file in `./systems` has a place.
    pub fn read_all(given: &[String]) -> Result<Vec<Self>, ConfigError> {
        if !given.is_empty() {
            return given.iter().map(|name| Self::read(name)).collect();
        }
        let all =
            names(FOLDER).iter().map(|name| Self::read(name)).collect::<Result<Vec<_>, _>>()?;
        let mut chosen: Vec<Self> = all.into_iter().filter(|s| s.default.is_some()).collect();
        chosen.sort_by_key(|system| system.default);
        if chosen.is_empty() {
            let text = "no system is named, and no file here says default = 1; name a system, or run from the project's folder";
            return Err(ConfigError::new(Path::new(FOLDER), text));
        }
        Ok(chosen)
    }

    /// The processes that play a role.
    #[must_use]
    pub fn players(&self, role: &str) -> Vec<usize> {
        self.those(|process| process.plays.iter().any(|own| own == role))
    }

    /// Whether the other is its base.
    #[must_use]
    pub fn extends(&self, other: &Self) -> bool {
        self.family.last().is_some_and(|base| *base == chain::whole(&other.path))
    }

    /// The processes that are compared: all but the card network.
    #[must_use]
    pub fn own_processes(&self) -> Vec<&ProcessSpec> {
        self.processes.iter().filter(|process| !process.is_network()).collect()
    }

    /// The processes that a fault harms: that play the role, or keep something on the disk. A link's
    /// users are not harmed themselves.
    #[must_use]
    pub fn harmed(&self, target: &Target) -> Vec<usize> {
        match target {
            Target::Role(role) => self.players(role),
            Target::Disk => self.those(|process| process.keeps_data),
            Target::Link(_) => Vec::new(),
        }
    }

    fn those(&self, holds: impl Fn(&ProcessSpec) -> bool) -> Vec<usize> {
        (0..self.processes.len()).filter(|index| holds(&self.processes[*index])).collect()
    }

    /// The roles that its processes play, sorted.
    #[must_use]
    pub fn played(&self) -> Vec<&str> {
        let mut played: Vec<&str> =
            self.processes.iter().flat_map(|p| p.plays.iter().map(String::as_str)).collect();
        played.sort_unstable();
        played.dedup();
        played
    }

    /// A fault of the disk must not reach the card network, and must reach somebody.
    ///
    /// # Errors
    /// If it would, or would not.
    pub fn check_network(&self) -> Result<(), String> {
        let inside = self.processes.iter().find(|p| p.is_network() && p.keeps_data);
        if let Some(process) = inside {
            return Err(format!(
                "a fault harms the disk, but of the system {} the process {:?}, the card network, keeps its journal in {{data}}; place it in {{outside}}",
                self.name, process.name
            ));
        }
        if self.audit.journal.contains("{data}") {
            return Err(format!(
                "a fault harms the disk, but the audit of the system {} reads the journal {:?} there; place it in {{outside}}",
                self.name, self.audit.journal
            ));
        }
        if self.harmed(&Target::Disk).is_empty() {
            return Err(format!(
                "a fault harms the disk, but no process of the system {} keeps anything in {{data}}",
                self.name
            ));
        }
        Ok(())
    }

    fn check_lease(&self, process: &ProcessSpec) -> Result<(), String> {
        let mut texts = process.texts();
        if self.lease.is_some() || !texts.any(|text| text.contains(LEASE)) {
            return Ok(());
        }
        Err(format!(
            "process {:?} names {LEASE}, but the file has no lease = \"10s\"",
            process.name
        ))
    }

    fn check(&self) -> Result<(), Wrong> {
        if self.processes.is_empty() {
            return Err("there is no [[process]]".to_owned().into());
        }
        let lists = [
            ("audit.orders", &self.audit.orders),
            ("entry.auth", &self.entry.auth),
            ("entry.orders", &self.entry.orders),
        ];
        if let Some((key, _)) = lists.iter().find(|(_, urls)| urls.all().is_empty()) {
            return Err(format!("{key} is an empty list; expected one URL at least").into());
        }
        for (i, process) in self.processes.iter().enumerate() {
            let named = || At::Process(process.name.clone());
            if self.processes[..i].iter().any(|p| p.name == process.name) {
                return Err(Wrong {
                    at: named(),
                    text: format!("two processes are called {:?}", process.name),
                });
            }
            let checked = process.check().and_then(|()| self.check_lease(process));
            checked.map_err(|text| Wrong { at: named(), text })?;
        }
        if self.players(NETWORK_ROLE).is_empty() {
            let text = format!(
                "no process plays {NETWORK_ROLE:?}, the card network whose journal the audit reads"
            );
            return Err(text.into());
        }
        self.check_links()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// A system file that keeps this.
    fn keeping(data: &str) -> Result<SystemSpec, String> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../systems");
        let text = std::fs::read_to_string(format!("{folder}/monolith.toml")).unwrap();
        let text = text.replace("data = [\"{data}/shop.db*\"]", data);
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("mine.toml");
        std::fs::write(&path, text).unwrap();
        SystemSpec::read(&path.to_string_lossy()).map_err(|e| e.to_string())
    }

    #[test]
    fn what_can_be_lost_lies_in_the_data() {
        assert!(keeping("data = [\"{data}/shop.db*\"]").is_ok());
        for outside in ["{outside}/provider.jsonl", "/etc/passwd", "{data}/../outside"] {
            let told = keeping(&format!("data = [{outside:?}]")).unwrap_err();
            assert!(told.contains("expected {data}/…"), "{told}");
        }
    }

    #[test]
    fn no_contestant_is_given_the_card_network_s_secret() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../systems/monolith.toml");
        let text = std::fs::read_to_string(path).unwrap();
        let given = text.replace(
            "TRIPTYCH_OPERATOR_TOKEN",
            "X = \"{secret:network}\", TRIPTYCH_OPERATOR_TOKEN",
        );
        assert_ne!(given, text);
        let checked = |text: &str| {
            let system: SystemSpec = config::parse(Path::new("s.toml"), text).unwrap();
            system.check().map_err(|wrong| wrong.text)
        };
        assert_eq!(checked(&text), Ok(()));
        let told = checked(&given).unwrap_err();
        assert!(told.contains("\"monolith\": {secret:network} is for the process"), "{told}");
        let alone = text.replace("plays = [\"provider\"]", "plays = [\"provider\", \"broker\"]");
        assert!(checked(&alone).unwrap_err().contains("\"provider\": {secret:network}"));
    }
}
