//! What a project's README shows of a decided run: verdicts, what each system made of the claims' scenarios, a picture.
//! All of it is read off the record.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use record::read::Run;

use super::{of, shown};
use crate::compare::{Comparison, trusted};
use crate::decided::{self, Told, Verdicts};
use crate::summary::Scorecard;
use crate::words;

/// So many scenarios have a table, and one has a picture; the others are in the record.
const CARDS: usize = 3;
/// Where the README finds pictures.
const PICTURES: &str = "docs/img";

/// The block, in Markdown; `place` is where the README finds the record.
///
/// # Errors
/// If the record cannot be read, or holds no verdicts.
pub fn readme(folder: &Path, place: &str) -> anyhow::Result<String> {
    let verdicts = decided::last(folder)?;
    let verdicts = verdicts.with_context(|| {
        format!("{}: expected a folder with verdicts of `loadgen decide`", folder.display())
    })?;
    let run = Run::read(folder)?;
    let comparison = Comparison::of(&run);
    let scenarios = shown(folder)?;
    let mut card = Scorecard::of(&comparison);
    card.retain(|scenario| scenarios.contains(scenario));
    // What happens in one is seen in a picture; of a steady load there is nothing to see.
    let happens: BTreeSet<&str> = run
        .trials
        .iter()
        .filter(|trial| !trial.faults.is_empty())
        .map(|trial| trial.manifest.scenario.as_str())
        .collect();
    card.order_by(|scenario| (happens.contains(scenario), told_by(&verdicts, scenario)));
    let mut text = String::new();
    // Writing to memory cannot fail.
    if let Some(scenario) = card.first() {
        let seen = format!("What became of each second's orders under {scenario}");
        let _ = writeln!(text, "![{seen}]({PICTURES}/{scenario}-arrivals.png)\n");
    }
    text += &how(folder, &run, &verdicts, place)?;
    text += &table(&verdicts, place);
    text += &card.readme(CARDS);
    Ok(text)
}

/// How many verdicts rest on trials of this scenario.
fn told_by(verdicts: &Verdicts, scenario: &str) -> usize {
    let rests = |told: &&Told| {
        let mut trials = told.trials.iter();
        trials.any(|place| place.split('/').next() == Some(scenario))
    };
    verdicts.verdicts.iter().filter(|told| !is_open(told)).filter(rests).count()
}

/// Whether a claim has no verdict.
fn is_open(told: &Told) -> bool {
    matches!(told.verdict.as_str(), "undecided" | "not-here")
}

/// When and how it was made, on which machine.
fn how(folder: &Path, run: &Run, verdicts: &Verdicts, place: &str) -> anyhow::Result<String> {
    let fact = |name: &str| run.environment.get(name).map_or("not known", String::as_str);
    let made = of(folder)?.map_or_else(|| run.name.clone(), |reference| reference.run);
    let blurred = run.trials.iter().filter(|trial| !trial.manifest.validity.blurs.is_empty());
    let excluded = run.trials.iter().filter(|trial| !trusted(trial));
    Ok(format!(
        "[The record]({place}/README.md) of {} ({made}, revision {}): `{}`, {} trials in up to {} blocks, {} of them \
         excluded, {} blurred by what else ran. {}, {} of memory, {}; load average {} at the start, {} at the end.\n\n",
        words::utc(run.began_us()),
        verdicts.revision,
        fact("command"),
        run.trials.len(),
        run.trials.iter().map(|trial| trial.manifest.trial).max().unwrap_or(0),
        excluded.count(),
        blurred.count(),
        fact("cpu"),
        fact("memory"),
        fact("kernel"),
        fact("load average at the start"),
        fact("load average at the end"),
    ))
}

/// What has a verdict; how much has none.
fn table(verdicts: &Verdicts, place: &str) -> String {
    let mut text = "| what is said | verdict | what shows it |\n| --- | --- | --- |\n".to_owned();
    for told in verdicts.verdicts.iter().filter(|told| !is_open(told)) {
        let main = told.main.and_then(|main| told.findings.get(main));
        let shown = main.map_or("", |main| main.reason.as_str());
        let cells = [told.sentence.as_str(), &format!("**{}**", told.said), shown].map(cell);
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    let all = verdicts.verdicts.len();
    let open = verdicts.verdicts.iter().filter(|told| is_open(told)).count();
    let controls = match (verdicts.wrong.is_empty(), verdicts.unjudged.len()) {
        (false, _) => "came out wrong, so nothing is decided".to_owned(),
        (true, 0) => "came out right".to_owned(),
        (true, some) => format!("came out right; {some} of them could not be judged"),
    };
    text + &format!(
        "\nOf {all} claims {open} have no verdict there ([all of them]({place}/verdicts.csv)). The run's controls \
         {controls}.\n\n"
    )
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
