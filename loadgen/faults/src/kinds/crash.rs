//! Crash points: a process is told, by a file, to abort when its work comes to a named place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::kind::{Example, Facts, Kind, Lasts};
use crate::process::last_look;
use crate::proof::{PROOF_POLL, Proof};
use crate::stage::{Entries, Scene};
use scenario::system::{ProcessSpec, SystemSpec};
use supervise::launch::{Running, aborted};
use supervise::undo::Undo;

/// The environment variable in which a process finds its folder of armed points. Without a crash fault
/// no process looks for one.
const FOLDER: &str = "TRIPTYCH_CRASH_POINTS";
/// Under load a place is come to within milliseconds; a rare one may take longer.
const REACHED_WITHIN: Duration = Duration::from_secs(5);

/// Aborts at a named point of its work; started again at the end, or at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    /// Where the process aborts, as the system file names it.
    pub point: String,
}

impl Kind for Crash {
    const FACTS: Facts = Facts {
        name: "crash",
        lasts: Lasts::May,
        state: "crashed",
        about: "aborts when its work comes to `point`; started again at the end, or at once",
        seen: "the renamed file of the crash point, and SIGABRT",
        example: Example { parameters: "point = \"order-committed\"", ..Facts::ROLE.example },
        ..Facts::ROLE
    };

    type Held = Entries;

    fn check_process(&self, process: &ProcessSpec) -> Result<(), String> {
        let (name, points, point) = (&process.name, &process.crash_points, &self.point);
        if points.contains(point) {
            return Ok(());
        }
        let known = if points.is_empty() {
            "it names none (crash_points in the system file)".to_owned()
        } else {
            format!("it has {}", points.join(", "))
        };
        Err(format!("the process {name} has no crash point {point:?}; {known}"))
    }

    fn equip(&self, system: &mut SystemSpec) {
        for process in &mut system.processes {
            let folder = format!("{{outside}}/crash-points/{}", process.name);
            process.env.insert(FOLDER.to_owned(), folder);
        }
    }

    /// Arms the point and waits until each process has come to it. Proof: the file that it renamed,
    /// and its end by SIGABRT.
    async fn inject(&self, scene: &mut Scene<'_, '_>, held: &mut Entries) -> Proof {
        last_look(scene.stage).await;
        let running = &mut *scene.stage.running;
        let armed = self.files(running, scene.players)?;
        for (_, file) in &armed {
            held.add(running, Undo::RemoveFile { path: file.clone() })?;
            arm(file).with_context(|| format!("cannot write {}", file.display()))?;
        }
        let mut proofs = Vec::new();
        let mut failure = None;
        for (index, file) in &armed {
            let name = running.spec.processes[*index].name.clone();
            match await_reached(file).await {
                Ok(()) => {
                    let status = running.await_end(*index).await?;
                    ensure!(aborted(status), "{name} ended with {status}");
                    proofs.push(format!("{name}: reached {}, {status}", self.point));
                }
                Err(error) => failure = failure.or(Some(error.context(name))),
            }
        }
        failure.map_or_else(|| Ok(proofs.join("; ")), Err)
    }

    /// Nobody aborts there any more. Proof: the files are gone, and each is ready.
    async fn heal(&self, scene: &mut Scene<'_, '_>, held: &mut Entries) -> Proof {
        for (_, file) in self.files(scene.stage.running, scene.players)? {
            let gone = std::fs::remove_file(&file).is_ok() || !file.exists();
            ensure!(gone, "{} cannot be removed", file.display());
        }
        let raised = scene.raise().await?;
        held.close(scene.stage.running)?;
        Ok(raised)
    }
}

impl Crash {
    /// The harmed processes, each with the file that arms its point.
    fn files(&self, running: &Running, players: &[usize]) -> anyhow::Result<Vec<(usize, PathBuf)>> {
        let file = |index: usize| {
            let process = &running.spec.processes[index];
            let folder = process.env.get(FOLDER);
            let folder = folder.with_context(|| format!("{} has no crash points", process.name))?;
            Ok((index, Path::new(folder).join(&self.point)))
        };
        players.iter().copied().map(file).collect()
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
