//! `loadgen attack URL`: open-loop load on any HTTP service, with the same engine and record.

mod brief;
mod neighbour;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Boxed;
use crate::environment;
use crate::results;
use crate::terminal::{Terminal, folded, warn};
use audit::digest;
use audit::validity;
use load::engine::{Flaw, Gauges, Header, Method, Pacing, Request, Target, Tls, Trust, UrlTraffic};
use load::live::Live;
use load::priority;
use load::profile::Profile;
use load::recorder::Recording;
use load::{Jobs, Load, Loaded, Plan};
use record::atomic_write::write_json;
use record::files;
use record::read::{Run, readable};
use record::redact;
use record::{
    Answer, FORMAT, FaultRow, Generator, GeneratorLimits, Manifest, Operation, Phase,
    RequestCounts, ResourceRow, Verdict, write_csv,
};
use report::export::summary::summarise;
use scenario::Limits;
use scenario::config::Span;
use scenario::{Arrivals, Closed, Loop, Scenario, Stage};
use supervise::watch::Hiccups;

/// The last request's time-out is seen before the load ends.
const AFTER_TIMEOUT: Duration = Duration::from_secs(1);
const LEAD: Duration = Duration::from_millis(100);

/// How connections were encrypted, among the record's settings.
const ENCRYPTION: &str = "encryption";

/// Where requests go.
struct Aim {
    target: Target,
    /// Protocol and cipher, if there are any.
    encryption: Option<String>,
}

/// What to send where.
#[derive(Clone)]
pub struct Attack {
    /// http://host:port/path, or https.
    pub url: String,
    /// Whose certificates are believed, where connections are encrypted.
    pub trust: Trust,
    /// GET, POST, …
    pub method: Method,
    /// They replace ours; those of framing and connection are obeyed.
    pub headers: Vec<Header>,
    /// The body, possibly empty.
    pub body: Vec<u8>,
    /// Arrivals per second.
    pub rate: f64,
    /// For how long; whole seconds.
    pub duration: Span,
    /// Closed loop instead: this many users who wait for their answers.
    pub users: Option<u32>,
    /// How arrivals are spaced.
    pub arrivals: Arrivals,
    /// Seed of the arrivals.
    pub seed: u64,
    /// A request without an answer for this long is unknown.
    pub timeout: Span,
    /// Requests that may be open at once.
    pub in_flight: u32,
    /// The folder of all results.
    pub out: PathBuf,
    /// Write the record alone.
    pub no_report: bool,
    /// Who is told meanwhile.
    pub terminal: Terminal,
    /// The command line.
    pub command: Vec<String>,
}

/// Options that cannot be, or not together: what was found, and what is expected.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(String);

/// What came of it.
pub struct Attacked {
    /// The results folder.
    pub folder: PathBuf,
    /// The record's manifest.
    pub manifest: Manifest,
    /// Whether the report that was asked for could be written.
    pub reported: bool,
}

/// What a terminal shows of the attack in this results folder.
///
/// # Errors
/// If its record cannot be read.
pub fn brief(folder: &Path) -> anyhow::Result<String> {
    let run = Run::read(folder)?;
    let trials = run.trials.iter().zip(summarise(&run).trials);
    Ok(trials.map(|(trial, summary)| brief::text(&summary, &trial.manifest)).collect())
}

impl Attack {
    /// Runs it and writes a record and its report.
    ///
    /// # Errors
    /// If an option is out of range, the host cannot be resolved, or the record not written.
    pub fn run(&self, interrupt: watch::Receiver<bool>) -> Boxed<'_, anyhow::Result<Attacked>> {
        Box::pin(self.attack(interrupt))
    }

    async fn attack(&self, interrupt: watch::Receiver<bool>) -> anyhow::Result<Attacked> {
        let traffic = UrlTraffic::new(self.request()?);
        let scenario = self.scenario()?;
        readable(&self.planned(&scenario))?;
        let aim = self.aim()?;
        let folder = results::new_folder(&self.out)?;
        let attacked = self.fill(&folder, &scenario, traffic, aim, interrupt).await;
        let (_, manifest) = results::settle(folder.clone(), attacked.is_ok(), attacked)?;
        let reported = self.no_report || self.report(&folder);
        Ok(Attacked { folder, manifest, reported })
    }

    fn request(&self) -> anyhow::Result<Request> {
        let url = reqwest::Url::parse(&self.url)
            .map_err(|error| Usage(format!("{:?} is not a URL: {error}", self.url)))?;
        if !matches!(url.scheme(), "http" | "https") {
            bail!(Usage(format!("{}: expected http:// or https://", self.url)));
        }
        Ok(Request::new(&self.method, &url, &self.headers, &self.body).map_err(Usage)?)
    }

    /// Where to send, and how; a connection that is to be encrypted is tried once, so that what is wrong with it is
    /// said before the load.
    fn aim(&self) -> anyhow::Result<Aim> {
        let target = Target::resolve(&supervise::http::address(&self.url)?)?;
        let url = reqwest::Url::parse(&self.url)?;
        if url.scheme() != "https" {
            return Ok(Aim { target, encryption: None });
        }
        let tls = Tls::new(url.host_str().unwrap_or_default(), &self.trust)?;
        let said = tls.try_once(target.first(), self.timeout.0).with_context(|| {
            format!(
                "{}: no encrypted connection is to be had; --cacert FILE says whose certificates to believe, \
                 --insecure to believe anybody's",
                redact::text(&self.url)
            )
        })?;
        Ok(Aim { target: target.with_tls(Some(tls)), encryption: Some(said) })
    }

    /// What fails here is told, and takes nothing from the record.
    fn report(&self, folder: &Path) -> bool {
        let reported = report::write(folder);
        if let Err(error) = &reported {
            warn(&results::unreported(folder, error));
        }
        reported.is_ok()
    }

    async fn fill(
        &self,
        folder: &Path,
        scenario: &Scenario,
        traffic: UrlTraffic,
        Aim { target, encryption }: Aim,
        interrupt: watch::Receiver<bool>,
    ) -> anyhow::Result<Manifest> {
        let host = supervise::http::address(&self.url)?;
        let plan = Plan {
            profile: Profile::new(scenario),
            arrivals: self.arrivals,
            jobs: Jobs::Same,
            mixes: Vec::new(),
            form: scenario.form(),
            retries: None,
            seed: self.seed,
        };
        let (cores, facts) = results::machine(folder, &self.command)?;
        environment::write(folder, &facts)?;
        let trial = folder.join("attack").join(host.replace(':', "-")).join("1");
        std::fs::create_dir_all(&trial)?;
        let start = Instant::now() + LEAD;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + LEAD;
        let pacing = Pacing {
            start,
            in_flight: self.in_flight,
            timeout: self.timeout.0,
            drain: self.timeout.0 + AFTER_TIMEOUT,
            alone: cores.apart(),
            // What is attacked may run on this core: it would starve.
            real_time: false,
            flaw: Flaw::None,
        };
        let gauges = Arc::new(Gauges::default());
        let hiccups = Hiccups::start(start, priority::of_watchers(pacing.real_time))?;
        let started_at_us = i64::try_from(since.as_micros())?;
        let record = self.recording(&trial, scenario, started_at_us);
        if let Some(hint) = neighbour::hint(&host, &cores) {
            self.terminal.note(&folded(&hint));
        }
        let load =
            Load::start(traffic, vec![target], plan.clone(), pacing, Arc::clone(&gauges), record)?;
        let loaded = self.follow(load, start, &gauges, interrupt).await;
        self.terminal.end();
        let loaded = loaded?;
        let mut generator = Generator::default();
        let stalls = hiccups.stop(&mut generator);
        let manifest = self.manifest(scenario, &plan, &loaded, generator, started_at_us);
        let mut manifest = Manifest { stalls, ..manifest };
        manifest.parity.extend(encryption.map(|how| (ENCRYPTION.to_owned(), how)));
        manifest.touched = Some(digest::write(&trial, &manifest, [])?.touched);
        manifest.validity = validity::judge(&validity::Observed {
            manifest: &manifest,
            stopped: loaded.summary.interrupted,
            aborted: None,
            unrecorded: loaded.summary.unrecorded,
            not_retried: loaded.summary.not_retried,
            in_flight_area_s: loaded.summary.in_flight_area_s,
            service_s: loaded.totals.service_s,
            faults: &[],
            verdict: &Verdict { verdict: Answer::True, ..Verdict::default() },
            drained: true,
            ended: &[],
            left: &[],
            apart: cores.apart(),
        });
        write_csv::<ResourceRow>(&trial.join(files::RESOURCES), &[])?;
        write_csv::<FaultRow>(&trial.join(files::FAULTS), &[])?;
        write_json(&trial.join(files::MANIFEST), &manifest)?;
        Ok(manifest)
    }

    /// What the recorder is told; nobody has to be able to look meanwhile.
    fn recording(&self, folder: &Path, scenario: &Scenario, started_at_us: i64) -> Recording {
        let plan = json!({
            "scenario": scenario.name,
            "system": redact::text(&self.url),
            "trial": 1,
            "started_at_us": started_at_us,
            "duration_s": self.duration.as_s(),
            "offered": Profile::new(scenario).points(),
            "faults": [],
        });
        let live = Live::begin(folder, &plan).ok();
        Recording { live, ..Recording::from((folder.to_owned(), String::new())) }
    }

    async fn follow(
        &self,
        load: Load,
        start: Instant,
        gauges: &Gauges,
        interrupt: watch::Receiver<bool>,
    ) -> anyhow::Result<Loaded> {
        let whole_s = self.duration.as_s();
        self.terminal.begin(
            &format!("{} {}", self.method, redact::text(&self.url)),
            whole_s,
            Some(whole_s),
        );
        let tell = || self.terminal.progress(start.elapsed().as_secs_f64() / whole_s);
        load.follow(gauges, interrupt, &tell).await
    }

    fn scenario(&self) -> anyhow::Result<Scenario> {
        let refuse = |why: String| Err(Usage(why).into());
        if !(self.rate > 0.0 && self.rate <= 200_000.0) {
            let rate = self.rate;
            return refuse(format!("--rate is {rate}; expected more than 0, at most 200000"));
        }
        if self.duration.whole_s().is_none_or(|s| s == 0) {
            let duration = self.duration;
            return refuse(format!("--duration is {duration}; expected whole seconds, at least 1"));
        }
        if let Some(users) = self.users.filter(|users| *users > self.in_flight) {
            let found = self.in_flight;
            return refuse(format!("{users} users need --in-flight {users}; found {found}"));
        }
        let (duration, rate, shown) = (self.duration, self.rate, redact::text(&self.url));
        let (name, warm_up) = ("attack".to_owned(), Span::secs(0));
        Ok(match self.users {
            Some(users) => Scenario {
                name,
                about: format!("{} {shown} by {users} users in a closed loop", self.method),
                start: 1.0,
                closed: Some(Closed { users, think: Span::default(), duration, poll: None }),
                warm_up,
                ..Scenario::default()
            },
            None => Scenario {
                name,
                about: format!("{} {shown} at {rate} per second", self.method),
                start: rate,
                stages: vec![Stage { duration, rate, ..Stage::default() }],
                warm_up,
                ..Scenario::default()
            },
        })
    }

    fn manifest(
        &self,
        scenario: &Scenario,
        plan: &Plan,
        loaded: &Loaded,
        mut generator: Generator,
        started_at_us: i64,
    ) -> Manifest {
        let (schedule_hash, operations_hash, scheduled) = plan.hashes(loaded.due());
        let counts = loaded.totals.counts.values().next().copied().unwrap_or_default();
        let open = plan.form == Loop::Open && !loaded.summary.interrupted;
        let scheduled = if open { scheduled } else { counts.recorded() };
        let elapsed_s = (loaded.summary.ended_ns as f64 / 1e9).max(1.0);
        generator.lag_p50_us = loaded.totals.lag.value_at_quantile(0.5);
        generator.lag_p99_us = loaded.totals.lag.value_at_quantile(0.99);
        generator.lag_max_us = loaded.totals.lag.max();
        generator.cpu_share = (loaded.thread.run_s - loaded.summary.polled_s) / elapsed_s;
        generator.cpu_s = loaded.cpu_s;
        generator.real_time = loaded.summary.real_time;
        generator.run_queue_share = loaded.thread.wait_s / elapsed_s;
        let requests = RequestCounts { scheduled, ..counts };
        Manifest {
            revision: environment::revision(),
            started_at_us,
            schedule_hash,
            operations_hash,
            requests: BTreeMap::from([(Operation::Request, requests)]),
            attempts: loaded.totals.attempts(),
            generator,
            ..self.planned(scenario)
        }
    }

    /// What is known of it before the load.
    fn planned(&self, scenario: &Scenario) -> Manifest {
        let duration_s = self.duration.whole_s().unwrap_or(1);
        Manifest {
            format: FORMAT,
            scenario: scenario.name.clone(),
            scenario_about: scenario.about.clone(),
            system: supervise::http::address(&self.url).unwrap_or_default().replace(':', "-"),
            system_about: redact::text(&self.url),
            trial: 1,
            seed: self.seed,
            command: self.command.clone(),
            interval_s: 1,
            duration_s,
            phases: vec![Phase { name: "steady".to_owned(), from_s: 0, to_s: duration_s }],
            offered: Profile::new(scenario).points(),
            limits: GeneratorLimits {
                in_flight: self.in_flight,
                timeout_s: self.timeout.as_s(),
                drain_s: self.timeout.as_s(),
                objective_s: self.timeout.as_s(),
                order_s: self.timeout.as_s(),
                send_lag_us: Limits::default().send_lag.0.as_micros() as u64,
            },
            ..Manifest::default()
        }
    }
}
