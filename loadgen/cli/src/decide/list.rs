//! The claims of this folder, a line each with the last verdict. It runs and decides nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use report::decided;
use scenario::names;

use super::asked::{self, FOLDER};
use crate::terminal::folded;

/// The claims, their sentences, and what was said of each in the newest of the runs in `out`.
#[must_use]
pub fn text(out: &Path) -> String {
    let last = last(out);
    let mut text = format!("Claims (./{FOLDER}):\n");
    for name in names(FOLDER) {
        let lines = match asked::read(&name) {
            Ok(asked) => {
                let needs =
                    asked.claim.needs.map(|needs| format!("not decidable here: needs {needs}"));
                let known = last.get(&name).map(|(said, run)| format!("{said} ({run})"));
                let said = needs.or(known).unwrap_or_else(|| "no verdict yet".to_owned());
                format!("  {name}: {said}\n      {}", asked.claim.sentence)
            }
            Err(error) => format!("  {name}: cannot be read: {error}"),
        };
        for line in lines.lines() {
            text += &folded(line);
            text.push('\n');
        }
    }
    text
}

/// Of each claim the verdict in words and the run, the newest one's.
fn last(out: &Path) -> BTreeMap<String, (String, String)> {
    let entries = fs::read_dir(out).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut runs: Vec<PathBuf> =
        entries.filter(|path| path.is_dir() && !path.is_symlink()).collect();
    // A run's name begins with its time.
    runs.sort();
    let mut last = BTreeMap::new();
    for run in runs {
        // What cannot be read decides nothing.
        let Ok(Some(verdicts)) = decided::last(&run) else { continue };
        for told in verdicts.verdicts.into_iter().chain(verdicts.controls) {
            last.insert(told.claim, (told.said, verdicts.run.clone()));
        }
    }
    last
}
