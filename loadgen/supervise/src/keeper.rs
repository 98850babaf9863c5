//! `loadgen keep PROGRAM …`: starts a program and stays above all that descends from it. As a subreaper
//! it becomes the parent of whoever loses his own, so that nobody leaves the tree.
//!
//! It says on standard output what it sees, in three lines at most; it kills nobody and obeys nobody.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::str::FromStr;

use anyhow::Context;
use rustix::io::Errno;
use rustix::process::{WaitOptions, getpid, set_child_subreaper, wait};

/// `began PID`: the program runs.
pub const BEGAN: &str = "began";
/// `failed WHY`: it could not be started.
pub const FAILED: &str = "failed";
/// `ended STATUS`: the program has ended; its descendants may go on. As waitpid(2) tells it.
pub const ENDED: &str = "ended";
/// `over STATUS`: nobody is left; who was the last, and how he ended.
pub const OVER: &str = "over";

/// Whom the program runs as, with no further groups; the keeper stays who it is.
#[derive(Clone, Copy, Debug)]
pub struct User {
    uid: u32,
    gid: u32,
}

impl FromStr for User {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text
            .split_once(':')
            .and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
        let (uid, gid) = numbers.ok_or_else(|| format!("{text:?}; expected UID:GID"))?;
        Ok(Self { uid, gid })
    }
}

/// Starts the program with its outputs in our standard error, and waits until nobody of it is left.
///
/// # Errors
/// If this process cannot become a subreaper, or the program cannot be started.
pub fn keep(words: &[OsString], user: Option<User>) -> anyhow::Result<()> {
    set_child_subreaper(Some(getpid())).context("PR_SET_CHILD_SUBREAPER")?;
    let program = match start(words, user) {
        Ok(pid) => pid,
        Err(error) => {
            say(FAILED, &error);
            return Err(error.into());
        }
    };
    say(BEGAN, &program);
    let mut last = 0;
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => {
                last = status.as_raw();
                if pid.as_raw_nonzero().get() == program {
                    say(ENDED, &last);
                }
            }
            Ok(None) | Err(Errno::INTR) => {}
            Err(_nobody) => break,
        }
    }
    say(OVER, &last);
    Ok(())
}

fn start(words: &[OsString], user: Option<User>) -> io::Result<i32> {
    let (program, arguments) =
        words.split_first().ok_or_else(|| io::Error::other("no program is named"))?;
    let log = io::stderr().as_fd().try_clone_to_owned()?;
    let mut command = Command::new(program);
    // A group of its own: a stopped one whose parent's group is gone would get SIGHUP and SIGCONT.
    command.args(arguments).stdin(Stdio::null()).stdout(log).process_group(0);
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
    // Waited for by `wait`, with all the others.
    command.spawn().map(|child| child.id().cast_signed())
}

/// To a harness that may be gone.
fn say(word: &str, what: &dyn std::fmt::Display) {
    let line = format!("{word} {what}\n");
    let mut out = io::stdout().lock();
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}
