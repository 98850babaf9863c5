//! The generator tested against itself: stalls whose true percentiles are known, arrivals, pacing,
//! and its own ceiling. A generator that fails here measures nothing.

mod experiment;
pub mod server;
mod standstill;
mod truth;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

use crate::Boxed;
use audit::validity::RUN_QUEUE_SHARE_MAX;
use load::engine::Flaw;
use scenario::Arrivals;
use scenario::config::Span;
use supervise::cores::Cores;

use experiment::{Experiment, Observed};
use server::Awake;
use standstill::Standstill;
use truth::StallTruth;

/// Percentiles may differ from the truth by this share, or by [`CLOSE_US`].
const TOLERANCE: f64 = 0.05;
/// What "at once" may take on a busy machine.
const CLOSE_US: f64 = 5_000.0;
/// The default bound of `limits.send_lag`.
const LAG_P99_MAX_US: u64 = 1_000;
/// Kolmogorov's distance that exponential gaps exceed once in a hundred times: this / √n.
const KS_1_PERCENT: f64 = 1.63;
/// How long the bare core is watched.
const BARE: Duration = Duration::from_secs(3);
const CEILING_STEPS: [u32; 7] = [10_000, 20_000, 30_000, 40_000, 60_000, 80_000, 100_000];
/// A null server that cannot follow must not exhaust the descriptors of both sides.
const CEILING_IN_FLIGHT: u32 = 1_000;
/// Rates that need no ceiling to be found.
pub const ALWAYS_PER_S: f64 = 5_000.0;
/// A scenario may ask for this share of the ceiling.
pub const CEILING_SHARE: f64 = 0.6;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Whether it is as it should be.
    pub passed: bool,
    /// What was examined, what was found.
    pub text: String,
}

/// Examines the generator; `flaw` breaks it on purpose, to show that the examination can fail.
/// Takes about half a minute; `folder` holds temporary records.
///
/// # Errors
/// If an experiment cannot be run at all.
pub fn examine<'a>(
    folder: &'a Path,
    flaw: Flaw,
    tell: &'a dyn Fn(&Check),
) -> Boxed<'a, anyhow::Result<bool>> {
    Box::pin(examined(folder, flaw, tell))
}

async fn examined(folder: &Path, flaw: Flaw, tell: &dyn Fn(&Check)) -> anyhow::Result<bool> {
    let cores = Cores::divide()?;
    Cores::pin(&cores.generator)?;
    let setting = Setting { folder, cores: &cores, flaw };
    let mut passed = true;
    let mut report = |checks: Vec<Check>| {
        for check in &checks {
            tell(check);
            passed &= check.passed;
        }
    };
    report(vec![apart(&cores)]);
    report(setting.stall("2 s stall in mid-run", 10, (4.0, 2.0)).await?);
    report(setting.stall("5 s stall from 1 s before the end", 5, (4.0, 5.0)).await?);
    report(setting.poisson().await?);
    report(bare(&cores)?);
    for rate in [1_000, 5_000, 10_000] {
        report(setting.pacing(rate).await?);
    }
    report(vec![setting.ceiling().await?]);
    Ok(passed)
}

/// What a server saw: how many requests, over how long, how evenly.
#[must_use]
pub fn seen(arrivals: &[Instant]) -> String {
    let gaps: Vec<f64> = arrivals.windows(2).map(|w| (w[1] - w[0]).as_secs_f64()).collect();
    let n = gaps.len().max(1) as f64;
    let mean = gaps.iter().sum::<f64>() / n;
    let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / n;
    serde_json::json!({
        "requests": arrivals.len(),
        "seconds": gaps.iter().sum::<f64>(),
        "gap_coefficient_of_variation": if mean > 0.0 { variance.sqrt() / mean } else { 0.0 },
    })
    .to_string()
}

struct Setting<'a> {
    folder: &'a Path,
    cores: &'a Cores,
    flaw: Flaw,
}

/// No checks of the generator, but what its lag is to be held against: both sides' cores, busy at
/// the same time, as they are while a server that does not sleep is asked.
fn bare(cores: &Cores) -> anyhow::Result<Vec<Check>> {
    let systems = cores.systems.clone();
    let other = std::thread::Builder::new().name("bare-core".to_owned()).spawn(move || {
        Cores::pin(&systems)?;
        Ok::<_, std::io::Error>(Standstill::watch(BARE))
    })?;
    let own = Standstill::watch(BARE).text(&cores.generator);
    let other =
        other.join().map_err(|_| anyhow::anyhow!("the bare core's thread ended early"))??;
    let texts = [own, other.text(&cores.systems)];
    Ok(texts.map(|text| Check { passed: true, text }).into())
}

fn apart(cores: &Cores) -> Check {
    let text = if cores.apart() {
        format!("cores: generator {:?}, server {:?}", cores.generator, cores.systems)
    } else {
        "cores: generator and server share the only one".to_owned()
    };
    Check { passed: cores.apart(), text }
}

impl Setting<'_> {
    async fn observe(&self, mut experiment: Experiment) -> anyhow::Result<Observed> {
        experiment.flaw = self.flaw;
        experiment.run(self.folder, self.cores).await
    }

    async fn stall(
        &self,
        name: &str,
        seconds: u64,
        stall: (f64, f64),
    ) -> anyhow::Result<Vec<Check>> {
        let experiment = Experiment {
            rate: 500.0,
            duration: Span::secs(seconds),
            arrivals: Arrivals::Constant,
            stall_s: Some(stall),
            ..Experiment::default()
        };
        let observed = self.observe(experiment).await?;
        let truth = StallTruth { duration_s: seconds as f64, from_s: stall.0, lasts_s: stall.1 };
        let mut rows = Vec::new();
        let mut right = true;
        for (label, q) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
            let (found, expected) = (observed.quantile_us(q), truth.quantile_us(q));
            let off = (found - expected).abs();
            right &= off <= (expected * TOLERANCE).max(CLOSE_US);
            rows.push(format!("{label} {:.0} ({:.0})", found / 1e3, expected / 1e3));
        }
        let text = format!("{name}: {} ms (truth in brackets)", rows.join(", "));
        Ok(vec![Check { passed: right, text }, ledger(name, &observed)])
    }

    async fn poisson(&self) -> anyhow::Result<Vec<Check>> {
        let rate = 1_000.0;
        let experiment = Experiment { rate, duration: Span::secs(5), ..Experiment::default() };
        let observed = self.observe(experiment).await?;
        let distance = truth::distance_from_exponential(&observed.sent_ns, rate);
        let bound = KS_1_PERCENT / (observed.sent_ns.len().max(2) as f64 - 1.0).sqrt();
        let text = format!(
            "gaps between requests are exponential: Kolmogorov distance {distance:.4}, at most {bound:.4} (1 %)"
        );
        Ok(vec![Check { passed: distance <= bound, text }, ledger("Poisson", &observed)])
    }

    async fn pacing(&self, rate: u32) -> anyhow::Result<Vec<Check>> {
        let awake = if self.cores.apart() { Awake::Always } else { Awake::WhenNeeded };
        let (rate_per_s, duration) = (f64::from(rate), Span::secs(3));
        let experiment = Experiment { rate: rate_per_s, duration, awake, ..Experiment::default() };
        let observed = self.observe(experiment).await?;
        let lag = &observed.lag_us;
        let (p50, p99) = (lag.value_at_quantile(0.5), lag.value_at_quantile(0.99));
        let seen = observed.arrival_lag_us();
        let text = format!(
            "pacing at {rate}/s: send lag p50 {p50} µs, p99 {p99} µs, max {} µs; as the server saw it p50 {:.0} µs, p99 {:.0} µs; {:.1} µs of CPU per request",
            lag.max(),
            truth::quantile(&seen, 0.5),
            truth::quantile(&seen, 0.99),
            observed.cpu_us_per_request(),
        );
        let mut checks = vec![
            Check { passed: p99 <= LAG_P99_MAX_US, text },
            ledger(&format!("{rate}/s"), &observed),
        ];
        if observed.run_queue_share > RUN_QUEUE_SHARE_MAX {
            checks.push(Check { passed: false, text: self.crowded(&observed) });
        }
        Ok(checks)
    }

    fn crowded(&self, observed: &Observed) -> String {
        format!(
            "cause: something else runs on core {:?}: the sending thread waited for it {:.0} % of the time",
            self.cores.generator,
            observed.run_queue_share * 100.0
        )
    }

    async fn ceiling(&self) -> anyhow::Result<Check> {
        let kept = self.ceiling_per_s().await?;
        let text = format!(
            "ceiling: {kept}/s against a null server; scenarios may ask for {:.0}/s",
            f64::from(kept) * CEILING_SHARE
        );
        Ok(Check { passed: kept > 0, text })
    }

    /// The highest step that is kept with a closed ledger and a bounded lag.
    async fn ceiling_per_s(&self) -> anyhow::Result<u32> {
        let mut kept = 0;
        for rate in CEILING_STEPS {
            let experiment = Experiment {
                rate: f64::from(rate),
                duration: Span::secs(1),
                in_flight: CEILING_IN_FLIGHT,
                ..Experiment::default()
            };
            // A single pause of the machine is no ceiling.
            if !self.keeps(&experiment).await? && !self.keeps(&experiment).await? {
                break;
            }
            kept = rate;
        }
        Ok(kept)
    }

    async fn keeps(&self, experiment: &Experiment) -> anyhow::Result<bool> {
        let observed = self.observe(experiment.clone()).await?;
        let late = observed.lag_us.value_at_quantile(0.99) > 10 * LAG_P99_MAX_US;
        Ok(!late && observed.closes() && observed.ok == observed.scheduled)
    }
}

/// Refuses a peak rate above 60 % of this generator's ceiling here, which it finds first (seconds).
/// Up to 5,000/s nothing is asked: every machine that can run the systems can do that.
///
/// # Errors
/// If the peak is too high, or the ceiling cannot be found.
pub async fn allow(peak_per_s: f64, folder: &Path, cores: &Cores) -> anyhow::Result<()> {
    if peak_per_s <= ALWAYS_PER_S {
        return Ok(());
    }
    let allowed = allowed(folder, cores).await?;
    let ceiling = allowed / CEILING_SHARE;
    anyhow::ensure!(
        peak_per_s <= allowed,
        "the load asks for {peak_per_s:.0}/s at its peak; this generator reaches {ceiling:.0}/s here and measures up to {:.0} % of that, {allowed:.0}/s",
        CEILING_SHARE * 100.0
    );
    Ok(())
}

/// The highest rate that this generator may be trusted with here: its share of the ceiling, which is
/// found first (seconds).
///
/// # Errors
/// If the ceiling cannot be found.
pub async fn allowed(folder: &Path, cores: &Cores) -> anyhow::Result<f64> {
    let probe = folder.join(".ceiling");
    std::fs::create_dir_all(&probe)
        .with_context(|| format!("cannot make the folder {}", probe.display()))?;
    let setting = Setting { folder: &probe, cores, flaw: Flaw::None };
    let ceiling = f64::from(setting.ceiling_per_s().await?);
    std::fs::remove_dir_all(&probe)?;
    Ok(ceiling * CEILING_SHARE)
}

fn ledger(name: &str, observed: &Observed) -> Check {
    let passed = observed.closes() && observed.ok == observed.scheduled;
    let text = format!(
        "ledger ({name}): {} scheduled, {} recorded, {} ok",
        observed.scheduled, observed.recorded, observed.ok
    );
    Check { passed, text }
}
