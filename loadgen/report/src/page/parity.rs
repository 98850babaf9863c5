//! The table of what was equal and what was not: every setting that a record names, system by system. It
//! knows no setting; one that is a JSON object is as many settings as it has members.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::compare::Comparison;
use crate::figure_text::NOTHING;

/// Settings by system.
#[derive(Serialize)]
pub(super) struct Parity {
    systems: Vec<String>,
    /// What differs, setting by setting.
    different: Vec<ParityRow>,
    /// What all have alike, with its value.
    equal: Vec<(String, String)>,
}

#[derive(Serialize)]
struct ParityRow {
    setting: String,
    values: Vec<ParityCell>,
}

#[derive(Serialize)]
struct ParityCell {
    value: String,
    /// From the system that this one extends, or from the first.
    differs: bool,
}

/// All settings that any system states, and whether they are equal.
pub(super) fn parity(comparison: &Comparison<'_>) -> Parity {
    let systems: Vec<&str> = comparison.systems().into_iter().map(|(_, system)| system).collect();
    let stated: Vec<_> = systems.iter().map(|system| stated(comparison, system)).collect();
    let compared = compared_with(comparison, &systems);
    let mut settings: Vec<&String> = stated.iter().flat_map(BTreeMap::keys).collect();
    settings.sort();
    settings.dedup();
    let (mut different, mut equal) = (Vec::new(), Vec::new());
    for setting in settings {
        let value = |of: &BTreeMap<String, Vec<String>>| {
            of.get(setting).map_or_else(|| NOTHING.to_owned(), |values| values.join(" / "))
        };
        let values: Vec<String> = stated.iter().map(value).collect();
        if values.iter().all(|value| *value == values[0]) {
            equal.push((setting.clone(), values[0].clone()));
            continue;
        }
        let cell = |(value, with): (&String, &usize)| ParityCell {
            value: value.clone(),
            differs: *value != values[*with],
        };
        let cells = values.iter().zip(&compared).map(cell).collect();
        different.push(ParityRow { setting: setting.clone(), values: cells });
    }
    let systems = systems.into_iter().map(str::to_owned).collect();
    Parity { systems, different, equal }
}

/// What the trials of a system state: the values of each setting, each once.
fn stated(comparison: &Comparison<'_>, system: &str) -> BTreeMap<String, Vec<String>> {
    let contestants = comparison.scenarios.iter().flat_map(|scenario| &scenario.contestants);
    let trials = contestants.filter(|one| one.name == system).flat_map(|one| &one.trials);
    let mut stated = BTreeMap::<String, Vec<String>>::new();
    for (setting, text) in trials.flat_map(|trial| &trial.manifest.parity) {
        for (setting, value) in parts(setting, text) {
            let values = stated.entry(setting).or_default();
            if !values.contains(&value) {
                values.push(value);
            }
        }
    }
    stated.values_mut().for_each(|values| values.sort());
    stated
}

/// With the values of which system each is compared: that which it extends, or else the first.
fn compared_with(comparison: &Comparison<'_>, systems: &[&str]) -> Vec<usize> {
    let base = |system: &str| {
        let contestants = comparison.scenarios.iter().flat_map(|scenario| &scenario.contestants);
        let mut trials = contestants.filter(|one| one.name == system).flat_map(|one| &one.trials);
        trials.find_map(|trial| trial.manifest.extends.as_deref())
    };
    let place = |name: &str| systems.iter().position(|system| *system == name);
    systems.iter().map(|system| base(system).and_then(place).unwrap_or(0)).collect()
}

/// The setting, or if its text is a JSON object its members: "provider: latency: median_ms".
fn parts(setting: &str, text: &str) -> Vec<(String, String)> {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(members)) if !members.is_empty() => {
            let member = |(name, value): (&String, &Value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                parts(&format!("{setting}: {name}"), &text)
            };
            members.iter().flat_map(member).collect()
        }
        _ => vec![(setting.to_owned(), text.to_owned())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::Manifest;
    use record::read::Trial;

    use crate::compare::{Contestant, Scenario};

    fn trial(system: &str, extends: Option<&str>, settings: &[(&str, &str)]) -> Trial {
        let parity = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let extends = extends.map(str::to_owned);
        let manifest =
            Manifest { system: system.to_owned(), extends, parity, ..Manifest::default() };
        Trial { manifest, ..Trial::default() }
    }

    #[test]
    fn a_variant_is_compared_with_its_base_and_all_others_with_the_first() {
        let run = [
            trial("mono", None, &[("store", "FULL"), ("calls", "none")]),
            trial("queue", None, &[("store", "FULL"), ("calls", "2 s")]),
            trial("variant", Some("queue"), &[("store", "OFF"), ("calls", "2 s")]),
            trial("orphan", Some("absent"), &[("store", "FULL"), ("calls", "2 s")]),
        ];
        let mut contestants = Vec::new();
        for (order, trial) in (0..).zip(&run) {
            contestants.push(Contestant {
                name: &trial.manifest.system,
                order,
                trials: vec![trial],
            });
        }
        let scenarios = vec![Scenario { name: "s", about: "", contestants }];
        let found = parity(&Comparison { scenarios });
        let bold = |row: &ParityRow| row.values.iter().map(|c| c.differs).collect::<Vec<_>>();
        assert_eq!(found.systems, ["mono", "queue", "variant", "orphan"]);
        let [calls, store] = &found.different[..] else { panic!("{}", found.different.len()) };
        assert_eq!(bold(calls), [false, true, false, true]);
        assert_eq!(bold(store), [false, false, true, false]);
        assert!(found.equal.is_empty());
    }

    #[test]
    fn an_object_is_as_many_settings_as_it_has_members() {
        let shop = r#"{"latency":{"kind":"lognormal","p99_ms":80.0},"rate_limit":null}"#;
        let found = parts("provider", shop);
        let found: Vec<_> = found.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        assert_eq!(
            found,
            [
                "provider: latency: kind = lognormal",
                "provider: latency: p99_ms = 80.0",
                "provider: rate_limit = null"
            ]
        );
        assert_eq!(parts("cores", "[1]"), [("cores".to_owned(), "[1]".to_owned())]);
    }

    #[test]
    fn what_all_have_alike_stands_once() {
        let run = [
            trial("a", None, &[("mix", r#"{"place":70,"get":30}"#)]),
            trial("b", None, &[("mix", r#"{"place":70,"get":29}"#)]),
        ];
        let contestant = |trial: &Trial| trial.manifest.system.clone();
        let names: Vec<_> = run.iter().map(contestant).collect();
        let contestants = (0..)
            .zip(names.iter().zip(&run))
            .map(|(order, (name, trial))| Contestant { name, order, trials: vec![trial] });
        let contestants = contestants.collect();
        let scenarios = vec![Scenario { name: "s", about: "", contestants }];
        let found = parity(&Comparison { scenarios });
        assert_eq!(found.equal, [("mix: place".to_owned(), "70".to_owned())]);
        assert_eq!(found.different.len(), 1);
        assert_eq!(found.different[0].setting, "mix: get");
    }
}
