//! The JSON summary; docs/summary.schema.json describes it, and a test holds the two together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::figures::{Figures, Time, Times as Measured};
use record::latency::Metric;
use record::read::{Run, Spectrum, Trial};
use record::{Answer, Met, Operation, Outcome, RequestCounts, Validity};

/// The number that changes when a reader of the old form would misread the new one.
const FORMAT: u32 = 1;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// 1.
    pub format: u32,
    /// The results folder's name.
    pub run: String,
    /// The machine and the command.
    pub environment: BTreeMap<String, String>,
    /// Its trials.
    pub trials: Vec<TrialSummary>,
}

/// One trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialSummary {
    /// The scenario's name.
    pub scenario: String,
    /// The system's name.
    pub system: String,
    /// The repetition, from 1.
    pub trial: u32,
    /// How often it was run before, its records void each time.
    #[serde(default)]
    pub rerun: u32,
    /// The revision of the sources.
    #[serde(default)]
    pub revision: String,
    /// The seed.
    pub seed: u64,
    /// SHA-256 of the intended instants.
    pub schedule_hash: String,
    /// SHA-256 of the operations.
    pub operations_hash: String,
    /// Whether it may be believed, and why not.
    pub validity: Validity,
    /// true, false or unknown; `None` if there is no audit.
    pub audit: Option<Answer>,
    /// Violations by class.
    pub violations: BTreeMap<String, u64>,
    /// System CPU per completed order, ms.
    pub cpu_ms_per_completed_order: Option<f64>,
    /// Send lag, 99th percentile, µs.
    pub send_lag_p99_us: u64,
    /// The ledger of requests, by operation.
    pub requests: BTreeMap<Operation, RequestCounts>,
    /// Times by phase and operation.
    pub phases: Vec<PhaseSummary>,
    /// How the scenario's promises fared.
    pub thresholds: Vec<Met>,
}

/// The times of one operation in one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseSummary {
    /// before, during, after; or steady.
    pub phase: String,
    /// Whose times.
    pub operation: Operation,
    /// All outcomes: what customers felt.
    pub response: Times,
    /// Ok answers.
    pub accepted: Times,
    /// Done minus sent, all outcomes.
    pub service: Times,
    /// Final state, of acknowledged orders.
    pub completed: Times,
}

/// Percentiles, ms; absent where the sample is too small, or where the value has no end (an accepted
/// order that never became final) or only a lower bound (a request still open when the drain ended).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// How many.
    pub count: u64,
    /// Median.
    pub p50_ms: Option<f64>,
    /// 90th percentile.
    pub p90_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// 99.9th percentile.
    pub p999_ms: Option<f64>,
    /// The largest.
    pub max_ms: Option<f64>,
    /// Between which ends they are, where the measuring machine was late; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Ends>,
}

/// The ends of two percentiles, ms; absent where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ends {
    /// The median without what the measuring machine may have added.
    pub p50_least_ms: Option<f64>,
    /// The median if all that may have ended otherwise are the slowest.
    pub p50_most_ms: Option<f64>,
    /// The 99th percentile, as the median.
    pub p99_least_ms: Option<f64>,
    /// The 99th percentile, as the median.
    pub p99_most_ms: Option<f64>,
}

/// Summarises a run.
#[must_use]
pub fn summarise(run: &Run) -> Summary {
    Summary {
        format: FORMAT,
        run: run.name.clone(),
        environment: run.environment.clone(),
        trials: run.trials.iter().map(of_trial).collect(),
    }
}

fn of_trial(trial: &Trial) -> TrialSummary {
    let m = &trial.manifest;
    let violations = trial.audit.iter().flat_map(|a| &a.violations);
    let operations = m.requests.keys();
    let phases = m.phases.iter().enumerate();
    let cells = phases.flat_map(|(index, phase)| {
        operations.clone().map(move |operation| (index, phase.name.clone(), *operation))
    });
    TrialSummary {
        scenario: m.scenario.clone(),
        system: m.system.clone(),
        trial: m.trial,
        rerun: m.rerun,
        revision: m.revision.clone(),
        seed: m.seed,
        schedule_hash: m.schedule_hash.clone(),
        operations_hash: m.operations_hash.clone(),
        validity: m.validity.clone(),
        audit: trial.audit.as_ref().map(|a| a.verdict),
        violations: violations.map(|f| (f.class.clone(), f.count)).collect(),
        cpu_ms_per_completed_order: m.cost.cpu_ms_per_completed_order,
        send_lag_p99_us: m.generator.lag_p99_us,
        requests: m.requests.clone(),
        phases: cells
            .map(|(index, phase, operation)| cell(trial, index, phase, operation))
            .collect(),
        thresholds: trial.thresholds.clone(),
    }
}

fn cell(trial: &Trial, index: usize, phase: String, operation: Operation) -> PhaseSummary {
    let times = |metric, wanted: fn(Outcome) -> bool| {
        trial.latencies.times(index, operation, metric, wanted)
    };
    let ok: fn(Outcome) -> bool = |outcome| outcome == Outcome::Ok;
    let (accepted, completed) = (times(Metric::Response, ok), times(Metric::Completed, ok));
    let endless = trial.never_final(index, operation);
    let felt = |metric| {
        let open = times(metric, |outcome| outcome == Outcome::Unfinished).min();
        Times::of(&times(metric, |_| true), 0, open)
    };
    let figures = Figures::of(trial, index, operation);
    let ends = |times: fn(&Figures) -> &Measured| figures.as_ref().and_then(|f| Ends::of(times(f)));
    PhaseSummary {
        response: Times { ends: ends(|f| &f.felt), ..felt(Metric::Response) },
        service: felt(Metric::Service),
        completed: Times { ends: ends(|f| &f.completed), ..Times::of(&completed, endless, None) },
        accepted: Times { ends: ends(|f| &f.accepted), ..Times::of(&accepted, 0, None) },
        phase,
        operation,
    }
}

impl Times {
    /// Of the times from `open_us` on, some are only known to be no shorter: requests still open.
    fn of(spectrum: &Spectrum, endless: u64, open_us: Option<u64>) -> Self {
        let is_known = |us: &u64| open_us.is_none_or(|open| *us < open);
        let ms = |us: Option<u64>| us.filter(is_known).map(|us| us as f64 / 1e3);
        let quantile = |q| ms(spectrum.quantile_with_endless(q, endless));
        Self {
            count: spectrum.count() + endless,
            p50_ms: quantile(0.5),
            p90_ms: quantile(0.9),
            p99_ms: quantile(0.99),
            p999_ms: quantile(0.999),
            max_ms: if endless > 0 { None } else { ms(spectrum.max()) },
            ends: None,
        }
    }
}

impl Ends {
    /// Nothing if both ends of both are what was measured.
    fn of(times: &Measured) -> Option<Self> {
        let [p50, p99] = [0.5, 0.99].map(|q| times.quantile(q));
        let differs = |time: &Time| time.least_ms < time.ms || time.ms < time.most_ms;
        if ![p50, p99].iter().flatten().any(differs) {
            return None;
        }
        let least = |time: Option<Time>| time.map(|t| t.least_ms).filter(|ms| ms.is_finite());
        let most = |time: Option<Time>| time.map(|t| t.most_ms).filter(|ms| ms.is_finite());
        Some(Self {
            p50_least_ms: least(p50),
            p50_most_ms: most(p50),
            p99_least_ms: least(p99),
            p99_most_ms: most(p99),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::export::schema::check;
    use record::read::Latencies;
    use record::{Aborted, AuditCounts, Phase, Reason, Verdict};

    const SCHEMA: &str = include_str!("../../../../docs/summary.schema.json");

    fn summary() -> Summary {
        let times = Times { count: 1, p50_ms: Some(1.5), ..Times::default() };
        let phase = PhaseSummary {
            phase: "steady".to_owned(),
            operation: Operation::Place,
            response: times,
            accepted: times,
            service: times,
            completed: times,
        };
        let met = Met {
            expect: "lost == 0".to_owned(),
            operation: Operation::Place,
            phase: String::new(),
            found: Some(0.0),
            met: true,
            why: String::new(),
        };
        let trial = TrialSummary {
            scenario: "s".to_owned(),
            system: "m".to_owned(),
            trial: 1,
            rerun: 0,
            revision: "0123abc".to_owned(),
            seed: 1,
            schedule_hash: "a".to_owned(),
            operations_hash: "b".to_owned(),
            validity: Validity {
                aborted: Some(Aborted {
                    at_s: 3,
                    reason: "lag p(99) > 1s over 3s".to_owned(),
                    of_send_lag: true,
                }),
                reasons: vec![Reason::StillPending],
                ..Validity::default()
            },
            audit: Some(Answer::True),
            violations: [("lost".to_owned(), 0)].into(),
            cpu_ms_per_completed_order: None,
            send_lag_p99_us: 7,
            requests: [(Operation::Place, RequestCounts::default())].into(),
            phases: vec![phase],
            thresholds: vec![met],
        };
        let environment = [("host".to_owned(), "h".to_owned())].into();
        Summary { format: FORMAT, run: "r".to_owned(), environment, trials: vec![trial] }
    }

    fn trial(times: &[(Outcome, Metric, std::ops::RangeInclusive<u64>)]) -> Trial {
        let counts = AuditCounts { asked: 1, ..AuditCounts::default() };
        let mut trial = Trial {
            latencies: Latencies::of_places(times),
            audit: Some(Verdict { counts, ..Verdict::default() }),
            ..Trial::default()
        };
        trial.manifest.phases.push(Phase::default());
        trial.manifest.requests.insert(Operation::Place, RequestCounts::default());
        trial
    }

    #[test]
    fn orders_none_of_which_became_final_are_counted() {
        let phases = of_trial(&trial(&[(Outcome::Ok, Metric::Response, 1..=400)])).phases;
        let Times { count, p50_ms, max_ms, .. } = phases[0].completed;
        assert_eq!((count, p50_ms, max_ms), (400, None, None));
    }

    /// 90 answers, and 10 requests that were open after 50 µs.
    #[test]
    fn a_lower_bound_is_not_exported_as_a_time() {
        let times = [
            (Outcome::Ok, Metric::Response, 1..=90),
            (Outcome::Unfinished, Metric::Response, 50..=59),
        ];
        let Times { count, p50_ms, p90_ms, max_ms, .. } =
            of_trial(&trial(&times)).phases[0].response;
        assert_eq!((count, p50_ms, p90_ms, max_ms), (100, None, None, None));
        let times = [
            (Outcome::Ok, Metric::Response, 1..=90),
            (Outcome::Unfinished, Metric::Response, 80..=89),
        ];
        let Times { p50_ms, p90_ms, .. } = of_trial(&trial(&times)).phases[0].response;
        assert_eq!((p50_ms, p90_ms), (Some(0.05), None));
    }

    #[test]
    fn the_published_schema_describes_it() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let value = serde_json::to_value(summary()).unwrap();
        check(&value, &schema, &schema, "summary");
    }

    #[test]
    #[should_panic(expected = "is not in the schema")]
    fn a_key_that_the_schema_lacks_is_found() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let mut value = serde_json::to_value(summary()).unwrap();
        value["trials"][0]["phases"][0]["surprise"] = 1.into();
        check(&value, &schema, &schema, "summary");
    }
}
