//! `report.html` and `README.md`: the same facts, once to be looked at and once to be read.

mod answers;
mod costs;
mod drifts;
pub(super) mod faults;
mod parity;
pub(super) mod pictures;
mod promises;
mod scorecard;
pub(super) mod tables;

use anyhow::Context as _;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, context};
use serde::Serialize;

use record::Manifest;
use record::read::{Run, Trial};

use super::charts::Chart;
use super::compare::{Comparison, Scenario};
use super::{differences, exclusion, findings, headline, words};
use pictures::{Picture, anchor, data, file, pictures};

const HTML: &str = include_str!("page/report.html");
const README: &str = include_str!("page/readme.md");
/// What the templates put together, by name.
const PARTS: [(&str, &str); 3] = [
    ("macros.html", include_str!("page/macros.html")),
    ("scenario.html", include_str!("page/scenario.html")),
    ("details.html", include_str!("page/details.html")),
];
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");
/// The chart library, of another project: see decision 44.
const UPLOT: &str = include_str!("page/uplot/uPlot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("page/uplot/uPlot.min.css");
const UPLOT_LICENCE: &str = include_str!("page/uplot/LICENSE");

/// Everything that the templates print.
#[derive(Serialize)]
pub(super) struct Page {
    title: String,
    run: String,
    command: String,
    revision: String,
    started: String,
    seeds: String,
    machine: Vec<(String, String)>,
    trials: usize,
    /// Whether there are verdicts beside it.
    is_decided: bool,
    excluded: Vec<Excluded>,
    /// Trials whose figures have two ends.
    blurred: Vec<Excluded>,
    has_orders: bool,
    cards: Vec<scorecard::Card>,
    scenarios: Vec<Section>,
    cost: Vec<Picture>,
    costs: costs::Costs,
    generator: Vec<tables::GeneratorRow>,
    systems: Vec<(String, String)>,
    parity: parity::Parity,
    files: Vec<(String, String)>,
    /// The charts for the script, as JSON that may stand in a page.
    data: String,
}

/// A trial that is in no figure.
#[derive(Serialize)]
struct Excluded {
    place: String,
    plain: String,
    /// The record's own sentences.
    reasons: Vec<String>,
}

#[derive(Serialize)]
struct Section {
    name: String,
    anchor: String,
    about: String,
    circumstance: String,
    bounds: String,
    sentence: String,
    sentences: Vec<String>,
    differences: Vec<String>,
    pictures: Vec<Picture>,
    phases: Vec<tables::PhaseRow>,
    answers: answers::Answers,
    drifts: Vec<drifts::TrialDrift>,
    promises: promises::Promises,
    faults: Vec<faults::FaultLine>,
    recoveries: Vec<faults::RecoveryRow>,
    audits: Vec<tables::AuditRow>,
}

impl Page {
    /// Gathers the facts.
    pub(super) fn of(
        run: &Run,
        comparison: &Comparison<'_>,
        charts: &[Chart],
        is_decided: bool,
    ) -> anyhow::Result<Self> {
        let section = |scenario| Section::of(scenario, charts);
        Ok(Self {
            title: headline::of_run(comparison),
            run: run.name.clone(),
            command: command(run),
            revision: revision(run),
            started: words::utc(run.began_us()),
            seeds: distinct(run, |manifest| manifest.seed.to_string()),
            machine: run.environment.clone().into_iter().collect(),
            trials: run.trials.len(),
            is_decided,
            excluded: excluded(run),
            blurred: blurred(run),
            has_orders: comparison.scenarios.iter().any(Scenario::is_shop),
            cards: scorecard::cards(comparison),
            scenarios: comparison.scenarios.iter().map(section).collect(),
            cost: pictures(charts, None),
            costs: costs::costs(run, comparison),
            generator: tables::generator(run),
            systems: systems(run),
            parity: parity::parity(comparison),
            files: contents(charts),
            data: data(charts)?,
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
    fn of(scenario: &Scenario<'_>, charts: &[Chart]) -> Self {
        Self {
            name: scenario.name.to_owned(),
            anchor: anchor(scenario.name),
            about: scenario.about.to_owned(),
            circumstance: format!("{} {}", scenario.act(), scenario.circumstance()),
            bounds: bounds(scenario.manifest()),
            sentence: headline::of_scenario(scenario),
            sentences: findings::sentences(scenario),
            differences: differences::sentences(scenario),
            pictures: pictures(charts, Some(scenario.name)),
            phases: tables::phases(scenario),
            answers: answers::answers(scenario),
            drifts: drifts::drifts(scenario),
            promises: promises::promises(scenario),
            faults: faults::faults(scenario),
            recoveries: faults::recoveries(scenario),
            audits: tables::audits(scenario),
        }
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
    for (part, source) in PARTS {
        templates.add_template(part, source)?;
    }
    templates.add_template(name, source)?;
    let template = templates.get_template(name)?;
    template
        .render(context! {
            page => Serde(page),
            style => STYLE,
            script => SCRIPT,
            uplot => UPLOT,
            uplot_style => UPLOT_STYLE,
            uplot_licence => UPLOT_LICENCE,
        })
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

fn excluded(run: &Run) -> Vec<Excluded> {
    let untrusted = run.trials.iter().filter(|trial| !super::compare::trusted(trial));
    let marked = untrusted.map(|trial: &Trial| Excluded {
        place: trial.folder.display().to_string(),
        plain: exclusion::of(trial),
        reasons: trial.manifest.validity.sentences(),
    });
    let lost = run.without_manifest.iter().map(|folder| Excluded {
        place: folder.display().to_string(),
        plain: "Not read: it has no manifest.json, so it ended before its record was complete"
            .to_owned(),
        reasons: Vec::new(),
    });
    marked.chain(lost).collect()
}

/// Trials that count, and that the measuring machine disturbed.
fn blurred(run: &Run) -> Vec<Excluded> {
    let is_blurred = |trial: &&Trial| {
        super::compare::trusted(trial) && !trial.manifest.validity.blurs.is_empty()
    };
    let marked = run.trials.iter().filter(is_blurred).map(|trial| {
        let of = trial.manifest.touched.unwrap_or_default();
        let [late, times, outcomes] = [of.late, of.times, of.outcomes].map(words::count);
        Excluded {
            place: trial.folder.display().to_string(),
            plain: format!(
                "{late} requests were sent late; the times of {times} may be shorter, and {outcomes} may have \
                 ended otherwise"
            ),
            reasons: trial.manifest.validity.blurs.iter().map(ToString::to_string).collect(),
        }
    });
    marked.collect()
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

fn contents(charts: &[Chart]) -> Vec<(String, String)> {
    let fixed = [
        ("report.html", "this report in one file; its charts need no network"),
        ("summary.csv", "every number: a row per scenario, system, trial, phase and operation"),
        ("trials.csv", "what is of a whole trial, a row each"),
        ("summary.md", "the scorecard, for a pull request"),
        ("environment.json", "the machine and the tools"),
        (
            "SCENARIO/SYSTEM/TRIAL/audit.html",
            "one trial's audit, with the lives of offending orders",
        ),
        ("SCENARIO/SYSTEM/TRIAL/", "the records; everything else here is made from them"),
    ];
    let fixed = fixed.map(|(name, what)| (name.to_owned(), what.to_owned()));
    let charts = charts.iter().map(|chart| (file(chart), chart.title.clone()));
    fixed.into_iter().chain(charts).collect()
}
