//! One load on the self-test's server, and what came of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::server::{Awake, From, Server, Stall};
use super::truth;
use load::engine::{Flaw, Gauges, Pacing, Request, UrlTraffic};
use load::profile::Profile;
use load::{Jobs, Load, Plan};
use record::history;
use scenario::config::Span;
use scenario::{Arrivals, Loop};
use supervise::cores::Cores;

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const LEAD: Duration = Duration::from_millis(100);
/// Longer than any stall.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Five seconds of stall at 500/s, twice over.
const IN_FLIGHT: u32 = 5_000;

/// A load at a constant rate.
#[derive(Clone, Debug)]
pub(super) struct Experiment {
    pub(super) rate: f64,
    pub(super) duration: Span,
    pub(super) arrivals: Arrivals,
    /// From, for: seconds.
    pub(super) stall_s: Option<(f64, f64)>,
    pub(super) in_flight: u32,
    pub(super) awake: Awake,
    pub(super) flaw: Flaw,
}

impl Default for Experiment {
    fn default() -> Self {
        Self {
            rate: 1.0,
            duration: Span::secs(1),
            arrivals: Arrivals::Poisson,
            stall_s: None,
            in_flight: IN_FLIGHT,
            awake: Awake::WhenNeeded,
            flaw: Flaw::None,
        }
    }
}

/// What came of it.
pub(super) struct Observed {
    pub(super) scheduled: u64,
    pub(super) recorded: u64,
    pub(super) ok: u64,
    /// Sent minus intended, µs.
    pub(super) lag_us: Histogram<u64>,
    /// In the order of sending.
    pub(super) sent_ns: Vec<u64>,
    intended_ns: Vec<u64>,
    /// As the server saw them, ns since second 0, ascending.
    arrived_ns: Vec<u64>,
    /// Response times, µs, ascending.
    response_us: Vec<f64>,
    cpu_s: f64,
    pub(super) run_queue_share: f64,
}

impl Experiment {
    pub(super) async fn run(&self, folder: &Path, cores: &Cores) -> anyhow::Result<Observed> {
        let start = Instant::now() + LEAD;
        let stall = self.stall_s.map(|(from, lasts)| Stall {
            from: From::Instant(start + Duration::from_secs_f64(from)),
            lasts: Duration::from_secs_f64(lasts),
        });
        let server = Server::start(ANY_PORT, cores, stall, self.awake)?;
        let plan = Plan {
            profile: Profile::constant(self.rate, self.duration.as_s()),
            arrivals: self.arrivals,
            jobs: Jobs::Same,
            mixes: Vec::new(),
            form: Loop::Open,
            retries: None,
            seed: 1,
        };
        let intended_ns: Vec<u64> = plan.schedule().map(|(at, _)| at).collect();
        let pacing = Pacing {
            start,
            in_flight: self.in_flight,
            timeout: TIMEOUT,
            drain: TIMEOUT,
            alone: cores.apart(),
            real_time: cores.apart(),
            flaw: self.flaw,
        };
        let traffic = UrlTraffic::new(Request::get(&server.address.to_string(), "/"));
        let record = (folder.to_owned(), String::new());
        let gauges = Arc::new(Gauges::default());
        let load = Load::start(traffic, vec![server.address.into()], plan, pacing, gauges, record)?;
        let loaded = load.end().await?;
        let arrived = server.stop()?;
        let since = |at: Instant| at.saturating_duration_since(start).as_nanos() as u64;
        let mut observed = Observed {
            scheduled: intended_ns.len() as u64,
            recorded: 0,
            ok: loaded.totals.counts.values().map(|c| c.ok).sum(),
            lag_us: loaded.totals.lag,
            sent_ns: Vec::new(),
            intended_ns,
            arrived_ns: arrived.into_iter().map(since).collect(),
            response_us: Vec::new(),
            cpu_s: loaded.thread.run_s,
            run_queue_share: loaded.thread.wait_s * 1e9 / loaded.summary.ended_ns.max(1) as f64,
        };
        observed.read(folder).context("the self-test's history")?;
        Ok(observed)
    }
}

impl Observed {
    fn read(&mut self, folder: &Path) -> anyhow::Result<()> {
        for attempt in history::read(folder)? {
            let attempt = attempt?;
            self.recorded += 1;
            self.sent_ns.push(attempt.sent_ns);
            self.response_us.push(attempt.done_ns.saturating_sub(attempt.intended_ns) as f64 / 1e3);
        }
        self.sent_ns.sort_unstable();
        self.arrived_ns.sort_unstable();
        self.response_us.sort_by(f64::total_cmp);
        Ok(())
    }

    pub(super) fn quantile_us(&self, q: f64) -> f64 {
        truth::quantile(&self.response_us, q)
    }

    pub(super) fn closes(&self) -> bool {
        self.scheduled == self.recorded
    }

    /// The n-th arrival against the n-th intended instant, µs, ascending.
    pub(super) fn arrival_lag_us(&self) -> Vec<f64> {
        let lag =
            |(arrived, intended): (&u64, &u64)| arrived.saturating_sub(*intended) as f64 / 1e3;
        let mut lags: Vec<f64> = self.arrived_ns.iter().zip(&self.intended_ns).map(lag).collect();
        lags.sort_by(f64::total_cmp);
        lags
    }

    pub(super) fn cpu_us_per_request(&self) -> f64 {
        self.cpu_s * 1e6 / self.recorded.max(1) as f64
    }
}
