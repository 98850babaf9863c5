//! A run that decides claims: blocks of fresh processes and databases, in each block all arms of what is still open,
//! until every block is there, the budget is spent, or somebody stops it.
//!
//! Its folder is a run's as any other; what was asked stands beside (`decided.json`). Verdicts come from the records
//! alone, so this knows no statistics.

pub(crate) mod asked;
mod foreseen;
mod inputs;
pub(crate) mod layout;
pub mod list;
mod lock;
mod pace;
mod prepared;
mod work;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use decide::Answer;
use faults::Experiment;
use record::{files, seal};
use report::decided::{self, Cell, Decided, Plan, Planned};
use supervise::undo;
use tokio::sync::watch;

use crate::Boxed;
use crate::environment::{self, Facts};
use crate::quiet::Quiet;
use crate::results;
use crate::run::Run;
use crate::run::under_way::UnderWay;
use crate::terminal::{Terminal, folded, spoken};
use asked::Asked;
use inputs::{INPUTS, Inputs};
use layout::Layout;
use pace::Pace;
use prepared::{Work, clear};
use work::{Group, fitting, groups};

/// Where the files are read anew, to see whether they are the same.
const INPUTS_NOW: &str = "inputs-now";

/// What to decide.
pub struct Decide {
    /// Claims by name or path; of none, all that can be decided here.
    pub claims: Vec<String>,
    /// Only what counts decide.
    pub quick: bool,
    /// Controls of the run that it does without.
    pub without: Vec<String>,
    /// How many blocks at most.
    pub blocks: u32,
    /// Whether a claim that says how many it takes gets them.
    pub own_blocks: bool,
    /// No block begins that would not fit into this.
    pub budget: Option<Duration>,
    /// Go on with this run; what it was asked replaces the first four.
    pub resume: Option<PathBuf>,
    /// How often a trial whose record is void is run again, at the end of its group.
    pub reruns: u32,
    /// How long a trial waits for a quiet machine.
    pub quiet: Quiet,
    /// The folder of all results.
    pub out: PathBuf,
    /// Who is told meanwhile.
    pub terminal: Terminal,
    /// The command line.
    pub command: Vec<String>,
}

/// What came of it.
pub struct Ended {
    /// The run's folder.
    pub folder: PathBuf,
    /// What its records decide.
    pub decided: Decided,
    /// The claims that were asked for.
    pub asked: Vec<String>,
    /// It was stopped.
    pub interrupted: bool,
    /// The records are whole, but a page could not be written.
    pub unreported: bool,
}

impl Decide {
    /// Runs what is not there yet, and decides; `None` if it was stopped before there was anything.
    ///
    /// # Errors
    /// If a claim or what it names cannot be used, a run to be resumed was asked something else, a system cannot be
    /// started, or results cannot be written; finished trials stay.
    pub fn run(
        &self,
        interrupt: watch::Receiver<bool>,
    ) -> Boxed<'_, anyhow::Result<Option<Ended>>> {
        Box::pin(self.all(interrupt))
    }

    async fn all(&self, interrupt: watch::Receiver<bool>) -> anyhow::Result<Option<Ended>> {
        // Before anything of the folder is touched, and until the end.
        let lock = self.resume.as_deref().map(lock::take).transpose()?;
        let (folder, work) = match &self.resume {
            Some(folder) => (folder.clone(), self.resumed(folder)?),
            None => self.begun()?,
        };
        let _lock = match lock {
            Some(lock) => lock,
            None => lock::take(&folder)?,
        };
        let mut has_results = self.resume.is_some();
        let result = self.fill(&folder, &work, interrupt, &mut has_results).await;
        let (folder, ended) = results::settle(folder, has_results, result)?;
        Ok(folder.and(ended))
    }

    /// A new folder with its plan.
    fn begun(&self) -> anyhow::Result<(PathBuf, Work)> {
        let asked = asked::all(&self.claims, self.quick, &self.without)?;
        let folder = results::new_folder(&self.out)?;
        let (quick, blocks, own_blocks) = (self.quick, self.blocks, self.own_blocks);
        let size = Size { quick, blocks, own_blocks, left_out: &self.without };
        let work = self.work(&asked, size, &folder.join(INPUTS));
        let work = work.and_then(|work| work.plan.write(&folder).map(|()| work));
        if work.is_err() {
            results::discard(&folder);
        }
        work.map(|work| (folder, work))
    }

    /// The plan of a folder, if it is still the same.
    fn resumed(&self, folder: &Path) -> anyhow::Result<Work> {
        let plan = decided::plan(folder)?;
        let plan = plan.with_context(|| {
            format!("{}: expected a folder of `loadgen decide`", folder.display())
        })?;
        for text in undo::clean_up(folder)?.failed {
            self.terminal.note(&format!("warning: {text}"));
        }
        let asked = asked::again(&plan)?;
        let now = folder.join(INPUTS_NOW);
        let own_blocks = plan.claims.iter().any(|claim| claim.blocks.is_some());
        let (quick, blocks) = (plan.quick, plan.blocks);
        let size = Size { quick, blocks, own_blocks, left_out: &plan.left_out };
        let work = self.work(&asked, size, &now);
        let same = work.and_then(|work| match plan.differs(&work.plan) {
            None => Ok(work),
            Some(what) => bail!(
                "{} cannot be gone on with: {what}. Blocks of two experiments are not one; begin anew, without --resume",
                folder.display()
            ),
        });
        if now.exists() {
            fs::remove_dir_all(&now).with_context(|| now.display().to_string())?;
        }
        same?;
        self.work(&asked, size, &folder.join(INPUTS))
    }

    fn work(&self, asked: &[Asked], size: Size<'_>, inputs: &Path) -> anyhow::Result<Work> {
        let Size { quick, blocks, own_blocks, left_out } = size;
        let layout = Layout::of(asked, quick, &inputs::stands)?;
        let Inputs { experiments, systems } = Inputs::make(inputs, &layout)?;
        let mut plan = Plan::new(&environment::revision(), &program(), quick, blocks);
        plan.left_out = left_out.to_vec();
        for experiment in &experiments {
            let scenario = &experiment.scenario;
            plan.scenarios.insert(scenario.name.clone(), scenario.text.clone());
        }
        for system in &systems {
            plan.systems.insert(system.name.clone(), serde_json::to_string(system)?);
        }
        let planned = |(one, cells): (&Asked, &Vec<_>)| Planned {
            path: one.path.clone(),
            text: one.text.clone(),
            asked: one.is_asked,
            blocks: one.claim.blocks.filter(|_| own_blocks),
            predicted: Vec::new(),
            cells: cells.clone(),
        };
        plan.claims = asked.iter().zip(&layout.cells).map(planned).collect();
        for (one, planned) in asked.iter().zip(&mut plan.claims) {
            planned.predicted = foreseen(one, &planned.cells, &experiments)?;
        }
        let bases = layout.scenarios.into_iter().map(|file| (file.name, file.base)).collect();
        let run = Run {
            experiments,
            systems,
            trials: plan.most_blocks(),
            reruns: self.reruns,
            quiet: self.quiet,
            out: self.out.clone(),
            keep_data: false,
            luck: None,
            terminal: self.terminal.clone(),
            command: self.command.clone(),
        };
        let claims = asked.iter().map(|one| one.claim.clone()).collect();
        let work = Work { run, plan, claims, bases };
        work.check()?;
        Ok(work)
    }

    async fn fill(
        &self,
        folder: &Path,
        work: &Work,
        interrupt: watch::Receiver<bool>,
        has_results: &mut bool,
    ) -> anyhow::Result<Option<Ended>> {
        let (cores, mut facts) = results::machine(folder, &self.command)?;
        work.run.allow(folder, &cores).await?;
        if self.resume.is_some() {
            remember(folder, &mut facts);
        }
        results::begin(folder, &mut facts)?;
        let refused = work.run.refused(folder).await?;
        let texts: Vec<String> =
            refused.iter().map(|(name, why)| format!("{name} ({why})")).collect();
        if !texts.is_empty() {
            facts.insert("not run".to_owned(), texts.join("; "));
        }
        let revision = facts["revision"].clone();
        let mut under_way = UnderWay::new(&work.run, folder, &cores, &revision, interrupt);
        let result = self.blocks(folder, work, &refused, &mut under_way).await;
        *has_results |= under_way.done > 0;
        if !*has_results {
            return result.map(|_| None);
        }
        facts.extend(under_way.facts());
        if under_way.outcome.interrupted {
            let how = "before all was there; `loadgen decide --resume` goes on with it";
            facts.insert("stopped".to_owned(), how.to_owned());
        }
        let decided = decided::decide(folder, &work.plan);
        if let Ok(decided) = &decided {
            facts.insert("claims".to_owned(), counted(decided));
        }
        let reported = results::conclude(&self.out, folder, facts, &self.terminal);
        result?;
        let asked = work.asked();
        let interrupted = under_way.outcome.interrupted;
        let folder = folder.to_owned();
        Ok(Some(Ended { folder, decided: decided?, asked, interrupted, unreported: !reported }))
    }

    /// Block after block, of each what is not there and still decides something.
    async fn blocks<'w>(
        &self,
        folder: &Path,
        work: &'w Work,
        refused: &BTreeMap<String, String>,
        under_way: &mut UnderWay<'w>,
    ) -> anyhow::Result<()> {
        let mut pace = Pace::begun();
        let most = work.plan.most_blocks();
        for block in 1..=most {
            let open = work.open(folder, block)?;
            let beside_s = pace.beside_s(under_way);
            let groups =
                groups(&work.plan, &open, |name| work.base(name), |name| work.load_s(name));
            let at = At { folder, refused, block, beside_s, spent_s: pace.spent_s() };
            if block == 1 && self.resume.is_none() {
                self.terminal.note(&said_before(work, &groups, beside_s));
            }
            let chosen = self.chosen(work, &at, groups);
            let missing = |group: &Group| !work.is_there(folder, group, block, refused);
            let mut chosen: Vec<Group> = chosen.into_iter().filter(missing).collect();
            if !chosen.is_empty() {
                let trials: usize = chosen.iter().map(|group| group.pairs.len()).sum();
                let expected_s = chosen.iter().map(|group| group.expected_s(beside_s)).sum();
                self.terminal.note(&format!(
                    "block {block} of {most}: {trials} trials, about {}",
                    spoken(expected_s)
                ));
            }
            while !chosen.is_empty() {
                let group = chosen.remove(0);
                under_way.later_s = work.later_s(&chosen, &open, block);
                let places = work.places(&group, block, refused);
                clear(folder, &places)?;
                pace.takes(&places);
                under_way.run_all(places).await?;
                if under_way.outcome.interrupted {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// What of a block fits into the budget, if there is one; said, if not all does.
    fn chosen(&self, work: &Work, at: &At<'_, '_>, groups: Vec<Group>) -> Vec<Group> {
        let Some(budget) = self.budget else { return groups };
        let (all, left_s) = (groups.len(), budget.as_secs_f64() - at.spent_s);
        let there = |group: &Group| work.blocks_there(at.folder, group, at.block, at.refused);
        let chosen = fitting(groups, at.block, there, at.beside_s, left_s);
        if chosen.len() < all {
            let At { block, beside_s, .. } = at;
            let some = chosen.len();
            self.terminal.note(&folded(&format!(
                "block {block}: {some} of {all} experiments fit into what is left of the budget (a trial takes \
                 {beside_s:.0} s beside its load)"
            )));
        }
        chosen
    }
}

/// How much it is in all, and how long it takes where nobody else uses the machine.
fn said_before(work: &Work, groups: &[Group], beside_s: f64) -> String {
    let most = work.plan.blocks;
    let in_all = |one: &Group| f64::from(one.blocks_after(0));
    let trials: f64 = groups.iter().map(|one| in_all(one) * one.pairs.len() as f64).sum();
    let load_s: f64 = groups.iter().map(|one| in_all(one) * one.expected_s(0.0)).sum();
    let all_s = load_s + trials * beside_s;
    format!(
        "{most} blocks: {trials} trials at most, {} of load, about {} in all",
        spoken(load_s),
        spoken(all_s)
    )
}

/// How much of the claims is asked.
#[derive(Clone, Copy)]
struct Size<'s> {
    quick: bool,
    blocks: u32,
    /// Whether a claim that says how many blocks it takes gets them.
    own_blocks: bool,
    /// Controls that are left out.
    left_out: &'s [String],
}

/// Where a run stands before a block.
struct At<'f, 'r> {
    folder: &'f Path,
    /// The scenarios that this machine cannot run.
    refused: &'r BTreeMap<String, String>,
    block: u32,
    beside_s: f64,
    spent_s: f64,
}

/// What the model of a claim foresees at each of its points, if it has one; said before the first trial.
fn foreseen(asked: &Asked, cells: &[Cell], experiments: &[Experiment]) -> anyhow::Result<Vec<f64>> {
    let Some(predict) = asked.claim.predict else { return Ok(Vec::new()) };
    let at = |point: usize| -> anyhow::Result<f64> {
        let cell = cells.iter().find(|cell| cell.point == point);
        let name = cell.map(|cell| &cell.scenario);
        let found = experiments.iter().find(|one| Some(&one.scenario.name) == name);
        let found = found.with_context(|| format!("{} has no scenario", asked.claim.id))?;
        let share = foreseen::stuck_share(&found.scenario, predict);
        share.map_err(|why| anyhow::anyhow!("{}: {why}", asked.path.display()))
    };
    let points = if cells.is_empty() { 0 } else { asked.claim.points() };
    (0..points).map(at).collect()
}

/// What an earlier part of the run said of itself.
fn remember(folder: &Path, facts: &mut Facts) {
    let text = fs::read_to_string(folder.join(files::ENVIRONMENT)).unwrap_or_default();
    let earlier: Facts = serde_json::from_str(&text).unwrap_or_default();
    facts.insert("resumed".to_owned(), environment::now());
    for (ours, theirs) in [
        ("started", "started"),
        ("luck before it was resumed", files::LUCK),
        ("resumed before", "resumed"),
    ] {
        if let Some(value) = earlier.get(theirs) {
            facts.insert(ours.to_owned(), value.clone());
        }
    }
}

/// "3 of 5 claims have a verdict; controls right".
fn counted(decided: &Decided) -> String {
    let verdicts = &decided.decision.verdicts;
    let open = |answer: &Answer| matches!(answer, Answer::Undecided | Answer::NotHere(_));
    let told = verdicts.iter().filter(|verdict| !open(&verdict.answer)).count();
    let controls = if decided.decision.wrong.is_empty() { "right" } else { "WRONG" };
    format!("{told} of {} claims have a verdict; controls {controls}", verdicts.len())
}

/// The hash of the program that runs.
fn program() -> String {
    let own = std::env::current_exe().ok();
    let hash = own.and_then(|path| seal::digest(&path).ok());
    hash.map_or_else(|| "unknown".to_owned(), |(_, hash)| hash)
}
