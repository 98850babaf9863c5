//! A folder that is no run's: what it is instead, and which folder was meant. It reads names alone.

use std::path::{Path, PathBuf};

use super::broken::Broken;
use super::folders::subfolders;
use crate::files;

/// So many runs are named; who has more knows where they are.
const NAMED: usize = 10;
/// Runs of a campaign lie in campaign/lane/system.
const DEPTH: u32 = 3;

/// Why there is nothing to report in `path`, and what to give instead.
pub(super) fn explain(path: &Path, unfinished: &[PathBuf]) -> Broken {
    let expected = "a run with trials as <scenario>/<system>/<trial>/manifest.json";
    let broken = Broken::at(path).expected(expected);
    let mut runs = Vec::new();
    runs_below(path, DEPTH, &mut runs);
    if path.join(files::ENVIRONMENT).exists() && !unfinished.is_empty() {
        return broken
            .found(&format!("{} trials, none of which was finished", unfinished.len()))
            .remedy("look into their logs; without a manifest.json there is nothing to report");
    }
    if let Some(run) = run_above(path) {
        return broken
            .found("a part of a run")
            .remedy(&format!("give the whole run: {}", run.display()));
    }
    if !runs.is_empty() {
        return broken.found(&format!("a folder of {} runs", runs.len())).remedy(&choice(runs));
    }
    broken.found("none").remedy("give the folder that a run has written, e.g. results/latest")
}

/// The newest first: their names begin with the time.
fn choice(mut runs: Vec<PathBuf>) -> String {
    runs.sort_by(|a, b| b.file_name().cmp(&a.file_name()));
    let more = runs.len().saturating_sub(NAMED);
    let names: Vec<String> = runs.iter().take(NAMED).map(|r| r.display().to_string()).collect();
    let more = if more > 0 { format!(" and {more} older ones") } else { String::new() };
    format!("give one of them: {}{more}", names.join(", "))
}

/// `latest` is a link to a run that is met anyway.
fn runs_below(path: &Path, depth: u32, runs: &mut Vec<PathBuf>) {
    let below = subfolders(path).unwrap_or_default();
    for folder in below.into_iter().filter(|folder| !folder.is_symlink()) {
        if folder.join(files::ENVIRONMENT).exists() {
            runs.push(folder);
        } else if depth > 1 {
            runs_below(&folder, depth - 1, runs);
        }
    }
}

/// The run that a scenario's, a system's or a trial's folder belongs to.
fn run_above(path: &Path) -> Option<PathBuf> {
    let full = path.canonicalize().ok()?;
    let mut above = full.ancestors().skip(1).take(3);
    above.find(|folder| folder.join(files::ENVIRONMENT).exists()).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Run;

    /// Two runs with one trial each, side by side, and an empty folder.
    fn results() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let wanted = |scenario: &str, system: &str| scenario == "spike" && system == "monolith";
        for name in ["2026-11-01T100000Z-a", "2026-11-02T100000Z-a"] {
            record_fixture::write_some(&folder.path().join(name), wanted).unwrap();
        }
        std::os::unix::fs::symlink("2026-11-02T100000Z-a", folder.path().join("latest")).unwrap();
        fs::create_dir(folder.path().join("empty")).unwrap();
        folder
    }

    #[track_caller]
    fn check(part: &str, parts: &[&str]) {
        let results = results();
        let error = Run::read(&results.path().join(part)).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }

    #[test]
    fn a_folder_of_runs_is_no_run_and_lists_them_the_newest_first() {
        let parts = ["found a folder of 2 runs", "/2026-11-02T100000Z-a, ", "1T100000Z-a"];
        check("", &parts);
    }

    #[test]
    fn a_part_of_a_run_names_the_whole() {
        let parts = ["found a part of a run", "give the whole run: ", "/2026-11-01T100000Z-a"];
        check("2026-11-01T100000Z-a/spike", &parts);
        check("2026-11-01T100000Z-a/spike/monolith", &parts);
        check("2026-11-01T100000Z-a/spike/monolith/1", &parts);
    }

    #[test]
    fn nothing_at_all_is_nothing() {
        check("empty", &["found none", "results/latest"]);
    }

    #[test]
    fn a_run_without_a_finished_trial_is_none_to_report() {
        let results = results();
        let run = results.path().join("2026-11-01T100000Z-a");
        fs::remove_file(run.join("spike/monolith/1/manifest.json")).unwrap();
        let error = Run::read(&run).unwrap_err().to_string();
        assert!(error.contains("found 1 trials, none of which was finished"), "{error}");
    }
}
