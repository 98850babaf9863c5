//! `loadgen audit`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use loadgen::terminal::show;
use record::Answer;
use record::read::manifests;

use super::ending::{INVALID, VIOLATED};

/// Judge a finished record again: what became of every order and every charge. Runs nothing
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  loadgen audit results/latest\n  loadgen audit results/latest/spike/monolith/1 --order 2a-00000017\n  loadgen audit results/latest --json | jq '.[].audit.verdict'\nExit codes: 0 true, 3 unknown, 4 false; the worst of all trials."
)]
pub(crate) struct Args {
    /// A trial's folder, or a folder that `run` wrote
    folder: PathBuf,
    /// Print the life of the order with this key: attempts, rows, charges, dead letters, faults
    #[arg(long, value_name = "KEY", conflicts_with = "write")]
    order: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Replace the trials' audit.json
    #[arg(long)]
    write: bool,
}

pub(crate) fn audit(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.order {
        Some(key) => show_order(&args.folder, key, args.json),
        None => audit_again(&args.folder, args.json, args.write),
    }
}

/// Judges every trial in the folder; the exit code is that of the worst.
fn audit_again(folder: &Path, json: bool, write: bool) -> anyhow::Result<ExitCode> {
    let trials = manifests(folder)?;
    let read: Vec<audit::Read> =
        trials.iter().map(|(folder, manifest)| audit::Read::trial(folder, manifest)).collect();
    if write {
        read.iter().try_for_each(audit::Read::write)?;
    }
    let text = if json { serde_json::to_string_pretty(&read)? + "\n" } else { audit::table(&read) };
    show(&text)?;
    Ok(match read.iter().map(|trial| trial.audit.verdict).max() {
        Some(Answer::True) => ExitCode::SUCCESS,
        Some(Answer::Unknown) | None => ExitCode::from(INVALID),
        Some(Answer::False) => ExitCode::from(VIOLATED),
    })
}

fn show_order(folder: &Path, key: &str, json: bool) -> anyhow::Result<ExitCode> {
    let mut known = BTreeMap::new();
    for (folder, manifest) in manifests(folder)? {
        let events = audit::order(&audit::traces(&folder, &manifest, key)?);
        if !events.is_empty() {
            known.insert(folder.display().to_string(), events);
        }
    }
    if known.is_empty() {
        anyhow::bail!("{}: no trial knows an order with the key {key:?}", folder.display());
    }
    if json {
        show(&(serde_json::to_string_pretty(&known)? + "\n"))?;
    } else {
        for (folder, events) in &known {
            show(&format!("{folder}\n{}", audit::events_text(events)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
