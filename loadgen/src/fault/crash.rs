//! Crash points: a process is told, by a file, to abort when its work comes to a named place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::{Instant, sleep};

use super::{Held, PROOF_POLL, Stage};
use crate::launch::Running;
use crate::scenario::{FaultKind, FaultSpec};
use crate::system::SystemSpec;
use crate::undo::Undo;

/// The environment variable in which a process finds its folder of armed points.
pub const FOLDER: &str = "TRIPTYCH_CRASH_POINTS";
/// Under load a place is come to within milliseconds; a rare one may take longer.
const REACHED_WITHIN: Duration = Duration::from_secs(5);

/// A system as a trial needs it: with crash faults, each process has a folder of armed points.
/// Without any, no process looks for one.
#[must_use]
pub fn equip(system: &SystemSpec, faults: &[FaultSpec]) -> SystemSpec {
    let mut equipped = system.clone();
    if faults.iter().any(|fault| fault.kind == FaultKind::Crash) {
        for process in &mut equipped.processes {
            let folder = format!("{{outside}}/crash-points/{}", process.name);
            process.env.insert(FOLDER.to_owned(), folder);
        }
    }
    equipped
}

/// The processes that play the harmed role, and their folders.
pub(super) struct Points<'a> {
    running: &'a mut Running,
    players: Vec<usize>,
    point: &'a str,
}

impl<'a> Points<'a> {
    pub(super) fn of(stage: &'a mut Stage<'_>, fault: &'a FaultSpec) -> Self {
        let players = stage.running.spec.players(&fault.harm);
        let point = fault.point.as_deref().unwrap_or_default();
        Self { running: stage.running, players, point }
    }

    /// Arms the point and waits until each process has come to it. Proof: the file that it renamed,
    /// and its end by SIGABRT.
    pub(super) async fn crash(self, held: &mut Held) -> anyhow::Result<String> {
        let armed: Vec<PathBuf> =
            self.players.iter().map(|i| self.file(*i)).collect::<anyhow::Result<_>>()?;
        for file in &armed {
            let undo = Undo::RemoveFile { path: file.clone() };
            held.entries.push(self.running.undo.before(undo)?);
            arm(file).with_context(|| format!("cannot write {}", file.display()))?;
        }
        let mut proofs = Vec::new();
        let mut failure = None;
        for (index, file) in self.players.iter().zip(&armed) {
            let name = self.running.spec.processes[*index].name.clone();
            match await_reached(file).await {
                Ok(()) => {
                    let status = self.running.await_end(*index).await?;
                    ensure!(status.to_string().contains("SIGABRT"), "{name} ended with {status}");
                    proofs.push(format!("{name}: reached {}, {status}", self.point));
                }
                Err(error) => failure = failure.or(Some(error.context(name))),
            }
        }
        failure.map_or_else(|| Ok(proofs.join("; ")), Err)
    }

    /// Nobody aborts there any more. Proof: the files are gone.
    pub(super) fn disarm(&self) -> anyhow::Result<()> {
        for index in &self.players {
            let file = self.file(*index)?;
            let gone = std::fs::remove_file(&file).is_ok() || !file.exists();
            ensure!(gone, "{} cannot be removed", file.display());
        }
        Ok(())
    }

    fn file(&self, index: usize) -> anyhow::Result<PathBuf> {
        let process = &self.running.spec.processes[index];
        let folder = process.env.get(FOLDER);
        let folder = folder.with_context(|| format!("{} has no crash points", process.name))?;
        Ok(Path::new(folder).join(self.point))
    }
}

fn arm(file: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(file.parent().unwrap_or(file))?;
    match std::fs::remove_file(reached(file)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::write(file, "")
}

fn reached(file: &Path) -> PathBuf {
    file.with_extension("reached")
}

/// Waits; a point that nobody came to is disarmed, so that nobody aborts there later.
async fn await_reached(file: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + REACHED_WITHIN;
    while !reached(file).exists() {
        if Instant::now() > deadline && std::fs::remove_file(file).is_ok() {
            let within = REACHED_WITHIN.as_secs();
            anyhow::bail!("no work came to this point within {within} s");
        }
        sleep(PROOF_POLL).await;
    }
    Ok(())
}
