//! The claim's file: what it may hold, and what contradicts itself.

use std::collections::BTreeMap;
use std::path::Path;

use scenario::config::{self, ConfigError};
use serde::Deserialize;
use toml::Spanned;

use super::Claim;
use super::expect::{Cell, Quantity, RawExpect, Rule, Wrong};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sentence: String,
    source: Source,
    #[serde(default)]
    arms: BTreeMap<String, Spanned<toml::Value>>,
    #[serde(default)]
    scenario: String,
    #[serde(default)]
    set: toml::Table,
    sweep: Option<Spanned<Sweep>>,
    control: Option<Spanned<String>>,
    #[serde(default)]
    confounds: String,
    #[serde(default)]
    refuted_by: String,
    needs: Option<String>,
    must: Option<Must>,
    #[serde(default)]
    expect: Vec<RawExpect>,
}

/// Who says so.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Title, author, year.
    pub text: String,
    /// Where it can be read.
    pub url: Option<String>,
}

/// One side of the comparison: a system, and what differs from its file and from the scenario's.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// A system's name in `systems`.
    pub system: String,
    /// How often a process is started, by its name.
    #[serde(default)]
    pub replicas: BTreeMap<String, u32>,
    /// Arguments of processes, as `change.PROCESS.arguments` of a system's file: process, flag, value.
    #[serde(default)]
    pub settings: BTreeMap<String, BTreeMap<String, toml::Value>>,
    /// What differs from the scenario's file in this arm alone: dotted keys with their values.
    #[serde(default)]
    pub set: toml::Table,
}

/// The same again at each of several values.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// `scenario`; a dotted key of the scenario's file; with `arm`, PROCESS.FLAG of its settings, or
    /// `replicas.PROCESS`.
    pub key: String,
    /// Further keys that get the same values.
    #[serde(default)]
    pub also: Vec<String>,
    /// Its values, in order.
    pub values: Vec<toml::Value>,
    /// Whose setting it is; without it, the scenario's.
    pub arm: Option<String>,
}

/// How a control of the run must come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Must {
    /// It must be found.
    Hold,
    /// It must not be refuted: undecided is right, too.
    NotFail,
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Claim, ConfigError> {
    let file: File = config::parse(path, text)?;
    let id = scenario::stem(path);
    file.checked(id).map_err(|(at, why)| ConfigError::at(path, text, at, why))
}

impl File {
    fn checked(self, id: String) -> Result<Claim, Wrong> {
        let arms = arms(self.arms)?;
        let sweep = self.sweep.map(|sweep| swept(sweep, &arms)).transpose()?;
        let expect = self.expect.into_iter().map(|one| one.checked(&arms, sweep.as_ref()));
        let expect: Vec<_> = expect.collect::<Result<_, _>>()?;
        if self.needs.is_none() {
            let lacks = |text: &str| {
                Err((None, format!("{text}; or `needs`, where it cannot be decided here")))
            };
            if self.scenario.is_empty()
                && sweep.as_ref().is_none_or(|sweep| sweep.key != "scenario")
            {
                return lacks("expected `scenario`");
            }
            if expect.is_empty() {
                return lacks("expected an [[expect]]");
            }
            if self.refuted_by.is_empty() {
                return lacks("expected `refuted_by`: what would show that the sentence is wrong");
            }
        }
        let control = self.control.map(|name| known(name, &arms)).transpose()?;
        if let Some(control) = &control {
            let cells = expect.iter().flat_map(|one| one.of.cells());
            if self.needs.is_none() && !cells.into_iter().any(|cell: &Cell| cell.arm == *control) {
                return Err((None, format!("nothing is expected of the control {control}")));
            }
            let of_it = |one: &super::Expect| matches!((&one.of, &one.rule), (Quantity::One(cell), Rule::Within(_)) if cell.arm == *control);
            if !expect.is_empty() && expect.iter().all(of_it) {
                return Err((None, format!("all is expected of the control {control} alone")));
            }
        }
        Ok(Claim {
            id,
            sentence: self.sentence,
            source: self.source,
            arms,
            scenario: self.scenario,
            set: self.set,
            sweep,
            control,
            confounds: self.confounds,
            refuted_by: self.refuted_by,
            needs: self.needs,
            must: self.must,
            expect,
        })
    }
}

fn arms(raw: BTreeMap<String, Spanned<toml::Value>>) -> Result<BTreeMap<String, Arm>, Wrong> {
    let arm = |(name, value): (String, Spanned<toml::Value>)| {
        let at = value.span().start;
        let arm = match value.into_inner() {
            toml::Value::String(system) => {
                let (replicas, settings, set) = <_>::default();
                Arm { system, replicas, settings, set }
            }
            table @ toml::Value::Table(_) => {
                let read = table.try_into::<Arm>();
                read.map_err(|error| {
                    (Some(at), format!("the arm {name}: {}", config::explain(error.message())))
                })?
            }
            _ => {
                let text =
                    "a system's name is expected, or a table with system, replicas, settings, set";
                return Err((Some(at), format!("the arm {name}: {text}")));
            }
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err((Some(at), format!("the arm {name:?}: a name has letters, digits and -")));
        }
        Ok((name, arm))
    };
    raw.into_iter().map(arm).collect()
}

fn swept(sweep: Spanned<Sweep>, arms: &BTreeMap<String, Arm>) -> Result<Sweep, Wrong> {
    let at = Some(sweep.span().start);
    let sweep = sweep.into_inner();
    if sweep.values.len() < 2 {
        return Err((at, "a sweep has two values at least".to_owned()));
    }
    let stranger = sweep.arm.as_ref().filter(|arm| !arms.contains_key(*arm));
    stranger.map_or(Ok(()), |arm| Err((at, unknown(arm, arms))))?;
    Ok(sweep)
}

fn known(name: Spanned<String>, arms: &BTreeMap<String, Arm>) -> Result<String, Wrong> {
    let at = name.span().start;
    let name = name.into_inner();
    if arms.contains_key(&name) { Ok(name) } else { Err((Some(at), unknown(&name, arms))) }
}

fn unknown(name: &str, arms: &BTreeMap<String, Arm>) -> String {
    config::unknown("arm", name, &arms.keys().map(String::as_str).collect::<Vec<_>>())
}
