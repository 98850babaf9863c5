//! Writes the record of a long load that never was, through the writers of a real one, and judges it:
//! `long_record FOLDER SECONDS RATE`. For `scripts/bench-record`.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use anyhow::Context as _;
use audit::digest;
use load::profile::Profile;
use load::recorder::{self, Totals};
use load::workload::Job;
use load::{Jobs, Plan};
use record::{
    GeneratorLimits, Manifest, Operation, Outcome, Phase, Receipt, RequestCounts, Sample, Trouble,
};
use scenario::{Arrivals, Loop, Mix};

const BATCH: usize = 512;
const WAITING: usize = 64;
/// 19 of 20 are answered; the rest fail in each of the ways.
const FAILS: u64 = 20;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().with_context(|| format!("expected {what}"));
    let folder = PathBuf::from(next("a folder")?);
    let (seconds, rate) = (next("seconds")?.parse()?, next("a rate per second")?.parse()?);
    write(&folder, seconds, rate)
}

fn write(folder: &Path, seconds: u32, rate: f64) -> anyhow::Result<()> {
    let trial = folder.join("long").join("nothing").join("1");
    std::fs::create_dir_all(&trial)?;
    let plan = Plan {
        profile: Profile::constant(rate, f64::from(seconds)),
        arrivals: Arrivals::Poisson,
        jobs: Jobs::Shop { mix: Mix { place: 70.0, get: 30.0, ..Mix::default() }, customers: 10 },
        mixes: Vec::new(),
        form: Loop::Open,
        retries: None,
        seed: 1,
    };
    let (send, samples) = sync_channel(WAITING);
    let recorder = {
        let recording = (trial.clone(), "1".to_owned()).into();
        thread::spawn(move || recorder::write(recording, &samples, &AtomicBool::new(false)))
    };
    invent(&plan, &send)?;
    drop(send);
    let totals = recorder.join().map_err(|_| anyhow::anyhow!("the recorder ended early"))??;
    let manifest = manifest(&plan, &totals, seconds);
    digest::write(&trial, &manifest, [])?;
    for name in ["resources.csv", "faults.csv"] {
        std::fs::write(trial.join(name), "")?;
    }
    std::fs::write(trial.join("manifest.json"), serde_json::to_vec_pretty(&manifest)?)?;
    Ok(())
}

fn invent(plan: &Plan, send: &SyncSender<Vec<Sample>>) -> anyhow::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    for (intended_ns, job) in plan.schedule() {
        batch.push(sample(intended_ns, &job));
        if batch.len() == BATCH {
            send.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)))?;
        }
    }
    Ok(send.send(batch)?)
}

/// Times from 0.3 ms to 80 ms, spread by a multiplicative hash of the number.
fn sample(intended_ns: u64, job: &Job) -> Sample {
    let spread = job.seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
    let sent_ns = intended_ns + 3_000 + spread % 40_000;
    let place = job.operation == Operation::Place;
    let outcome = match spread % FAILS {
        0 => Outcome::ALL[(spread / FAILS) as usize % 3],
        _ => Outcome::Ok,
    };
    Sample {
        seq: job.seq,
        operation: job.operation,
        customer: job.customer,
        amount_cents: job.amount_cents(),
        intended_ns,
        sent_ns,
        done_ns: sent_ns + 300_000 + spread * spread / 14_000,
        waited_ns: 0,
        outcome,
        status: if place { 201 } else { 200 },
        trouble: Trouble::None,
        receipt: if place && outcome == Outcome::Ok { Receipt::Paid } else { Receipt::None },
        about: None,
        told: None,
        retry: 0,
        again: false,
    }
}

fn manifest(plan: &Plan, totals: &Totals, seconds: u32) -> Manifest {
    let (schedule_hash, operations_hash, _) = plan.hashes(None);
    let whole = |counts: &RequestCounts| RequestCounts { scheduled: counts.recorded(), ..*counts };
    let requests = totals.counts.iter().map(|(o, c)| (*o, whole(c)));
    Manifest {
        format: record::FORMAT,
        scenario: "long".to_owned(),
        scenario_about: "Invented, to measure the report of a long load.".to_owned(),
        system: "nothing".to_owned(),
        system_about: "No system at all.".to_owned(),
        trial: 1,
        seed: plan.seed,
        started_at_us: 1_767_225_600_000_000,
        interval_s: 1,
        warm_up_s: 5,
        duration_s: seconds,
        phases: vec![Phase { name: "steady".to_owned(), from_s: 5, to_s: seconds }],
        offered: plan.profile.points(),
        schedule_hash,
        operations_hash,
        requests: requests.collect(),
        limits: GeneratorLimits {
            in_flight: 4_000,
            timeout_s: 5.0,
            drain_s: 30.0,
            objective_s: 2.0,
            ..GeneratorLimits::default()
        },
        ..Manifest::default()
    }
}
