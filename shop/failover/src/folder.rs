//! The folder of a server of a pair: PostgreSQL's own in it, and what stood there before.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use process_log::tell;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::time::{sleep, timeout};

/// PostgreSQL's own folder, and where it is put before another takes its place.
const FOLDER: &str = "db";
const ASIDE: &str = "old";
/// What was left of an earlier life ends within this; how often it is looked.
const LEFT_MAX: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

/// Whether PostgreSQL has something there.
pub(crate) fn is_there(data: &Path) -> bool {
    data.join(FOLDER).exists()
}

/// Kills a PostgreSQL of this folder that an earlier life of this process has left: nobody has leased it anything. What it
/// started ends when it has.
pub(crate) async fn end_what_was_left(data: &Path) -> Result<()> {
    let folder = data.join(FOLDER);
    let Ok(noted) = std::fs::read_to_string(folder.join("postmaster.pid")) else { return Ok(()) };
    let pid = noted.lines().next().and_then(|pid| Pid::from_raw(pid.trim().parse().ok()?));
    let Some(pid) = pid else { return Ok(()) };
    let folder = folder.canonicalize()?.display().to_string();
    let is_ours = || {
        let command = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
        command
            .is_ok_and(|command| command.split(|b| *b == 0).any(|word| word == folder.as_bytes()))
    };
    if !is_ours() {
        return Ok(());
    }
    tell("left-behind", || [("process", pid.as_raw_nonzero().get().into())]);
    kill_process(pid, Signal::KILL)?;
    let ended = async {
        while is_ours() && test_kill_process(pid).is_ok() {
            sleep(LOOK).await;
        }
    };
    timeout(LEFT_MAX, ended).await.with_context(|| format!("PostgreSQL in {folder} does not end"))
}

/// Puts PostgreSQL's folder where it is not in the way, unless something is there: that was not followed by anything better.
pub(crate) fn set_aside(data: &Path) -> Result<()> {
    let (folder, aside) = (data.join(FOLDER), data.join(ASIDE));
    if aside.exists() {
        return remove(&folder);
    }
    if folder.exists() {
        std::fs::rename(&folder, &aside).with_context(|| folder.display().to_string())?;
    }
    Ok(())
}

/// Removes what was put aside.
pub(crate) fn forget_aside(data: &Path) -> Result<()> {
    remove(&data.join(ASIDE))
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(anyhow!("{}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_last_whole_is_kept_until_a_copy_is() {
        let folder = tempfile::tempdir().unwrap();
        let (data, text) = (folder.path(), |name: &str| {
            std::fs::read_to_string(folder.path().join(name).join("file")).ok()
        });
        set_aside(data).unwrap();
        for content in ["first", "half a copy"] {
            std::fs::create_dir(data.join(FOLDER)).unwrap();
            std::fs::write(data.join(FOLDER).join("file"), content).unwrap();
            set_aside(data).unwrap();
            assert_eq!((text(FOLDER), text(ASIDE)), (None, Some("first".to_owned())));
        }
        forget_aside(data).unwrap();
        forget_aside(data).unwrap();
        assert_eq!(text(ASIDE), None);
    }
}
