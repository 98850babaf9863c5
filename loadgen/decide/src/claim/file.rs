//! The claim's file: what it may hold, and what contradicts itself.

use std::collections::BTreeMap;
use std::path::Path;

use scenario::config::{self, ConfigError, Span};
use serde::Deserialize;
use toml::Spanned;

use super::Claim;
use super::expect::{Expect, Quantity, RawExpect, Rule, Wrong};
use crate::verdict::LEAST_BLOCKS_OF_FACTS;

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
    blocks: Option<Spanned<u32>>,
    predict: Option<Spanned<Predict>>,
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

/// What a sweep is over if it is over how many processes there are.
pub const REPLICAS: &str = "replicas";

/// The same again at each of several values.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// `scenario`; a dotted key of the scenario's file; with `arm`, PROCESS.FLAG of its settings, or
    /// `replicas.PROCESS`; with `of`, a FLAG, or `replicas`.
    pub key: String,
    /// Further keys that get the same values.
    #[serde(default)]
    pub also: Vec<String>,
    /// Its values, in order.
    pub values: Vec<toml::Value>,
    /// Whose setting it is; without it, the scenario's.
    pub arm: Option<String>,
    /// In every arm, the process whose flag it is, or of which there are so many.
    #[serde(default)]
    pub of: BTreeMap<String, String>,
    /// All of it again at each of these: the sweep is a map.
    pub across: Option<Across>,
}

/// The other side of a sweep that is a map.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Across {
    /// A dotted key of the scenario's file.
    pub key: String,
    /// Further keys that get the same values.
    #[serde(default)]
    pub also: Vec<String>,
    /// Its values, in order.
    pub values: Vec<toml::Value>,
}

impl Sweep {
    /// How often all its values come: once, or for each value of `across`.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.across.as_ref().map_or(1, |across| across.values.len())
    }

    /// The process of this arm of which there are as many as each value says, and how many that is; `None` if the sweep
    /// is over something else.
    #[must_use]
    pub fn replicated(&self, arm: &str) -> Option<(&str, Vec<i64>)> {
        let process = match &self.arm {
            Some(swept) if swept == arm => {
                self.key.split_once('.').filter(|(word, _)| *word == REPLICAS).map(|(_, of)| of)
            }
            Some(_) => None,
            None => self.of.get(arm).map(String::as_str).filter(|_| self.key == REPLICAS),
        };
        Some((process?, self.values.iter().filter_map(toml::Value::as_integer).collect()))
    }
}

/// How those ask who retry: what a model needs beside the scenario to foresee an event ([`crate::storm`]).
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predict {
    /// After how long an attempt is given up; the next one follows at once.
    pub timeout: Span,
    /// How many attempts there are.
    pub attempts: u32,
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
        let claim = Claim {
            id,
            sentence: self.sentence,
            source: self.source,
            expect: expect.collect::<Result<_, _>>()?,
            control: self.control.map(|name| known(name, &arms)).transpose()?,
            arms,
            scenario: self.scenario,
            set: self.set,
            sweep,
            confounds: self.confounds,
            refuted_by: self.refuted_by,
            needs: self.needs,
            must: self.must,
            blocks: self.blocks.map(enough).transpose()?,
            predict: self.predict.map(asking).transpose()?,
        };
        let wrong = if claim.needs.is_none() { claim.lacks() } else { None };
        wrong.or(claim.is_all_control()).map_or(Ok(claim), |text| Err((None, text)))
    }
}

impl Claim {
    /// What a claim that is to be decided lacks.
    fn lacks(&self) -> Option<String> {
        let has_scenario = !self.scenario.is_empty()
            || self.sweep.as_ref().is_some_and(|sweep| sweep.key == "scenario");
        let of = |control: &String| {
            self.expect.iter().flat_map(|one| one.of.cells()).any(|cell| cell.arm == *control)
        };
        let what = match &self.control {
            _ if !has_scenario => "expected `scenario`".to_owned(),
            _ if self.expect.is_empty() => "expected an [[expect]]".to_owned(),
            _ if self.refuted_by.is_empty() => {
                "expected `refuted_by`: what would show that the sentence is wrong".to_owned()
            }
            Some(control) if !of(control) => {
                format!("nothing is expected of the control {control}")
            }
            _ => return None,
        };
        Some(format!("{what}; or `needs`, where it cannot be decided here"))
    }

    /// Then nothing would be left to decide.
    fn is_all_control(&self) -> Option<String> {
        let control = self.control.as_ref()?;
        let all = !self.expect.is_empty() && self.expect.iter().all(|one| self.is_control(one));
        all.then(|| format!("all is expected of the control {control} alone"))
    }

    /// Whether an expectation is about the control arm alone: the experiment's own, and no part of the sentence.
    pub(crate) fn is_control(&self, expect: &Expect) -> bool {
        match (&expect.of, &expect.rule) {
            (Quantity::One(cell), Rule::Within(_)) => self.control.as_ref() == Some(&cell.arm),
            _ => false,
        }
    }
}

/// More would be a mistake in the file.
const BLOCKS_MAX: u32 = 1_000;

fn enough(blocks: Spanned<u32>) -> Result<u32, Wrong> {
    let (at, blocks) = (blocks.span().start, blocks.into_inner());
    let least = LEAST_BLOCKS_OF_FACTS as u32;
    if (least..=BLOCKS_MAX).contains(&blocks) {
        return Ok(blocks);
    }
    Err((Some(at), format!("blocks is {blocks}; expected {least} to {BLOCKS_MAX}")))
}

/// Who asks never, or waits for no time, is no client.
fn asking(predict: Spanned<Predict>) -> Result<Predict, Wrong> {
    let (at, predict) = (predict.span().start, predict.into_inner());
    if predict.attempts > 0 && !predict.timeout.0.is_zero() {
        return Ok(predict);
    }
    Err((Some(at), "predict: expected a timeout, and 1 of the attempts at least".to_owned()))
}

fn arms(raw: BTreeMap<String, Spanned<toml::Value>>) -> Result<BTreeMap<String, Arm>, Wrong> {
    let checked = |(name, value): (String, Spanned<toml::Value>)| {
        let at = Some(value.span().start);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err((at, format!("the arm {name:?}: a name has letters, digits and -")));
        }
        let arm = arm(value.into_inner());
        arm.map_err(|text| (at, format!("the arm {name}: {text}"))).map(|arm| (name, arm))
    };
    raw.into_iter().map(checked).collect()
}

/// A system's name, or more.
fn arm(value: toml::Value) -> Result<Arm, String> {
    match value {
        toml::Value::String(system) => {
            let (replicas, settings, set) = <_>::default();
            Ok(Arm { system, replicas, settings, set })
        }
        table @ toml::Value::Table(_) => {
            table.try_into::<Arm>().map_err(|error| config::explain(error.message()))
        }
        _ => {
            Err("expected a system's name, or a table with system, replicas, settings, set"
                .to_owned())
        }
    }
}

fn swept(sweep: Spanned<Sweep>, arms: &BTreeMap<String, Arm>) -> Result<Sweep, Wrong> {
    let at = Some(sweep.span().start);
    let sweep = sweep.into_inner();
    if sweep.values.len() < 2 || (sweep.across.is_some() && sweep.rows() < 2) {
        return Err((at, "a sweep has two values at least, and so has `across`".to_owned()));
    }
    let stranger = sweep.arm.iter().chain(sweep.of.keys()).find(|arm| !arms.contains_key(*arm));
    stranger.map_or(Ok(()), |arm| Err((at, unknown(arm, arms))))?;
    if sweep.arm.is_some() && !sweep.of.is_empty() {
        return Err((at, "a sweep has `arm` or `of`, not both".to_owned()));
    }
    let left_out = arms.keys().find(|arm| !sweep.of.is_empty() && !sweep.of.contains_key(*arm));
    if let Some(arm) = left_out {
        return Err((at, format!("`of` names no process of the arm {arm}")));
    }
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
