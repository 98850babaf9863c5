//! Control groups with a CPU quota, of version 1 or 2, whichever this machine has and lets us write.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use rustix::fs::{Access, access};

use crate::tree;

/// The scheduler's period, µs: the kernel's default, and that of container engines.
const PERIOD_US: u64 = 100_000;
const MOUNTS: &str = "/proc/self/mounts";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The hierarchy that has the CPU controller.
struct Hierarchy {
    version: Version,
    mount: PathBuf,
}

/// A group of ours with one process, and all that descends from it, in it.
pub struct CpuGroup {
    version: Version,
    path: PathBuf,
    /// The group that the process came from.
    home: PathBuf,
    pid: u32,
}

/// Why no CPU quota can be given here, if that is so.
pub fn lacking() -> Option<String> {
    Hierarchy::find().and_then(|h| h.parent(std::process::id())).err().map(|e| format!("{e:#}"))
}

impl Hierarchy {
    fn find() -> anyhow::Result<Self> {
        let mounts = fs::read_to_string(MOUNTS)?;
        let mut second = None;
        for line in mounts.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let [_, mount, kind, options, ..] = fields.as_slice() else { continue };
            if *kind == "cgroup" && options.split(',').any(|option| option == "cpu") {
                return Ok(Self { version: Version::One, mount: mount.into() });
            }
            if *kind == "cgroup2" {
                let root = Path::new(mount);
                let controllers = fs::read_to_string(root.join("cgroup.controllers"));
                if has_cpu(&controllers.unwrap_or_default()) {
                    second = Some(Self { version: Version::Two, mount: root.to_owned() });
                }
            }
        }
        second.context("no control group hierarchy with the cpu controller is mounted")
    }

    /// The group that a process is in.
    fn home(&self, pid: u32) -> anyhow::Result<PathBuf> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        let path = text.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let wanted = match self.version {
                Version::One => controllers.split(',').any(|c| c == "cpu"),
                Version::Two => controllers.is_empty(),
            };
            wanted.then(|| path.trim_start_matches('/').to_owned())
        });
        Ok(self.mount.join(path.context("no such control group in /proc/PID/cgroup")?))
    }

    /// Where a group for a process can be made: below its own; with version 2 below the nearest that
    /// gives the controller on, because a group with processes in it does not.
    fn parent(&self, pid: u32) -> anyhow::Result<PathBuf> {
        let home = self.home(pid)?;
        let mut candidates = home.ancestors().take_while(|path| path.starts_with(&self.mount));
        let found = match self.version {
            Version::One => Some(home.as_path()),
            Version::Two => candidates.find(|path| {
                has_cpu(
                    &fs::read_to_string(path.join("cgroup.subtree_control")).unwrap_or_default(),
                )
            }),
        };
        let parent = found.context("no control group gives its cpu controller on")?;
        access(parent, Access::WRITE_OK).with_context(|| {
            format!("the control group {} cannot be written; root can", parent.display())
        })?;
        Ok(parent.to_owned())
    }
}

fn has_cpu(controllers: &str) -> bool {
    controllers.split_whitespace().any(|controller| controller == "cpu")
}

impl CpuGroup {
    /// A group for a process; not yet made.
    pub fn plan(pid: u32, name: &str) -> anyhow::Result<Self> {
        let hierarchy = Hierarchy::find()?;
        let path = hierarchy.parent(pid)?.join(name);
        Ok(Self { version: hierarchy.version, home: hierarchy.home(pid)?, path, pid })
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the group, with a quota of so many cores, and puts all below a keeper into it.
    pub fn enter(&self, cores: f64, top: u32) -> anyhow::Result<()> {
        let make = || format!("cannot make the control group {}", self.path.display());
        fs::create_dir(&self.path).with_context(make)?;
        let quota_us = (cores * PERIOD_US as f64).round() as u64;
        match self.version {
            Version::One => {
                self.write("cpu.cfs_period_us", &PERIOD_US.to_string())?;
                self.write("cpu.cfs_quota_us", &quota_us.to_string())?;
            }
            Version::Two => self.write("cpu.max", &format!("{quota_us} {PERIOD_US}"))?,
        }
        self.gather(top)
    }

    /// Whoever is born to one inside is inside; again and again until nobody is left outside.
    fn gather(&self, top: u32) -> anyhow::Result<()> {
        loop {
            let inside = fs::read_to_string(self.path.join("cgroup.procs"))?;
            let inside: Vec<u32> = inside.lines().filter_map(|pid| pid.parse().ok()).collect();
            let mut outside = tree::below(top);
            outside.retain(|member| !inside.contains(&member.pid));
            if outside.is_empty() {
                return Ok(());
            }
            for member in outside {
                let moved = self.write("cgroup.procs", &member.pid.to_string());
                if member.lives() {
                    moved?;
                }
            }
        }
    }

    /// How often the group was held back.
    pub fn throttled(&self) -> anyhow::Result<u64> {
        let text = fs::read_to_string(self.path.join("cpu.stat"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("nr_throttled "));
        line.context("cpu.stat has no nr_throttled")?.trim().parse().context("nr_throttled")
    }

    /// Puts the process back where it came from, if it still runs, and removes the group.
    pub fn leave(&self) -> anyhow::Result<()> {
        if self.path.is_dir() {
            let inside = fs::read_to_string(self.path.join("cgroup.procs"))?;
            for pid in inside.lines() {
                write(&self.home.join("cgroup.procs"), pid)?;
            }
            let left = || format!("cannot remove {}", self.path.display());
            fs::remove_dir(&self.path).with_context(left)?;
        }
        ensure!(!self.path.exists(), "{} is still there", self.path.display());
        match Hierarchy::find()?.home(self.pid) {
            Ok(now) if now != self.home => bail!("process {} is in {}", self.pid, now.display()),
            _ => Ok(()),
        }
    }

    fn write(&self, file: &str, text: &str) -> anyhow::Result<()> {
        write(&self.path.join(file), text)
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {text:?} to {}", path.display()))
}
