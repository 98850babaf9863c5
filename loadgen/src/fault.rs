//! Faults: harm to the processes of a running system, with proof of effect and certain undo.
//!
//! One task owns the system and walks the timeline, so that no two hands touch a process. What each
//! kind does is in a file per family.

pub mod ability;
pub mod crash;
mod disk;
pub mod fsync;
mod limits;
mod link;
mod loss;
pub mod poison;
mod process;
mod provider;

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::attack::Gauges;
use crate::cgroup::CpuGroup;
use crate::config::Span;
use crate::launch::{Running, lock};
use crate::link::Counts;
use crate::record::FaultRow;
use crate::redact;
use crate::scenario::{FaultKind, FaultSpec, Provider};
use crate::undo::Entry;
use crate::watch::Watch;
use crate::witness::{self, Mark};

use crash::Points;
use disk::DataDisk;
use fsync::{Fsyncs, Tracer};
use limits::{Limits, Lowered};
use link::Edge;
use poison::{Defect, Poisoner};
use process::Processes;
use provider::CardNetwork;
pub use provider::set_provider;

const PROOF_WITHIN: Duration = Duration::from_secs(2);
const PROOF_POLL: Duration = Duration::from_millis(2);
/// How soon a supervisor sees that a process has ended.
const SUPERVISE_EVERY: Duration = Duration::from_millis(50);

/// Everything a fault needs to know of the trial.
pub struct Stage<'a> {
    /// The harmed system.
    pub running: &'a mut Running,
    /// The provider's settings when it is not harmed.
    pub provider: &'a Provider,
    /// Guards the provider's control endpoint.
    pub control_token: &'a str,
    /// Tells how many requests are open.
    pub gauges: Arc<Gauges>,
    /// Samples resources.
    pub watch: &'a Watch,
    /// Second 0.
    pub start: Instant,
    /// Places poisonous orders.
    pub poisoner: Poisoner,
    /// How far the card network's journal was, whenever it was about to be harmed.
    pub marks: Arc<Mutex<Vec<Mark>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Inject,
    Heal,
}

/// One fault on its way through the timeline.
struct Injury<'a> {
    fault: &'a FaultSpec,
    row: FaultRow,
    /// Whether the injection was tried: then it is healed, whatever came of it.
    tried: bool,
    held: Held,
}

/// What an injected fault keeps until it is healed.
#[derive(Default)]
struct Held {
    /// Entries of the undo journal, closed when the healing is proved.
    entries: Vec<Entry>,
    /// What the harmed link had seen at the onset.
    link: Option<Counts>,
    /// Attached to the processes whose fsyncs are harmed.
    tracers: Vec<Tracer>,
    /// Control groups that harmed processes are in.
    groups: Vec<CpuGroup>,
    /// Limits as they were.
    lowered: Vec<Lowered>,
    /// Poison is in the system: who ends of it is started again.
    poisoned: bool,
    /// Processes that aborted of poison, and how they ended.
    aborted: Vec<String>,
}

/// Walks the timeline of faults; returns what happened. When `ended` becomes true, all that is
/// still harmed is healed at once and nothing further is injected.
pub async fn walk(
    mut stage: Stage<'_>,
    faults: &[FaultSpec],
    mut ended: watch::Receiver<bool>,
) -> Vec<FaultRow> {
    let mut injuries: Vec<Injury<'_>> = faults.iter().map(|f| stage.injury(f)).collect();
    for (at, index, step) in steps(faults) {
        let due = stage.start + at.0;
        tokio::select! {
            () = sleep_until(due) => {}
            _ = ended.wait_for(|ended| *ended) => {}
            never = supervise(&mut stage, &mut injuries) => match never {},
        }
        let injury = &mut injuries[index];
        match step {
            Step::Inject if *ended.borrow() => {
                injury.row.effect_proof = "not injected: the load ended".to_owned();
            }
            Step::Inject => stage.inject(injury).await,
            Step::Heal if injury.tried => stage.heal(injury).await,
            Step::Heal => {}
        }
    }
    injuries.into_iter().map(|injury| shown(injury.row)).collect()
}

/// Proofs and errors may name URLs of a system file.
fn shown(row: FaultRow) -> FaultRow {
    let [effect_proof, heal_proof] = [&row.effect_proof, &row.heal_proof].map(|s| redact::text(s));
    FaultRow { effect_proof, heal_proof, ..row }
}

/// Starts again who ends of poison, for as long as it is polled.
async fn supervise(stage: &mut Stage<'_>, injuries: &mut [Injury<'_>]) -> Infallible {
    loop {
        let poisoned = injuries.iter_mut().find(|injury| injury.held.poisoned);
        if let Some(injury) = poisoned {
            Defect::of(stage, injury.fault).restart(&mut injury.held).await;
        }
        sleep(SUPERVISE_EVERY).await;
    }
}

/// In the order of time; of one instant what lasted is healed first, the rest in the order of the file.
fn steps(faults: &[FaultSpec]) -> Vec<(Span, usize, Step)> {
    let mut steps: Vec<(Span, usize, Step)> = Vec::new();
    for (index, fault) in faults.iter().enumerate() {
        steps.push((fault.at, index, Step::Inject));
        steps.push((fault.until(), index, Step::Heal));
    }
    let heals = |index: usize, step| step == Step::Heal && faults[index].lasts.is_some();
    steps.sort_by_key(|(at, index, step)| (*at, !heals(*index, *step)));
    steps
}

impl Stage<'_> {
    fn injury<'f>(&self, fault: &'f FaultSpec) -> Injury<'f> {
        let names = self.names(fault);
        let parameters = fault.parameters();
        let row = FaultRow {
            kind: fault.kind.as_str().to_owned(),
            harm: fault.harm.clone(),
            processes: names,
            parameters: if parameters.is_empty() {
                String::new()
            } else {
                serde_json::Value::Object(parameters).to_string()
            },
            commanded_s: fault.at.as_s(),
            ..FaultRow::default()
        };
        Injury { fault, row, tried: false, held: Held::default() }
    }

    /// Who is harmed: processes, or the two ends of a link.
    fn names(&self, fault: &FaultSpec) -> String {
        let spec = &self.running.spec;
        if let Some(link) = spec.links.iter().find(|link| Some(&*link.name) == fault.link()) {
            return format!("{} to {}", link.from.join(" "), link.upstream);
        }
        let players = spec.players(&fault.harm);
        let names: Vec<&str> = players.iter().map(|i| &*spec.processes[*i].name).collect();
        names.join(" ")
    }

    fn now_s(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    async fn inject(&mut self, injury: &mut Injury<'_>) {
        injury.tried = true;
        if injury.fault.harm == "provider" {
            self.mark().await;
        }
        injury.row.in_flight_at_onset = self.gauges.in_flight.load(Ordering::Relaxed);
        injury.row.commanded_s = self.now_s();
        let proof = self.harm(injury.fault, &mut injury.held).await;
        match proof {
            Ok(proof) => {
                injury.row.effective_s = Some(self.now_s());
                injury.row.effect_proof = proof;
            }
            Err(error) => injury.row.effect_proof = format!("no effect seen: {error:#}"),
        }
    }

    /// Asks the card network how far its journal is, before it cannot tell. A network that does not say is
    /// a doubt at the end.
    async fn mark(&self) {
        let base = &self.running.spec.entry.provider;
        if let Ok(mark) = witness::mark(base, self.control_token).await {
            lock(&self.marks).push(mark);
        }
    }

    /// Does what the kind is; returns the proof of its effect.
    async fn harm(&mut self, fault: &FaultSpec, held: &mut Held) -> anyhow::Result<String> {
        match fault.kind {
            FaultKind::Kill => Processes::before_the_end(self, fault).await.kill().await,
            FaultKind::DataLoss => {
                let killed = Processes::before_the_end(self, fault).await.kill().await?;
                let players = self.running.spec.players(&fault.harm);
                Ok(format!("{killed}; {}", loss::lose(self.running, &players)?))
            }
            FaultKind::Pause => Processes::of(self, fault).pause(held).await,
            FaultKind::Terminate => Processes::before_the_end(self, fault).await.terminate().await,
            FaultKind::Restart => Processes::before_the_end(self, fault).await.restart().await,
            FaultKind::Deploy => Processes::before_the_end(self, fault).await.deploy().await,
            FaultKind::Crash => {
                process::last_look(self).await;
                Points::of(self, fault).crash(held).await
            }
            FaultKind::Cpu => Limits::of(self, fault).cpu(fault.cores.unwrap_or(1.0), held).await,
            FaultKind::Memory => Limits::of(self, fault).memory(fault.spare_mib.unwrap_or(0), held),
            FaultKind::Files => Limits::of(self, fault).files(fault.spare_files.unwrap_or(0), held),
            FaultKind::Provider => CardNetwork::of(self).disturb(fault).await,
            FaultKind::Latency => Edge::of(self, fault, held)?.latency().await,
            FaultKind::Bandwidth => Edge::of(self, fault, held)?.bandwidth().await,
            FaultKind::Blackhole => Edge::of(self, fault, held)?.black_hole().await,
            FaultKind::Reset => Edge::of(self, fault, held)?.reset().await,
            FaultKind::ReplyLost => Edge::of(self, fault, held)?.reply_lost().await,
            FaultKind::HalfOpen => Edge::of(self, fault, held)?.half_open().await,
            FaultKind::SlowClose => Edge::of(self, fault, held)?.slow_close().await,
            FaultKind::Slice => Edge::of(self, fault, held)?.slice().await,
            FaultKind::PowerCut => {
                process::last_look(self).await;
                DataDisk::with(self, async |disk| disk.cut().await).await
            }
            FaultKind::Full => DataDisk::with(self, async |disk| disk.fill().await).await,
            FaultKind::SlowFsync | FaultKind::FailingFsync => {
                Fsyncs::of(self).disturb(fault, held).await
            }
            FaultKind::Poison => {
                process::last_look(self).await;
                let poisoner = self.poisoner.clone();
                Defect::of(self, fault).poison(&poisoner, held).await
            }
        }
    }

    async fn heal(&mut self, injury: &mut Injury<'_>) {
        injury.row.heal_commanded_s = Some(self.now_s());
        let proof = match self.undo(injury.fault, &mut injury.held).await {
            Ok(proof) => self.close(&mut injury.held).map(|()| proof),
            Err(error) => Err(error),
        };
        match proof {
            Ok(proof) => {
                injury.row.healed_s = Some(self.now_s());
                injury.row.heal_proof = proof;
            }
            Err(error) => injury.row.heal_proof = format!("not healed: {error:#}"),
        }
    }

    /// Takes it back, also if it had no effect; returns the proof of that.
    async fn undo(&mut self, fault: &FaultSpec, held: &mut Held) -> anyhow::Result<String> {
        match fault.kind {
            FaultKind::Kill
            | FaultKind::DataLoss
            | FaultKind::Terminate
            | FaultKind::Restart
            | FaultKind::Deploy => self.raise(fault).await,
            FaultKind::Crash => {
                Points::of(self, fault).disarm()?;
                self.raise(fault).await
            }
            FaultKind::Pause => Processes::of(self, fault).resume().await,
            FaultKind::Cpu | FaultKind::Memory | FaultKind::Files => {
                let lifted = Limits::lift(self.running, held)?;
                Ok(format!("{lifted}; {}", self.raise(fault).await?))
            }
            FaultKind::Provider => CardNetwork::of(self).restore().await,
            FaultKind::Latency
            | FaultKind::Bandwidth
            | FaultKind::Blackhole
            | FaultKind::Reset
            | FaultKind::ReplyLost
            | FaultKind::HalfOpen
            | FaultKind::SlowClose
            | FaultKind::Slice => Edge::of(self, fault, held)?.heal().await,
            FaultKind::PowerCut => DataDisk::with(self, async |disk| disk.power().await).await,
            FaultKind::Full => DataDisk::with(self, async |disk| disk.empty().await).await,
            FaultKind::SlowFsync | FaultKind::FailingFsync => {
                let released = Fsyncs::of(self).release(held).await?;
                self.with_settings(fault, released).await
            }
            FaultKind::Poison => {
                process::last_look(self).await;
                Defect::of(self, fault).mend(held).await
            }
        }
    }

    async fn raise(&mut self, fault: &FaultSpec) -> anyhow::Result<String> {
        let raised = Processes::of(self, fault).raise().await?;
        self.with_settings(fault, raised).await
    }

    /// A provider that was started again has forgotten its settings: they were in its memory.
    async fn with_settings(&self, fault: &FaultSpec, healed: String) -> anyhow::Result<String> {
        if fault.harm != "provider" {
            return Ok(healed);
        }
        Ok(format!("{healed}; {}", CardNetwork::of(self).restore().await?))
    }

    fn close(&self, held: &mut Held) -> anyhow::Result<()> {
        let closed = held.entries.drain(..).try_for_each(|entry| self.running.undo.done(entry));
        closed.context("healed, but the undo journal cannot be written")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    #[test]
    fn of_one_instant_what_lasted_is_healed_first() {
        let fault = |keys: &str| -> FaultSpec {
            let text = format!("harm = \"orders\"\n{keys}");
            config::parse(Path::new("s.toml"), &text).unwrap()
        };
        let faults = [
            fault("at = \"8s\"\nkind = \"restart\""),
            fault("at = \"8s\"\nfor = \"2s\"\nkind = \"kill\""),
            fault("at = \"5s\"\nfor = \"3s\"\nkind = \"kill\""),
        ];
        let order: Vec<(usize, bool)> = steps(&faults)
            .into_iter()
            .map(|(_, index, step)| (index, step == Step::Inject))
            .collect();
        assert_eq!(order, [(2, true), (2, false), (0, true), (0, false), (1, true), (1, false)]);
    }
}
