//! A server is a tree of processes: some give their children sessions and groups of their own.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Sends a signal to a process and all that descend from it, the parents first, until it meets nobody new;
/// returns whom it met.
pub(crate) fn signal(root: Pid, signal: Signal) -> Vec<Pid> {
    let mut met: Vec<Pid> = Vec::new();
    loop {
        let fresh: Vec<Pid> =
            family(root).into_iter().filter(|process| !met.contains(process)).collect();
        if fresh.is_empty() {
            return met;
        }
        for process in fresh {
            // It may have ended meanwhile.
            let _ = kill_process(process, signal);
            met.push(process);
        }
    }
}

/// Whether a process runs no more, though its parent may not have taken notice.
pub(crate) fn has_ended(process: Pid) -> bool {
    let process_state = state(Path::new(&format!("/proc/{}", process.as_raw_nonzero())));
    process_state == Some('Z') || test_kill_process(process).is_err()
}

/// Whether each of its threads was halted: the signal reaches one, and on a busy machine the others go on
/// until that one has run.
pub(crate) fn stands(process: Pid) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero()));
    let mut threads = threads.into_iter().flatten().flatten();
    threads.all(|thread| matches!(state(&thread.path()), None | Some('T' | 'Z' | 'X')))
}

/// What a process or thread does now; none if it is gone.
fn state(of: &Path) -> Option<char> {
    let stat = fs::read_to_string(of.join("stat")).ok()?;
    // Behind the name, which may hold anything.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// A process and all that descend from it now.
pub(crate) fn family(root: Pid) -> Vec<Pid> {
    let mut family = vec![root];
    let mut next = 0;
    while let Some(parent) = family.get(next) {
        family.extend(children(*parent));
        next += 1;
    }
    family
}

/// What its threads have started; none if it has ended.
fn children(of: Pid) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{}/task", of.as_raw_nonzero()));
    let threads = threads.into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let ids = lists.collect::<Vec<_>>().join(" ");
    ids.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    async fn until(condition: impl Fn() -> bool) {
        let met = async {
            while !condition() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(20), met).await.unwrap();
    }

    #[tokio::test]
    async fn who_was_halted_stands_until_he_is_let_go_and_ends_when_he_is_killed() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let process = Pid::from_raw(child.id().cast_signed()).unwrap();
        assert!(!stands(process) && !has_ended(process));
        assert_eq!(signal(process, Signal::STOP), [process]);
        until(|| stands(process)).await;
        signal(process, Signal::CONT);
        until(|| !stands(process)).await;
        signal(process, Signal::KILL);
        until(|| has_ended(process)).await;
        child.wait().unwrap();
        assert!(has_ended(process));
    }
}
