//! The faults of a scenario, each known to fit its kind. Who reads a scenario comes through here.

use serde_json::{Map, Value};

use super::chaos::Draw;
use super::kind::{Lasts, Needs};
use super::kinds::Fault;
use super::parse::{Mistake, parse};
use scenario::config::{ConfigError, Span};
use scenario::system::SystemSpec;
use scenario::{FaultSpec, Scenario, Target};

/// A fault with its time and whom it harms.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// When it begins.
    pub at: Span,
    /// How long it lasts; absent where nothing is healed by time.
    pub lasts: Option<Span>,
    /// Who or what is harmed.
    pub harm: Target,
    /// What is done.
    pub fault: Fault,
}

/// What is done to a system, and when: as given, or drawn anew for each seed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    given: Vec<Planned>,
    draw: Option<Draw>,
}

/// A scenario with its faults.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// Load, mix, outside world and bounds.
    pub scenario: Scenario,
    /// What is harmed, and when.
    pub plan: Plan,
}

impl Experiment {
    /// Reads and checks a scenario and its faults: a name in `./scenarios`, or a path.
    ///
    /// # Errors
    /// If the file is missing, does not parse, or breaks a rule.
    pub fn read(name: &str) -> Result<Self, ConfigError> {
        let scenario = Scenario::read(name)?;
        Ok(Self { plan: Plan::of(&scenario)?, scenario })
    }
}

impl Plan {
    /// The faults of a scenario.
    ///
    /// # Errors
    /// If a kind is not known or does not take what it is given, two faults meet, or a time is not
    /// within the load.
    pub fn of(scenario: &Scenario) -> Result<Self, ConfigError> {
        let load_s = scenario.duration_s();
        let error = |Mistake { place, text, .. }| {
            ConfigError::at(&scenario.path, &scenario.text, place, text)
        };
        let given = scenario.faults.iter().map(|spec| Planned::of(spec, load_s));
        let given = given.collect::<Result<Vec<_>, _>>().map_err(error)?;
        check_once(&given)
            .and_then(|()| super::overlap::check(&given))
            .map_err(|text| ConfigError::new(&scenario.path, text))?;
        let draw = Draw::of(scenario).map_err(error)?;
        Ok(Self { given, draw })
    }

    /// The faults of a trial with this seed.
    #[must_use]
    pub fn schedule(&self, seed: u64) -> Vec<Planned> {
        self.draw.as_ref().map_or_else(|| self.given.clone(), |draw| draw.faults(seed))
    }

    /// Whether anything that may be done, whenever, needs this of the machine.
    pub(super) fn needs(&self, what: Needs) -> bool {
        let given = self.given.iter().map(|planned| &planned.fault);
        let drawn = self.draw.iter().flat_map(Draw::kinds);
        given.chain(drawn).any(|fault| fault.facts().needs == what)
    }
}

/// The heal of some kinds is for good: a second one would harm nobody.
fn check_once(faults: &[Planned]) -> Result<(), String> {
    for (i, planned) in faults.iter().enumerate() {
        let facts = planned.fault.facts();
        let again = faults[..i].iter().any(|other| other.fault.facts().name == facts.name);
        if facts.once && again {
            return Err(format!(
                "more than one fault is of kind = {:?}; expected one at most",
                facts.name
            ));
        }
    }
    Ok(())
}

impl Planned {
    /// Reads and checks one fault, within a load of `load_s` seconds.
    pub(super) fn of(spec: &FaultSpec, load_s: f64) -> Result<Self, Mistake> {
        let FaultSpec { at, lasts, harm, what } = spec;
        let name = format!("fault {} on {:?}", what.kind, harm.to_string());
        let planned = parse(what).and_then(|fault| {
            let planned = Self { at: *at, lasts: *lasts, harm: harm.clone(), fault };
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
        format!("{} on {:?}", self.fault.facts().name, self.harm.to_string())
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
        all.insert("harm".to_owned(), self.harm.to_string().into());
        all.insert("kind".to_owned(), self.fault.facts().name.into());
        Value::Object(all)
    }

    pub(super) fn check(&self, load_s: f64) -> Result<(), String> {
        let facts = self.fault.facts();
        self.check_time(load_s)?;
        facts.harms.check(facts.name, &self.harm)?;
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

/// A system as a trial needs it: with what its faults must find in it from its start.
#[must_use]
pub fn equip(system: &SystemSpec, faults: &[Planned]) -> SystemSpec {
    let mut equipped = system.clone();
    faults.iter().for_each(|planned| planned.fault.equip(&mut equipped));
    equipped
}

impl Mistake {
    /// A broken rule names the fault.
    pub(super) fn about(self, name: &str) -> Self {
        if self.of_kind { Self { text: format!("{name}: {}", self.text), ..self } } else { self }
    }
}
