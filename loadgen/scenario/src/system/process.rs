//! A process of a system file: what is started, what it plays, what it keeps.

use std::collections::BTreeMap;
use std::process::ExitStatus;

use serde::{Deserialize, Serialize};

use super::secret;
use crate::Target;
use crate::config::Span;

/// The role of the card network, which is no part of what is compared.
pub(super) const NETWORK_ROLE: &str = "provider";

/// One process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    /// Its name in tables and logs.
    pub name: String,
    /// The roles that it plays.
    pub plays: Vec<String>,
    /// Program and arguments. The program is looked for beside `loadgen`, then on the PATH.
    pub command: Vec<String>,
    /// So many of them, with `{index}` in the texts, from 1; one, without an index, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// Where it listens, and how it is known to be able to work: a URL that answers 200, or `tcp://HOST:PORT`
    /// that takes a connection.
    pub ready: String,
    /// A command that ends with 0 when it can work; then `ready` only says where it listens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ready_command: Vec<String>,
    /// A URL that answers 200 while it leads those that play its roles: a fault of such a role then harms
    /// who leads, alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub leads: String,
    /// What is run before its first start, and before the next after its data is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
    /// How it is told to end, and with which exit codes it then ends well.
    #[serde(default, skip_serializing_if = "Stop::is_usual")]
    pub stop: Stop,
    /// The user that it runs as, a name or a number; the folder `{data}/NAME` is that user's. The harness
    /// must be root then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
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

/// A command that makes something ready for a process, such as an empty database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Init {
    /// Program and arguments; environment and user are the process's.
    pub command: Vec<String>,
    /// How long it may take; 60 s if absent.
    #[serde(default = "Init::usual")]
    pub timeout: Span,
}

impl Init {
    fn usual() -> Span {
        Span::secs(60)
    }
}

/// How a process is told to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stop {
    /// The signal.
    pub signal: StopSignal,
    /// Exit codes of an end that it was told to.
    pub exit_codes: Vec<u8>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { signal: StopSignal::Term, exit_codes: vec![0] }
    }
}

impl Stop {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Whether this is an end as it should be.
    #[must_use]
    pub fn is_good(&self, status: ExitStatus) -> bool {
        status
            .code()
            .is_some_and(|code| self.exit_codes.iter().any(|good| i32::from(*good) == code))
    }
}

/// Signals that ask a process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopSignal {
    /// The usual one.
    #[serde(rename = "SIGTERM")]
    Term,
    /// As a terminal does; of PostgreSQL the fast shutdown.
    #[serde(rename = "SIGINT")]
    Int,
    /// Of nginx and others the graceful one.
    #[serde(rename = "SIGQUIT")]
    Quit,
}

impl ProcessSpec {
    /// All texts of its start, in which links and folders may be named.
    pub(super) fn texts(&self) -> impl Iterator<Item = &String> {
        let init = self.init.iter().flat_map(|init| &init.command);
        self.command.iter().chain(self.env.values()).chain(init).chain(&self.ready_command)
    }

    /// All that may hold placeholders.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let init = self.init.iter_mut().flat_map(|init| &mut init.command);
        let texts = self.command.iter_mut().chain(self.env.values_mut()).chain(init);
        texts
            .chain(&mut self.ready_command)
            .chain(&mut self.data)
            .chain([&mut self.ready, &mut self.leads])
    }

    /// The rules that need no other process.
    pub(super) fn check(&self) -> Result<(), String> {
        let init = self.init.as_ref().map(|init| &init.command);
        if self.command.is_empty() || init.is_some_and(Vec::is_empty) {
            return Err(format!("process {:?}: the command is empty", self.name));
        }
        if !["http://", "tcp://"].iter().any(|scheme| self.ready.starts_with(scheme)) {
            return Err(format!(
                "process {:?}: ready is {:?}; expected http://HOST:PORT/PATH or tcp://HOST:PORT",
                self.name, self.ready
            ));
        }
        if !self.leads.is_empty() && !self.leads.starts_with("http://") {
            return Err(format!(
                "process {:?}: leads is {:?}; expected http://HOST:PORT/PATH",
                self.name, self.leads
            ));
        }
        if self.stop.exit_codes.is_empty() {
            return Err(format!("process {:?}: stop.exit_codes is empty; expected [0]", self.name));
        }
        self.check_data()?;
        self.check_roles()?;
        self.check_secrets()
    }

    /// What a scenario's `harm` could not name is no role.
    fn check_roles(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_word = |role: &str| {
            !role.is_empty() && role.chars().all(plain) && Target::parse(role).is_role(role)
        };
        self.plays.iter().find(|role| !is_word(role)).map_or(Ok(()), |role| {
            Err(format!(
                "process {:?} plays {role:?}; expected lower-case letters, digits and -, and not {:?}",
                self.name,
                Target::Disk.to_string()
            ))
        })
    }

    fn check_secrets(&self) -> Result<(), String> {
        let init = self.init.iter().flat_map(|init| &init.command);
        let mut open = self
            .command
            .iter()
            .chain(init)
            .chain(&self.ready_command)
            .chain([&self.ready, &self.leads]);
        let named = open.try_for_each(|text| secret::check_none(text));
        let named = named.and_then(|()| self.env.values().try_for_each(|text| secret::check(text)));
        let named = named.and_then(|()| self.check_network());
        named.map_err(|text| format!("process {:?}: {text}", self.name))
    }

    /// Whether it plays the card network and nothing else.
    pub(super) fn is_network(&self) -> bool {
        !self.plays.is_empty() && self.plays.iter().all(|role| role == NETWORK_ROLE)
    }

    /// Who knows the card network's secret can write its journal and foresee its verdicts.
    fn check_network(&self) -> Result<(), String> {
        if self.is_network() || !self.env.values().any(|text| secret::names_network(text)) {
            return Ok(());
        }
        Err("{secret:network} is for the process that plays the provider and nothing else"
            .to_owned())
    }

    fn check_data(&self) -> Result<(), String> {
        let outside = |named: &&String| !named.starts_with("{data}/") || named.contains("..");
        self.data.iter().find(outside).map_or(Ok(()), |named| {
            Err(format!("process {:?}: data has {named:?}; expected {{data}}/…", self.name))
        })
    }
}
