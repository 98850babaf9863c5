use super::*;
use record::{AuditCounts, FaultRecovery, Recovery, Verdict};

fn trial(system: &str, verdict: Answer, class: &str, count: u64) -> Trial {
    let finding = Finding {
        class: class.to_owned(),
        count,
        examples: vec!["k1".to_owned()],
        ..Finding::default()
    };
    Trial {
        folder: format!("f/{system}"),
        manifest: Manifest {
            system: system.to_owned(),
            scenario: "s".to_owned(),
            seed: 7,
            duration_s: 100,
            interval_s: 1,
            command: ["loadgen", "run", "x/s.toml", "--system", system].map(str::to_owned).to_vec(),
            ..Manifest::default()
        },
        audit: Verdict {
            verdict,
            safety: verdict,
            liveness: verdict,
            reasons: doubts(verdict),
            counts: AuditCounts {
                asked: 50,
                acknowledged: 30,
                captures: 20,
                ..AuditCounts::default()
            },
            violations: vec![finding],
            ..Verdict::default()
        },
        ..Trial::default()
    }
}

fn doubts(verdict: Answer) -> Vec<Doubt> {
    let pending = Doubt::NotWaitedFor { orders: 3 };
    (verdict == Answer::Unknown).then_some(pending).into_iter().collect()
}

fn control(expected: &str, verdict: Answer, count: u64) -> Trial {
    let mut trial = trial("control", verdict, "stuck", count);
    trial.manifest.expect_violation = Some(expected.parse().unwrap());
    trial
}

fn fault(kind: &str, commanded_s: f64, lasts_s: f64) -> FaultRow {
    FaultRow {
        kind: kind.to_owned(),
        harm: "orders".to_owned(),
        commanded_s,
        effective_s: Some(commanded_s),
        heal_commanded_s: Some(commanded_s + lasts_s),
        healed_s: Some(commanded_s + lasts_s),
        ..FaultRow::default()
    }
}

#[track_caller]
fn check(trials: &[Trial], broken: usize, expected: Conclusion, part: &str) {
    let found = tally(trials, vec!["b".to_owned(); broken]);
    assert_eq!(found.conclusion, expected, "{:?}", found.reasons);
    assert!(found.reasons.first().map_or(part.is_empty(), |r| r.contains(part)), "{found:?}");
    let text = found.text();
    assert!(text.contains(part), "{text}");
    for reason in &found.reasons {
        assert!(text.find(reason) < text.find("## Orders"), "said first: {text}");
    }
}

#[test]
fn a_control_that_passes_voids_everything_else() {
    let good = || trial("a", Answer::True, "lost", 0);
    let bad = || trial("a", Answer::False, "lost", 2);
    let doubtful = || trial("a", Answer::Unknown, "lost", 0);
    let met = || control("stuck", Answer::False, 3);
    check(&[good(), met()], 0, Conclusion::True, "");
    check(&[good(), met(), control("none", Answer::True, 0)], 0, Conclusion::True, "");
    check(&[good(), doubtful(), met()], 0, Conclusion::Unknown, "1 trials could not be judged");
    check(&[good(), doubtful(), bad(), met()], 0, Conclusion::False, "1 trials are false");
    let void = "1 trials of controls did not come out";
    check(&[bad(), met(), control("stuck", Answer::True, 0)], 0, Conclusion::Void, void);
    check(&[good(), control("stuck", Answer::Unknown, 0)], 0, Conclusion::Void, void);
    check(&[good(), control("lost", Answer::False, 3)], 0, Conclusion::Void, void);
    check(&[good()], 0, Conclusion::Unknown, "no negative control was run");
    let positive = control("none", Answer::True, 0);
    check(&[good(), positive], 0, Conclusion::Unknown, "no negative control was run");
    check(&[met()], 0, Conclusion::Unknown, "no contestant was run");
    check(&[good(), met()], 2, Conclusion::Unknown, "2 trials have no record");
    let mut cut = control("stuck", Answer::True, 0);
    cut.manifest.validity.interrupted = true;
    check(&[good(), met(), cut], 0, Conclusion::True, "");
}

#[test]
fn orders_and_classes_add_up_by_system_and_zero_is_a_bound() {
    let trials = [
        trial("a", Answer::True, "lost", 0),
        trial("a", Answer::False, "stuck", 2),
        trial("b", Answer::True, "recovered", 4),
        control("stuck", Answer::False, 3),
    ];
    let found = tally(&trials, Vec::new());
    let [a, b] = &found.systems[..] else { panic!("{found:?}") };
    assert_eq!((a.trials, a.true_trials, a.false_trials, b.trials), (2, 1, 1, 1));
    assert_eq!((a.asked, a.accepted, a.captures), (100, 60, 40));
    let class = |s: &SystemSum, name: &str| {
        s.violations.iter().chain(&s.oddities).find(|c| c.class == name).unwrap().clone()
    };
    assert_eq!((class(a, "lost").count, class(a, "lost").below), (0, Some(0.05)));
    assert_eq!((class(a, "stuck").count, class(a, "stuck").below), (2, None));
    assert_eq!(class(b, "recovered").count, 4);
    assert_eq!(a.violations.len() + a.oddities.len(), Class::COUNT);
    let text = found.text();
    assert!(text.contains("0 of 60 (< 5.0e-2)"), "{text}");
    assert!(
        text.contains("again: `loadgen run x/s.toml --system a --seed 7 --keep-data`"),
        "{text}"
    );
    assert!(text.contains("stuck 2 (k1)"), "{text}");
    let csv = found.csv().unwrap();
    assert!(csv.contains("a,liveness,stuck,2,60,\n"), "{csv}");
    assert!(csv.contains("a,safety,lost,0,60,5.000e-2\n"), "{csv}");
}

#[test]
fn what_was_not_judged_makes_no_bound_tighter() {
    let mut doubtful = trial("a", Answer::False, "duplicated", 2);
    doubtful.audit.reasons = vec!["the journal has a line that cannot be read".to_owned().into()];
    doubtful.audit.liveness = Answer::Unknown;
    let trials = [
        trial("a", Answer::True, "lost", 0),
        trial("a", Answer::True, "stuck", 0),
        trial("a", Answer::Unknown, "lost", 0),
        trial("a", Answer::Unknown, "lost", 0),
        doubtful,
        trial("b", Answer::True, "lost", 0),
    ];
    let found = tally(&trials, Vec::new());
    let a = &found.systems[0];
    let class = |name: &str| a.violations.iter().find(|c| c.class == name).unwrap();
    assert_eq!((a.accepted, a.not_judged), (150, 90));
    assert_eq!((class("lost").n, class("lost").below), (60, Some(0.05)));
    assert_eq!((class("stuck").n, class("stuck").below), (60, Some(0.05)));
    assert_eq!((class("duplicated").count, class("duplicated").n), (2, 90), "what was met counts");
    let text = found.text();
    assert!(text.contains("0 of 60 (< 5.0e-2)") && !text.contains("of 150"), "{text}");
    assert!(text.contains("0 of 90 (< 3.3e-2)"), "both systems together: {text}");
    let left = "- a: 90 accepted orders are in no n: in how many trials, and why: ";
    let line = text.lines().find(|line| line.starts_with(left)).unwrap();
    assert!(line.contains("… orders were still pending and were not waited for (2)"), "{line}");
    assert!(line.contains("the journal has a line that cannot be read (1)"), "{line}");
    assert!(found.csv().unwrap().contains("a,orders,not judged,90,150,\n"), "{text}");
}

#[test]
fn faults_are_counted_by_what_was_seen_of_them() {
    let mut one = trial("a", Answer::True, "lost", 0);
    let unseen = FaultRow {
        effective_s: None,
        effect_proof: "no effect".into(),
        ..fault("kill", 30.0, 1.0)
    };
    let unhealed =
        FaultRow { healed_s: None, heal_proof: "not healed".into(), ..fault("kill", 40.0, 1.0) };
    let never = FaultRow {
        effective_s: None,
        heal_commanded_s: None,
        healed_s: None,
        ..fault("kill", 99.0, 0.0)
    };
    one.manifest.lease_s = Some(10.0);
    one.faults = vec![fault("kill", 10.0, 1.0), unseen, unhealed, never];
    one.faults.extend([fault("pause", 50.0, 10.5), fault("pause", 70.0, 9.0)]);
    let back = |healed_s, recovered_after_s| FaultRecovery {
        kind: "kill".to_owned(),
        healed_s,
        recovered_after_s,
        ..FaultRecovery::default()
    };
    // The second was healed 2 s before the next: nothing could have been seen.
    let faults = vec![back(11.0, Some(3.0)), back(38.0, None)];
    one.audit.recovery = Some(Recovery { faults, ..Recovery::default() });
    let found = tally(&[one.clone()], Vec::new());
    let [kill, pause] = &found.systems[0].faults[..] else { panic!("{found:?}") };
    assert_eq!((kill.commanded, kill.proved, kill.healed, kill.beyond_lease), (3, 2, 2, Some(0)));
    assert_eq!((kill.recovery.seen, kill.recovery.watched), (1, 1));
    assert_eq!((pause.commanded, pause.beyond_lease, pause.recovery.seen), (2, Some(1), 0));
    let gaps: Vec<&str> = found.unproved.iter().map(|gap| gap.found.as_str()).collect();
    assert_eq!(gaps, ["no effect", "not healed"]);
    assert!(found.text().contains("kill on orders at 30.0 s: no effect"), "{}", found.text());
    one.manifest.lease_s = Some(4.0);
    let short = tally(&[one.clone()], Vec::new());
    assert_eq!(short.systems[0].faults[1].beyond_lease, Some(2), "the lease is the system's");
    one.manifest.lease_s = None;
    let none = tally(&[one], Vec::new());
    assert_eq!(none.systems[0].faults[1].beyond_lease, None, "who has no lease loses none");
    assert!(!none.csv().unwrap().contains("beyond lease"));
}

#[test]
fn reasons_that_differ_in_figures_are_one() {
    assert_eq!(without_figures("lag is 12.5 µs; 7 allowed"), "lag is … µs; … allowed");
    let lag = |p99_us| kind_of(&Reason::SendLag { p99_us, allowed_us: 7 });
    assert_eq!(lag(12), "send lag p99 is … µs; the scenario allows … µs");
    let other = Reason::Other { sentence: "lag is 12.5 µs".to_owned() };
    assert_eq!((lag(12) == lag(13), kind_of(&other).as_str()), (true, "lag is … µs"));
    let unread = |reads| kind_of_doubt(&Doubt::Unread { reads });
    assert_eq!(unread(1), "… reads of customers after the drain were not answered");
    let torn = kind_of_doubt(&Doubt::Other { sentence: "7 rows are torn".to_owned() });
    assert_eq!((unread(1) == unread(2), torn.as_str()), (true, "… rows are torn"));
}
