//! One trial: start a system, prepare, load it, inject faults, drain, read the truth, write the record.

mod cost;
mod live;
mod manifest;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::fsync;
use crate::prepare::{self, Prepared};
use crate::second0::Second0;
use crate::truth::{self, OrdersReader, Tokens, Told, Truth};
use audit::digest;
use audit::threshold;
use audit::validity;
use faults::{Plan as Faults, Planned, Poisoner, Stage};
use load::abort::Lookout;
use load::engine::{Flaw, Gauges, Pacing};
use load::priority;
use load::profile::Profile;
use load::recorder::Recording;
use load::{Jobs, Load, Loaded, Plan};
use record::atomic_write::write_json;
use record::files;
use record::ledger::{self, OrderRow};
use record::read::{self, readable};
use record::{
    FaultRow, Fsync, Generator, Manifest, Met, Operation, RequestCounts, Stall, Verdict, poisoned,
    seal, write_csv,
};
use scenario::Scenario;
use scenario::system::SystemSpec;
use supervise::cores::Cores;
use supervise::disk::IMAGE;
use supervise::folder::{DATA, OUTSIDE};
use supervise::foreign::Look;
use supervise::launch::{self, Running, Secrets, Settings};
use supervise::mutex::lock;
use supervise::watch::{Hiccups, Watch, Watching};
use supervise::witness::Seals;

/// Between the decision to start and second 0, so that all threads are ready.
const LEAD: Duration = Duration::from_millis(200);

/// One trial to be run.
pub struct Trial<'a> {
    /// What happens.
    pub scenario: &'a Scenario,
    /// What is harmed meanwhile.
    pub faults: &'a Faults,
    /// To whom.
    pub system: &'a SystemSpec,
    /// The system's place in the run.
    pub system_order: u32,
    /// The repetition, from 1.
    pub number: u32,
    /// How often it was run before, its records void each time.
    pub rerun: u32,
    /// The record's folder; exists and is empty.
    pub folder: PathBuf,
    /// Who runs where.
    pub cores: &'a Cores,
    /// The command line, for the manifest.
    pub command: &'a [String],
    /// The sources' revision, for the manifest.
    pub revision: &'a str,
    /// Keep the databases.
    pub keep_data: bool,
    /// The card network's secret: one for all trials of a run, so that an order fares the same in each
    /// system, and none of them knows how.
    pub network: &'a str,
}

/// The seed of a repetition, from 1.
#[must_use]
pub fn seed(scenario: &Scenario, number: u32) -> u64 {
    scenario.seed.wrapping_add(u64::from(number) - 1)
}

/// What a trial found.
pub struct Finished {
    /// The record's manifest.
    pub manifest: Manifest,
    /// The audit.
    pub verdict: Verdict,
    /// How the scenario's promises fared; none are judged of a trial that ended early.
    pub thresholds: Vec<Met>,
    /// What went wrong beside the measurement.
    pub warnings: Vec<String>,
}

/// Stopped before second 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped before the load began")]
pub struct NothingMeasured;

/// The measured part, before it is digested.
struct Measured {
    settings: Settings,
    loaded: Loaded,
    faults: Vec<FaultRow>,
    watching: Watching,
    generator: Generator,
    stalls: Vec<Stall>,
    started: Second0,
    tokens_until_us: Option<i64>,
    told: Told,
    metered: cost::Metered,
    ended: Vec<String>,
    /// What only the final sweep took back.
    left: Vec<String>,
}

impl Trial<'_> {
    /// Runs it. `progress` is told the share of the schedule that has begun.
    ///
    /// # Errors
    /// If the system cannot be started or prepared, or the record cannot be written;
    /// [`NothingMeasured`] if it was interrupted before the load.
    pub async fn run(
        &self,
        interrupt: watch::Receiver<bool>,
        progress: &dyn Fn(f64),
    ) -> anyhow::Result<Finished> {
        readable(&self.planned())?;
        let before = fsync::probe(&self.folder)?;
        let secrets = Secrets::with_network(self.network);
        let (stop, cores) = (interrupt.clone(), self.cores);
        let faults = self.faults();
        let system = faults::equip(self.system, &faults);
        let (disk, folder) = (self.scenario.data_disk(), &self.folder);
        let links = self.scenario.proxies_links().then(|| self.seed());
        let mut running =
            Running::start_on(disk, &system, folder, &secrets, cores, links, stop).await?;
        let settings = running.settings().await;
        let measured = self.measure(&mut running, &secrets, interrupt, progress).await;
        let journal = PathBuf::from(&running.spec.audit.journal);
        let left = running.stop().await;
        let seals = Seals::new(&secrets.network);
        let charges = measured
            .as_ref()
            .map(|measured| truth::charges(&self.folder, &journal, &seals, &measured.told.marks));
        let charges = charges.unwrap_or_else(|_| Ok(Vec::new()));
        // Before the record is written, so that there is room for it.
        let warnings = self.remove_data();
        let mut measured = launch::with_leftovers(measured, &left)?;
        measured.left = left;
        measured.settings = settings;
        match charges {
            Ok(doubts) => measured.told.doubts.extend(doubts),
            Err(error) => measured.told.fail(&error),
        }
        let after = fsync::probe(&self.folder).unwrap_or_default();
        let fsync = Fsync {
            before_p50_us: before.0,
            before_p99_us: before.1,
            after_p50_us: after.0,
            after_p99_us: after.1,
        };
        Ok(Finished { warnings, ..self.write(measured, fsync)? })
    }

    /// Removes the databases, unless they are to be kept; says what could not be.
    fn remove_data(&self) -> Vec<String> {
        if self.keep_data {
            return Vec::new();
        }
        let remove = |name: &str| {
            let path = self.folder.join(name);
            let removed = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            let absent = removed.as_ref().is_err_and(|e| e.kind() == ErrorKind::NotFound);
            let failed = removed.err().filter(|_| !absent);
            failed.map(|error| format!("{} is left behind: {error}", path.display()))
        };
        [DATA, OUTSIDE, IMAGE].into_iter().filter_map(remove).collect()
    }

    fn seed(&self) -> u64 {
        seed(self.scenario, self.number)
    }

    fn faults(&self) -> Vec<Planned> {
        self.faults.schedule_of(self.seed(), self.system)
    }

    /// The same for every system, so that the same order has the same key everywhere.
    fn key_prefix(&self) -> String {
        format!("{:x}", self.seed())
    }

    fn plan(&self) -> Plan {
        let Scenario { mix, customers, arrivals, .. } = *self.scenario;
        let jobs = Jobs::Shop { mix, customers };
        let (profile, form) = (Profile::new(self.scenario), self.scenario.form());
        let (retries, mixes) = (self.scenario.retries.clone(), self.scenario.mixes());
        Plan { profile, arrivals, jobs, mixes, form, retries, seed: self.seed() }
    }

    /// What is around the system is as the scenario says: the card network, and the network between its processes.
    async fn set_up(&self, running: &mut Running, control_token: &str) -> anyhow::Result<()> {
        let (network, provider) = (running.spec.entry.provider.clone(), &self.scenario.provider);
        faults::set_provider(&network, control_token, provider).await?;
        match self.scenario.hop_delay {
            Some(delay) => running.delay_hops(delay).await,
            None => Ok(()),
        }
    }

    async fn measure(
        &self,
        running: &mut Running,
        secrets: &Secrets,
        mut interrupt: watch::Receiver<bool>,
        progress: &dyn Fn(f64),
    ) -> anyhow::Result<Measured> {
        let entry = running.spec.entry.clone();
        self.set_up(running, &secrets.control).await?;
        let orders = OrdersReader::new(running.spec.audit.orders.first(), &secrets.operator)?;
        let prefix = self.key_prefix();
        let Prepared { traffic, targets, tokens, tokens_until_us } = tokio::select! {
            prepared = prepare::prepare(self.scenario, &entry, &prefix, self.seed(), &orders) => prepared?,
            Ok(_) = interrupt.wait_for(|stop| *stop) => return Err(NothingMeasured.into()),
        };

        let meter = cost::Meter::begin(running).await;
        let started = Second0::after(LEAD);
        let start = started.instant;
        let (gauges, pacing) = (Arc::new(Gauges::default()), self.pacing(start));
        let watch = Watch::start(Arc::clone(&running.watched), self.folder.clone(), start)?;
        let others = Look::begin(self.cores);
        let hiccups = Hiccups::start(start, priority::of_watchers(pacing.real_time))?;
        let lookout = Lookout::new(&self.scenario.aborts, self.scenario.duration_s())?;
        let poisoner = self.poisoner(tokens.first().cloned().unwrap_or_default(), start);
        let marks = Arc::default();
        let live = self.live(started.wall_us);
        let record = Recording { folder: self.folder.clone(), key_prefix: prefix, lookout, live };
        let load = Load::start(traffic, targets, self.plan(), pacing, Arc::clone(&gauges), record)?;
        let (end, ended) = watch::channel(false);
        let open_requests = || gauges.in_flight.load(Ordering::Relaxed);
        let stage = Stage {
            running,
            provider: &self.scenario.provider,
            control_token: &secrets.control,
            operator_token: &secrets.operator,
            open_requests: &open_requests,
            watch: &watch,
            start,
            folder: &self.folder,
            poisoner,
            marks: Arc::clone(&marks),
        };
        let (schedule, stop) = (self.faults(), interrupt.clone());
        let follow = async {
            let loaded = load.follow(&gauges, interrupt, &self.telling(&gauges, progress)).await;
            let _ = end.send(true);
            loaded
        };
        let (loaded, faults) = tokio::join!(follow, faults::walk(stage, &schedule, ended));
        let mut generator = Generator::default();
        let stalls = hiccups.stop(&mut generator);
        generator.rivals = others.end().rivals;
        let loaded = loaded?;
        let tokens = Tokens { tokens, until_us: tokens_until_us };
        let truth = self.truth(running, secrets, tokens, &loaded, stop);
        let marks = lock(&marks).clone();
        let mut told = truth.settle(marks).await;
        let (watching, metered) = (watch.stop(), meter.end(running).await);
        generator.clock_drift_us = started.drift_us();
        truth.read(&mut told).await;
        let ended = running.all_ended();
        Ok(Measured {
            settings: Settings::new(),
            loaded,
            faults,
            watching,
            generator,
            stalls,
            started,
            tokens_until_us,
            told,
            metered,
            ended,
            left: Vec::new(),
        })
    }

    fn pacing(&self, start: Instant) -> Pacing {
        Pacing {
            start,
            in_flight: self.scenario.limits.in_flight,
            timeout: self.scenario.limits.timeout.0,
            drain: self.scenario.drain.0,
            alone: self.cores.apart(),
            real_time: self.cores.apart() && self.scenario.limits.real_time,
            flaw: Flaw::None,
        }
    }

    fn truth(
        &self,
        running: &Running,
        secrets: &Secrets,
        tokens: Tokens,
        loaded: &Loaded,
        interrupt: watch::Receiver<bool>,
    ) -> Truth {
        Truth {
            folder: self.folder.clone(),
            source: running.spec.audit.clone(),
            entry: running.spec.entry.clone(),
            operator: secrets.operator.clone(),
            control: secrets.control.clone(),
            tokens,
            drain: self.scenario.drain.0,
            asked: self.asked(loaded),
            interrupt,
        }
    }

    /// Orders that were asked for, those of preparation and poison included.
    fn asked(&self, loaded: &Loaded) -> u64 {
        let placed = loaded.totals.counts.get(&Operation::Place).map_or(0, RequestCounts::recorded);
        let poisoned: u64 = self.faults().iter().map(|f| u64::from(f.fault.orders())).sum();
        placed + u64::from(self.scenario.customers) + poisoned
    }

    fn poisoner(&self, token: String, start: Instant) -> Poisoner {
        Poisoner { key_prefix: self.key_prefix(), token, start }
    }

    /// Tells of the share of the arrivals that have begun.
    fn telling<'t>(&self, gauges: &'t Gauges, progress: &'t dyn Fn(f64)) -> impl Fn() + use<'t> {
        let total = Profile::new(self.scenario).total().max(1.0);
        move || progress(gauges.begun.load(Ordering::Relaxed) as f64 / total)
    }

    fn write(&self, mut measured: Measured, fsync: Fsync) -> anyhow::Result<Finished> {
        let folder = &self.folder;
        let mut manifest = self.manifest(&measured, fsync);
        let has_ledger = measured.told.unreadable.is_empty();
        if has_ledger {
            cost::in_work(&mut measured.faults, folder, manifest.started_at_us)?;
        }
        write_csv(&folder.join(files::RESOURCES), &measured.watching.resources)?;
        write_csv(&folder.join(files::FILE_SIZES), &measured.watching.files)?;
        write_csv(&folder.join(files::FAULTS), &measured.faults)?;
        let poisoned: BTreeSet<String> =
            poisoned::read(folder)?.into_iter().map(|attempt| attempt.key).collect();
        // They are no part of the load whose goodput and cost are told.
        let of_load = |row: &anyhow::Result<OrderRow>| {
            row.as_ref().map_or(true, |order| !poisoned.contains(&order.key))
        };
        let orders = if has_ledger { Some(ledger::orders(folder, 1)?) } else { None };
        let orders = orders.into_iter().flatten().filter(of_load);
        let digested = digest::write(folder, &manifest, orders)?;
        let (rows, metered) = (&measured.watching.resources, measured.metered);
        manifest.cost = cost::of(self.system, rows, metered, digested.completed_orders);
        manifest.touched = Some(digested.touched);
        manifest.drained_s = digested.last_completed_us.max(0) as f64 / 1e6;
        manifest.tables = Some(seal::seal(folder)?);
        let verdict = audit::record(folder, &manifest);
        let summary = &measured.loaded.summary;
        manifest.validity = validity::judge(&validity::Observed {
            manifest: &manifest,
            stopped: summary.interrupted,
            aborted: measured.loaded.aborted(),
            unrecorded: summary.unrecorded,
            not_retried: summary.not_retried,
            in_flight_area_s: summary.in_flight_area_s,
            service_s: measured.loaded.totals.service_s,
            faults: &measured.faults,
            verdict: &verdict,
            drained: !measured.told.pending,
            ended: &measured.ended,
            left: &measured.left,
            apart: self.cores.apart(),
        });
        write_json(&folder.join(files::AUDIT), &verdict)?;
        // Last: a folder without a manifest is no record.
        write_json(&folder.join(files::MANIFEST), &manifest)?;
        let thresholds = self.thresholds(&manifest)?;
        Ok(Finished { manifest, verdict, thresholds, warnings: Vec::new() })
    }

    fn thresholds(&self, manifest: &Manifest) -> anyhow::Result<Vec<Met>> {
        let ended_early = manifest.validity.interrupted || manifest.validity.aborted.is_some();
        if self.scenario.thresholds.is_empty() || ended_early {
            return Ok(Vec::new());
        }
        let record = read::Trial::read(&self.folder)?.context("the record was just written")?;
        let met: Vec<Met> =
            self.scenario.thresholds.iter().flat_map(|t| threshold::judge(t, &record)).collect();
        write_json(&self.folder.join(files::THRESHOLDS), &met)?;
        Ok(met)
    }
}
