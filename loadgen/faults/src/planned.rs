//! One fault with its time and whom it harms, known to fit its kind.

use serde_json::{Map, Value};

use super::kind::{Facts, Lasts, Targets};
use super::kinds::{Fault, of_disk};
use super::parse::Mistake;
use scenario::config::Span;
use scenario::{FaultSpec, Target};

/// A fault with its time and whom it harms.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// When it begins.
    pub at: Span,
    /// How long it lasts; absent where nothing is healed by time.
    pub lasts: Option<Span>,
    /// Who or what is harmed.
    pub target: Target,
    /// What is done.
    pub fault: Fault,
}

impl Planned {
    /// Reads and checks one fault, within a load of `load_s` seconds.
    pub(super) fn of(spec: &FaultSpec, load_s: f64) -> Result<Self, Mistake> {
        let FaultSpec { at, lasts, target, what } = spec;
        let name = format!("fault {} on {:?}", what.kind, target.to_string());
        let planned = Fault::parse(what).and_then(|fault| {
            let planned = Self { at: *at, lasts: *lasts, target: target.clone(), fault };
            let checked = planned.check(load_s);
            checked.map(|()| planned).map_err(|text| Mistake::rule(what.place, text))
        });
        planned.map_err(|mistake| mistake.about(&name))
    }

    /// When it is healed; at once where it does not last.
    #[must_use]
    pub fn until(&self) -> Span {
        Span(self.at.0 + self.lasts.unwrap_or_default().0)
    }

    /// The kind and whom it harms, for messages.
    #[must_use]
    pub fn named(&self) -> String {
        format!("{} on {:?}", self.fault.facts().name, self.target.to_string())
    }

    /// The parameters that are given, by their keys.
    #[must_use]
    pub fn parameters(&self) -> Map<String, Value> {
        match serde_json::to_value(&self.fault) {
            Ok(Value::Object(parameters)) => parameters,
            _ => Map::new(),
        }
    }

    /// As the scenario says it, for the manifest.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut all = self.parameters();
        all.insert("at".to_owned(), self.at.to_string().into());
        if let Some(lasts) = self.lasts {
            all.insert("for".to_owned(), lasts.to_string().into());
        }
        all.insert("harm".to_owned(), self.target.to_string().into());
        all.insert("kind".to_owned(), self.fault.facts().name.into());
        Value::Object(all)
    }

    pub(super) fn check(&self, load_s: f64) -> Result<(), String> {
        let facts = self.fault.facts();
        self.check_time(load_s)?;
        check_target(facts, &self.target)?;
        self.fault.check()
    }

    fn check_time(&self, load_s: f64) -> Result<(), String> {
        let facts = self.fault.facts();
        let kind = facts.name;
        match (facts.lasts, self.lasts) {
            (Lasts::Must, None) => {
                return Err(format!("kind = {kind:?} needs the key `for`: how long it lasts"));
            }
            (Lasts::Never, Some(_)) => {
                return Err(format!(
                    "the key `for` does not belong to kind = {kind:?}, which is over when it is done"
                ));
            }
            _ => {}
        }
        let nothing = self.lasts.is_some_and(|lasts| lasts.0.is_zero());
        if nothing || self.at.as_s() >= load_s || self.until().as_s() > load_s {
            let lasts = self.lasts.map_or(String::new(), |lasts| format!(" for {lasts}"));
            return Err(format!("at {}{lasts} does not lie within the load ({load_s} s)", self.at));
        }
        Ok(())
    }
}

/// Whether a kind can be done to it.
fn check_target(facts: &Facts, target: &Target) -> Result<(), String> {
    match (facts.targets, target) {
        (Targets::Role, Target::Role(_))
        | (Targets::Link, Target::Link(_))
        | (Targets::Disk, Target::Disk) => Ok(()),
        (Targets::Only(only, _), Target::Role(role)) if role == only => Ok(()),
        (Targets::Disk, _) => {
            Err(format!("kind = {:?} harms \"disk\": write harm = \"disk\"", facts.name))
        }
        (_, Target::Disk) => Err(format!("harm = \"disk\" goes with kind = {}", of_disk())),
        (Targets::Only(only, why), _) => {
            Err(format!("this kind harms the role {only:?} only{why}"))
        }
        (Targets::Link, _) => {
            Err("this kind harms a link; expected harm = \"link:NAME\"".to_owned())
        }
        (Targets::Role, Target::Link(_)) => Err("this kind harms a role, not a link".to_owned()),
    }
}
