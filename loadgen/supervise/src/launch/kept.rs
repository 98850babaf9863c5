//! The harness's hand on one process and all that descends from it: their keeper, and what it says.
//!
//! It knows how they ended, not whether they were meant to.

use std::io::{ErrorKind, PipeReader, Read, pipe};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::bail;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::keeper::{BEGAN, ENDED, FAILED, OVER};
use crate::tree::{self, Member};

const POLL: Duration = Duration::from_millis(1);
/// Until the keeper has said whether the program runs: two execs.
const BEGUN_WITHIN: Duration = Duration::from_secs(10);

/// A keeper, and what is known of those below it.
pub(super) struct Kept {
    keeper: Child,
    top: u32,
    said: PipeReader,
    /// Not yet a whole line.
    rest: String,
    program: Option<u32>,
    failed: Option<String>,
    /// How the program ended.
    ended: Option<ExitStatus>,
    /// How the last one ended: nobody is left.
    over: Option<ExitStatus>,
    /// Who goes on without the program is the process.
    forked: bool,
}

impl Kept {
    /// Starts a keeper; `spawn` is given its command, whose standard output is ours.
    pub(super) fn spawn(
        command: &mut Command,
        spawn: impl FnOnce(&mut Command) -> std::io::Result<Child>,
    ) -> std::io::Result<Self> {
        let (said, to_us) = pipe()?;
        fcntl_setfl(&said, fcntl_getfl(&said)? | OFlags::NONBLOCK)?;
        command.stdout(to_us);
        let keeper = spawn(command)?;
        let top = keeper.id().unwrap_or_default();
        Ok(Self {
            keeper,
            top,
            said,
            rest: String::new(),
            program: None,
            failed: None,
            ended: None,
            over: None,
            forked: false,
        })
    }

    /// The keeper's id: all that descends from it is the process.
    pub(super) fn top(&self) -> u32 {
        self.top
    }

    /// Waits until the program runs.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(super) async fn begun(&mut self) -> anyhow::Result<u32> {
        let deadline = Instant::now() + BEGUN_WITHIN;
        loop {
            self.listen();
            match (self.program, &self.failed) {
                (Some(pid), _) => return Ok(pid),
                (None, Some(why)) => bail!("{why}"),
                (None, None) if self.over.is_some() => bail!("its keeper has ended"),
                (None, None) if Instant::now() > deadline => bail!("its keeper says nothing"),
                (None, None) => sleep(POLL).await,
            }
        }
    }

    /// How the process ended: nobody of it is left, or its program is gone, and not because it had put
    /// itself into the background: then it ends well, and those whom it leaves are the process.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.listen();
        if self.over.is_some() {
            return if self.forked { self.over } else { self.ended.or(self.over) };
        }
        self.forked |= self.ended.is_some_and(|status| status.success());
        self.ended.filter(|_| !self.forked)
    }

    /// Whether nobody of it is left.
    pub(super) fn is_over(&mut self) -> bool {
        self.listen();
        self.over.is_some()
    }

    /// All that is left of it, parents first.
    pub(super) fn members(&self) -> Vec<Member> {
        tree::below(self.top)
    }

    /// Whom a signal is meant for that says what to do: the program, or what it left in the background.
    pub(super) fn heads(&mut self) -> Vec<Member> {
        self.listen();
        let members = self.members();
        match self.program.filter(|_| self.ended.is_none()) {
            Some(pid) => members.into_iter().filter(|member| member.pid == pid).collect(),
            None => members,
        }
    }

    /// Waits until nobody of it is left; returns how it ended.
    pub(super) async fn end(&mut self) -> ExitStatus {
        loop {
            if self.is_over()
                && let Some(status) = self.ended()
            {
                return status;
            }
            sleep(POLL).await;
        }
    }

    /// Waits until the program has ended, whoever is left.
    pub(super) async fn program_end(&mut self) {
        while self.ended.is_none() && !self.is_over() {
            sleep(POLL).await;
        }
    }

    /// Reads what the keeper has said; that it has ended is its last word.
    fn listen(&mut self) {
        let mut bytes = [0; 256];
        while self.over.is_none() {
            match self.said.read(&mut bytes) {
                Ok(0) => self.over = Some(self.keeper_end()),
                Ok(read) => {
                    self.rest.push_str(&String::from_utf8_lossy(&bytes[..read]));
                    self.take_lines();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Nothing new.
                Err(_) => return,
            }
        }
    }

    fn take_lines(&mut self) {
        while let Some((line, rest)) = self.rest.split_once('\n') {
            let (word, what) = line.split_once(' ').unwrap_or((line, ""));
            let status = || what.parse().ok().map(ExitStatus::from_raw);
            match word {
                BEGAN => self.program = what.parse().ok(),
                FAILED => self.failed = Some(what.to_owned()),
                ENDED => self.ended = status(),
                OVER => self.over = status(),
                _ => {}
            }
            self.rest = rest.to_owned();
        }
    }

    /// Of one that ended without a word.
    fn keeper_end(&mut self) -> ExitStatus {
        self.keeper.try_wait().ok().flatten().unwrap_or_default()
    }
}

impl Drop for Kept {
    /// Whoever is left is not left behind.
    fn drop(&mut self) {
        if self.over.is_none() {
            let _ = tree::kill(self.top);
        }
    }
}
