//! A quota of CPU; lifted at the end.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::kind::{Example, Facts, Kind};
use crate::need::Need;
use crate::proof::{PROOF_POLL, Proof};
use crate::stage::{Entries, Scene};
use supervise::cgroup::{self, CpuGroup};
use supervise::undo::Undo;

/// How long a process may take to use up its quota; one that never does is not harmed.
const THROTTLED_WITHIN: Duration = Duration::from_secs(5);

/// Control groups with quotas of CPU.
const QUOTA: Need = Need {
    words: "root, control groups",
    without: "no CPU quota can be given",
    lacks: |_| Box::pin(async { Ok(cgroup::lacking()) }),
};

/// A quota of CPU; lifted at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// How much of one core each process may use; 0.01 or more.
    pub cores: f64,
}

/// Control groups that harmed processes are in.
#[derive(Default)]
pub(crate) struct Held {
    entries: Entries,
    groups: Vec<CpuGroup>,
}

impl Kind for Cpu {
    const FACTS: Facts = Facts {
        name: "cpu",
        needs: Some(&QUOTA),
        state: "short of CPU",
        about: "may use `cores = 0.1` of one core",
        seen: "`nr_throttled` of its control group",
        healed: "the control group is gone, and it is ready",
        example: Example { lasts: "1s", parameters: "cores = 0.02", ..Facts::ROLE.example },
        ..Facts::ROLE
    };

    type Held = Held;

    fn check(&self) -> Result<(), String> {
        if (0.01..=64.0).contains(&self.cores) {
            return Ok(());
        }
        Err(format!("cores is {}; expected 0.01 to 64", self.cores))
    }

    /// A quota for each process. Proof: each has been held back by it.
    async fn inject(&self, scene: &mut Scene<'_, '_>, held: &mut Held) -> Proof {
        let (cores, running) = (self.cores, &mut *scene.stage.running);
        let players = scene.players;
        for index in players.iter().copied() {
            let name = &running.spec.processes[index].name;
            let missing = format!("{name} does not run");
            let pid = running.pid(index).context(missing)?;
            let top = running.keeper(index)?;
            let name = format!("triptych-{}-{}", running.undo.mark(), pid);
            let group = CpuGroup::plan(pid, &name)
                .map_err(|error| anyhow::anyhow!("not possible on this machine: {error:#}"))?;
            held.entries.add(running, Undo::RemoveCgroup { path: group.path().to_owned() })?;
            held.groups.push(group);
            held.groups[held.groups.len() - 1].enter(cores, top)?;
        }
        let mut proofs = Vec::new();
        for (index, group) in players.iter().zip(&held.groups) {
            let name = &running.spec.processes[*index].name;
            let times = await_throttled(group).await.with_context(|| name.clone())?;
            proofs.push(format!("{name}: at most {cores} of a core, nr_throttled {times}"));
        }
        Ok(proofs.join("; "))
    }

    /// The old groups for those that still run. Proof: the groups are gone, and each is ready.
    async fn heal(&self, scene: &mut Scene<'_, '_>, held: &mut Held) -> Proof {
        let mut proofs = Vec::new();
        for group in held.groups.drain(..) {
            group.leave()?;
            proofs.push("the control group is gone".to_owned());
        }
        let raised = scene.raise().await?;
        held.entries.close(scene.stage.running)?;
        Ok(format!("{}; {raised}", proofs.join("; ")))
    }
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
