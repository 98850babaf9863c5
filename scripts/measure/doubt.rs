//! The same load on a quiet machine and beside programs that spin on the generator's core: how often the
//! quiet machine's figures lie between the ends that the busy one gives, and how far apart these are. For
//! `scripts/bench-doubt`.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]
#![expect(clippy::print_stderr, reason = "it says how far it is")]

use std::collections::BTreeMap;
use std::path::PathBuf;
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
        .arg(&out)
        // Those who spin are meant to, and their trials are to count as they are.
        .args(["--quiet-within", "0s", "--reruns", "0"])
        .stdout(Stdio::null())
        .status()?;
    drop(spinning);
    // 3: it is invalid, and says why below.
    ensure!(matches!(status.code(), Some(0 | 3)), "loadgen run ended with {status}");
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

/// One line per figure and kind.
fn print(found: &BTreeMap<Kind, Vec<BTreeMap<String, Figure>>>) -> anyhow::Result<()> {
    let quiet = found.get(&(0, true)).context("nothing was measured")?;
    let names: Vec<&String> = quiet.first().context("nothing was measured")?.keys().collect();
    println!(
        "{:>4} {:>9}  {:<28} {:>9} {:>18} {:>9} {:>9} {:>7}",
        "hogs", "priority", "figure", "quiet", "quiet, all", "busy", "inside", "width"
    );
    let (mut inside, mut strictly, mut all) = (0, 0, 0);
    for ((hogs, real_time), trials) in found {
        for name in &names {
            let values = |of: &[BTreeMap<String, Figure>]| -> Vec<Figure> {
                of.iter().filter_map(|figures| figures.get(*name).copied()).collect()
            };
            let (truths, ours) = (values(quiet), values(trials));
            let truth = median(truths.iter().map(|of| of.value));
            let lo = truths.iter().map(|of| of.value).fold(f64::INFINITY, f64::min);
            let hi = truths.iter().map(|of| of.value).fold(0.0, f64::max);
            // A quiet machine's own trials differ: they are the truth as far as it is known.
            let holds = ours.iter().filter(|of| of.least <= hi && lo <= of.most).count();
            let exact = ours.iter().filter(|of| of.least <= truth && truth <= of.most).count();
            let width = median(ours.iter().map(|of| (of.most - of.least) / of.most.max(1e-9)));
            if *hogs > 0 {
                inside += holds;
                strictly += exact;
                all += ours.len();
            }
            println!(
                "{hogs:>4} {:>9}  {name:<28} {truth:>9.2} {:>18} {:>9.2} {:>9} {:>6.1}%",
                if *real_time { "real-time" } else { "normal" },
                format!("{lo:.2} to {hi:.2}"),
                median(ours.iter().map(|of| of.value)),
                format!("{holds} of {}", ours.len()),
                width * 100.0
            );
        }
    }
    println!(
        "beside spinning programs: {inside} of {all} intervals hold a value that a quiet machine shows, {strictly} \
         the median of those"
    );
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
