//! The report of a search for a capacity: its own page, table and chart, from the records alone.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use audit::capacity::replay::{Found, Settings};
use audit::capacity::search::Judged;
use audit::capacity::trial_at_rate::{ToldBy, TrialAtRate};
use record::atomic_write;
use record::read::Run;
use record::write_csv;

use super::charts::capacity as chart;
use super::page::{render, revision};
use super::paths::Paths;
use super::{embed, words};

const HTML: &str = include_str!("page/capacity.html");
const README: &str = include_str!("page/capacity.md");

/// Everything that the templates print.
#[derive(Serialize)]
struct Page {
    run: String,
    command: String,
    revision: String,
    started: String,
    seed: String,
    machine: Vec<(String, String)>,
    scenario: String,
    about: String,
    rules: Vec<String>,
    answers: Vec<(String, String, String, bool)>,
    picture: String,
    alt: String,
    aid: &'static str,
    steps: Vec<Row>,
    lost: Vec<String>,
}

/// One trial.
#[derive(Serialize)]
struct Row {
    place: String,
    system: String,
    rate: String,
    judged: &'static str,
    reason: String,
    offered: String,
    goodput: String,
    growth: String,
    response: [String; 3],
    completed: [String; 3],
    cpu: String,
    used: String,
    lag: String,
}

/// Writes the report of a search into its folder.
///
/// # Errors
/// If a file cannot be written.
pub(super) fn write(folder: &Path, run: &Run, settings: Settings) -> anyhow::Result<Paths> {
    let found = Found::of(folder, run, settings);
    let paths = Paths {
        summary: folder.join("capacity.csv"),
        html: folder.join("report.html"),
        readme: folder.join("README.md"),
        audits: Vec::new(),
        charts: vec![folder.join("charts/capacity.png")],
    };
    write_csv(&paths.summary, &found.steps)?;
    let charts = folder.join("charts");
    fs::create_dir_all(&charts).with_context(|| format!("cannot make {}", charts.display()))?;
    let page = Page::of(run, &found, &paths.charts[0])?;
    atomic_write::write(&paths.html, render("report.html", HTML, &page)?.as_bytes())?;
    atomic_write::write(&paths.readme, render("README.md", README, &page)?.as_bytes())?;
    Ok(paths)
}

impl Page {
    /// Gathers the facts and draws the chart at `chart`.
    fn of(run: &Run, found: &Found, chart: &Path) -> anyhow::Result<Self> {
        let (started, revision) = (words::utc(run.began_us()), revision(run));
        let source = format!("{} · {started} · revision {revision}", run.name);
        let told = found.capacities.iter().map(|one| format!("{}: {}", one.system, one.text));
        let seen = told.collect::<Vec<_>>().join("; ");
        let alt = format!("{}. {seen}.", chart::draw(found, &source, chart)?);
        let bytes = fs::read(chart).with_context(|| format!("cannot read {}", chart.display()))?;
        let answer = |one: &audit::capacity::replay::Capacity| {
            (one.system.clone(), one.text.clone(), one.used(), one.answer.is_known())
        };
        let seeds = run.trials.iter().map(|t| t.manifest.seed);
        Ok(Self {
            run: run.name.clone(),
            command: run.environment.get("command").cloned().unwrap_or_default(),
            revision,
            started,
            seed: seeds.min().map(|seed| seed.to_string()).unwrap_or_default(),
            machine: run.environment.clone().into_iter().collect(),
            scenario: found.settings.scenario.clone(),
            about: found.settings.scenario_about.clone(),
            rules: rules(&found.settings),
            answers: found.capacities.iter().map(answer).collect(),
            picture: embed::png(&bytes),
            alt,
            aid: chart::AID,
            steps: found.steps.iter().map(|s| Row::of(s, &found.settings.scenario)).collect(),
            lost: run.without_manifest.iter().map(|f| f.display().to_string()).collect(),
        })
    }
}

impl Row {
    fn of(step: &TrialAtRate, scenario: &str) -> Self {
        let time = |ms: Option<f64>| match ms {
            Some(ms) if ms.is_infinite() => "not final".to_owned(),
            Some(ms) => words::millis(ms),
            None => "–".to_owned(),
        };
        let rate = step.rate_per_s;
        Self {
            place: format!("{scenario}-at-{rate}/{}/{}", step.system, step.trial),
            system: step.system.clone(),
            rate: words::count(u64::from(rate)),
            judged: match step.judged {
                Judged::Kept => "kept",
                Judged::Broken => "broken",
                Judged::Unclear => "unclear",
                Judged::Invalid => "invalid",
            },
            reason: step.reason.clone(),
            offered: words::digits(step.offered_per_s),
            goodput: words::digits(step.goodput_per_s),
            growth: words::digits(step.growth_per_s),
            response: [step.response_p50_ms, step.response_p90_ms, step.response_p99_ms].map(time),
            completed: [step.completed_p50_ms, step.completed_p90_ms, step.completed_p99_ms]
                .map(time),
            cpu: step.cpu_ms_per_order.map_or("–".to_owned(), words::millis),
            used: step.used.clone(),
            lag: words::millis(step.send_lag_p99_us as f64 / 1e3),
        }
    }
}

fn told_by(told_by: ToldBy) -> &'static str {
    match told_by {
        ToldBy::Thirds => {
            "Growth: samples of the window's last third against those of its first, and more than three standard deviations of a Poisson number. (So were searches judged before decision 27.)"
        }
        ToldBy::Seconds => {
            "Shares and growth are told with what chance makes of the window's seconds, at 97.5 % to each side. What may be either is unclear: then the interval between kept and broken is wider than asked, and a longer --step narrows it."
        }
    }
}

/// The rules in force, in sentences.
fn rules(settings: &Settings) -> Vec<String> {
    let percent = |share: f64| format!("{} %", words::digits(share * 100.0));
    let share = percent(settings.keeps.share);
    let rules = &settings.rules;
    let mut sentences = vec![
        format!(
            "Each trial: a fresh system with an empty database, open-loop Poisson arrivals at one rate, {} s of warm-up, {} s measured.",
            settings.warm_up_s, settings.step_s
        ),
        format!(
            "Kept: at least {share} of the offered orders complete within {} s of their intended start, {share} of all other requests are answered, nothing is dropped, open orders do not grow by more than {} of the offered rate, nothing is pending after the drain, and the audit is not false.",
            words::digits(settings.objective_s),
            percent(1.0 - settings.keeps.share)
        ),
        told_by(settings.keeps.told_by).to_owned(),
        format!(
            "The rate doubles from {} per second until it breaks; bisection goes on until the interval is at most {} of its lower end wide; both ends then have {} valid trials, of which the majority counts, a tie as broken. Trials with a doubt about the generator or the machine say nothing and are repeated.",
            rules.from_per_s,
            percent(rules.resolution),
            rules.trials
        ),
    ];
    let promises = settings.keeps.thresholds.iter().map(|t| t.expect.to_string());
    sentences.extend(promises.map(|text| format!("Also asked, by the scenario: {text}.")));
    if let Some(most) = settings.generator_most_per_s {
        sentences.push(format!("The generator measures up to {most} arrivals per second here."));
    }
    if !settings.left_out.is_empty() {
        sentences.push(format!(
            "Left out of the scenario: its curve and {}.",
            settings.left_out.join(", ")
        ));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use audit::capacity::replay::{FILE, FORMAT};
    use audit::capacity::search::{Bound, Rules, Search};
    use audit::capacity::trial_at_rate::Keeps;
    use record::read::Trial;

    const SYSTEMS: [&str; 3] = ["monolith", "microservices-sync", "microservices-async"];

    fn settings() -> Settings {
        Settings {
            format: FORMAT,
            scenario: "steady".to_owned(),
            scenario_about: "A day like any other.".to_owned(),
            systems: SYSTEMS.map(str::to_owned).to_vec(),
            objective_s: 1.0,
            left_out: vec!["1 fault".to_owned()],
            warm_up_s: 10,
            step_s: 10,
            keeps: Keeps {
                share: 0.99,
                thresholds: Vec::new(),
                main_share: Some(0.75),
                told_by: ToldBy::Seconds,
            },
            rules: Rules {
                from_per_s: 200,
                most_per_s: 5_000,
                bound: Bound::Asked,
                resolution: 0.15,
                trials: 2,
            },
            generator_most_per_s: None,
        }
    }

    /// Searches the invented systems, whose capacity follows from their speeds.
    fn invent(folder: &Path) {
        let settings = settings();
        let mut nth = 0;
        for order in 0..SYSTEMS.len() {
            let mut search = Search::new(settings.rules);
            let mut numbers = BTreeMap::<u32, u32>::new();
            while let Some(rate) = search.next() {
                let number = numbers.entry(rate).or_default();
                *number += 1;
                let doubt = (rate == 400 && *number == 1 && order == 1)
                    .then_some("send lag p99 is 4100 µs; the scenario allows 1000 µs");
                let at =
                    record_fixture::write_step(folder, (order, rate, *number), nth, doubt).unwrap();
                let trial = Trial::read(&at).unwrap().unwrap();
                search.add(rate, TrialAtRate::of(&at, &trial, &settings.keeps).judged);
                nth += 1;
            }
        }
        atomic_write::write_json(&folder.join(FILE), &settings).unwrap();
    }

    #[test]
    fn a_capacity_is_that_of_completing_and_the_report_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        invent(&run);
        let Paths { summary, html, readme, charts, .. } = crate::write(&run).unwrap();
        let found = Found::read(&run).unwrap();
        // 1 / (0.75 × 1.032 × busy time of an order): the queue's accepting could do 1,170.
        for (one, truth) in found.capacities.iter().zip([994.0, 538.0, 430.0]) {
            let low = f64::from(one.answer.kept.unwrap().rate_per_s);
            let high = f64::from(one.answer.broken.unwrap().rate_per_s);
            assert!(one.answer.is_known() && high > low, "{}: {}", one.system, one.text);
            // Where the queue's growth drowns in chance, the knee is a little lower or higher.
            assert!(truth * 0.85 < high && low < truth * 1.05, "{}: {}", one.system, one.text);
        }
        assert!(found.steps.iter().any(|s| s.judged == Judged::Invalid));
        let schema = include_str!("../../../docs/capacity.schema.json");
        let schema = serde_json::from_str(schema).unwrap();
        let printed = serde_json::to_value(&found).unwrap();
        crate::export::schema::check(&printed, &schema, &schema, "$");
        insta::assert_snapshot!("capacity_readme", fs::read_to_string(&readme).unwrap());
        insta::assert_snapshot!("capacity_csv", fs::read_to_string(&summary).unwrap());
        let page = fs::read_to_string(&html).unwrap();
        assert_eq!(page.matches("data:image/png;base64,").count(), 1);
        assert!(!page.contains("http://") && !page.contains("<script"));
        assert!(fs::read(&charts[0]).unwrap().starts_with(b"\x89PNG"));
        crate::write(&run).unwrap();
        assert!(fs::read_to_string(&html).unwrap() == page, "a second report is the same");
    }

    #[test]
    fn settings_of_another_format_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = record_fixture::write_step(folder.path(), (0, 100, 1), 0, None).unwrap();
        assert!(at.ends_with("steady-at-100/monolith/1"));
        atomic_write::write_json(&folder.path().join(FILE), &Settings { format: 9, ..settings() })
            .unwrap();
        let error = crate::write(folder.path()).unwrap_err().to_string();
        assert!(error.contains("capacity.json") && error.contains("found 9"), "{error}");
    }
}
