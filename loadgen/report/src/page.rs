//! `report.html` and `README.md`: the same facts, once to be looked at and once to be read.

mod answers;
mod drifts;
mod parity;
mod promises;
pub(super) mod tables;

use std::fs;

use anyhow::Context as _;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, context};
use serde::Serialize;

use record::Manifest;
use record::read::Run;

use super::charts::Chart;
use super::compare::{Comparison, Scenario};
use super::findings::{self, Finding};
use super::{differences, embed, words};

const HTML: &str = include_str!("page/report.html");
const README: &str = include_str!("page/readme.md");
const STYLE: &str = include_str!("page/style.css");

/// Everything that the templates print.
#[derive(Serialize)]
pub(super) struct Page {
    run: String,
    command: String,
    revision: String,
    started: String,
    seeds: String,
    machine: Vec<(String, String)>,
    trials: usize,
    doubtful: Vec<Doubtful>,
    findings: Vec<Finding>,
    scenarios: Vec<Section>,
    cost: Vec<Picture>,
    costs: Vec<tables::CostRow>,
    generator: Vec<tables::GeneratorRow>,
    systems: Vec<(String, String)>,
    parity: parity::Parity,
    files: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Doubtful {
    place: String,
    why: String,
}

#[derive(Serialize)]
struct Section {
    name: String,
    about: String,
    circumstance: String,
    bounds: String,
    sentences: Vec<String>,
    differences: Vec<String>,
    pictures: Vec<Picture>,
    phases: Vec<tables::PhaseRow>,
    answers: answers::Answers,
    drifts: Vec<drifts::TrialDrift>,
    promises: promises::Promises,
    faults: Vec<tables::FaultLine>,
    audits: Vec<tables::AuditRow>,
}

/// A chart inside a page.
#[derive(Serialize)]
pub(super) struct Picture {
    src: String,
    alt: String,
    aid: &'static str,
}

impl Page {
    /// Gathers the facts; the pictures are read back from their files and embedded.
    pub(super) fn of(
        run: &Run,
        comparison: &Comparison<'_>,
        charts: &[Chart],
    ) -> anyhow::Result<Self> {
        let section = |scenario| Section::of(scenario, charts);
        Ok(Self {
            run: run.name.clone(),
            command: command(run),
            revision: revision(run),
            started: words::utc(run.began_us()),
            seeds: distinct(run, |manifest| manifest.seed.to_string()),
            machine: run.environment.clone().into_iter().collect(),
            trials: run.trials.len(),
            doubtful: doubtful(run),
            findings: findings::table(comparison),
            scenarios: comparison.scenarios.iter().map(section).collect::<anyhow::Result<_>>()?,
            cost: pictures(charts, None)?,
            costs: tables::costs(run),
            generator: tables::generator(run),
            systems: systems(run),
            parity: parity::parity(comparison),
            files: contents(charts),
        })
    }

    /// The page as one file that needs no other.
    pub(super) fn html(&self) -> anyhow::Result<String> {
        render("report.html", HTML, self)
    }

    /// The page as text.
    pub(super) fn readme(&self) -> anyhow::Result<String> {
        render("README.md", README, self)
    }
}

impl Section {
    fn of(scenario: &Scenario<'_>, charts: &[Chart]) -> anyhow::Result<Self> {
        Ok(Self {
            name: scenario.name.to_owned(),
            about: scenario.about.to_owned(),
            circumstance: format!("{} {}", scenario.act(), scenario.circumstance()),
            bounds: bounds(scenario.manifest()),
            sentences: findings::sentences(scenario),
            differences: differences::sentences(scenario),
            pictures: pictures(charts, Some(scenario.name))?,
            phases: tables::phases(scenario),
            answers: answers::answers(scenario),
            drifts: drifts::drifts(scenario),
            promises: promises::promises(scenario),
            faults: tables::faults(scenario),
            audits: tables::audits(scenario),
        })
    }
}

/// Where the run's numbers come from, for the foot of each chart.
pub(super) fn source(run: &Run) -> String {
    format!("{} · {} · revision {}", run.name, words::utc(run.began_us()), revision(run))
}

/// The name's ending decides whether values are escaped.
pub(super) fn render(name: &str, source: &str, page: &impl Serialize) -> anyhow::Result<String> {
    let mut templates = Environment::new();
    templates.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()?,
    );
    templates.add_template("style.css", STYLE)?;
    templates.add_template(name, source)?;
    let template = templates.get_template(name)?;
    template
        .render(context! { page => Serde(page) })
        .with_context(|| format!("cannot render {name}"))
}

fn command(run: &Run) -> String {
    let recorded = run.environment.get("command").filter(|command| !command.is_empty());
    recorded.cloned().unwrap_or_else(|| distinct(run, |manifest| manifest.command.join(" ")))
}

pub(super) fn revision(run: &Run) -> String {
    let known = distinct(run, |manifest| manifest.revision.clone());
    if known.is_empty() { "unknown".to_owned() } else { known }
}

/// The values of all trials, each once.
fn distinct(run: &Run, value: impl Fn(&Manifest) -> String) -> String {
    let mut values: Vec<_> = run.trials.iter().map(|trial| value(&trial.manifest)).collect();
    values.sort();
    values.dedup();
    values.join(", ")
}

fn doubtful(run: &Run) -> Vec<Doubtful> {
    let untrusted = run.trials.iter().filter(|trial| !super::compare::trusted(trial));
    let marked = untrusted.map(|trial| Doubtful {
        place: trial.folder.display().to_string(),
        why: super::compare::doubt(trial),
    });
    let lost = run.without_manifest.iter().map(|folder| Doubtful {
        place: folder.display().to_string(),
        why: "NOT READ: it has no manifest.json, so the trial ended before its record was complete"
            .to_owned(),
    });
    marked.chain(lost).collect()
}

fn systems(run: &Run) -> Vec<(String, String)> {
    let mut systems = Vec::new();
    for manifest in run.trials.iter().map(|trial| &trial.manifest) {
        let system = (manifest.system.clone(), manifest.system_about.clone());
        if !systems.contains(&system) {
            systems.push(system);
        }
    }
    systems
}

/// The bounds in force: without them a latency means nothing.
fn bounds(manifest: &Manifest) -> String {
    let limits = &manifest.limits;
    format!(
        "Client time-out {} s, at most {} requests in flight, drain up to {} s, objective {} s, \
         warm-up {} s, schedule {} s, intended starts SHA-256 {}",
        words::digits(limits.timeout_s),
        words::count(u64::from(limits.in_flight)),
        words::digits(limits.drain_s),
        words::digits(limits.objective_s),
        manifest.warm_up_s,
        manifest.duration_s,
        manifest.schedule_hash.chars().take(12).collect::<String>()
    )
}

/// The charts of `scenario`, or of the whole run, read back to be embedded.
pub(super) fn pictures(charts: &[Chart], scenario: Option<&str>) -> anyhow::Result<Vec<Picture>> {
    let wanted = charts.iter().filter(|chart| chart.scenario.as_deref() == scenario);
    let picture = |chart: &Chart| {
        let bytes = fs::read(&chart.path)
            .with_context(|| format!("cannot read {}", chart.path.display()))?;
        Ok(Picture { src: embed::png(&bytes), alt: chart.alt.clone(), aid: chart.aid })
    };
    wanted.map(picture).collect()
}

fn contents(charts: &[Chart]) -> Vec<(String, String)> {
    let fixed = [
        ("report.html", "this report with all charts, in one file"),
        ("summary.csv", "every number: a row per scenario, system, trial, phase and operation"),
        ("environment.json", "the machine and the tools"),
        (
            "SCENARIO/SYSTEM/TRIAL/audit.html",
            "one trial's audit, with the lives of offending orders",
        ),
        ("SCENARIO/SYSTEM/TRIAL/", "the records; everything else here is made from them"),
    ];
    let fixed = fixed.map(|(name, what)| (name.to_owned(), what.to_owned()));
    let charts = charts.iter().map(|chart| {
        let name = chart.path.file_name().unwrap_or_default().to_string_lossy();
        (format!("charts/{name}"), chart.alt.clone())
    });
    fixed.into_iter().chain(charts).collect()
}
