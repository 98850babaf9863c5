//! Limits on what processes, and all that descends from them, may use: memory, descriptors. Whoever asks
//! for more may die of it; then the healing starts it again.

use std::fs;

use anyhow::{Context, ensure};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::stage::Scene;
use supervise::tree::{self, Member};

/// More to spare than this is no limit.
pub(super) const SPARE_MAX: u64 = 1 << 20;

/// Soft limits of a process that were lowered, and what they were.
pub(super) struct Lowered {
    index: usize,
    top: u32,
    what: What,
    /// Parents first: what was, and the limit that each has now.
    before: Vec<(Member, Rlimit, u64)>,
}

/// What is limited.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// The address space.
    Memory,
    /// The numbers of descriptors.
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

/// Gives each harmed process, and all below it, a lower limit. Proof: the kernel's table.
pub(super) fn lower(
    scene: &mut Scene<'_, '_>,
    what: What,
    held: &mut Vec<Lowered>,
    limit: impl Fn(u32) -> anyhow::Result<u64>,
) -> anyhow::Result<String> {
    let running = &mut *scene.stage.running;
    let mut proofs = Vec::new();
    for index in scene.players.iter().copied() {
        let name = running.spec.processes[index].name.clone();
        let top = running.keeper(index)?;
        running.may_end(index);
        held.push(Lowered { index, top, what, before: Vec::new() });
        let place = held.len() - 1;
        let lowered = held[place].lower(&limit);
        proofs.push(format!("{name}: {}", lowered.with_context(|| name.clone())?));
    }
    Ok(proofs.join("; "))
}

/// The old limits for those that still run, and those that do not are started again. Proof: the
/// kernel's tables, and each is ready.
pub(super) async fn lift(
    scene: &mut Scene<'_, '_>,
    held: &mut Vec<Lowered>,
) -> anyhow::Result<String> {
    let mut proofs = Vec::new();
    for lowered in held.drain(..) {
        proofs.push(lowered.lift()?);
        scene.stage.running.survived(lowered.index);
    }
    Ok(format!("{}; {}", proofs.join("; "), scene.raise().await?))
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
