//! The faults of a scenario, each known to fit its kind. Who reads a scenario comes through here.

use super::chaos::Draw;
use super::fits;
use super::kinds::Fault;
use super::overlap;
use super::parse::Mistake;
use super::planned::Planned;
use scenario::Scenario;
use scenario::config::ConfigError;
use scenario::system::SystemSpec;

/// What is done to a system, and when: as given, or drawn anew for each seed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    given: Vec<Planned>,
    draw: Option<Draw>,
}

/// A scenario with its faults.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// Load, mix, card network and bounds.
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
            .and_then(|()| overlap::check(&given))
            .map_err(|text| ConfigError::new(&scenario.path, text))?;
        let draw = Draw::of(scenario).map_err(error)?;
        Ok(Self { given, draw })
    }

    /// The faults of a trial with this seed.
    #[must_use]
    pub fn schedule(&self, seed: u64) -> Vec<Planned> {
        self.draw.as_ref().map_or_else(|| self.given.clone(), |draw| draw.faults(seed))
    }

    /// The same as this system can suffer it: what is drawn may fall on what it does not have.
    #[must_use]
    pub fn schedule_of(&self, seed: u64, system: &SystemSpec) -> Vec<Planned> {
        let all = self.schedule(seed);
        if self.draw.is_none() {
            return all;
        }
        all.into_iter().map(|drawn| fits::fitted(system, drawn)).collect()
    }

    /// Whatever may be done, whenever.
    pub(super) fn faults(&self) -> impl Iterator<Item = &Fault> {
        let given = self.given.iter().map(|planned| &planned.fault);
        given.chain(self.draw.iter().flat_map(Draw::kinds))
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

/// A system as a trial needs it: with what its faults must find in it from its start.
#[must_use]
pub fn equip(system: &SystemSpec, faults: &[Planned]) -> SystemSpec {
    let mut equipped = system.clone();
    faults.iter().for_each(|planned| planned.fault.equip(&mut equipped));
    equipped
}
