//! The same load on a quiet machine and beside programs that spin on the generator's core: how often the
//! quiet machine's figures lie between the ends that the busy one gives, and how far apart these are. For
//! `scripts/bench-doubt`.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]
#![expect(clippy::print_stderr, reason = "it says how far it is")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, ensure};
use clap::Parser;
use record::latency::Metric;
use record::read::Trial;
use record::{Operation, Outcome};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Spinning programs beside the sender.
const HOGS: [u32; 4] = [0, 1, 2, 4];
const QUANTILES: [f64; 2] = [0.5, 0.99];
/// The card network's latency in most scenarios.
const DRAWN: &str = "lognormal:20ms,80ms";

#[derive(Parser)]
struct Arguments {
    /// Trials of each kind.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// A scenario of `scenarios/`.
    #[arg(long, default_value = "steady")]
    scenario: String,
    /// A system of `systems/`.
    #[arg(long, default_value = "monolith")]
    system: String,
    /// The folder of the records.
    #[arg(long, default_value = "results/doubt")]
    out: PathBuf,
    /// Run nothing: read what an earlier run with the same arguments has recorded.
    #[arg(long)]
    read: bool,
}

/// A kind of trial: how many spin, and whether the sender has priority.
type Kind = (u32, bool);

/// A value with its ends.
#[derive(Clone, Copy)]
struct Figure {
    least: f64,
    value: f64,
    most: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    std::fs::create_dir_all(&arguments.out)?;
    let mut found: BTreeMap<Kind, Vec<BTreeMap<String, Figure>>> = BTreeMap::new();
    for round in 1..=arguments.rounds {
        for hogs in HOGS {
            for real_time in [true, false] {
                let figures = figures(&trial(&arguments, round, (hogs, real_time))?);
                found.entry((hogs, real_time)).or_default().push(figures);
            }
        }
    }
    print(&found)
}

/// Runs one trial of the first seed, and reads it.
fn trial(arguments: &Arguments, round: u32, (hogs, real_time): Kind) -> anyhow::Result<Trial> {
    let name = format!("{}-{hogs}-{}-{round}", arguments.scenario, u8::from(real_time));
    let out = arguments.out.join(&name);
    if !arguments.read {
        run(arguments, &name, &out, (hogs, real_time))?;
    }
    let folder = out.join("latest").join(&name).join(&arguments.system).join("1");
    let trial = Trial::read(&folder)?.context("the run has written no record")?;
    let g = &trial.manifest.generator;
    eprintln!(
        "{name}: send lag p99 {} µs, real-time {}, {}",
        g.lag_p99_us,
        g.real_time,
        if trial.manifest.validity.valid {
            "valid".to_owned()
        } else {
            trial.manifest.validity.doubt()
        }
    );
    Ok(trial)
}

fn run(
    arguments: &Arguments,
    name: &str,
    out: &Path,
    (hogs, real_time): Kind,
) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(format!("scenarios/{}.toml", arguments.scenario))?;
    let scenario = arguments.out.join(format!("{name}.toml"));
    ensure!(text.contains("[limits]\n"), "the scenario has no table [limits] to be changed");
    let limits = format!("[limits]\nreal_time = {real_time}");
    // What the card network draws differs from run to run: it is to take the same for all.
    let text = text.replacen("[limits]", &limits, 1).replace(DRAWN, "constant:20ms");
    std::fs::write(&scenario, text)?;
    let spinning = Hogs::start(hogs)?;
    let programs = std::env::current_exe()?.with_file_name("loadgen");
    let status = Command::new(programs)
        .arg("run")
        .arg(&scenario)
        .args(["--system", &arguments.system])
        .arg("--out")
        .arg(out)
        // Those who spin are meant to, and their trials are to count as they are.
        .args(["--quiet-within", "0s", "--reruns", "0"])
        .stdout(Stdio::null())
        .status()?;
    drop(spinning);
    // 3: it is invalid, and says why below.
    ensure!(matches!(status.code(), Some(0 | 3)), "loadgen run ended with {status}");
    Ok(())
}

/// Threads that spin on the generator's core.
struct Hogs {
    stop: Arc<AtomicBool>,
}

impl Hogs {
    fn start(count: u32) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let allowed = sched_getaffinity(None)?;
        let first = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).context("no core")?;
        for _ in 0..count {
            let stopped = Arc::clone(&stop);
            thread::spawn(move || {
                let mut core = CpuSet::new();
                core.set(first);
                let pinned = sched_setaffinity(None, &core);
                while pinned.is_ok() && !stopped.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Ok(Self { stop })
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Times and shares of each phase, by name.
fn figures(trial: &Trial) -> BTreeMap<String, Figure> {
    let mut figures = BTreeMap::new();
    for (index, phase) in trial.manifest.phases.iter().enumerate() {
        for (metric, name) in [(Metric::Response, "accepted"), (Metric::Completed, "completed")] {
            let ok = |outcome| outcome == Outcome::Ok;
            let most = trial.latencies.times(index, Operation::Place, metric, ok);
            let least = trial.latencies.least(index, Operation::Place, metric, ok);
            for q in QUANTILES {
                if let (Some(least), Some(most)) = (least.quantile(q), most.quantile(q)) {
                    let [least, most] = [least, most].map(|us| us as f64 / 1e3);
                    let what = format!("{} {name} p{}, ms", phase.name, q * 100.0);
                    figures.insert(what, Figure { least, value: most, most });
                }
            }
        }
        figures.extend(share(trial, index).map(|of| (format!("{} accepted, %", phase.name), of)));
    }
    figures
}

fn share(trial: &Trial, index: usize) -> Option<Figure> {
    let phase = &trial.manifest.phases[index];
    let rows = trial.timeline.iter().filter(|row| {
        row.operation == Operation::Place && (phase.from_s..phase.to_s).contains(&row.t_s)
    });
    let (mut all, mut ok, mut fewer, mut more) = (0, 0, 0, 0);
    for row in rows {
        all += row.offered;
        ok += row.ok;
        fewer += row.touched_ok.unwrap_or(0);
        more += row.touched_failed.unwrap_or(0);
    }
    let part = |part: u64| part as f64 * 100.0 / all as f64;
    let (least, most) = (part(ok.saturating_sub(fewer)), part(ok + more));
    (all > 0).then(|| Figure { least, value: part(ok), most })
}

/// Of a figure: what quiet trials show. They differ among themselves, so the truth is a range.
struct Truth(Vec<f64>);

impl Truth {
    fn ends(&self) -> (f64, f64) {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        (least, self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    }

    /// Whether an interval holds a value of this range, or misses it by this part.
    fn meets(&self, of: Figure, missed_by: f64) -> bool {
        let (least, most) = self.ends();
        of.least * (1.0 - missed_by) <= most && least <= of.most * (1.0 + missed_by)
    }

    /// Without one of them.
    fn without(&self, nth: usize) -> Self {
        let others = self.0.iter().enumerate().filter(|(other, _)| *other != nth);
        Self(others.map(|(_, value)| *value).collect())
    }
}

/// Intervals that met the truth, exactly and but for a percent, of all.
#[derive(Clone, Copy, Default)]
struct Met {
    exactly: usize,
    nearly: usize,
    all: usize,
}

impl Met {
    fn count(&mut self, truth: &Truth, of: Figure) {
        self.exactly += usize::from(truth.meets(of, 0.0));
        self.nearly += usize::from(truth.meets(of, 0.01));
        self.all += 1;
    }

    fn told(self) -> String {
        let Self { exactly, nearly, all } = self;
        format!("{exactly} of {all}, {nearly} but for 1 %")
    }
}

type Trials = Vec<BTreeMap<String, Figure>>;

/// Values of one figure in these trials.
fn values(trials: &Trials, name: &str) -> Vec<Figure> {
    trials.iter().filter_map(|figures| figures.get(name).copied()).collect()
}

/// One line per figure and kind, then per kind how often the truth was met.
fn print(found: &BTreeMap<Kind, Trials>) -> anyhow::Result<()> {
    let quiet = found.iter().filter(|((hogs, _), _)| *hogs == 0);
    let quiet: Trials = quiet.flat_map(|(_, trials)| trials.clone()).collect();
    let names: Vec<&String> = quiet.first().context("nothing was measured")?.keys().collect();
    let truth = |name: &str| Truth(values(&quiet, name).iter().map(|of| of.value).collect());
    println!("hogs  priority   figure                         quiet, all          busy     width");
    let mut met: BTreeMap<Kind, Met> = BTreeMap::new();
    for (kind, trials) in found.iter().filter(|((hogs, _), _)| *hogs > 0) {
        for name in &names {
            let (truth, ours) = (truth(name), values(trials, name));
            let width = median(ours.iter().map(|of| (of.most - of.least) / of.most.max(1e-9)));
            let (least, most) = truth.ends();
            println!(
                "{:>4}  {:<9}  {name:<28} {:>18} {:>9.2} {:>7.1}%",
                kind.0,
                priority(*kind),
                format!("{least:.2} to {most:.2}"),
                median(ours.iter().map(|of| of.value)),
                width * 100.0
            );
            let met = met.entry(*kind).or_default();
            ours.iter().for_each(|of| met.count(&truth, *of));
        }
    }
    println!("\nintervals that hold a value which the quiet trials show:");
    println!("quiet trials, each against the others: {}", among(&quiet, &names).told());
    for (kind, met) in met {
        println!("beside {} that spin, {} priority: {}", kind.0, priority(kind), met.told());
    }
    Ok(())
}

fn priority((_, real_time): Kind) -> &'static str {
    if real_time { "real-time" } else { "normal" }
}

/// How often a quiet trial is met by the others: no interval can do better than the machine itself.
fn among(quiet: &Trials, names: &[&String]) -> Met {
    let mut met = Met::default();
    for name in names {
        let all = values(quiet, name);
        let truth = Truth(all.iter().map(|of| of.value).collect());
        for (nth, of) in all.into_iter().enumerate() {
            met.count(&truth.without(nth), of);
        }
    }
    met
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
