//! What a process has kept is lost with it: the disk that it lay on is gone, and it begins with an
//! empty one. Nothing takes that back; only what a system file names is touched, and only in the
//! trial's folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::kind::{Example, Facts, Kind};
use crate::process::Processes;
use crate::proof::Proof;
use crate::stage::Scene;
use scenario::system::ProcessSpec;
use supervise::folder::DATA;
use supervise::launch::Running;

/// SIGKILL, and all that it has kept is gone; started again at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataLoss {}

impl Kind for DataLoss {
    const FACTS: Facts = Facts {
        name: "data-loss",
        state: "dead, and its data are lost,",
        about: "SIGKILL, and all that it has kept is gone; started again, empty, at the end",
        seen: "as kill, and files with bytes in them that are gone",
        example: Example { target: "broker", lasts: "500ms", parameters: "" },
        ..Facts::ROLE
    };

    type Held = ();

    fn check_process(&self, process: &ProcessSpec) -> Result<(), String> {
        if !process.data.is_empty() {
            return Ok(());
        }
        Err(format!(
            "what the process {} keeps is not known; name it in the system file, \
             as in data = [\"{{data}}/{}.db*\"]",
            process.name, process.name
        ))
    }

    /// Proof: as of kill, and what was there and is not any more.
    async fn inject(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        let killed = Processes::before_the_end(scene).await.kill().await?;
        Ok(format!("{killed}; {}", lose(scene.stage.running, scene.players)?))
    }

    /// Proof: each is ready.
    async fn heal(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        scene.raise().await
    }
}

/// Removes what these processes, which have ended, had kept. Proof: what was there and is not any more.
fn lose(running: &mut Running, players: &[usize]) -> anyhow::Result<String> {
    let trial = running.logs().parent().context("logs without a folder")?;
    let data = std::path::absolute(trial.join(DATA))?;
    let mut proofs = Vec::new();
    for index in players {
        let process = &running.spec.processes[*index];
        let lost = process.data.iter().map(|named| remove(&data, named)).sum::<anyhow::Result<_>>();
        let Lost { files, bytes } =
            lost.with_context(|| format!("the data of {}", process.name))?;
        ensure!(bytes > 0, "{} had kept nothing in {}", process.name, process.data.join(", "));
        proofs.push(format!("{}: {files} files with {bytes} bytes are gone", process.name));
        running.begins_anew(*index);
    }
    Ok(proofs.join("; "))
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lost {
    files: u64,
    bytes: u64,
}

impl std::iter::Sum for Lost {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |a, b| Self {
            files: a.files + b.files,
            bytes: a.bytes + b.bytes,
        })
    }
}

/// Removes what a name stands for, files or folders in the data's folder.
fn remove(data: &Path, named: &str) -> anyhow::Result<Lost> {
    let mut lost = Lost::default();
    for path in found(data, named)? {
        let told = || path.display().to_string();
        lost = [lost, size(&path).with_context(told)?].into_iter().sum();
        let kind = path.symlink_metadata().with_context(told)?.file_type();
        let removed = if kind.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.with_context(told)?;
        ensure!(path.symlink_metadata().is_err(), "{} is still there", path.display());
    }
    Ok(lost)
}

/// The paths that a name stands for: itself, or with a `*` at its end all with this beginning.
fn found(data: &Path, named: &str) -> anyhow::Result<Vec<PathBuf>> {
    let (beginning, any) = named.strip_suffix('*').map_or((named, false), |begin| (begin, true));
    let path = Path::new(beginning);
    let folder = path.parent().unwrap_or(path);
    ensure!(
        folder.canonicalize()?.starts_with(data.canonicalize()?),
        "{named} does not lie in {}",
        data.display()
    );
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        anyhow::bail!("{named} names no file");
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.file_name();
        let matches = found.to_str().is_some_and(|f| f == name || (any && f.starts_with(name)));
        if matches {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

/// Files and their bytes; links are not followed.
fn size(path: &Path) -> anyhow::Result<Lost> {
    let found = path.symlink_metadata()?;
    if !found.is_dir() {
        return Ok(Lost { files: 1, bytes: found.len() });
    }
    let mut lost = Lost::default();
    for entry in std::fs::read_dir(path)? {
        lost = [lost, size(&entry?.path())?].into_iter().sum();
    }
    Ok(lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir_all(data.join("pg/base")).unwrap();
        for (name, bytes) in [("b.db", 10), ("b.db-wal", 5), ("other.db", 7), ("pg/base/1", 3)] {
            std::fs::write(data.join(name), vec![7; bytes]).unwrap();
        }
        std::fs::write(folder.path().join("journal"), "kept").unwrap();
        folder
    }

    #[track_caller]
    fn check(named: &str, expected: (u64, u64), left: &[&str]) {
        let folder = folder();
        let data = folder.path().join("data");
        let named = named.replace("{data}", &data.to_string_lossy());
        let lost = remove(&data, &named).unwrap();
        assert_eq!((lost.files, lost.bytes), expected, "{named}");
        let entries = std::fs::read_dir(&data).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, left, "{named}");
    }

    #[test]
    fn what_is_named_is_removed_and_nothing_else() {
        check("{data}/b.db*", (2, 15), &["other.db", "pg"]);
        check("{data}/b.db", (1, 10), &["b.db-wal", "other.db", "pg"]);
        check("{data}/pg", (1, 3), &["b.db", "b.db-wal", "other.db"]);
        check("{data}/nothing", (0, 0), &["b.db", "b.db-wal", "other.db", "pg"]);
    }

    #[test]
    fn what_lies_elsewhere_stays() {
        let folder = folder();
        let data = folder.path().join("data");
        let outside = folder.path().join("journal");
        let around = data.join("../journal");
        std::os::unix::fs::symlink(folder.path(), data.join("link")).unwrap();
        for path in [outside.clone(), around, data.join("link/journal")] {
            let error = remove(&data, &path.to_string_lossy()).unwrap_err().to_string();
            assert!(error.contains("does not lie in"), "{error}");
        }
        // A link goes, what it leads to stays.
        remove(&data, &data.join("link").to_string_lossy()).unwrap();
        assert!(outside.exists());
    }
}
