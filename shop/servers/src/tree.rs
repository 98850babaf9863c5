//! A server is a tree of processes: some give their children sessions and groups of their own.

use std::fs;

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
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    // Behind the name, which may hold anything.
    stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
        || test_kill_process(process).is_err()
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
