//! Processes and all that descend from them, as /proc shows them; stopped, continued and ended as one.
//!
//! A member is known by its id and its start, so that a later process with the same id is never
//! touched. Why somebody is in a tree, and who started it, is not known here.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Each pass finds those that were born during the one before; whoever is stopped bears nobody.
const PASSES_MAX: usize = 1_000;

/// The parent of the kernel's threads.
const KTHREADD: u32 = 2;

/// What proc(5) says of a process in `stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its id.
    pub pid: u32,
    /// Its parent, or who has taken it over.
    pub parent: u32,
    /// R, S, D, T, Z, …: its first thread's.
    pub state: char,
    /// CPU time of its own, in clock ticks.
    pub own_ticks: u64,
    /// CPU time of its children that ended and were waited for, and of theirs.
    pub reaped_ticks: u64,
    /// How many threads it has.
    pub threads: u32,
    /// When it was started, clock ticks since boot.
    pub started: u64,
    /// Resident set, pages.
    pub resident_pages: u64,
}

impl Stat {
    /// Of a process; nothing if it is not there.
    #[must_use]
    pub fn read(pid: u32) -> Option<Self> {
        Self::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name in field 2 may hold anything, but its closing parenthesis is the last.
    fn parse(pid: u32, text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            pid,
            state: fields.first()?.chars().next()?,
            parent: u32::try_from(number(4)?).ok()?,
            own_ticks: number(14)? + number(15)?,
            reaped_ticks: number(16)? + number(17)?,
            threads: u32::try_from(number(20)?).ok()?,
            started: number(22)?,
            resident_pages: number(24)?,
        })
    }

    /// Whether it is a thread of the kernel's.
    #[must_use]
    pub fn is_of_kernel(&self) -> bool {
        self.pid == KTHREADD || self.parent == KTHREADD
    }

    /// Whether it has not ended: what has, but was not waited for, is a single thread in state Z.
    fn lives(&self) -> bool {
        self.threads > 1 || !matches!(self.state, 'Z' | 'X')
    }

    fn member(&self) -> Member {
        Member { pid: self.pid, started: self.started }
    }
}

/// All processes of the machine at an instant.
pub struct Census(BTreeMap<u32, Stat>);

impl Census {
    /// Looks at all of them.
    #[must_use]
    pub fn take() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Self(pids.filter_map(|pid| Some((pid, Stat::read(pid)?))).collect())
    }

    /// The ids of all of them.
    pub fn pids(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.keys().copied()
    }

    /// All of them.
    pub fn stats(&self) -> impl Iterator<Item = &Stat> + '_ {
        self.0.values()
    }

    /// A process of it.
    #[must_use]
    pub fn get(&self, pid: u32) -> Option<&Stat> {
        self.0.get(&pid)
    }

    /// The living that descend from a process, without itself: parents before their children.
    #[must_use]
    pub fn below(&self, top: u32) -> Vec<&Stat> {
        let mut children = BTreeMap::<u32, Vec<&Stat>>::new();
        for stat in self.0.values() {
            children.entry(stat.parent).or_default().push(stat);
        }
        let mut found: Vec<&Stat> = children.remove(&top).unwrap_or_default();
        let mut next = 0;
        while let Some(stat) = found.get(next) {
            found.extend(children.remove(&stat.pid).unwrap_or_default());
            next += 1;
        }
        found.retain(|stat| stat.lives());
        found
    }
}

/// A process that is meant, and no later one with its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its id.
    pub pid: u32,
    /// When it was started, clock ticks since boot.
    pub started: u64,
}

impl Member {
    /// Who has this id now.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Stat::read(pid).map(|stat| stat.member())
    }

    /// Whether it is there, and not merely waiting to be reaped.
    #[must_use]
    pub fn lives(&self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.member() == *self && stat.lives())
    }

    /// Sends it a signal; false if it is not there.
    ///
    /// # Errors
    /// If this is not allowed.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<bool> {
        let Some(id) = Pid::from_raw(self.pid.cast_signed()) else { return Ok(false) };
        let Ok(handle) = pidfd_open(id, PidfdFlags::empty()) else { return Ok(false) };
        // Behind the handle: what is looked at is what is signalled.
        if !self.lives() {
            return Ok(false);
        }
        match pidfd_send_signal(&handle, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(false),
            sent => sent.map(|()| true).with_context(|| format!("signal to process {}", self.pid)),
        }
    }

    /// The states of its threads; none if it is not there.
    #[must_use]
    pub fn states(&self) -> Vec<char> {
        if !self.lives() {
            return Vec::new();
        }
        let folder = format!("/proc/{}/task", self.pid);
        let threads = fs::read_dir(folder).into_iter().flatten().flatten();
        let state = |stat: String| stat.rsplit_once(')')?.1.trim_start().chars().next();
        let stats = threads.filter_map(|t| fs::read_to_string(t.path().join("stat")).ok());
        stats.filter_map(state).collect()
    }

    /// The first 15 bytes of its program's name; empty if it is not there.
    #[must_use]
    pub fn name(&self) -> String {
        let name = fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap_or_default();
        name.trim_end().to_owned()
    }
}

/// The living that descend from a process, without itself: parents before their children.
#[must_use]
pub fn below(top: u32) -> Vec<Member> {
    Census::take().below(top).into_iter().map(Stat::member).collect()
}

/// Orders all that descend from a process to stop, again and again until nobody new is there. Whether
/// they stand is seen in their [`Member::states`].
///
/// # Errors
/// If a signal is not allowed.
pub fn halt(top: u32) -> anyhow::Result<Vec<Member>> {
    let mut halted = Vec::new();
    for _ in 0..PASSES_MAX {
        let new: Vec<Member> = below(top).into_iter().filter(|m| !halted.contains(m)).collect();
        if new.is_empty() {
            break;
        }
        for member in new {
            member.signal(Signal::STOP)?;
            halted.push(member);
        }
    }
    Ok(halted)
}

/// Lets all that descend from a process go on.
///
/// # Errors
/// If a signal is not allowed.
pub fn resume(top: u32) -> anyhow::Result<Vec<Member>> {
    let members = below(top);
    members.iter().try_for_each(|member| member.signal(Signal::CONT).map(drop))?;
    Ok(members)
}

/// Kills all that descend from a process; stopped before, so that nobody starts another meanwhile.
///
/// # Errors
/// If a signal is not allowed.
pub fn kill(top: u32) -> anyhow::Result<Vec<Member>> {
    let members = halt(top)?;
    members.iter().try_for_each(|member| member.signal(Signal::KILL).map(drop))?;
    Ok(members)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// A shell with two sleepers below it, one of them in a session of its own.
    fn family() -> (Child, Vec<Member>) {
        let script = "sleep 60 & setsid sh -c 'sleep 60; true' & wait";
        let shell = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let sleepers = |members: &[Member]| members.iter().filter(|m| m.name() == "sleep").count();
        let mut members = below(shell.id());
        while sleepers(&members) < 2 {
            std::thread::yield_now();
            members = below(shell.id());
        }
        (shell, members)
    }

    #[test]
    fn a_tree_is_halted_resumed_and_killed_whatever_sessions_it_has() {
        let (mut shell, members) = family();
        assert_eq!(members.len(), 3, "two sleepers and the second one's shell");
        let mut halted = halt(shell.id()).unwrap();
        halted.sort();
        let mut known = members.clone();
        known.sort();
        assert_eq!(halted, known);
        let stands = |member: &Member| member.states().iter().all(|state| *state == 'T');
        while !members.iter().all(stands) {
            std::thread::yield_now();
        }
        resume(shell.id()).unwrap();
        while members.iter().any(stands) {
            std::thread::yield_now();
        }
        kill(shell.id()).unwrap();
        shell.wait().unwrap();
        while members.iter().any(Member::lives) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_later_process_with_the_same_id_is_another() {
        let own = Member::of(std::process::id()).unwrap();
        assert!(own.lives() && !own.states().is_empty());
        let earlier = Member { started: own.started - 1, ..own };
        assert!(!earlier.lives() && earlier.states().is_empty());
        assert!(!earlier.signal(Signal::KILL).unwrap());
    }

    #[test]
    fn a_name_may_hold_anything() {
        let rest = "S 7 1 1 0 -1 4194304 1 2 3 4 50 6 70 8 20 0 3 0 1234 5 678 0";
        let stat = Stat::parse(9, &format!("9 (a) b) {rest}")).unwrap();
        assert_eq!((stat.parent, stat.own_ticks, stat.reaped_ticks), (7, 56, 78));
        assert_eq!((stat.threads, stat.started, stat.resident_pages), (3, 1234, 678));
        assert_eq!(Stat::parse(9, "9 (torn) S 7"), None);
    }
}
