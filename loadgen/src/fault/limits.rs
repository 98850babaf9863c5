//! Harm to what the processes of a role, and all that descends from them, may use: CPU, memory,
//! descriptors. Whoever asks for more may die of it; then the healing starts it again.

use std::fs;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::time::{Instant, sleep};

use super::{Held, PROOF_POLL, Stage};
use crate::cgroup::CpuGroup;
use crate::launch::Running;
use crate::scenario::FaultSpec;
use crate::tree::{self, Member};
use crate::undo::Undo;

/// How long a process may take to use up its quota; one that never does is not harmed.
const THROTTLED_WITHIN: Duration = Duration::from_secs(5);
const MIB: u64 = 1 << 20;

/// Soft limits of a process that were lowered, and what they were.
pub(super) struct Lowered {
    index: usize,
    top: u32,
    what: What,
    /// Parents first: what was, and the limit that each has now.
    before: Vec<(Member, Rlimit, u64)>,
}

#[derive(Clone, Copy)]
enum What {
    Memory,
    Files,
}

impl What {
    fn resource(self) -> Resource {
        match self {
            Self::Memory => Resource::As,
            Self::Files => Resource::Nofile,
        }
    }

    /// The line in /proc/PID/limits.
    fn line(self) -> &'static str {
        match self {
            Self::Memory => "Max address space",
            Self::Files => "Max open files",
        }
    }
}

/// The processes that play the harmed role, and their limits.
pub(super) struct Limits<'a> {
    running: &'a mut Running,
    players: Vec<usize>,
}

impl<'a> Limits<'a> {
    pub(super) fn of(stage: &'a mut Stage<'_>, fault: &FaultSpec) -> Self {
        let players = stage.running.spec.players(&fault.harm);
        Self { running: stage.running, players }
    }

    /// A quota for each process. Proof: each has been held back by it.
    pub(super) async fn cpu(mut self, cores: f64, held: &mut Held) -> anyhow::Result<String> {
        let first = held.groups.len();
        for index in &self.players.clone() {
            let (pid, top) = (self.pid(*index)?, self.running.keeper(*index)?);
            let name = format!("triptych-{}-{}", self.running.undo.mark(), pid);
            let group = CpuGroup::plan(pid, &name)
                .map_err(|error| anyhow::anyhow!("not possible on this machine: {error:#}"))?;
            let undo = Undo::RemoveCgroup { path: group.path().to_owned() };
            held.entries.push(self.running.undo.before(undo)?);
            held.groups.push(group);
            held.groups[held.groups.len() - 1].enter(cores, top)?;
        }
        let mut proofs = Vec::new();
        for (index, group) in self.players.iter().zip(&held.groups[first..]) {
            let name = &self.running.spec.processes[*index].name;
            let times = await_throttled(group).await.with_context(|| name.clone())?;
            proofs.push(format!("{name}: at most {cores} of a core, nr_throttled {times}"));
        }
        Ok(proofs.join("; "))
    }

    /// A soft limit on the address space. Proof: the kernel's table.
    pub(super) fn memory(self, spare_mib: u64, held: &mut Held) -> anyhow::Result<String> {
        self.lower(What::Memory, held, |pid| {
            // proc(5), statm: field 1 is the size of the address space in pages.
            let text = fs::read_to_string(format!("/proc/{pid}/statm"))?;
            let pages: u64 = text.split(' ').next().unwrap_or_default().parse()?;
            Ok(pages * rustix::param::page_size() as u64 + spare_mib * MIB)
        })
    }

    /// A soft limit on the numbers of descriptors. Proof: the kernel's table.
    pub(super) fn files(self, spare_files: u64, held: &mut Held) -> anyhow::Result<String> {
        self.lower(What::Files, held, |pid| {
            let open = fs::read_dir(format!("/proc/{pid}/fd"))?.flatten();
            let numbers = open.filter_map(|fd| fd.file_name().to_str()?.parse::<u64>().ok());
            Ok(numbers.max().map_or(0, |highest| highest + 1) + spare_files)
        })
    }

    fn lower(
        self,
        what: What,
        held: &mut Held,
        limit: impl Fn(u32) -> anyhow::Result<u64>,
    ) -> anyhow::Result<String> {
        let mut proofs = Vec::new();
        for index in self.players {
            let name = self.running.spec.processes[index].name.clone();
            let top = self.running.keeper(index)?;
            self.running.may_end(index);
            held.lowered.push(Lowered { index, top, what, before: Vec::new() });
            let place = held.lowered.len() - 1;
            let lowered = held.lowered[place].lower(&limit);
            proofs.push(format!("{name}: {}", lowered.with_context(|| name.clone())?));
        }
        Ok(proofs.join("; "))
    }

    /// The old groups and limits for those that still run. Proof: the kernel's tables.
    pub(super) fn lift(running: &mut Running, held: &mut Held) -> anyhow::Result<String> {
        let mut proofs = Vec::new();
        for group in held.groups.drain(..) {
            group.leave()?;
            proofs.push("the control group is gone".to_owned());
        }
        for lowered in held.lowered.drain(..) {
            proofs.push(lowered.lift()?);
            running.survived(lowered.index);
        }
        Ok(proofs.join("; "))
    }

    fn pid(&mut self, index: usize) -> anyhow::Result<u32> {
        let pid = self.running.pid(index);
        let name = &self.running.spec.processes[index].name;
        pid.with_context(|| format!("{name} does not run"))
    }
}

impl Lowered {
    /// Each of them gets its own limit; a child that is born meanwhile has its parent's already. Says what
    /// was read back.
    fn lower(&mut self, limit: impl Fn(u32) -> anyhow::Result<u64>) -> anyhow::Result<String> {
        let mut told = Vec::new();
        loop {
            let known = |member: &Member| self.before.iter().any(|(other, ..)| other == member);
            let Some(new) = tree::below(self.top).into_iter().find(|member| !known(member)) else {
                return Ok(few(&told));
            };
            match self.lower_one(new, &limit) {
                Ok(text) => told.push(text),
                // One that is gone harms nobody: of the limit, or because its work was done.
                Err(error) if new.lives() => return Err(error),
                Err(_) => {}
            }
        }
    }

    fn lower_one(
        &mut self,
        member: Member,
        limit: impl Fn(u32) -> anyhow::Result<u64>,
    ) -> anyhow::Result<String> {
        let (pid, what) = (member.pid, self.what);
        let (limit, found) = (limit(pid)?, current(pid, what)?);
        let old = self.parents_of(found).map_or(found, |(_, parents, _)| *parents);
        lowers(old.current, limit).context(what.line())?;
        set(pid, what, |found| Rlimit { current: Some(limit), ..found })?;
        self.before.push((member, old, limit));
        // One that died of it at once is the strongest proof.
        match read(pid, what) {
            Ok(read) => {
                ensure!(read == limit.to_string(), "{} is {read}", what.line());
                Ok(format!("{} {limit}, read back", what.line()))
            }
            Err(_) => Ok(format!("{} {limit}, and it is gone", what.line())),
        }
    }

    /// The old limits for those who have a lower one of ours, by our hand or by birth. Says what was read
    /// back.
    fn lift(&self) -> anyhow::Result<String> {
        let mut told = Vec::new();
        for member in tree::below(self.top) {
            match self.lift_one(member) {
                Ok(text) => told.extend(text),
                Err(error) if member.lives() => return Err(error),
                Err(_) => {}
            }
        }
        Ok(if told.is_empty() { "nobody has its limit any more".to_owned() } else { few(&told) })
    }

    /// Nothing for one that was never lowered, because it could not be: its limits are its own.
    fn lift_one(&self, member: Member) -> anyhow::Result<Option<String>> {
        let (pid, what) = (member.pid, self.what);
        let found = current(pid, what)?;
        let known = self.before.iter().find(|(other, ..)| *other == member);
        let Some((_, before, _)) = known.or_else(|| self.parents_of(found)) else {
            return Ok(None);
        };
        let wanted = before.current.map_or("unlimited".to_owned(), |limit| limit.to_string());
        set(pid, what, |_| *before)?;
        let read = read(pid, what)?;
        ensure!(read == wanted, "process {pid}: {} is {read}", what.line());
        Ok(Some(format!("{} {wanted}, read back", what.line())))
    }

    /// Of whom a process was born that has this limit: he had been lowered to it.
    fn parents_of(&self, found: Rlimit) -> Option<&(Member, Rlimit, u64)> {
        self.before.iter().find(|(.., lower)| found.current == Some(*lower))
    }
}

/// A server may have a process for each connection.
fn few(told: &[String]) -> String {
    match told {
        [first, rest @ ..] if rest.len() > 1 => format!("{first}, and so {} more", rest.len()),
        _ => told.join(", "),
    }
}

/// A limit at or above the one in force harms nobody.
fn lowers(old: Option<u64>, new: u64) -> anyhow::Result<()> {
    let old = old.unwrap_or(u64::MAX);
    ensure!(new < old, "would be {new}, but is {old} already; give it less to spare");
    Ok(())
}

async fn await_throttled(group: &CpuGroup) -> anyhow::Result<u64> {
    let deadline = Instant::now() + THROTTLED_WITHIN;
    loop {
        let times = group.throttled()?;
        if times > 0 {
            return Ok(times);
        }
        let within = THROTTLED_WITHIN.as_secs();
        ensure!(Instant::now() < deadline, "it has not used up its quota within {within} s");
        sleep(PROOF_POLL).await;
    }
}

/// Changes a limit of a process that this harness started and has not reaped; returns the old one.
fn set(pid: u32, what: What, new: impl Fn(Rlimit) -> Rlimit) -> anyhow::Result<Rlimit> {
    let id = Pid::from_raw(pid.cast_signed()).context("a process id of 0")?;
    let now = current(pid, what)?;
    prlimit(Some(id), what.resource(), new(now)).with_context(|| format!("process {pid}"))
}

fn current(pid: u32, what: What) -> anyhow::Result<Rlimit> {
    let number = |text: &str| if text == "unlimited" { Ok(None) } else { text.parse().map(Some) };
    let (soft, hard) = row(pid, what)?;
    Ok(Rlimit { current: number(&soft)?, maximum: number(&hard)? })
}

fn read(pid: u32, what: What) -> anyhow::Result<String> {
    row(pid, what).map(|(soft, _)| soft)
}

/// Soft and hard limit as /proc/PID/limits shows them.
fn row(pid: u32, what: What) -> anyhow::Result<(String, String)> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(what.line()));
    let mut words = line.context("no such line in /proc/PID/limits")?.split_whitespace();
    let mut word = || words.next().map(ToOwned::to_owned).context("a limit without a value");
    Ok((word()?, word()?))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Child, Command, Stdio};

    use super::*;

    const FILES: What = What::Files;
    const LOWER: u64 = 50;

    /// A shell, and so many sleepers below it.
    fn family(script: &str, sleepers: usize) -> Child {
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", script]).stdin(Stdio::piped()).spawn().unwrap();
        await_sleepers(&shell, sleepers);
        shell
    }

    fn await_sleepers(shell: &Child, count: usize) {
        let is_asleep = |member: &Member| member.name() == "sleep";
        while tree::below(shell.id()).into_iter().filter(is_asleep).count() < count {
            std::thread::yield_now();
        }
    }

    fn lowered(shell: &Child) -> Lowered {
        Lowered { index: 0, top: shell.id(), what: FILES, before: Vec::new() }
    }

    /// The limits of all below a shell, as the kernel shows them.
    fn limits(shell: &Child) -> Vec<String> {
        tree::below(shell.id()).iter().map(|member| read(member.pid, FILES).unwrap()).collect()
    }

    fn end(mut shell: Child) {
        tree::kill(shell.id()).unwrap();
        shell.kill().unwrap();
        shell.wait().unwrap();
    }

    /// One of them cannot be lowered: it has less already. What it has stays its own.
    #[test]
    fn only_who_was_lowered_is_lifted() {
        let shell = family("sleep 60 & (ulimit -Sn 30; exec sleep 60) & wait", 2);
        let before = limits(&shell);
        assert_eq!(before[1], "30");
        let mut lowered = lowered(&shell);
        let error = format!("{:#}", lowered.lower(|_| Ok(LOWER)).unwrap_err());
        assert!(error.contains("would be 50, but is 30 already"), "{error}");
        assert_eq!(limits(&shell), ["50", "30"]);
        lowered.lift().unwrap();
        assert_eq!(limits(&shell), before);
        end(shell);
    }

    /// A server forks for a new connection in the middle of the fault.
    #[test]
    fn who_is_born_with_a_lower_limit_is_lifted_too() {
        let mut shell = family("sh -c 'sleep 60 & read go; sleep 60 & wait'; true", 1);
        let before = limits(&shell);
        let mut lowered = lowered(&shell);
        lowered.lower(|_| Ok(LOWER)).unwrap();
        shell.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        await_sleepers(&shell, 2);
        assert_eq!(limits(&shell), ["50", "50", "50"]);
        let told = lowered.lift().unwrap();
        assert_eq!(told, format!("Max open files {}, read back, and so 2 more", before[0]));
        assert_eq!(limits(&shell), [&before[..], &before[..1]].concat());
        end(shell);
    }

    #[test]
    fn a_limit_that_does_not_get_lower_is_no_harm() {
        assert!(lowers(None, 5_000).is_ok());
        assert!(lowers(Some(5_001), 5_000).is_ok());
        assert!(lowers(Some(5_000), 5_000).is_err());
        let text = lowers(Some(1_024), 5_020).unwrap_err().to_string();
        assert!(text.contains("5020") && text.contains("1024"), "{text}");
    }
}
