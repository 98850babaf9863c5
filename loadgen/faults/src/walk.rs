//! The walk along the timeline. One task owns the system, so that no two hands touch a process.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, sleep_until};

use super::kinds::Act;
use super::planned::Planned;
use super::stage::{PROVIDER, Scene, Stage};
use record::FaultRow;
use record::redact;
use scenario::config::Span;

/// How soon a supervisor sees that a process has ended.
const SUPERVISE_EVERY: Duration = Duration::from_millis(50);
/// What is added to the proof of a fault that chose its process so.
const LED: &str = "; it led by its own word";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Inject,
    Heal,
}

/// One fault on its way through the timeline.
struct UnderWay<'a> {
    planned: &'a Planned,
    row: FaultRow,
    /// Whether the injection was tried: then it is healed, whatever came of it.
    tried: bool,
    /// Whom it harms, once it was injected.
    players: Vec<usize>,
    act: Act<'a>,
}

impl UnderWay<'_> {
    fn is_in_force(&self) -> bool {
        self.tried && self.row.healed_s.is_none()
    }
}

/// Walks the timeline of faults; returns what happened. When `ended` becomes true, all that is
/// still harmed is healed at once and nothing further is injected.
pub async fn walk(
    mut stage: Stage<'_>,
    faults: &[Planned],
    mut ended: watch::Receiver<bool>,
) -> Vec<FaultRow> {
    let mut all: Vec<UnderWay<'_>> = faults.iter().map(|f| stage.under_way(f)).collect();
    for (at, index, step) in steps(faults) {
        let due = stage.start + at.0;
        tokio::select! {
            () = sleep_until(due) => {}
            _ = ended.wait_for(|ended| *ended) => {}
            never = supervise(&mut stage, &mut all) => match never {},
        }
        let one = &mut all[index];
        match step {
            Step::Inject if *ended.borrow() => {
                one.row.effect_proof = "not injected: the load ended".to_owned();
            }
            Step::Inject => stage.inject(one).await,
            Step::Heal if one.tried => stage.heal(one).await,
            Step::Heal => {}
        }
    }
    all.into_iter().map(|one| shown(one.row)).collect()
}

/// Proofs and errors may name URLs of a system file.
fn shown(row: FaultRow) -> FaultRow {
    let [effect_proof, heal_proof] = [&row.effect_proof, &row.heal_proof].map(|s| redact::text(s));
    FaultRow { effect_proof, heal_proof, ..row }
}

/// Tends what is in force, for as long as it is polled.
async fn supervise(stage: &mut Stage<'_>, all: &mut [UnderWay<'_>]) -> Infallible {
    loop {
        for one in all.iter_mut().filter(|one| one.is_in_force()) {
            let (target, players) = (&one.planned.target, &one.players[..]);
            one.act.tend(&mut Scene { stage, target, players }).await;
        }
        sleep(SUPERVISE_EVERY).await;
    }
}

/// In the order of time; of one instant what lasted is healed first, the rest in the order of the file.
fn steps(faults: &[Planned]) -> Vec<(Span, usize, Step)> {
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
    fn under_way<'f>(&self, planned: &'f Planned) -> UnderWay<'f> {
        let (facts, parameters) = (planned.fault.facts(), planned.parameters());
        let row = FaultRow {
            kind: facts.name.to_owned(),
            harm: planned.target.to_string(),
            processes: self.names(&planned.target),
            parameters: if parameters.is_empty() {
                String::new()
            } else {
                serde_json::Value::Object(parameters).to_string()
            },
            commanded_s: planned.at.as_s(),
            state: facts.state.to_owned(),
            voids_answers: Some(facts.voids_answers),
            ..FaultRow::default()
        };
        let players = self.running.spec.harmed(&planned.target);
        UnderWay { planned, row, tried: false, players, act: planned.fault.ready() }
    }

    async fn inject(&mut self, one: &mut UnderWay<'_>) {
        one.tried = true;
        let target = &one.planned.target;
        if target.is_role(PROVIDER) {
            self.mark().await;
        }
        let led = match self.leading(&one.players).await {
            Ok(led) => led,
            Err(error) => {
                one.row.commanded_s = self.now_s();
                one.row.effect_proof = format!("no effect seen: {error:#}");
                return;
            }
        };
        if let Some(leaders) = &led {
            one.players.clone_from(leaders);
            one.row.processes = self.named(leaders);
        }
        one.row.in_flight_at_onset = (self.open_requests)();
        one.row.commanded_s = self.now_s();
        let scene = &mut Scene { stage: self, target, players: &one.players };
        match one.act.inject(scene).await {
            Ok(proof) => {
                one.row.effective_s = Some(self.now_s());
                let led = if led.is_some() { LED } else { "" };
                one.row.effect_proof = format!("{proof}{led}");
            }
            Err(error) => one.row.effect_proof = format!("no effect seen: {error:#}"),
        }
    }

    async fn heal(&mut self, one: &mut UnderWay<'_>) {
        one.row.heal_commanded_s = Some(self.now_s());
        let target = &one.planned.target;
        let scene = &mut Scene { stage: self, target, players: &one.players };
        match one.act.heal(scene).await {
            Ok(proof) => {
                one.row.healed_s = Some(self.now_s());
                one.row.heal_proof = proof;
            }
            Err(error) => one.row.heal_proof = format!("not healed: {error:#}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::plan;

    #[test]
    fn of_one_instant_what_lasted_is_healed_first() {
        let fault = |keys: &str| {
            let text = format!("[[fault]]\nharm = \"orders\"\n{keys}\n");
            plan(&text).unwrap().schedule(1).remove(0)
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
