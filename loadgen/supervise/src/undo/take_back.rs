//! Cleaning up: processes first, then what they may have held, the newest first. Whatever an
//! entry names must still be what it was: a process by its start, the rest by the trial's folder or
//! the journal's mark.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::Signal;
use tokio::time::Instant;

use super::entry::{Author, CleanedUp, Entry, MARK, Undo, boot};
use crate::tree::{self, Member};

/// How long a killed process, or a control group that it leaves, may take to go.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

/// Takes everything back; tells what was done, and which entries are closed by that.
pub(super) fn all(author: &Author, open: &[(Entry, Undo)]) -> (CleanedUp, Vec<Entry>) {
    let (mut told, mut closed) = (CleanedUp::default(), Vec::new());
    // Processes, mounts, devices and groups end with the machine; files do not.
    let rebooted = !boot().is_ok_and(|boot| boot == author.boot);
    let mut take = |(entry, undo): &(Entry, Undo)| {
        let moot = rebooted && !matches!(undo, Undo::RemoveFile { .. });
        match if moot { Ok(None) } else { author.take_back(undo) } {
            Ok(text) => {
                told.done.extend(text);
                closed.push(*entry);
            }
            Err(error) => told.failed.push(format!("not taken back: {undo:?}: {error:#}")),
        }
    };
    let is_process = |entry: &&(Entry, Undo)| {
        matches!(entry.1, Undo::Process { .. } | Undo::Resume { .. } | Undo::Detach { .. })
    };
    open.iter().rev().filter(is_process).for_each(&mut take);
    if !rebooted {
        for Member { pid, started } in marked(&author.mark) {
            let name = format!("process {pid}, started but not yet written down");
            take(&(Entry(0), Undo::Process { pid, started, name }));
        }
    }
    open.iter().rev().filter(|entry| !is_process(entry)).for_each(&mut take);
    closed.retain(|entry| *entry != Entry(0));
    (told, closed)
}

/// The processes that carry a journal's mark in their environment.
pub(super) fn marked(mark: &str) -> Vec<Member> {
    let wanted = format!("{MARK}={mark}");
    let carries = |pid: u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let found = environment.split(|byte| *byte == 0).any(|word| word == wanted.as_bytes());
        Member::of(pid).filter(|member| found && member.lives())
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).filter_map(carries).collect()
}

impl Author {
    /// Nothing if there was nothing to do.
    fn take_back(&self, undo: &Undo) -> anyhow::Result<Option<String>> {
        match undo {
            Undo::Process { pid, started, name } => {
                let keeper = Member { pid: *pid, started: *started };
                let below = if keeper.lives() { tree::kill(*pid)? } else { Vec::new() };
                below.iter().try_for_each(gone)?;
                // With nobody left it may have ended before.
                let killed = end(&keeper, Signal::KILL)? || !below.is_empty();
                Ok(killed.then(|| format!("killed {name} (process {pid})")))
            }
            Undo::Resume { pid, started } => {
                let keeper = Member { pid: *pid, started: *started };
                let below = if keeper.lives() { tree::below(*pid) } else { Vec::new() };
                let stopped = below.iter().any(|member| member.states().contains(&'T'));
                below.iter().try_for_each(|member| member.signal(Signal::CONT).map(drop))?;
                Ok(stopped.then(|| format!("continued process {pid}")))
            }
            Undo::Detach { pid, started } => {
                let ended = end(&Member { pid: *pid, started: *started }, Signal::TERM)?;
                Ok(ended.then(|| format!("detached the tracer (process {pid})")))
            }
            Undo::Unmount { path } => self.unmount(path),
            Undo::DetachLoop { device } => self.detach_loop(device),
            Undo::RemoveCgroup { path } => self.remove_cgroup(path),
            Undo::RemoveFile { path } => self.remove_file(path),
        }
    }

    fn own(&self, path: &Path) -> anyhow::Result<()> {
        ensure!(
            resolved(path).starts_with(&self.folder),
            "{} does not lie in the trial's folder {}",
            path.display(),
            self.folder.display()
        );
        Ok(())
    }

    fn unmount(&self, path: &Path) -> anyhow::Result<Option<String>> {
        self.own(path)?;
        // More than one may lie over each other.
        let mut times = 0;
        while is_mounted(path)? {
            run("umount", path)?;
            times += 1;
        }
        Ok((times > 0).then(|| format!("unmounted {}", path.display())))
    }

    fn detach_loop(&self, device: &Path) -> anyhow::Result<Option<String>> {
        let name = device.file_name().context("a device without a name")?;
        let backing = Path::new("/sys/block").join(name).join("loop/backing_file");
        let Ok(file) = std::fs::read_to_string(backing) else { return Ok(None) };
        // The device may be somebody else's by now.
        if !Path::new(file.trim_end()).starts_with(&self.folder) {
            return Ok(None);
        }
        let mut losetup = Command::new("losetup");
        let output = losetup.arg("-d").arg(device).output().context("cannot start losetup")?;
        let why = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "losetup -d: {}", why.trim());
        Ok(Some(format!("detached {}", device.display())))
    }

    fn remove_cgroup(&self, path: &Path) -> anyhow::Result<Option<String>> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ours = path.starts_with("/sys/fs/cgroup") && name.contains(&self.mark);
        ensure!(ours, "{} does not carry the journal's mark {}", path.display(), self.mark);
        let deadline = Instant::now() + GONE_WITHIN;
        loop {
            match std::fs::remove_dir(path) {
                Ok(()) => return Ok(Some(format!("removed the control group {}", path.display()))),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                // The kernel takes its time with the last process.
                Err(_) if Instant::now() < deadline => thread::sleep(POLL),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn remove_file(&self, path: &Path) -> anyhow::Result<Option<String>> {
        self.own(path)?;
        match std::fs::remove_file(path) {
            Ok(()) => Ok(Some(format!("removed {}", path.display()))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Ends a process and waits for that; false if it was not there.
fn end(member: &Member, how: Signal) -> anyhow::Result<bool> {
    Ok(member.signal(how)? && gone(member).map(|()| true)?)
}

fn gone(member: &Member) -> anyhow::Result<()> {
    let deadline = Instant::now() + GONE_WITHIN;
    while member.lives() {
        if Instant::now() > deadline {
            bail!("process {} has not ended within {} s", member.pid, GONE_WITHIN.as_secs());
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// A path as the kernel tells it: without links, also if its last part is not there.
fn resolved(path: &Path) -> PathBuf {
    let parent = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(parent).unwrap_or_else(|| path.to_owned())
}

/// proc(5), mountinfo: field 5 is the mount point, with spaces as \040.
fn is_mounted(path: &Path) -> anyhow::Result<bool> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let path = resolved(path);
    let wanted = path.to_string_lossy().replace('\\', "\\134").replace(' ', "\\040");
    Ok(mounts.lines().any(|line| line.split(' ').nth(4) == Some(&wanted)))
}

fn run(program: &str, path: &Path) -> anyhow::Result<()> {
    let output = Command::new(program).arg(path).output();
    let output = output.with_context(|| format!("cannot start {program}"))?;
    let why = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", path.display(), why.trim());
    Ok(())
}
