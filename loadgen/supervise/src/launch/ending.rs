//! Ends of a running system's processes: told, harmed, or by themselves. A process is the program that
//! was started and all that descends from it.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::time::timeout;

use super::{Running, STOP_WITHIN};
use crate::mutex::lock;
use crate::tree::{self, Member};
use link_proxy::Links;
use scenario::system::{LINKS, StopSignal};

/// So many of those who are left are named.
const NAMED: usize = 5;

/// Whether a program aborted itself.
pub fn aborted(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::ABORT.as_raw())
}

/// As the kernel knows it.
fn signal_of(stop: StopSignal) -> Signal {
    match stop {
        StopSignal::Term => Signal::TERM,
        StopSignal::Int => Signal::INT,
        StopSignal::Quit => Signal::QUIT,
    }
}

impl Running {
    /// How a process ended, if it has: its program is gone and has not put itself into the background.
    pub fn ended(&mut self, index: usize) -> Option<String> {
        let kept = &mut self.children[index].as_mut()?.kept;
        let status = kept.ended()?;
        let left = if kept.is_over() { Vec::new() } else { kept.members() };
        Some(if left.is_empty() {
            status.to_string()
        } else {
            format!("{status}, while {} still runs", names(&left))
        })
    }

    /// How a process ended, if its program aborted itself.
    pub fn aborted(&mut self, index: usize) -> Option<String> {
        let status = self.children[index].as_mut()?.kept.ended()?;
        if aborted(status) { self.ended(index) } else { None }
    }

    /// A fault is in a process from now on of which it may end.
    pub fn may_end(&mut self, index: usize) {
        if let Some(started) = self.children[index].as_mut() {
            started.may_end = true;
        }
    }

    /// The fault is out of it: if it still runs, its end would be its own again.
    pub fn survived(&mut self, index: usize) {
        let is_up = self.is_up(index);
        if let Some(started) = self.children[index].as_mut().filter(|_| is_up) {
            started.may_end = false;
        }
    }

    /// Keeps how a process ended, unless it was told to, or a fault may have had that effect.
    fn note_end(&mut self, index: usize) {
        let excused = self.children[index].as_ref().is_none_or(|started| started.may_end);
        if let Some(status) = self.ended(index).filter(|_| !excused) {
            self.lost.push(format!("{} ({status})", self.spec.processes[index].name));
        }
    }

    /// Who has ended by itself, and how, also if it was started again; the fault proxy among them.
    pub fn all_ended(&mut self) -> Vec<String> {
        let mut ended = self.lost.clone();
        for index in 0..self.children.len() {
            let status = self.ended(index);
            let name = &self.spec.processes[index].name;
            ended.extend(status.map(|status| format!("{name} ({status})")));
        }
        let proxy = self.links.as_mut().and_then(Links::ended);
        ended.extend(proxy.map(|status| format!("{LINKS} ({status})")));
        ended
    }

    /// Whether a process was started and has not ended.
    pub fn is_up(&mut self, index: usize) -> bool {
        self.children[index].is_some() && self.ended(index).is_none()
    }

    /// All that a process consists of, parents first; nobody if it does not run.
    #[must_use]
    pub fn members(&self, index: usize) -> Vec<Member> {
        self.children[index].as_ref().map_or_else(Vec::new, |started| started.kept.members())
    }

    /// The id of a process: of its program, or of the first that it left in the background.
    pub fn pid(&mut self, index: usize) -> Option<u32> {
        let heads = self.children[index].as_mut()?.kept.heads();
        heads.first().map(|member| member.pid)
    }

    /// The keeper of a process that was started: all that descends from it is the process, or what is
    /// left of it.
    #[must_use]
    pub fn top(&self, index: usize) -> Option<u32> {
        self.children[index].as_ref().map(|started| started.kept.top())
    }

    /// The keeper of a process that runs.
    ///
    /// # Errors
    /// If it does not run.
    pub fn keeper(&mut self, index: usize) -> anyhow::Result<u32> {
        let ended = self.ended(index);
        let name = &self.spec.processes[index].name;
        if let Some(status) = ended {
            bail!("{name} had ended by itself before ({status})");
        }
        self.top(index).with_context(|| format!("{name} does not run"))
    }

    /// Kills a process, all of it, and waits for its end, which is returned.
    ///
    /// # Errors
    /// If it does not run, or ended otherwise.
    pub async fn kill(&mut self, index: usize) -> anyhow::Result<ExitStatus> {
        tree::kill(self.keeper(index)?)?;
        let status = self.await_end(index).await?;
        let name = &self.spec.processes[index].name;
        if status.signal() != Some(Signal::KILL.as_raw()) {
            self.lost.push(format!("{name} ({status})"));
            bail!("{name} was killed, but had just ended by itself ({status})");
        }
        Ok(status)
    }

    /// Waits until nobody is left of a process that was told to end; returns how it did.
    ///
    /// # Errors
    /// If it was not started, or somebody of it still runs after some seconds.
    pub async fn await_end(&mut self, index: usize) -> anyhow::Result<ExitStatus> {
        let name = self.spec.processes[index].name.clone();
        let started = self.children[index].as_mut();
        let kept = &mut started.with_context(|| format!("{name} does not run"))?.kept;
        let Ok(status) = timeout(STOP_WITHIN, kept.end()).await else {
            let within = STOP_WITHIN.as_secs();
            match kept.ended() {
                Some(status) => bail!(
                    "{name} has ended ({status}), but {} still runs after {within} s",
                    names(&kept.members())
                ),
                None => bail!("{name} has not ended within {within} s"),
            }
        };
        self.forget(index)?;
        Ok(status)
    }

    /// Of a process of which nobody is left.
    fn forget(&mut self, index: usize) -> anyhow::Result<()> {
        lock(&self.watched).remove(&self.spec.processes[index].name);
        let Some(started) = self.children[index].take() else { return Ok(()) };
        self.undo.done(started.entry).context("cannot write the undo journal")
    }

    /// Sends a signal that says what to do to a process: to its program, not to what that has started.
    ///
    /// # Errors
    /// If it does not run; a signal to one that has ended would go through, too.
    pub fn signal(&mut self, index: usize, signal: Signal) -> anyhow::Result<()> {
        self.keeper(index)?;
        let started = self.children[index].as_mut();
        let heads = started.map_or_else(Vec::new, |started| started.kept.heads());
        heads.iter().try_for_each(|head| head.signal(signal).map(drop))
    }

    /// Makes room for a new start: what is left of an end of its own goes, and that end stays known.
    pub(super) async fn clear(&mut self, index: usize) -> anyhow::Result<()> {
        self.note_end(index);
        let Some(started) = self.children[index].as_mut() else { return Ok(()) };
        tree::kill(started.kept.top())?;
        self.await_end(index).await.map(drop)
    }

    /// Tells a process to end, as its file says.
    ///
    /// # Errors
    /// If it does not run.
    pub fn tell_to_end(&mut self, index: usize) -> anyhow::Result<()> {
        let stop = signal_of(self.spec.processes[index].stop.signal);
        self.signal(index, stop)
    }

    /// Ends a process, whatever state it is in: its signal (SIGTERM) to its program, then to what that has left
    /// behind, SIGKILL to what does not end.
    pub(super) async fn finish(&mut self, index: usize) {
        let Some(started) = self.children[index].as_mut() else { return };
        let kept = &mut started.kept;
        let top = kept.top();
        // A stopped process would not hear SIGTERM.
        let _ = tree::resume(top);
        let heads = kept.heads();
        let stop = signal_of(self.spec.processes[index].stop.signal);
        heads.iter().for_each(|head| drop(head.signal(stop)));
        let ended = async {
            kept.program_end().await;
            let left = kept.members().into_iter().filter(|member| !heads.contains(member));
            left.for_each(|member| drop(member.signal(Signal::TERM)));
            kept.end().await
        };
        if timeout(STOP_WITHIN, ended).await.is_err() {
            let _ = tree::kill(top);
        }
        let _ = self.await_end(index).await;
    }
}

/// A few of them by name and id.
fn names(members: &[Member]) -> String {
    let named = members.iter().take(NAMED).map(|m| format!("{} ({})", m.name(), m.pid));
    let more = members.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.collect::<Vec<_>>().join(", "))
}
