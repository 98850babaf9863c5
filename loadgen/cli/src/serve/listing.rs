//! The page that lists runs, the newest first, and shows the one that is under way. It reads of a run its facts and the
//! verdicts of its trials, no table.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use record::files;

/// Older runs are in the folder all the same.
const RUNS_MAX: usize = 200;
/// A manifest or the facts of a machine have some KiB.
const BYTES_MAX: u64 = 4 << 20;
/// scenario/system/trial.
const LEVELS: u32 = 3;

/// What is read of a manifest.
#[derive(Deserialize)]
struct Trial {
    validity: Validity,
}

#[derive(Deserialize)]
struct Validity {
    valid: bool,
}

/// The page.
pub(super) fn html(root: &Path) -> String {
    let runs = runs(root);
    let rows: String = runs.iter().take(RUNS_MAX).map(|run| row(root, run)).collect();
    let more = runs.len().saturating_sub(RUNS_MAX);
    let more =
        if more > 0 { format!("<p>{more} older runs are not listed.</p>") } else { String::new() };
    let rows = if rows.is_empty() {
        "<tr><td colspan=\"5\">No run yet: <code>loadgen run steady</code> makes one.</td></tr>"
            .to_owned()
    } else {
        rows
    };
    include_str!("page.html")
        .replace("{{rows}}", &rows)
        .replace("{{more}}", &more)
        .replace("{{root}}", &escaped(&root.display().to_string()))
}

/// Folders of runs, also those of campaigns, the newest first; `latest` is a link to one of them.
pub(super) fn runs(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    for _ in 0..=LEVELS {
        let mut below = Vec::new();
        for folder in folders {
            if folder.join(files::ENVIRONMENT).is_file() {
                found.push(folder);
            } else {
                below.extend(subfolders(&folder));
            }
        }
        folders = below;
    }
    let began = |run: &PathBuf| {
        fs::metadata(run.join(files::ENVIRONMENT)).and_then(|m| m.created().or(m.modified())).ok()
    };
    found.sort_by_cached_key(|run| (std::cmp::Reverse(began(run)), run.clone()));
    found
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}

/// Trials' folders below a run's.
pub(super) fn trials(run: &Path) -> Vec<PathBuf> {
    (0..LEVELS).fold(vec![run.to_owned()], |folders, _| {
        folders.iter().flat_map(|folder| subfolders(folder)).collect()
    })
}

fn row(root: &Path, run: &Path) -> String {
    let facts: BTreeMap<String, String> = json(&run.join(files::ENVIRONMENT)).unwrap_or_default();
    let fact = |name: &str| escaped(facts.get(name).map_or("–", String::as_str));
    let read = |folder: PathBuf| json::<Trial>(&folder.join(files::MANIFEST));
    let read: Vec<Trial> = trials(run).into_iter().filter_map(read).collect();
    let valid = read.iter().filter(|trial| trial.validity.valid).count();
    let name = run.strip_prefix(root).unwrap_or(run).display().to_string();
    let link = |file: &str, text: &str| {
        if run.join(file).is_file() {
            let path = if name.is_empty() { String::new() } else { encoded(&name) + "/" };
            format!("<a href=\"/results/{path}{file}\">{}</a>", escaped(text))
        } else {
            escaped(text)
        }
    };
    format!(
        "<tr><th scope=\"row\">{}</th><td><code>{}</code></td><td>{}</td><td>{}</td><td>{valid} of {}</td></tr>\n",
        link("report.html", if name.is_empty() { "this folder" } else { &name }),
        fact("command"),
        fact("revision"),
        fact("finished"),
        read.len()
    )
}

fn json<T: for<'d> Deserialize<'d>>(path: &Path) -> Option<T> {
    let small = fs::metadata(path).is_ok_and(|found| found.len() <= BYTES_MAX);
    serde_json::from_slice(&fs::read(path).ok().filter(|_| small)?).ok()
}

/// As text in a page.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

/// As a path in a link.
fn encoded(name: &str) -> String {
    let segment = |segment: &str| {
        percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC)
            .to_string()
    };
    name.split('/').map(segment).collect::<Vec<_>>().join("/")
}
