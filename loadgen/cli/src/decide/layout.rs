//! What is to be run for claims: which scenarios, as they are in their files or otherwise, on which systems. What two
//! claims share is run once. It reads and starts nothing.

use std::collections::BTreeMap;
use std::path::Path;

use decide::{Claim, Expect, REPLICAS, Sweep};
use report::decided::Cell;
use toml::{Table, Value};

use super::asked::Asked;

/// So long may a name be: charts have it in the names of their files, too.
const NAME_MAX: usize = 60;

/// What stands beside the scenarios' folders in the run's.
const RESERVED: [&str; 3] = ["charts", "inputs", "inputs-now"];

/// A scenario of the run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ScenarioFile {
    /// Its name in the run.
    pub(crate) name: String,
    /// The file that it is made of: a name, or a path.
    pub(crate) base: String,
    /// What differs, by dotted keys.
    pub(crate) set: Table,
}

/// A system of the run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SystemFile {
    /// Its name in the run.
    pub(crate) name: String,
    /// The file that it is made of: a name, or a path.
    pub(crate) base: String,
    /// How often a process is started, by its name.
    pub(crate) replicas: BTreeMap<String, u32>,
    /// Arguments of processes: process, flag, value.
    pub(crate) settings: BTreeMap<String, BTreeMap<String, Value>>,
    /// How many arms of one claim are the same before it.
    pub(crate) times: u32,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Layout {
    pub(crate) scenarios: Vec<ScenarioFile>,
    pub(crate) systems: Vec<SystemFile>,
    /// Of each claim: where its figures come from.
    pub(crate) cells: Vec<Vec<Cell>>,
}

impl Layout {
    /// Lays out what these claims ask for. If `quick`, a claim of which counts decide nothing is not run. `own` tells
    /// what stands in a scenario's file at a dotted key: what is set to that is the same scenario.
    ///
    /// # Errors
    /// If a sweep's key or value fits nothing.
    pub(crate) fn of(
        asked: &[Asked],
        quick: bool,
        own: &dyn Fn(&str, &str) -> Option<Value>,
    ) -> anyhow::Result<Self> {
        let mut layout = Self::default();
        for one in asked {
            let cells = layout.claim(&one.claim, quick, own);
            let cells = cells.map_err(|text| anyhow::anyhow!("{}: {text}", one.path.display()))?;
            layout.cells.push(cells);
        }
        Ok(layout)
    }

    fn claim(
        &mut self,
        claim: &Claim,
        quick: bool,
        own: &dyn Fn(&str, &str) -> Option<Value>,
    ) -> Result<Vec<Cell>, String> {
        let is_run =
            claim.needs.is_none() && (!quick || claim.expect.iter().any(Expect::is_by_counts));
        let mut cells = Vec::new();
        for point in (0..claim.points()).filter(|_| is_run) {
            let mut taken = Vec::new();
            for arm in claim.arms.keys() {
                let (mut scenario, mut system) = at_point(claim, arm, point)?;
                let ScenarioFile { base, set, .. } = &mut scenario;
                set.retain(|key, value| own(base, key).as_ref() != Some(&*value));
                let scenario = self.scenario(scenario);
                while taken.contains(&(scenario.clone(), system.clone())) {
                    system.times += 1;
                }
                taken.push((scenario.clone(), system.clone()));
                let system = self.system(system);
                cells.push(Cell { arm: arm.clone(), point, scenario, system });
            }
        }
        Ok(cells)
    }

    /// The name of a scenario, which is one of the run from now on.
    fn scenario(&mut self, file: ScenarioFile) -> String {
        let same = |known: &&ScenarioFile| known.base == file.base && known.set == file.set;
        if let Some(known) = self.scenarios.iter().find(same) {
            return known.name.clone();
        }
        let mut words: Vec<String> =
            file.set.iter().map(|(key, value)| format!("{key}={}", shown(value))).collect();
        words.sort();
        let name = name(&file.base, &words, |name| self.scenarios.iter().any(|s| s.name == name));
        self.scenarios.push(ScenarioFile { name: name.clone(), ..file });
        name
    }

    /// The name of a system, which is one of the run from now on.
    fn system(&mut self, file: SystemFile) -> String {
        let same =
            |known: &&SystemFile| SystemFile { name: String::new(), ..(*known).clone() } == file;
        if let Some(known) = self.systems.iter().find(same) {
            return known.name.clone();
        }
        let mut words: Vec<String> =
            file.replicas.iter().map(|(process, times)| format!("{process}={times}")).collect();
        for (process, flags) in &file.settings {
            words.extend(
                flags.iter().map(|(flag, value)| format!("{process}{flag}={}", shown(value))),
            );
        }
        words.extend((0..file.times).map(|_| "again".to_owned()));
        let name = name(&file.base, &words, |name| self.systems.iter().any(|s| s.name == name));
        self.systems.push(SystemFile { name: name.clone(), ..file });
        name
    }
}

/// What an arm meets at a point of its claim's sweep, and who it is; both without a name in the run.
fn at_point(claim: &Claim, arm: &str, point: usize) -> Result<(ScenarioFile, SystemFile), String> {
    let own = claim.arms.get(arm).ok_or_else(|| format!("there is no arm {arm}"))?;
    let (base, mut set) = (claim.scenario.clone(), claim.set.clone());
    set.extend(own.set.clone());
    let mut scenario = ScenarioFile { name: String::new(), base, set };
    let mut system = SystemFile {
        name: String::new(),
        base: own.system.clone(),
        replicas: own.replicas.clone(),
        settings: own.settings.clone(),
        times: 0,
    };
    if let Some(sweep) = &claim.sweep
        && let (column, row) = claim.place(point)
        && let Some(value) = sweep.values.get(column)
    {
        match (&sweep.arm, sweep.of.get(arm)) {
            (None, Some(process)) => sweep_process(sweep, process, value, &mut system)?,
            (None, None) => sweep_scenario(sweep, value, &mut scenario)?,
            (Some(swept), _) if swept == arm => sweep_system(sweep, value, &mut system)?,
            (Some(_), _) => {}
        }
        if let Some(across) = &sweep.across
            && let Some(value) = across.values.get(row)
        {
            for key in std::iter::once(&across.key).chain(&across.also) {
                scenario.set.insert(key.clone(), value.clone());
            }
        }
    }
    Ok((scenario, system))
}

fn sweep_scenario(sweep: &Sweep, value: &Value, scenario: &mut ScenarioFile) -> Result<(), String> {
    if sweep.key == "scenario" {
        let name = value.as_str().ok_or_else(|| format!("sweep: {value} is no scenario's name"))?;
        name.clone_into(&mut scenario.base);
        return Ok(());
    }
    for key in std::iter::once(&sweep.key).chain(&sweep.also) {
        scenario.set.insert(key.clone(), value.clone());
    }
    Ok(())
}

/// A key of a process: a flag, or how many of it there are.
fn sweep_process(
    sweep: &Sweep,
    process: &str,
    value: &Value,
    system: &mut SystemFile,
) -> Result<(), String> {
    let mut keys = std::iter::once(&sweep.key).chain(&sweep.also);
    keys.try_for_each(|key| put(process, key, value, system))
}

fn sweep_system(sweep: &Sweep, value: &Value, system: &mut SystemFile) -> Result<(), String> {
    let mut keys = std::iter::once(&sweep.key).chain(&sweep.also);
    keys.try_for_each(|key| match key.split_once('.') {
        Some((REPLICAS, process)) => put(process, REPLICAS, value, system),
        Some((process, flag)) => put(process, flag, value, system),
        None => Err(format!("sweep: {key:?} is neither PROCESS.FLAG nor replicas.PROCESS")),
    })
}

fn put(process: &str, key: &str, value: &Value, system: &mut SystemFile) -> Result<(), String> {
    if key == REPLICAS {
        let times = value.as_integer().and_then(|times| u32::try_from(times).ok());
        let times = times.ok_or_else(|| format!("sweep: {value} is no number of replicas"))?;
        system.replicas.insert(process.to_owned(), times);
    } else {
        let flags = system.settings.entry(process.to_owned()).or_default();
        flags.insert(key.to_owned(), value.clone());
    }
    Ok(())
}

/// A value in a name; of lists and tables what stands in them.
fn shown(value: &Value) -> String {
    let all =
        |values: &mut dyn Iterator<Item = &Value>| values.map(shown).collect::<Vec<_>>().join("-");
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => all(&mut values.iter()),
        Value::Table(table) => all(&mut table.values()),
        other => other.to_string(),
    }
}

/// A folder's name for what is made of `base` and differs by `words`: short, and nobody else's.
fn name(base: &str, words: &[String], is_taken: impl Fn(&str) -> bool) -> String {
    let stem = scenario::stem(Path::new(base));
    // The last part of a name may look like an extension; of a name it is none.
    let stem = if base.contains('/') || base.ends_with(".toml") { stem } else { base.to_owned() };
    let parts = std::iter::once(stem.as_str()).chain(words.iter().map(String::as_str));
    let whole = parts.collect::<Vec<_>>().join("+");
    let may_stand = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '=' | '+' | '-');
    let mut plain = String::new();
    for letter in whole.chars().map(|c| if may_stand(c) { c } else { '-' }) {
        if !(letter == '-' && plain.ends_with('-')) {
            plain.push(letter);
        }
    }
    let short: String = plain.chars().take(NAME_MAX).collect();
    let short = short.trim_matches(['-', '.', '+', '=']).to_owned();
    let numbered = (2..).map(|number| format!("{short}-{number}"));
    let mut names = std::iter::once(short.clone()).chain(numbered);
    names.find(|name| !is_taken(name) && !RESERVED.contains(&name.as_str())).unwrap_or(short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn asked(id: &str, text: &str) -> Asked {
        let path = PathBuf::from(format!("claims/{id}.toml"));
        let head = "sentence = \"s\"\nsource = { text = \"t\" }\nrefuted_by = \"r\"\n";
        let text = format!("{head}{text}");
        let claim = Claim::parse(&path, &text).unwrap();
        Asked { path, text, claim, is_asked: true }
    }

    const EXPECT: &str =
        "\n[[expect]]\nfigure = \"accepted p50\"\nof = \"a / b\"\nat_least = 1.05\n";

    fn layout(claims: &[&str]) -> Layout {
        layout_of(claims, &|_, _| None)
    }

    fn layout_of(claims: &[&str], own: &dyn Fn(&str, &str) -> Option<Value>) -> Layout {
        let asked: Vec<Asked> = claims
            .iter()
            .enumerate()
            .map(|(n, text)| asked(&format!("c{n}"), &format!("{text}{EXPECT}")))
            .collect();
        Layout::of(&asked, false, own).unwrap()
    }

    fn places(layout: &Layout) -> Vec<String> {
        let cells = layout.cells.iter().flatten();
        cells.map(|c| format!("{} {} {}/{}", c.arm, c.point, c.scenario, c.system)).collect()
    }

    #[test]
    fn what_claims_share_is_run_once() {
        let claim = "scenario = \"steady\"\narms = { a = \"m\", b = \"s\" }";
        let other = "scenario = \"steady\"\narms = { a = \"m\", b = \"q\" }";
        let layout = layout(&[claim, other]);
        assert_eq!((layout.scenarios.len(), layout.systems.len()), (1, 3));
        assert_eq!(
            places(&layout),
            ["a 0 steady/m", "b 0 steady/s", "a 0 steady/m", "b 0 steady/q"]
        );
    }

    #[test]
    fn the_same_twice_has_two_names_and_two_scenarios_have_one_system() {
        let same = "scenario = \"steady\"\narms = { a = \"m\", b = \"m\" }";
        let slower = "scenario = \"steady\"\narms = { a = \"m\", b = { system = \"m\", set = { \"provider.latency\" = \"constant:2ms\" } } }";
        assert_eq!(
            places(&layout(&[same, slower])),
            [
                "a 0 steady/m",
                "b 0 steady/m+again",
                "a 0 steady/m",
                "b 0 steady+provider.latency=constant-2ms/m"
            ]
        );
    }

    #[test]
    fn a_point_that_is_the_scenario_itself_is_that_scenario() {
        let own =
            |base: &str, key: &str| (base == "s" && key == "start").then_some(Value::Integer(50));
        let sweep = "scenario = \"s\"\narms = { a = \"m\", b = \"q\" }\nsweep = { key = \"start\", values = [50, 60] }";
        let plain = "scenario = \"s\"\narms = { a = \"m\", b = \"q\" }";
        let found = layout_of(&[sweep, plain], &own);
        assert_eq!(found.scenarios.len(), 2);
        let places = places(&found);
        assert_eq!(
            [&*places[0], &*places[2], &*places[4]],
            ["a 0 s/m", "a 1 s+start=60/m", "a 0 s/m"]
        );
    }

    #[test]
    fn a_list_of_tables_is_named_by_what_stands_in_it() {
        let claim = "scenario = \"s\"\narms = { a = \"m\", b = \"q\" }\nset = { fault = [{ at = \"12s\", harm = \"payments\", kind = \"deploy\" }] }";
        assert_eq!(places(&layout(&[claim]))[0], "a 0 s+fault=12s-payments-deploy/m");
    }

    #[test]
    fn a_sweep_has_a_scenario_or_a_system_for_each_point() {
        let load = "scenario = \"s\"\narms = { a = \"m\", b = \"q\" }\nsweep = { key = \"start\", also = [\"stages.0.rate\"], values = [1, 2] }";
        let found = layout(&[load]);
        assert_eq!(places(&found)[2], "a 1 s+stages.0.rate=2+start=2/m");
        let arm = "scenario = \"s\"\narms = { a = \"m\", b = \"q\" }\nsweep = { arm = \"b\", key = \"payments.--ack\", values = [\"early\", \"late\"] }";
        let found = layout(&[arm]);
        assert_eq!(
            places(&found),
            ["a 0 s/m", "b 0 s/q+payments-ack=early", "a 1 s/m", "b 1 s/q+payments-ack=late"]
        );
        let both = "scenario = \"s\"\narms = { a = \"m\", b = \"q\" }\nsweep = { key = \"--work-ms\", of = { a = \"m\", b = \"payments\" }, values = [0, 30] }";
        let found = layout(&[both]);
        assert_eq!(places(&found)[2..], ["a 1 s/m+m-work-ms=30", "b 1 s/q+payments-work-ms=30"]);
        let more = "scenario = \"s\"\narms = { a = \"m\", b = \"q\" }\nsweep = { key = \"replicas\", of = { a = \"m\", b = \"payments\" }, values = [1, 3] }";
        let found = layout(&[more]);
        assert_eq!(places(&found)[2..], ["a 1 s/m+m=3", "b 1 s/q+payments=3"]);
        assert_eq!(found.systems[3].replicas["payments"], 3);
        let of_one = "scenario = \"s\"\narms = { a = \"m\", b = \"q\" }\nsweep = { arm = \"b\", key = \"replicas.payments\", values = [1, 3] }";
        let found = layout(&[of_one]);
        assert_eq!(places(&found)[2..], ["a 1 s/m", "b 1 s/q+payments=3"]);
        let map = "scenario = \"s\"\narms = { a = \"m\", b = \"q\" }\nsweep = { key = \"x\", values = [1, 2], across = { key = \"start\", also = [\"y\"], values = [5, 6, 7] } }";
        let found = places(&layout(&[map]));
        assert_eq!((found.len(), &*found[2]), (12, "a 1 s+start=5+x=2+y=5/m"));
        assert_eq!(found[10], "a 5 s+start=7+x=2+y=7/m");
        let scenarios = "arms = { a = \"m\", b = \"q\" }\nsweep = { key = \"scenario\", values = [\"x\", \"y\"] }";
        assert_eq!(places(&layout(&[scenarios]))[3], "b 1 y/q");
    }

    #[test]
    fn names_are_short_and_nobody_else_s() {
        let never = |_: &str| false;
        assert_eq!(name("./a/b.toml", &[], never), "b");
        assert_eq!(name("s", &["fault=[{ at = \"12s\" }]".to_owned()], never), "s+fault=-at-=-12s");
        let long = name("s", &["x".repeat(300)], never);
        assert_eq!(long.len(), NAME_MAX);
        assert_eq!(name("s", &[], |name| name == "s"), "s-2");
        assert_eq!(name("charts", &[], never), "charts-2");
        assert_eq!(name("..", &[], never), "");
    }
}
