//! What one process uses, or all that descends from it, as /proc tells it at one instant.

use std::fs;

use rustix::param::clock_ticks_per_second;

use crate::tree::{Census, Stat};
use crate::watched::Watched;

/// What a process uses, all that descends from it taken together.
pub(super) struct Used {
    /// The first of them.
    pub(super) pid: u32,
    pub(super) cpu_ticks: u64,
    pub(super) rss_bytes: u64,
    pub(super) threads: u32,
    pub(super) fds: u32,
    pub(super) processes: u32,
}

impl Used {
    /// Nothing if nobody is there.
    pub(super) fn of(census: &Census, who: Watched) -> Option<Self> {
        let (members, top) = match who {
            Watched::Alone(pid) => (census.get(pid).into_iter().collect(), None),
            Watched::Below(top) => (census.below(top), census.get(top)),
        };
        let first: &Stat = members.first()?;
        // Of those who have ended, whoever waited for them has the account; at last it is the keeper.
        let ended = top.map_or(0, |top| top.reaped_ticks);
        let cpu = |stat: &&Stat| stat.own_ticks + stat.reaped_ticks;
        Some(Self {
            pid: first.pid,
            cpu_ticks: ended + members.iter().map(cpu).sum::<u64>(),
            rss_bytes: resident_bytes(&members),
            threads: members.iter().map(|stat| stat.threads).sum(),
            fds: members.iter().map(|stat| open_files(stat.pid)).sum(),
            processes: u32::try_from(members.len()).unwrap_or(u32::MAX),
        })
    }
}

/// The resident set; of several processes their proportional shares, so that what they share counts once.
fn resident_bytes(members: &[&Stat]) -> u64 {
    let resident = |stat: &Stat| stat.resident_pages * rustix::param::page_size() as u64;
    match members {
        [alone] => resident(alone),
        members => members.iter().map(|s| share_bytes(s.pid).unwrap_or(resident(s))).sum(),
    }
}

/// proc(5), smaps_rollup: Pss in KiB.
fn share_bytes(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

fn open_files(pid: u32) -> u32 {
    let count = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    u32::try_from(count).unwrap_or(u32::MAX)
}

pub(super) fn ticks_per_s() -> f64 {
    clock_ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn this_process_is_seen() {
        let used = Used::of(&Census::take(), Watched::Alone(std::process::id())).unwrap();
        assert!(used.rss_bytes > 100_000 && used.threads >= 1 && used.fds >= 1);
        assert_eq!(used.processes, 1);
        assert!(Used::of(&Census::take(), Watched::Alone(u32::MAX)).is_none());
    }

    /// A shell whose children work: all of it is its use, also when they have ended.
    #[test]
    fn what_descendants_use_is_counted_and_stays_counted() {
        let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let script = format!("sh -c '{work}'; sleep 60 & sleep 60 & wait");
        let mut shell = std::process::Command::new("sh").args(["-c", &script]).spawn().unwrap();
        let used = loop {
            let census = Census::take();
            if census.below(shell.id()).len() == 2 {
                break Used::of(&census, Watched::Below(shell.id())).unwrap();
            }
            thread::yield_now();
        };
        assert!(used.cpu_ticks >= 2, "{}: the worker was the shell's to wait for", used.cpu_ticks);
        assert_eq!((used.processes, used.threads), (2, 2));
        assert!(used.rss_bytes > 0 && used.rss_bytes < 20_000_000);
        crate::tree::kill(shell.id()).unwrap();
        shell.wait().unwrap();
    }
}
