//! What a trial cost its system, and what was in work when a fault came.

use std::collections::BTreeMap;
use std::path::Path;

use record::{Cost, FaultRow, GENERATOR, ResourceRow, ledger};
use scenario::system::{LINKS, SystemSpec};
use supervise::energy::Energy;
use supervise::launch::Running;

/// What counts from second 0 on, whoever looks.
pub(super) struct Meter {
    commits: Option<u64>,
    energy: Option<Energy>,
}

/// What was counted until the end of the drain, as in [`Cost`].
#[derive(Clone, Copy)]
pub(super) struct Metered {
    commits: Option<u64>,
    energy_j: Option<f64>,
}

impl Meter {
    pub(super) async fn begin(running: &Running) -> Self {
        Self { commits: running.commits().await, energy: Energy::begin() }
    }

    pub(super) async fn end(self, running: &Running) -> Metered {
        let energy_j = self.energy.and_then(|energy| energy.spent_j());
        let commits = running.commits().await.zip(self.commits);
        // A process that was started again counts from 0.
        Metered { energy_j, commits: commits.and_then(|(now, then)| now.checked_sub(then)) }
    }
}

/// What the processes of a system used, and per order that was completed.
pub(super) fn of(
    system: &SystemSpec,
    rows: &[ResourceRow],
    metered: Metered,
    completed_orders: u64,
) -> Cost {
    let foreign = |name: &str| {
        let process = system.processes.iter().find(|p| p.name == name);
        name == LINKS
            || process
                .is_some_and(|p| !p.plays.is_empty() && p.plays.iter().all(|r| r == "provider"))
    };
    let (mut cpu_s, mut peaks) = (BTreeMap::new(), BTreeMap::<&str, u64>::new());
    for row in rows.iter().filter(|r| r.t_s > 0.0 && r.process != GENERATOR) {
        *cpu_s.entry(row.process.clone()).or_insert(0.0) += row.cpu_s;
        let peak = peaks.entry(&row.process).or_default();
        *peak = row.rss_bytes.max(*peak);
    }
    let system_cpu_s: f64 = cpu_s.iter().filter(|(n, _)| !foreign(n)).map(|(_, s)| s).sum();
    let per_order = (completed_orders > 0).then(|| system_cpu_s * 1e3 / completed_orders as f64);
    Cost {
        system_cpu_s,
        completed_orders,
        cpu_ms_per_completed_order: per_order,
        rss_peak_bytes: peaks.iter().filter(|(n, _)| !foreign(n)).map(|(_, b)| b).sum(),
        cpu_s,
        commits: metered.commits,
        energy_j: metered.energy_j,
    }
}

/// How many orders were in work at each fault's onset: accepted and not settled, by the ledger.
pub(super) fn in_work(
    faults: &mut [FaultRow],
    folder: &Path,
    started_at_us: i64,
) -> anyhow::Result<()> {
    let onset_us =
        |fault: &FaultRow| started_at_us.saturating_add((fault.commanded_s * 1e6) as i64);
    let mut open = vec![0; faults.len()];
    for row in ledger::orders(folder, 1)? {
        let row = row?;
        for (open, fault) in open.iter_mut().zip(&*faults) {
            let at_us = onset_us(fault);
            let over = row.settled_at.is_some_and(|settled| settled <= at_us);
            *open += u64::from(row.created_at <= at_us && !over);
        }
    }
    for (fault, open) in faults.iter_mut().zip(open) {
        fault.in_work_at_onset = Some(open);
    }
    Ok(())
}
