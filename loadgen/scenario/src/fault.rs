//! A fault as a scenario file says it: when, for how long, whom, and what its kind is given. It knows
//! no kind: the parameters stay as they are written, each with its place in the file.

use std::fmt;
use std::ops::Range;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::config::Span;

/// What `harm` says of the disk that the system's data lies on, which is no role.
const DISK: &str = "disk";
/// Before the name of a link, where a role could stand.
const LINK: &str = "link:";
/// What every fault may be given; all else belongs to its kind.
pub const HEADER: [&str; 4] = ["at", "for", "harm", "kind"];

/// Who or what is harmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every process that plays a role.
    Role(String),
    /// An edge between processes.
    Link(String),
    /// Where the system's data lies.
    Disk,
}

impl Target {
    /// As it is written in a scenario.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match (text, text.strip_prefix(LINK)) {
            (DISK, _) => Self::Disk,
            (_, Some(link)) => Self::Link(link.to_owned()),
            (role, None) => Self::Role(role.to_owned()),
        }
    }

    /// The link, if it is one.
    #[must_use]
    pub fn link(&self) -> Option<&str> {
        match self {
            Self::Link(name) => Some(name),
            Self::Role(_) | Self::Disk => None,
        }
    }

    /// Whether it is this role.
    #[must_use]
    pub fn is_role(&self, role: &str) -> bool {
        matches!(self, Self::Role(own) if own == role)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(role) => f.write_str(role),
            Self::Link(name) => write!(f, "{LINK}{name}"),
            Self::Disk => f.write_str(DISK),
        }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}

/// One fault.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSpec {
    /// When it begins.
    pub at: Span,
    /// How long it lasts; absent where nothing is healed by time.
    pub lasts: Option<Span>,
    /// Who or what is harmed.
    pub target: Target,
    /// What is done.
    pub what: RawFault,
}

/// A fault without its time, and perhaps without whom it harms.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Who or what is harmed, if it is said.
    pub target: Option<Target>,
    /// What is done.
    pub what: RawFault,
}

/// The name of a kind and what it is given, as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawFault {
    /// The name.
    pub kind: String,
    /// Where it stands in the file, if it is known.
    pub place: Option<usize>,
    /// What stands beside it and is no part of the header, in the file's order.
    pub parameters: Vec<Parameter>,
}

/// A key of a fault's table with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: toml::Value,
    /// Where the key begins in the file.
    pub key_at: usize,
    /// Where the value begins.
    pub value_at: usize,
}

/// The keys of a fault's table, sorted.
#[derive(Default)]
struct Keys {
    at: Option<Span>,
    lasts: Option<Span>,
    target: Option<Target>,
    what: Option<RawFault>,
}

impl Keys {
    fn read<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut keys = Self::default();
        let mut parameters = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key_at = key.span().start;
            match key.into_inner() {
                key if key == "at" => keys.at = Some(map.next_value()?),
                key if key == "for" => keys.lasts = Some(map.next_value()?),
                key if key == "harm" => keys.target = Some(map.next_value()?),
                key if key == "kind" => keys.what = Some(named(map.next_value()?)),
                key => {
                    let value = map.next_value::<Spanned<toml::Value>>()?;
                    let value_at = value.span().start;
                    let value = value.into_inner();
                    parameters.push(Parameter { key, value, key_at, value_at });
                }
            }
        }
        let what = keys.what.ok_or_else(|| A::Error::missing_field("kind"))?;
        Ok(Self { what: Some(RawFault { parameters, ..what }), ..keys })
    }
}

fn named(kind: Spanned<String>) -> RawFault {
    let Range { start, .. } = kind.span();
    RawFault { kind: kind.into_inner(), place: Some(start), parameters: Vec::new() }
}

impl<'de> Deserialize<'de> for FaultSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table;
        impl<'de> Visitor<'de> for Table {
            type Value = FaultSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table: at, harm, kind and what the kind is given")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FaultSpec, A::Error> {
                let Keys { at, lasts, target, what } = Keys::read(map)?;
                Ok(FaultSpec {
                    at: at.ok_or_else(|| A::Error::missing_field("at"))?,
                    lasts,
                    target: target.ok_or_else(|| A::Error::missing_field("harm"))?,
                    what: what.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_map(Table)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrTable;
        impl<'de> Visitor<'de> for WordOrTable {
            type Value = Template;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a kind, or a table: kind and what it is given")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Template, E> {
                let what = RawFault { kind: word.to_owned(), ..RawFault::default() };
                Ok(Template { target: None, what })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Template, A::Error> {
                let Keys { at, lasts, target, what } = Keys::read(map)?;
                for (key, given) in [("at", at), ("for", lasts)] {
                    if given.is_some() {
                        return Err(A::Error::custom(format!("chaos: the key `{key}` is drawn")));
                    }
                }
                Ok(Template { target, what: what.unwrap_or_default() })
            }
        }
        deserializer.deserialize_any(WordOrTable)
    }
}
