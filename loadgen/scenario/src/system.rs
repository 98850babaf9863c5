//! A system: which processes to start, which roles they play, where requests go. Data, not code.

mod link;
mod process;
pub mod secret;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::{self, ConfigError};
use crate::{Target, locate, stem};
use record::ExpectedViolation;

pub use link::LINKS;
pub use link::LinkSpec;
pub use process::ProcessSpec;

/// The roles that a process may play.
pub const ROLES: [&str; 7] =
    ["auth", "orders", "payments", "broker", "balancer", "provider", "database"];

/// The systems that are compared unless others are named.
pub const DEFAULT: [&str; 3] = ["monolith", "microservices-sync", "microservices-async"];

/// A system file. Texts may hold `{data}` (the trial's folder for what the system must not lose),
/// `{outside}` (its folder for the outside world's journal, which no harm to the disk reaches),
/// `{port:NAME}` (a free port, the same wherever the name is used) and `{link:NAME}` (host:port
/// where a link begins). Environments may hold `{secret:NAME}`: a random word of the run, which only
/// processes that name it are given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemSpec {
    /// The file's name without `.toml`.
    #[serde(skip_deserializing)]
    pub name: String,
    /// The file.
    #[serde(skip)]
    pub path: PathBuf,
    /// One sentence: what it is.
    pub about: String,
    /// Makes it a control: the class of violation that the audit must find in every trial, or
    /// `none` if it must find nothing. A control that disappoints makes the run exit with 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_violation: Option<ExpectedViolation>,
    /// Settings that a reader compares: durability, time-outs, pools.
    #[serde(default)]
    pub parity: BTreeMap<String, String>,
    /// What is started, in this order.
    #[serde(rename = "process")]
    pub processes: Vec<ProcessSpec>,
    /// Edges that can be harmed.
    #[serde(default, rename = "link", skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkSpec>,
    /// Where requests go.
    pub entry: Entry,
    /// Where the truth is read after the load.
    pub audit: AuditSource,
}

/// Base URLs by operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// For /signup and /login.
    pub auth: String,
    /// For /orders.
    pub orders: String,
    /// For the provider's /control.
    pub provider: String,
}

/// Where the audit reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditSource {
    /// A URL that lists all orders to the operator: GET ?after=…&limit=…; or a list of them, one per
    /// replica, which must agree after the drain.
    pub orders: Urls,
    /// The provider's journal of charges, JSON lines.
    pub journal: String,
    /// URLs that list dead letters: GET ?after=…&limit=… answers {"dead": [{"id", "key", …}]}.
    #[serde(default)]
    pub dead_letters: Vec<String>,
}

/// One URL or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a URL or a list of URLs")]
pub enum Urls {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Urls {
    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(url) => std::slice::from_ref(url),
            Self::Many(urls) => urls,
        }
    }

    /// All of them, to be filled in.
    pub fn all_mut(&mut self) -> &mut [String] {
        match self {
            Self::One(url) => std::slice::from_mut(url),
            Self::Many(urls) => urls,
        }
    }

    /// The first; empty if there is none.
    #[must_use]
    pub fn first(&self) -> &str {
        self.all().first().map_or("", String::as_str)
    }
}

impl SystemSpec {
    /// Reads and checks a system: a name in `./systems`, or a path.
    ///
    /// # Errors
    /// If the file is missing, does not parse, or breaks a rule.
    pub fn read(name: &str) -> Result<Self, ConfigError> {
        let path = locate("systems", name)?;
        let mut system: Self = config::read(&path)?;
        system.name = stem(&path);
        for process in &mut system.processes {
            let mut texts = process.command.iter().chain(process.env.values());
            process.keeps_data = texts.any(|text| text.contains("{data}"));
        }
        system.path.clone_from(&path);
        system.check().map_err(|text| ConfigError::new(&path, text))?;
        Ok(system)
    }

    /// The processes that play a role.
    #[must_use]
    pub fn players(&self, role: &str) -> Vec<usize> {
        self.those(|process| process.plays.iter().any(|own| own == role))
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

    /// Harm to the disk must not reach the outside world, and must reach somebody.
    ///
    /// # Errors
    /// If it would, or would not.
    pub fn check_outside(&self) -> Result<(), String> {
        let alone = |p: &&ProcessSpec| p.plays.iter().all(|role| role == "provider");
        let inside = self.processes.iter().filter(alone).find(|p| p.keeps_data);
        if let Some(process) = inside {
            return Err(format!(
                "a fault harms the disk, but of the system {} the process {:?}, the outside world, keeps its journal in {{data}}; place it in {{outside}}",
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

    fn check(&self) -> Result<(), String> {
        if self.processes.is_empty() {
            return Err("there is no [[process]]".to_owned());
        }
        if self.audit.orders.all().is_empty() {
            return Err("audit.orders is an empty list; expected one URL at least".to_owned());
        }
        for (i, process) in self.processes.iter().enumerate() {
            if process.command.is_empty() {
                return Err(format!("process {:?}: the command is empty", process.name));
            }
            if self.processes[..i].iter().any(|p| p.name == process.name) {
                return Err(format!("two processes are called {:?}", process.name));
            }
            process.check_data()?;
            for role in &process.plays {
                if !ROLES.contains(&role.as_str()) {
                    return Err(format!(
                        "process {:?} plays {role:?}; expected one of {}",
                        process.name,
                        ROLES.join(", ")
                    ));
                }
            }
        }
        for role in ["auth", "orders", "payments", "provider"] {
            if self.players(role).is_empty() {
                return Err(format!("no process plays {role:?}"));
            }
        }
        self.processes.iter().try_for_each(ProcessSpec::check_secrets)?;
        self.check_links()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

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
            system.check()
        };
        assert_eq!(checked(&text), Ok(()));
        let told = checked(&given).unwrap_err();
        assert!(told.contains("\"monolith\": {secret:network} is for the process"), "{told}");
        let alone = text.replace("plays = [\"provider\"]", "plays = [\"provider\", \"broker\"]");
        assert!(checked(&alone).unwrap_err().contains("\"provider\": {secret:network}"));
    }
}
