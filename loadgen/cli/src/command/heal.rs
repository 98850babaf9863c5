//! `loadgen heal`, and the word of it where it is needed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use loadgen::terminal::{show, warn};
use supervise::undo::{self, CleanedUp};

/// Take back what a run left that was ended in the middle: processes, mounts, control groups
#[derive(clap::Args)]
#[command(
    after_help = "Only what an undo journal (undo.jsonl) names is touched, and a process only if it is still\nthe one that was started then.\n\nExamples:\n  loadgen heal\n  loadgen heal results/2026-11-01T120000Z-host"
)]
pub(crate) struct Args {
    /// A folder with results in or below it
    #[arg(default_value = "results")]
    folder: PathBuf,
}

pub(crate) fn heal(Args { folder }: &Args) -> anyhow::Result<ExitCode> {
    let cleaned = undo::clean_up(folder)
        .with_context(|| format!("cannot clean up what is in {}", folder.display()))?;
    for text in &cleaned.done {
        show(&format!("{text}\n"))?;
    }
    cleaned.failed.iter().for_each(|text| warn(text));
    if cleaned == CleanedUp::default() {
        show(&format!("nothing to take back in {}\n", folder.display()))?;
    }
    Ok(if cleaned.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What an earlier run left would disturb this one; whether to touch it is the user's decision.
pub(crate) fn warn_of_leftovers(out: &Path) {
    for journal in undo::left(out).unwrap_or_default() {
        warn(&format!(
            "warning: an earlier run was ended in the middle and left something: {}; run: loadgen heal {}",
            journal.path.display(),
            out.display()
        ));
    }
}
