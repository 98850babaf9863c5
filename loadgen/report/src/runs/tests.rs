//! Two runs whose difference is known: of none, none is claimed; one of 2 ms is found; what was asked otherwise is
//! refused.

use super::*;
use record::latency::Metric;
use record::read::Latencies;
use record::{Operation, Outcome, Phase, RequestCounts, TimelineRow};

const TRIALS: u32 = 7;

/// A congruential generator: tests need chance that is the same on every machine.
struct Chance(u64);

impl Chance {
    /// From −1 to 1, denser in the middle.
    fn draw(&mut self) -> f64 {
        let mut unit = || {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as f64 / f64::from(1_u32 << 31)
        };
        (unit() + unit() + unit() + unit()) / 2.0 - 1.0
    }
}

/// A trial of 400 orders that take `ms`, more or less.
fn trial(number: u32, ms: f64, cpu_ms: f64) -> Trial {
    let us = (ms * 1e3) as u64;
    let times = [
        (Outcome::Ok, Metric::Response, us..=us + 399),
        (Outcome::Ok, Metric::Completed, us + 20..=us + 419),
    ];
    let mut trial = Trial { latencies: Latencies::of_places(&times), ..Trial::default() };
    trial.manifest.scenario = "steady".to_owned();
    trial.manifest.system = "monolith".to_owned();
    trial.manifest.trial = number;
    trial.manifest.seed = u64::from(number);
    trial.manifest.schedule_hash = format!("hash of {number}");
    trial.manifest.validity.valid = true;
    trial.manifest.limits.objective_s = 1.0;
    trial.manifest.phases.push(Phase { name: "steady".to_owned(), from_s: 0, to_s: 10 });
    trial.manifest.cost.cpu_ms_per_completed_order = Some(cpu_ms);
    let counts = RequestCounts { scheduled: 400, ok: 400, ..RequestCounts::default() };
    trial.manifest.requests.insert(Operation::Place, counts);
    let row = TimelineRow { offered: 400, ok: 400, ..TimelineRow::default() };
    trial.timeline.push(TimelineRow { operation: Operation::Place, ..row });
    (trial.manifest.fsync.before_p50_us, trial.manifest.fsync.after_p50_us) = (300, 300);
    trial.manifest.generator.cpu_s = 0.04;
    trial
}

/// A run whose trials each have a little chance of their own, and whose machine is a little slower or faster than
/// usual, all the time.
fn run(chance: &mut Chance, added_ms: f64) -> Run {
    let drift = 1.0 + 0.015 * chance.draw();
    let mut one = |number| {
        let ms = 24.0 * drift * (1.0 + 0.02 * chance.draw()) + added_ms;
        trial(number, ms, 2.0 * drift * (1.0 + 0.03 * chance.draw()))
    };
    let trials = (1..=TRIALS).map(&mut one).collect();
    let host = [("host".to_owned(), "h".to_owned())];
    Run { name: "r".to_owned(), environment: host.into(), trials, ..Run::default() }
}

fn claims(compared: &Compared) -> Vec<(&'static str, Claim)> {
    let figures = compared.systems.iter().flat_map(|system| &system.figures);
    let claimed = figures.filter(|figure| figure.claim != Claim::None);
    claimed.map(|figure| (figure.name, figure.claim)).collect()
}

#[test]
fn of_two_runs_of_the_same_hardly_any_figure_differs() {
    let mut chance = Chance(1);
    let (mut claimed, mut all) = (0, 0);
    for _ in 0..200 {
        let compared = compare_runs(&run(&mut chance, 0.0), &run(&mut chance, 0.0)).unwrap();
        all += compared.systems[0].figures.len();
        claimed += claims(&compared).len();
    }
    assert_eq!(all, 1_400);
    assert!(claimed * 20 < all, "{claimed} of {all}");
}

/// 8 % in the mean: where chance pulls a pair close to the 5 % that are granted to the machine, nothing is claimed.
#[test]
fn two_milliseconds_more_are_found_and_nothing_else() {
    let mut chance = Chance(2);
    let times = ["accepted p50", "accepted p99", "completed p50", "completed p99"];
    let mut found = 0;
    for _ in 0..200 {
        let compared = compare_runs(&run(&mut chance, 0.0), &run(&mut chance, 2.0)).unwrap();
        let claimed = claims(&compared);
        let is_true =
            |claim: &(&'static str, Claim)| times.contains(&claim.0) && claim.1 == Claim::Higher;
        assert!(claimed.iter().all(is_true), "{}", compared.text());
        found += usize::from(claimed.len() == times.len());
    }
    assert!(found >= 190, "found in {found} of 200");
    let faster = compare_runs(&run(&mut chance, 2.0), &run(&mut chance, 0.0)).unwrap();
    assert!(claims(&faster).iter().all(|(_, claim)| *claim == Claim::Lower));
    let text = faster.text();
    assert!(text.contains("B is lower") && text.contains("4 of 7 figures differ"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

/// The machine is the reason, not the system.
#[test]
fn what_the_machine_changed_by_is_claimed_of_nobody() {
    let mut chance = Chance(3);
    let a = run(&mut chance, 0.0);
    let mut slower = run(&mut chance, 2.0);
    for trial in &mut slower.trials {
        trial.manifest.fsync.after_p50_us = 1_100;
    }
    assert_eq!(claims(&compare_runs(&a, &slower).unwrap()), []);
    let mut busier = run(&mut chance, 2.0);
    for trial in &mut busier.trials {
        trial.manifest.generator.cpu_s = 0.05;
    }
    assert_eq!(claims(&compare_runs(&a, &busier).unwrap()), []);
}

#[test]
fn five_pairs_say_nothing() {
    let mut chance = Chance(4);
    let (a, mut b) = (run(&mut chance, 0.0), run(&mut chance, 9.0));
    b.trials.truncate(5);
    let compared = compare_runs(&a, &b).unwrap();
    assert_eq!(compared.systems[0].pairs, 5);
    assert!(claims(&compared).iter().all(|(_, claim)| *claim == Claim::TooFew));
    assert!(compared.text().contains("needs 6 pairs"), "{}", compared.text());
}

/// What is wrong with B, and what is said of it.
#[track_caller]
fn refused(change: impl Fn(&mut Run), part: &str) {
    let mut chance = Chance(5);
    let (a, mut b) = (run(&mut chance, 0.0), run(&mut chance, 0.0));
    change(&mut b);
    let said = compare_runs(&a, &b).unwrap_err().to_string();
    assert!(said.contains(part), "{said}");
}

#[test]
fn what_was_asked_otherwise_or_elsewhere_is_refused() {
    let each = |change: fn(&mut Trial)| move |run: &mut Run| run.trials.iter_mut().for_each(change);
    refused(each(|t| t.manifest.limits.timeout_s = 9.0), "time-outs, bounds or objective differ");
    let mut chance = Chance(1);
    let (older, mut newer) = (run(&mut chance, 0.0), run(&mut chance, 0.0));
    newer.trials.iter_mut().for_each(|t| t.manifest.limits.send_lag_us = 1_000);
    assert!(compare_runs(&older, &newer).is_ok(), "an older record does not know it");
    refused(each(|t| t.manifest.faults.push(1.into())), "the faults differ");
    refused(
        each(|t| {
            t.manifest.seed += 100;
            t.manifest.schedule_hash += "x";
        }),
        "the seeds are 1, 2, 3, 4, 5, 6, 7 in A and 101",
    );
    refused(each(|t| t.manifest.schedule_hash += "x"), "although the seeds do not");
    refused(
        each(|t| t.manifest.validity.valid = false),
        "B has no trial of it that may be believed",
    );
    refused(each(|t| t.manifest.system += "2"), "they share no system under a scenario");
    refused(
        |run| drop(run.environment.insert("host".to_owned(), "other".to_owned())),
        "host: h in A, other in B",
    );
    let given = |run: &mut Run, value: &str| {
        let trials = run.trials.iter_mut();
        trials.for_each(|t| drop(t.manifest.parity.insert("mix".to_owned(), value.to_owned())));
    };
    let mut chance = Chance(6);
    let (mut a, mut b) = (run(&mut chance, 0.0), run(&mut chance, 0.0));
    given(&mut a, "x");
    assert!(compare_runs(&a, &b).is_ok(), "an older record does not know it");
    given(&mut b, "y");
    assert!(compare_runs(&a, &b).unwrap_err().to_string().contains("mix: x in A, y in B"));
}

#[test]
fn a_setting_of_the_system_may_differ_and_is_told_and_a_violation_is_no_chance() {
    let mut chance = Chance(7);
    let (mut a, mut b) = (run(&mut chance, 0.0), run(&mut chance, 0.0));
    for (run, value) in [(&mut a, "16"), (&mut b, "32")] {
        for trial in &mut run.trials {
            trial.manifest.parity.insert("pool".to_owned(), value.to_owned());
        }
    }
    let lost = record::Finding { class: "lost".to_owned(), count: 3, ..record::Finding::default() };
    let verdict = record::Verdict { violations: vec![lost], ..record::Verdict::default() };
    b.trials[0].audit = Some(verdict);
    let text = compare_runs(&a, &b).unwrap().text();
    assert!(text.contains("differs: pool: 16 in A, 32 in B"), "{text}");
    assert!(text.contains("lost: 0 in A, 3 in B"), "{text}");
}
