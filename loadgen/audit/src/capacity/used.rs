//! Who used the cores while a rate was measured, by process and the roles that it plays: a capacity is
//! that of its busiest role. It judges nothing.

use std::collections::BTreeMap;

use serde::Serialize;

use record::read::Trial;
use record::{GENERATOR, Phase, ResourceRow};

/// Below this a process is left out of a text.
const NAMED_CORES: f64 = 0.005;

/// One process.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Used {
    /// Its name in the system file.
    pub process: String,
    /// What it plays; empty in older records.
    pub roles: Vec<String>,
    /// CPU seconds per second.
    pub cores: f64,
}

/// The processes of a trial in this part of it, the busiest first.
pub(super) fn of(trial: &Trial, phase: &Phase) -> Vec<Used> {
    let seconds = f64::from(phase.to_s.saturating_sub(phase.from_s).max(1));
    let inside = |t_s: f64| f64::from(phase.from_s) < t_s && t_s <= f64::from(phase.to_s);
    let mut cpu_s = BTreeMap::<&str, f64>::new();
    let own = |row: &&ResourceRow| row.process != GENERATOR && inside(row.t_s);
    for row in trial.resources.iter().filter(own) {
        *cpu_s.entry(&row.process).or_default() += row.cpu_s;
    }
    let roles = &trial.manifest.roles;
    sorted(cpu_s.into_iter().map(|(process, cpu_s)| Used {
        process: process.to_owned(),
        roles: roles.get(process).cloned().unwrap_or_default(),
        cores: cpu_s / seconds,
    }))
}

/// The means over several trials.
pub(super) fn mean<'a>(trials: impl Iterator<Item = &'a Vec<Used>>) -> Vec<Used> {
    let (mut sums, mut count) = (BTreeMap::<&str, Used>::new(), 0.0);
    for used in trials {
        count += 1.0;
        for one in used {
            let sum = sums.entry(&one.process).or_insert(Used { cores: 0.0, ..one.clone() });
            sum.cores += one.cores;
        }
    }
    // CPU time comes in ticks of 10 ms: further digits would mean nothing.
    let rounded = |cores: f64| (cores * 1e3).round() / 1e3;
    sorted(sums.into_values().map(|sum| Used { cores: rounded(sum.cores / count), ..sum }))
}

fn sorted(used: impl Iterator<Item = Used>) -> Vec<Used> {
    let mut used: Vec<Used> = used.collect();
    used.sort_by(|a, b| b.cores.total_cmp(&a.cores));
    used
}

/// `auth 0.71; orders 0.20`: roles and cores.
pub(super) fn text(used: &[Used]) -> String {
    let name = |one: &Used| {
        if one.roles.is_empty() { one.process.clone() } else { one.roles.join("+") }
    };
    let some = used.iter().filter(|one| one.cores >= NAMED_CORES);
    let texts: Vec<String> = some.map(|one| format!("{} {:.2}", name(one), one.cores)).collect();
    texts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::Manifest;

    fn row(t_s: f64, process: &str, cpu_s: f64) -> ResourceRow {
        ResourceRow { t_s, process: process.to_owned(), cpu_s, ..ResourceRow::default() }
    }

    #[test]
    fn a_role_is_charged_for_its_process_within_the_window() {
        let roles = |roles: &[&str]| roles.iter().map(|role| (*role).to_owned()).collect();
        let named = [
            ("shop".to_owned(), roles(&["auth", "orders"])),
            ("idle".to_owned(), roles(&["payments"])),
        ];
        let trial = Trial {
            manifest: Manifest { roles: named.into(), ..Manifest::default() },
            resources: vec![
                row(3.0, "shop", 9.0),
                row(4.0, "shop", 0.5),
                row(5.0, "shop", 0.9),
                row(4.5, "idle", 0.008),
                row(5.0, "links", 1.0),
                row(6.0, "shop", 9.0),
            ],
            ..Trial::default()
        };
        let phase = Phase { name: "steady".to_owned(), from_s: 3, to_s: 5 };
        let used = of(&trial, &phase);
        assert_eq!(text(&used), "auth+orders 0.70; links 0.50");
        assert_eq!(used[2].process, "idle");
        let half = vec![Used { cores: 0.3, ..used[0].clone() }];
        assert_eq!(text(&mean([&used, &half].into_iter())), "auth+orders 0.50; links 0.25");
    }
}
