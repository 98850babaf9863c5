//! `audit.html` of one trial: what it says of each order and each charge, for who doubts the verdict.
//!
//! It is drawn from the trial's folder alone and judges nothing: the verdict is that of `audit.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;

use serde::Serialize;

use record::read::{Run, Trial};
use record::{Class, Kind};
use record::{Finding, Verdict, atomic_write};

use super::audit_tables::{AuditTables, FILE, has_page};
use super::compare::{Scenario, trusted};
use super::exclusion;
use super::figure_text::NOTHING;
use super::page::pictures::{Embedded, embedded};
use super::page::{self, faults, tables};
use super::violation_text::{fewer_than, word};
use super::{charts, words};

const HTML: &str = include_str!("page/audit.html");
/// The lives that are told in full; more would be a record, not a page.
const LIVES: usize = 48;

/// Writes the pages of all trials of `run`, which lies in `folder`; returns their paths.
pub(super) fn write_all(folder: &Path, run: &Run, source: &str) -> anyhow::Result<Vec<PathBuf>> {
    let trials: Vec<_> = run.trials.iter().filter(|trial| has_page(trial)).collect();
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    let each = trials.len().div_ceil(at_once).max(1);
    let pages = thread::scope(|scope| {
        let write = |part: &[&Trial]| -> anyhow::Result<Vec<PathBuf>> {
            part.iter().map(|trial| write(folder, trial, source)).collect()
        };
        let threads: Vec<_> =
            trials.chunks(each).map(|part| scope.spawn(move || write(part))).collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(written) => written,
            Err(_) => Err(anyhow::anyhow!("drawing the page of a trial's audit panicked")),
        });
        joined.collect::<anyhow::Result<Vec<_>>>()
    })?;
    Ok(pages.into_iter().flatten().collect())
}

fn write(run: &Path, trial: &Trial, source: &str) -> anyhow::Result<PathBuf> {
    let folder = run.join(&trial.folder);
    let keys = offending(trial.audit.as_ref());
    let mut evidence = AuditTables::read(&folder, &trial.manifest, !keys.is_empty());
    let scenario = Scenario::alone(trial);
    let source = format!("{source} · {}", trial.folder.display());
    let drawn = charts::draw_audit(&scenario, &evidence, &source, &folder.join("charts"))?;
    let lives = lives(&folder, trial, &keys, &mut evidence);
    let page = Page {
        place: trial.folder.display().to_string(),
        source,
        up: "../".repeat(trial.folder.components().count()) + "report.html",
        about: trial.manifest.scenario_about.clone(),
        system_about: trial.manifest.system_about.clone(),
        excluded: if trusted(trial) { String::new() } else { exclusion::of(trial) },
        reasons: trial.manifest.validity.sentences(),
        verdict: trial.audit.as_ref().map(said),
        classes: trial.audit.as_ref().map(classes).unwrap_or_default(),
        oddities: trial.audit.as_ref().map(|found| found.oddities.iter().map(odd).collect()),
        counts: tables::counts(trial),
        recovery: faults::recovery(trial),
        faults: faults::lines(trial),
        pictures: embedded(&drawn)?,
        untold: keys.len().saturating_sub(LIVES),
        lives,
        left_out: evidence.left_out,
    };
    let path = folder.join(FILE);
    atomic_write::write(&path, page::render(FILE, HTML, &page)?.as_bytes())?;
    Ok(path)
}

/// Everything that the template prints.
#[derive(Serialize)]
struct Page {
    place: String,
    source: String,
    up: String,
    about: String,
    system_about: String,
    excluded: String,
    reasons: Vec<String>,
    verdict: Option<Said>,
    classes: Vec<ClassRow>,
    oddities: Option<Vec<(String, String, String)>>,
    counts: String,
    recovery: Vec<faults::RecoveryRow>,
    faults: Vec<faults::FaultLine>,
    pictures: Vec<Embedded>,
    lives: Vec<Life>,
    untold: usize,
    left_out: Vec<String>,
}

#[derive(Serialize)]
struct Said {
    verdict: &'static str,
    safety: &'static str,
    liveness: &'static str,
    reasons: Vec<String>,
    unchecked: Vec<String>,
}

#[derive(Serialize)]
struct ClassRow {
    class: String,
    meaning: String,
    kind: &'static str,
    count: u64,
    n: String,
    bound: String,
}

#[derive(Serialize)]
struct Life {
    key: String,
    classes: String,
    text: String,
}

fn said(audit: &Verdict) -> Said {
    // Older records give one answer for both.
    let apart = audit.safety.max(audit.liveness) == audit.verdict;
    let part = |answer| if apart { word(answer) } else { "not told apart by this record" };
    Said {
        verdict: word(audit.verdict),
        safety: part(audit.safety),
        liveness: part(audit.liveness),
        reasons: audit.sentences(),
        unchecked: audit.unchecked.clone(),
    }
}

fn classes(audit: &Verdict) -> Vec<ClassRow> {
    let n = audit.counts.n();
    let row = |found: &Finding| ClassRow {
        class: found.class.clone(),
        meaning: found.meaning.clone(),
        kind: kind(&found.class),
        count: found.count,
        n: words::count(n),
        bound: match found.count {
            0 => fewer_than(n).unwrap_or_else(|| "too few to show anything".to_owned()),
            _ => NOTHING.to_owned(),
        },
    };
    audit.violations.iter().map(row).collect()
}

fn kind(class: &str) -> &'static str {
    match Class::all().find(|one| one.name() == class).map(Class::kind) {
        Some(Kind::Safety) => "safety",
        Some(Kind::Liveness) => "liveness",
        Some(Kind::Oddity) | None => NOTHING,
    }
}

fn odd(found: &Finding) -> (String, String, String) {
    (found.class.clone(), words::count(found.count), found.meaning.clone())
}

/// The keys that the audit shows for violations, with their classes; the first of each class first, so
/// that none is crowded out.
fn offending(audit: Option<&Verdict>) -> Vec<(String, Vec<String>)> {
    let found: Vec<&Finding> = audit.iter().flat_map(|audit| &audit.violations).collect();
    let longest = found.iter().map(|finding| finding.examples.len()).max().unwrap_or(0);
    let mut keys: Vec<(String, Vec<String>)> = Vec::new();
    let mut places = BTreeMap::new();
    for nth in 0..longest {
        for finding in &found {
            let Some(key) = finding.examples.get(nth) else { continue };
            let place = *places.entry(key).or_insert_with(|| {
                keys.push((key.clone(), Vec::new()));
                keys.len() - 1
            });
            keys[place].1.push(finding.class.clone());
        }
    }
    keys
}

fn lives(
    folder: &Path,
    trial: &Trial,
    keys: &[(String, Vec<String>)],
    evidence: &mut AuditTables,
) -> Vec<Life> {
    let keys = &keys[..keys.len().min(LIVES)];
    if keys.is_empty() {
        return Vec::new();
    }
    let wanted: Vec<_> = keys.iter().map(|(key, _)| key.as_str()).collect();
    match audit::traces_of(folder, &trial.manifest, &wanted) {
        Ok(traces) => keys.iter().map(|(key, classes)| life(key, classes, &traces)).collect(),
        Err(error) => {
            evidence.leave("The lives of offending orders are", folder, &error);
            Vec::new()
        }
    }
}

fn life(key: &str, classes: &[String], traces: &BTreeMap<String, audit::Traces>) -> Life {
    let events = traces.get(key).map(audit::order).unwrap_or_default();
    let text = match events.is_empty() {
        true => "The record knows nothing about this key.\n".to_owned(),
        false => audit::events_text(&events),
    };
    Life { key: key.to_owned(), classes: classes.join(", "), text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_first_example_before_any_has_its_second() {
        let finding = |class: &str, keys: &[&str]| Finding {
            class: class.to_owned(),
            examples: keys.iter().map(|key| (*key).to_owned()).collect(),
            ..Finding::default()
        };
        let violations = vec![
            finding("lost", &["a", "b", "c"]),
            finding("stuck", &[]),
            finding("phantom", &["d", "a"]),
        ];
        let audit = Verdict { violations, ..Verdict::default() };
        let keys = offending(Some(&audit));
        let text: Vec<_> =
            keys.iter().map(|(key, classes)| format!("{key} {}", classes.join("+"))).collect();
        assert_eq!(text, ["a lost+phantom", "d phantom", "b lost", "c lost"]);
        assert!(offending(None).is_empty());
    }

    #[test]
    fn every_class_of_a_violation_is_of_safety_or_of_liveness() {
        assert!(record::violations().all(|class| kind(class) != NOTHING));
        assert_eq!(
            (kind("lost"), kind("stuck"), kind("vanished")),
            ("safety", "liveness", NOTHING)
        );
    }
}
