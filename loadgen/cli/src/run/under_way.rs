//! The trials of a run, one after another: those that the measuring machine spoilt once more at the end, the
//! spoilt ones laid aside.

use std::path::{Path, PathBuf};

use tokio::sync::watch;
use tokio::time::Instant;

use super::ahead::Ahead;
use super::{Run, RunState, line, run_one};
use crate::prepare::Unprepared;
use crate::quiet::Disturbances;
use crate::results;
use crate::trial::{Finished, NothingMeasured, Trial};
use audit::validity;
use faults::Experiment;
use record::files;
use record::read::LAID_ASIDE;
use record::{Answer, Manifest, Verdict};
use scenario::system::SystemSpec;
use supervise::cores::Cores;
use supervise::launch::{Interrupted, NotReady, Secrets};

/// One trial that is to be run.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) experiment: &'a Experiment,
    /// The system's place in the run's list.
    pub(crate) order: usize,
    pub(crate) system: &'a SystemSpec,
    /// The repetition, from 1.
    pub(crate) number: u32,
}

/// What the measuring machine has made of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoilt {
    /// Nothing follows from it.
    Void,
    /// Its figures are far from their ends.
    Blurred,
}

impl Spoilt {
    fn how(manifest: &Manifest, verdict: &Verdict) -> Option<Self> {
        let validity = &manifest.validity;
        let is_final = validity.interrupted || validity.aborted.is_some();
        if is_final || verdict.verdict == Answer::False {
            return None;
        }
        if validity.valid {
            return validity::is_much_blurred(manifest).then_some(Self::Blurred);
        }
        validity::is_of_instrument_alone(&validity.reasons).then_some(Self::Void)
    }
}

/// What the trials of a run share.
pub(crate) struct UnderWay<'a> {
    run: &'a Run,
    folder: &'a Path,
    cores: &'a Cores,
    revision: &'a str,
    interrupt: watch::Receiver<bool>,
    /// The card network's secret, one for all trials.
    network: String,
    /// Its part that another run may have, too.
    luck: String,
    ahead: Ahead,
    /// The loads that follow all that is given to [`UnderWay::run_all`], s: the time that is left is told with them.
    pub(crate) later_s: Vec<f64>,
    disturbances: Disturbances,
    /// Trials that were run again, their records void.
    reruns: Vec<String>,
    pub(crate) outcome: RunState,
    /// Finished trials: on an error too, what is finished is reported.
    pub(crate) done: usize,
}

impl<'a> UnderWay<'a> {
    pub(crate) fn new(
        run: &'a Run,
        folder: &'a Path,
        cores: &'a Cores,
        revision: &'a str,
        interrupt: watch::Receiver<bool>,
    ) -> Self {
        let luck = run.luck.clone().unwrap_or_else(Secrets::draw_luck);
        Self {
            run,
            folder,
            cores,
            revision,
            interrupt,
            network: Secrets::draw_network(&luck),
            luck,
            ahead: Ahead::default(),
            later_s: Vec::new(),
            disturbances: Disturbances::default(),
            reruns: Vec::new(),
            outcome: RunState::default(),
            done: 0,
        }
    }

    /// What is to be known of the run beside its trials.
    pub(crate) fn facts(&self) -> Vec<(String, String)> {
        let again = format!("{}: {}", self.reruns.len(), self.reruns.join(", "));
        let reruns = (!self.reruns.is_empty()).then(|| ("void trials run again".to_owned(), again));
        let luck = (files::LUCK.to_owned(), self.luck.clone());
        reruns.into_iter().chain(self.disturbances.fact()).chain([luck]).collect()
    }

    /// What a trial took beside its load so far, s.
    pub(crate) fn beside_s(&self) -> f64 {
        self.ahead.expected_s(std::iter::once(0.0))
    }

    /// Runs them all, until it is stopped.
    pub(crate) async fn run_all(&mut self, mut places: Vec<Place<'a>>) -> anyhow::Result<()> {
        let mut void = false;
        for rerun in 0..=self.run.reruns {
            let mut spoilt = Vec::new();
            // Of those that are run again.
            void = false;
            for (nth, place) in places.iter().enumerate() {
                if *self.interrupt.borrow() {
                    self.outcome.interrupted = true;
                } else if let Some(how) = self.run_place(&places[nth..], rerun).await? {
                    void |= how == Spoilt::Void;
                    spoilt.push(*place);
                }
                if self.outcome.interrupted {
                    self.outcome.invalid |= rerun > 0 || void;
                    return Ok(());
                }
            }
            places = spoilt;
        }
        self.outcome.invalid |= void;
        Ok(())
    }

    /// Runs the first of what is left; how the measuring machine spoilt it, if it did: another try may be better.
    async fn run_place(
        &mut self,
        left: &[Place<'a>],
        rerun: u32,
    ) -> anyhow::Result<Option<Spoilt>> {
        let Some(Place { experiment, order, system, number }) = left.first().copied() else {
            return Ok(None);
        };
        let Experiment { scenario, plan } = experiment;
        let folder = self.place_for(&scenario.name, &system.name, number, rerun)?;
        let terminal = &self.run.terminal;
        let (quiet, network) = (self.run.quiet, self.network.clone());
        quiet.wait(self.cores, terminal, &mut self.interrupt, &mut self.disturbances).await;
        let trial = Trial {
            scenario,
            faults: plan,
            system,
            system_order: u32::try_from(order).unwrap_or(u32::MAX),
            number,
            rerun,
            folder: folder.clone(),
            cores: self.cores,
            command: &self.run.command,
            revision: self.revision,
            keep_data: self.run.keep_data,
            network: &network,
        };
        let loads = left.iter().map(|place| place.experiment.scenario.duration_s());
        let loads = loads.chain(self.later_s.iter().copied());
        let (begun, left_s) = (Instant::now(), self.ahead.expected_s(loads));
        match run_one(&trial, terminal, Some(left_s), self.interrupt.clone()).await {
            Ok(finished) => {
                self.ahead.took(scenario.duration_s(), begun.elapsed());
                self.done += 1;
                Ok(self.finished(&trial, &finished))
            }
            Err(error) => {
                results::discard(&folder);
                if error.is::<NothingMeasured>() || error.is::<Interrupted>() {
                    self.outcome.interrupted = true;
                    return Ok(None);
                }
                let name = format!("{} on {}, trial {number}", scenario.name, system.name);
                self.may_be_better(rerun, error.context(name)).map(Some)
            }
        }
    }

    /// A system that was not ready in time, or did not do what is asked of it before the load, may be better another
    /// time. In the end it is one trial that is missing; of a run that has no other it is the error.
    fn may_be_better(&self, rerun: u32, error: anyhow::Error) -> anyhow::Result<Spoilt> {
        let is_late = error.is::<Unprepared>() || error.is::<NotReady>();
        let is_last = rerun >= self.run.reruns;
        if !is_late || (is_last && self.done == 0) {
            return Err(error);
        }
        self.run.terminal.note(&format!("nothing was measured: {error:#}"));
        Ok(Spoilt::Void)
    }

    /// The folder of a trial; the spoilt record that stands there is laid aside.
    fn place_for(
        &mut self,
        scenario: &str,
        system: &str,
        number: u32,
        rerun: u32,
    ) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join(scenario).join(system).join(number.to_string());
        if rerun > 0 {
            if folder.exists() {
                results::lay_aside(&folder, LAID_ASIDE)?;
            }
            let place = format!("{scenario}/{system}/{number}");
            self.run.terminal.note(&format!("{place} was disturbed: it is run again"));
            self.reruns.push(place);
        }
        Ok(folder)
    }

    /// Tells of a trial; how the measuring machine spoilt it, if it did. What the system did is a finding, however
    /// bad, and is not tried again until it looks better; nor is what the user or a condition of the scenario ended.
    fn finished(&mut self, trial: &Trial<'_>, finished: &Finished) -> Option<Spoilt> {
        let Finished { manifest, verdict, thresholds, .. } = finished;
        let terminal = &self.run.terminal;
        line::lines(manifest, verdict, thresholds).iter().for_each(|line| terminal.say(line));
        if verdict.verdict == Answer::False {
            terminal.say(&line::again(trial));
        }
        let validity = &manifest.validity;
        self.outcome.violated |= validity.valid && thresholds.iter().any(|t| !t.met);
        self.outcome.violated |= self.convicts(manifest, verdict);
        self.outcome.interrupted |= validity.interrupted;
        let spoilt = Spoilt::how(manifest, verdict);
        self.outcome.invalid |= !validity.valid && spoilt.is_none();
        spoilt
    }

    /// Whether the audit speaks against the system, or a control against the audit.
    fn convicts(&self, manifest: &Manifest, verdict: &Verdict) -> bool {
        let Some(expected) = &manifest.expect_violation else {
            return verdict.verdict == Answer::False;
        };
        // Cut short, a control may not have met its fault.
        if manifest.validity.interrupted {
            return false;
        }
        self.run.terminal.say(&format!("    {}", expected.sentence(verdict)));
        !expected.is_met(verdict)
    }
}
