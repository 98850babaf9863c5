//! The table of what was equal and what was not: every setting that a record names, system by system. It
//! knows no setting.

use serde::Serialize;

use crate::compare::Comparison;

/// Settings by system.
#[derive(Serialize)]
pub(super) struct Parity {
    systems: Vec<String>,
    rows: Vec<ParityRow>,
}

#[derive(Serialize)]
struct ParityRow {
    setting: String,
    values: Vec<ParityCell>,
    differs: bool,
}

#[derive(Serialize)]
struct ParityCell {
    value: String,
    /// From the system that this one extends, or from the first.
    differs: bool,
}

/// All settings that any system states, and whether they are equal.
pub(super) fn parity(comparison: &Comparison<'_>) -> Parity {
    let systems = comparison.systems();
    let all = || comparison.scenarios.iter().flat_map(|scenario| &scenario.contestants);
    let mut settings: Vec<_> = all()
        .flat_map(|one| one.trials.iter().flat_map(|trial| trial.manifest.parity.keys()))
        .collect();
    settings.sort();
    settings.dedup();
    let base = |system: &str| {
        let mut of_system = all().filter(|one| one.name == system).flat_map(|one| &one.trials);
        of_system.find_map(|trial| trial.manifest.extends.as_deref())
    };
    let place = |name: &str| systems.iter().position(|(_, system)| *system == name);
    let compared: Vec<usize> =
        systems.iter().map(|(_, system)| base(system).and_then(place).unwrap_or(0)).collect();
    let value = |system: &str, setting: &String| {
        let of_system = all().filter(|one| one.name == system).flat_map(|one| &one.trials);
        let mut values: Vec<_> =
            of_system.filter_map(|trial| trial.manifest.parity.get(setting).cloned()).collect();
        values.sort();
        values.dedup();
        if values.is_empty() { "–".to_owned() } else { values.join(" / ") }
    };
    let row = |setting: &String| {
        let values: Vec<_> = systems.iter().map(|(_, system)| value(system, setting)).collect();
        let differs = values.iter().any(|value| *value != values[0]);
        let cells = values.iter().zip(&compared);
        let cells = cells.map(|(value, with)| ParityCell {
            value: value.clone(),
            differs: *value != values[*with],
        });
        ParityRow { setting: setting.clone(), values: cells.collect(), differs }
    };
    Parity {
        rows: settings.into_iter().map(row).collect(),
        systems: systems.iter().map(|(_, system)| (*system).to_owned()).collect(),
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
        let [calls, store] = &found.rows[..] else { panic!("{} rows", found.rows.len()) };
        assert_eq!(bold(calls), [false, true, false, true]);
        assert_eq!(bold(store), [false, false, true, false]);
        assert!(calls.differs && store.differs);
    }
}
