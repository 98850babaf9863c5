//! An invented run to develop and test reports with: three systems, three scenarios, one trial
//! that is invalid and one that was stopped. Its numbers say nothing about any real system.

mod ledger;
mod shop;
mod tables;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use record::{
    Aborted, Answer, Attempts, AuditCounts, Cost, FORMAT, FaultRecovery, FaultRow, Finding, Fsync,
    Generator, GeneratorLimits, Manifest, Met, Metastable, Operation, Outcome, PHASE, Phase,
    RatePoint, Reason, Recovery, RequestCounts, ResourceRow, Trouble, Validity, Verdict,
};
use shop::{Event, Shop};

/// The systems, in the order of the run's list.
const SYSTEMS: [(&str, &str); 3] = [
    ("monolith", "One process; orders and payments are function calls."),
    ("microservices-sync", "Three processes that call each other, with deadlines."),
    ("microservices-async", "Three processes; payments take orders from a queue."),
];
const WARM_UP_S: u32 = 10;

/// A scenario of the invented run.
#[derive(Clone, Copy)]
struct Plot {
    name: &'static str,
    about: &'static str,
    duration_s: u32,
    during: Option<(u32, u32)>,
    rate_per_s: f64,
    peak_per_s: f64,
    kills_payments: bool,
    trials: u32,
}

const PLOTS: [Plot; 3] = [
    Plot {
        name: "steady",
        about: "A day like any other: what an order costs and how long it takes.",
        duration_s: 40,
        during: None,
        rate_per_s: 180.0,
        peak_per_s: 180.0,
        kills_payments: false,
        trials: 3,
    },
    Plot {
        name: "spike",
        about: "Four times the customers at once, without notice.",
        duration_s: 60,
        during: Some((25, 40)),
        rate_per_s: 150.0,
        peak_per_s: 600.0,
        kills_payments: false,
        trials: 1,
    },
    Plot {
        name: "payment-outage",
        about: "Whatever takes the money dies and comes back.",
        duration_s: 60,
        during: Some((25, 40)),
        rate_per_s: 150.0,
        peak_per_s: 150.0,
        kills_payments: true,
        trials: 1,
    },
];

/// Writes the run below `folder`.
///
/// # Errors
/// If a file cannot be written.
pub fn write(folder: &Path) -> anyhow::Result<()> {
    write_some(folder, |_, _| true)
}

/// As [`write()`], but only the scenarios and systems that are wanted.
///
/// # Errors
/// As [`write()`].
pub fn write_some(folder: &Path, wanted: impl Fn(&str, &str) -> bool) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let environment = BTreeMap::from([
        ("cpu", "2 vCPU of an invented machine"),
        ("kernel", "Linux 6.1.0"),
        ("memory", "8 GiB"),
        ("network", "loopback of one machine"),
    ]);
    fs::write(folder.join("environment.json"), serde_json::to_vec_pretty(&environment)?)?;
    for plot in PLOTS {
        let systems = SYSTEMS.into_iter().enumerate();
        for (order, (system, about)) in systems.filter(|(_, one)| wanted(plot.name, one.0)) {
            for trial in 1..=plot.trials {
                let at = folder.join(plot.name).join(system).join(trial.to_string());
                Stage { plot, system, about, order: order as u32, trial, later_us: 0 }
                    .write(&at)?;
            }
        }
    }
    Ok(())
}

/// Writes the `nth` trial of an invented search, at a constant rate, below `folder`; returns its
/// folder. By their speeds the systems can do 994, 538 and 430 arrivals per second.
///
/// # Errors
/// If a file cannot be written.
pub fn write_step(
    folder: &Path,
    (order, rate_per_s, trial): (usize, u32, u32),
    nth: i64,
    doubt: Option<&str>,
) -> anyhow::Result<std::path::PathBuf> {
    let (system, about) = SYSTEMS[order];
    // A plot's name lives as long as the program: the others are constants.
    let name: &'static str = format!("steady-at-{rate_per_s}").leak();
    let rate = f64::from(rate_per_s);
    let plot = Plot { name, rate_per_s: rate, peak_per_s: rate, duration_s: 20, ..PLOTS[0] };
    let at = folder.join(name).join(system).join(trial.to_string());
    let later_us = nth * 60_000_000;
    Stage { plot, system, about, order: order as u32, trial, later_us }.write(&at)?;
    let path = at.join("manifest.json");
    let mut manifest: Manifest = serde_json::from_slice(&fs::read(&path)?)?;
    manifest.validity.reasons.extend(doubt.map(Reason::parse));
    manifest.validity.valid = doubt.is_none();
    fs::write(&path, serde_json::to_vec_pretty(&manifest)?)?;
    Ok(at)
}

/// One trial to be invented.
struct Stage {
    plot: Plot,
    system: &'static str,
    about: &'static str,
    order: u32,
    trial: u32,
    /// After the first trial.
    later_us: i64,
}

impl Stage {
    fn write(&self, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(folder)?;
        let events = Shop::new(self.system, self.plot.kills_payments, u64::from(self.trial))
            .serve(self.plot.duration_s, |at_s| self.rate(at_s));
        let end_s = match (self.is_stopped(), self.is_aborted()) {
            (true, _) => 45.0,
            (_, true) => 25.0,
            _ => f64::INFINITY,
        };
        let events: Vec<_> = events.into_iter().filter(|event| event.intended_s < end_s).collect();
        let timeline = tables::timeline(&events, end_s);
        let manifest = self.manifest(&events);
        fs::write(folder.join("manifest.json"), serde_json::to_vec_pretty(&manifest)?)?;
        tables::latencies(&folder.join("latency.hlog"), &events)?;
        tables::rows(&folder.join("timeline.csv"), &timeline)?;
        tables::rows(&folder.join("resources.csv"), &self.resources())?;
        tables::rows(&folder.join("faults.csv"), &self.faults())?;
        if self.plot.kills_payments || self.plot.name.starts_with("steady-at-") {
            ledger::write(folder, &events, manifest.started_at_us)?;
        }
        if !self.is_stopped() {
            let verdict = serde_json::to_vec_pretty(&self.verdict(&events))?;
            fs::write(folder.join("audit.json"), verdict)?;
        }
        if self.plot.name == "steady" && !self.is_aborted() {
            fs::write(folder.join("thresholds.json"), serde_json::to_vec(&self.thresholds())?)?;
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.plot.name == "spike" && self.system == "microservices-sync"
    }

    fn is_invalid(&self) -> bool {
        self.plot.name == "steady" && self.system == "microservices-async" && self.trial == 2
    }

    fn is_aborted(&self) -> bool {
        self.plot.name == "steady" && self.system == "microservices-sync" && self.trial == 3
    }

    fn rate(&self, at_s: f64) -> f64 {
        let inside = |(from, to): (u32, u32)| f64::from(from) <= at_s && at_s < f64::from(to);
        let peak = self.plot.during.is_some_and(inside);
        if peak { self.plot.peak_per_s } else { self.plot.rate_per_s }
    }

    fn phases(&self) -> Vec<Phase> {
        let phase = |name: &str, from_s, to_s| Phase { name: name.to_owned(), from_s, to_s };
        let end = self.plot.duration_s;
        match self.plot.during {
            None => vec![phase("steady", WARM_UP_S, end)],
            Some((from, to)) => vec![
                phase("before", WARM_UP_S, from),
                phase("during", from, to),
                phase("after", to, end),
            ],
        }
    }

    fn offered(&self) -> Vec<RatePoint> {
        let point = |at_s: u32, rate_per_s| RatePoint { at_s: f64::from(at_s), rate_per_s };
        let (rate, peak) = (self.plot.rate_per_s, self.plot.peak_per_s);
        let (from, to) = self.plot.during.unwrap_or((self.plot.duration_s, self.plot.duration_s));
        let end = self.plot.duration_s;
        vec![
            point(0, rate),
            point(from, rate),
            point(from, peak),
            point(to, peak),
            point(to, rate),
            point(end, rate),
        ]
    }

    fn manifest(&self, events: &[Event]) -> Manifest {
        let completed = events.iter().filter(|event| event.final_s.is_some()).count() as u64;
        let cpu_ms = [1.9, 3.4, 2.7][self.order as usize] * (1.0 + 0.03 * f64::from(self.trial));
        let cpu_s = completed as f64 * cpu_ms / 1e3;
        Manifest {
            format: FORMAT,
            scenario: self.plot.name.to_owned(),
            scenario_about: self.plot.about.to_owned(),
            system: self.system.to_owned(),
            system_about: self.about.to_owned(),
            system_order: self.order,
            trial: self.trial,
            seed: 42,
            revision: "0123abc".to_owned(),
            command: ["triptych", "run", "--trials", "3"].map(str::to_owned).to_vec(),
            started_at_us: 1_767_225_600_000_000
                + i64::from(self.plot.duration_s) * 1_000_000
                + self.later_us,
            interval_s: 1,
            warm_up_s: WARM_UP_S,
            duration_s: self.plot.duration_s,
            drained_s: f64::from(self.plot.duration_s) + 1.5,
            phases: self.phases(),
            offered: self.offered(),
            schedule_hash: format!("{:064x}", 0x5eed + self.plot.duration_s),
            operations_hash: format!("{:064x}", 0x0b5 + self.plot.duration_s),
            requests: requests(events),
            attempts: attempts(events),
            limits: GeneratorLimits {
                in_flight: 4096,
                timeout_s: 5.0,
                drain_s: 30.0,
                objective_s: 1.0,
                ..GeneratorLimits::default()
            },
            generator: self.generator(),
            cost: Cost {
                cpu_s: BTreeMap::from([("payments".to_owned(), cpu_s)]),
                system_cpu_s: cpu_s,
                completed_orders: completed,
                cpu_ms_per_completed_order: Some(cpu_ms),
                rss_peak_bytes: [41 << 20, 96 << 20, 104 << 20][self.order as usize],
                ..Cost::default()
            },
            fsync: Fsync {
                before_p50_us: 110,
                before_p99_us: 310,
                after_p50_us: 115,
                after_p99_us: 340,
            },
            parity: BTreeMap::from([
                ("durability".to_owned(), "sqlite WAL, synchronous=FULL".to_owned()),
                ("password hash".to_owned(), "argon2id m=19456 t=2 p=1".to_owned()),
                ("processes".to_owned(), ["1", "3", "4"][self.order as usize].to_owned()),
            ]),
            validity: self.validity(),
            ..Manifest::default()
        }
    }

    fn generator(&self) -> Generator {
        let lag_p99_us = if self.is_invalid() { 4100 } else { 48 };
        Generator {
            lag_p50_us: 12,
            lag_p99_us,
            lag_max_us: lag_p99_us * 4,
            cpu_share: 0.12,
            run_queue_share: 0.01,
            steal_share: 0.0,
            hiccup_p99_us: 85,
            hiccup_max_us: 900,
            ..Generator::default()
        }
    }

    fn validity(&self) -> Validity {
        let mut reasons = Vec::new();
        if self.is_invalid() {
            let lag = "send lag p99 is 4.1 ms, above 5 % of the measured p50 (3.2 ms)";
            reasons.push(Reason::parse(lag));
        }
        if self.is_stopped() {
            reasons.push(Reason::parse("stopped by the user at 45 s of 60 s"));
        }
        let aborted = self.is_aborted().then(|| Aborted {
            at_s: 25,
            reason: "p(99) > 3s over 10s of place; found 3.42 s".to_owned(),
            of_send_lag: false,
        });
        reasons.extend(aborted.as_ref().map(Reason::from));
        let interrupted = self.is_stopped();
        Validity { valid: reasons.is_empty(), interrupted, aborted, reasons, ..Validity::default() }
    }

    /// The second system breaks the first promise in one of its trials.
    fn thresholds(&self) -> Vec<Met> {
        let met = |expect: &str, phase: &str, found, met| Met {
            expect: expect.to_owned(),
            operation: Operation::Place,
            phase: phase.to_owned(),
            found,
            met,
            why: String::new(),
        };
        let p99_s = [0.012, 0.047, 0.015][self.order as usize] + f64::from(self.trial) / 500.0;
        vec![
            met("completed p(99) < 50ms", "steady", Some(p99_s), p99_s < 0.05),
            met("p(99.99) < 1s", "steady", None, false),
            met("lost == 0", "", Some(0.0), true),
        ]
    }

    fn resources(&self) -> Vec<ResourceRow> {
        let row = |t_s: u32| ResourceRow {
            t_s: f64::from(t_s),
            process: "payments".to_owned(),
            pid: 4711,
            cpu_s: 0.2,
            rss_bytes: 40 << 20,
            threads: 5,
            fds: 31,
            processes: Some(1),
        };
        (1..=self.plot.duration_s).map(row).collect()
    }

    fn faults(&self) -> Vec<FaultRow> {
        let Some((from, to)) = self.plot.during.filter(|_| self.plot.kills_payments) else {
            return Vec::new();
        };
        let process = if self.order == 0 { "monolith" } else { "payments" };
        vec![FaultRow {
            kind: "kill".to_owned(),
            harm: "payments".to_owned(),
            processes: process.to_owned(),
            parameters: String::new(),
            commanded_s: f64::from(from),
            effective_s: Some(f64::from(from) + 0.012),
            effect_proof: "the process is gone".to_owned(),
            heal_commanded_s: Some(f64::from(to)),
            healed_s: Some(f64::from(to) + 0.9),
            heal_proof: "readyz answers 200".to_owned(),
            in_flight_at_onset: 3,
            in_work_at_onset: Some(2),
            state: "dead".to_owned(),
            voids_answers: Some(false),
        }]
    }

    /// How it came back from its fault, or from its spike; only the queue put work off.
    fn recovery(&self) -> Option<Recovery> {
        let (_, to) = self.plot.during?;
        let queues = self.order == 2;
        let found = |kind: &str, harm: &str, healed_s| FaultRecovery {
            kind: kind.to_owned(),
            harm: harm.to_owned(),
            healed_s,
            recovered_after_s: Some(0.1),
            backlog: if queues { 2_250 } else { 3 },
            before: Some(9),
            drained_after_s: Some(if queues { 11.2 } else { 0.0 }),
            ..FaultRecovery::default()
        };
        let recovery = Recovery { metastable: Metastable::No, ..Recovery::default() };
        if self.plot.kills_payments {
            let fault = found("kill", "payments", f64::from(to) + 0.9);
            return Some(Recovery { faults: vec![fault], ..recovery });
        }
        Some(Recovery { phase: Some(found(PHASE, "during", f64::from(to))), ..recovery })
    }

    fn verdict(&self, events: &[Event]) -> Verdict {
        let placed = || events.iter().filter(|event| event.operation == Operation::Place);
        let of = |outcome| placed().filter(|event| event.outcome == outcome).count() as u64;
        let paid = placed().filter(|event| event.final_s.is_some()).count() as u64;
        let finding = |(class, meaning): (&str, &str)| Finding {
            class: class.to_owned(),
            meaning: meaning.to_owned(),
            ..Finding::default()
        };
        Verdict {
            verdict: Answer::True,
            safety: Answer::True,
            liveness: Answer::True,
            recovery: self.recovery(),
            unchecked: Vec::new(),
            reasons: Vec::new(),
            counts: AuditCounts {
                asked: placed().count() as u64,
                acknowledged: of(Outcome::Ok),
                acknowledged_of_load: Some(of(Outcome::Ok)),
                failed: of(Outcome::Failed),
                unknown: of(Outcome::Unknown),
                orders: paid,
                paid,
                captures: paid,
                ..AuditCounts::default()
            },
            violations: [
                ("lost", "Acknowledged, but there is no such order."),
                ("double-charge", "Charged more than once."),
                ("stuck", "Not final after the drain."),
            ]
            .map(finding)
            .to_vec(),
            oddities: vec![
                Finding {
                    count: if self.order == 1 { of(Outcome::Unknown) / 3 } else { 0 },
                    ..finding(("told-error-then-charged", "Told an error, and charged."))
                },
                Finding {
                    count: of(Outcome::Unknown) / 2,
                    ..finding(("recovered", "Of unknown outcome, and it happened."))
                },
                Finding {
                    count: if self.order == 2 { 7 } else { 0 },
                    ..finding(("taken-back", "Cancelled in time."))
                },
            ],
        }
    }
}

/// As the history of the record tells them.
fn attempts(events: &[Event]) -> Vec<Attempts> {
    let mut kinds = BTreeMap::<(Operation, Outcome), u64>::new();
    events
        .iter()
        .for_each(|event| *kinds.entry((event.operation, event.outcome)).or_default() += 1);
    let kind = |((operation, outcome), count)| {
        let (status, trouble) =
            if outcome == Outcome::Ok { (202, Trouble::None) } else { (0, Trouble::Timeout) };
        Attempts { operation, outcome, status, trouble, count }
    };
    kinds.into_iter().map(kind).collect()
}

fn requests(events: &[Event]) -> BTreeMap<Operation, RequestCounts> {
    let mut ledger = BTreeMap::<Operation, RequestCounts>::new();
    for event in events {
        let counts = ledger.entry(event.operation).or_default();
        counts.scheduled += 1;
        match event.outcome {
            Outcome::Ok => counts.ok += 1,
            Outcome::Failed => counts.failed += 1,
            _ => counts.unknown += 1,
        }
    }
    ledger
}
