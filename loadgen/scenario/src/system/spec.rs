//! What a system file holds once it is read. What it must hold, and what it extends, is not known here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::process::ProcessSpec;
use crate::config::Span;
use record::ExpectedViolation;

/// A system file. Texts may hold `{data}` (the trial's folder for what the system must not lose),
/// `{outside}` (its folder for the card network's journal, which no fault of the disk reaches),
/// `{port:NAME}` (a free port, the same wherever the name is used) and `{link:NAME}` (host:port
/// where a link begins) and `{lease}`. Environments may hold `{secret:NAME}`: a random word of the run, which only
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
    /// The files that it extends, the root first, without links.
    #[serde(skip)]
    pub family: Vec<PathBuf>,
    /// What differs from the last of them, without a full stop.
    #[serde(skip)]
    pub differs: String,
    /// One sentence: what it is.
    pub about: String,
    /// Makes it a control: the class of violation that the audit must find in every trial, or
    /// `none` if it must find nothing. A control that disappoints makes the run exit with 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_violation: Option<ExpectedViolation>,
    /// Its place, from 1, among the systems that are compared when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<u32>,
    /// How long a message is its taker's without a sign of life: who sleeps longer has lost it. Texts
    /// name it as `{lease}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Span>,
    /// Settings that a reader compares: durability, time-outs, pools.
    #[serde(default)]
    pub parity: BTreeMap<String, String>,
    /// Promises of the conformance suite that it breaks by what it is, each with why. The suite wants them broken.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub breaks: BTreeMap<String, String>,
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
    /// For /signup and /login; of several, the n-th request goes to the n-th of them, and around.
    pub auth: Urls,
    /// For /orders; as `auth`.
    pub orders: Urls,
    /// For the provider's /control.
    pub provider: String,
    /// Where customers want to be notified of their orders, at the card network's process: every order
    /// bears this URL as its callback_url. Without it none asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callbacks: Option<String>,
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
    /// Where an inventory lists its stock: this URL, `/shelves` and `/reservations`. Without it nobody asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<String>,
}

/// An edge between processes. `{link:NAME}` is its upstream's address in ordinary runs, and the
/// fault proxy's in scenarios that harm a link or ask for it with `links = true`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkSpec {
    /// Its name.
    pub name: String,
    /// Who goes through it: processes, or `entry` for the generator.
    pub from: Vec<String>,
    /// host:port of whom it leads to.
    pub upstream: String,
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
