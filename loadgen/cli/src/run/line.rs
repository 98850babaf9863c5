//! What the terminal says of a finished trial, in lines of a terminal's width.

use crate::terminal::folded;
use crate::trial::{self, Trial};
use audit::threshold;
use record::{Answer, Manifest, Met, Operation, Verdict, not_ok};

/// Two lines of figures, and a line for each thing that is to be known beside them.
pub(super) fn lines(manifest: &Manifest, verdict: &Verdict, thresholds: &[Met]) -> Vec<String> {
    let mut lines = vec![outcome(manifest), circumstances(manifest, verdict)];
    if !manifest.validity.valid {
        lines.push(folded(&format!("    {}", manifest.validity.doubt())));
    }
    let blurs = manifest.validity.blurs.iter().filter(|_| manifest.validity.valid);
    lines.extend(blurs.map(|why| folded(&format!("    blurred: {why}"))));
    if let Some(answers) = not_ok(&manifest.attempts) {
        lines.push(folded(&format!("    not ok: {answers}")));
    }
    let broken = thresholds.iter().filter(|threshold| !threshold.met);
    lines.extend(broken.map(|met| folded(&format!("    BROKEN: {}", threshold::said(met)))));
    lines
}

fn outcome(manifest: &Manifest) -> String {
    let place = manifest.requests.get(&Operation::Place).copied().unwrap_or_default();
    let share = place.ok as f64 / place.scheduled.max(1) as f64 * 100.0;
    format!(
        "{:<16} {:<20} {:>2}  placed {share:>6.2} %  completed {:>6}",
        manifest.scenario, manifest.system, manifest.trial, manifest.cost.completed_orders
    )
}

fn circumstances(manifest: &Manifest, verdict: &Verdict) -> String {
    let cost = manifest.cost.cpu_ms_per_completed_order;
    let cost = cost.map_or("—".to_owned(), |ms| format!("{ms:.2} ms"));
    let audit = match verdict.verdict {
        Answer::True => "true",
        Answer::Unknown => "unknown",
        Answer::False => "FALSE",
    };
    let valid = match (manifest.validity.valid, manifest.validity.blurs.is_empty()) {
        (true, true) => "valid",
        (true, false) => "valid, blurred",
        (false, _) => "not valid",
    };
    format!(
        "    CPU/order {cost:>8}  send lag p99 {:>5} µs  audit {audit}  {valid}",
        manifest.generator.lag_p99_us
    )
}

/// The command that asks the same of the same system: same seed, same schedule, same faults. It is one line, to
/// be copied.
pub(super) fn again(trial: &Trial<'_>) -> String {
    format!(
        "    again: loadgen run {} --system {} --seed {} --keep-data",
        trial.scenario.path.display(),
        trial.system.path.display(),
        trial::seed(trial.scenario, trial.number)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{Attempts, Cost, Outcome, Reason, RequestCounts, Trouble};

    #[test]
    fn the_lines_of_a_trial_fit_a_terminal() {
        let mut manifest = Manifest {
            scenario: "payment-outage".to_owned(),
            system: "microservices-async".to_owned(),
            trial: 12,
            cost: Cost {
                completed_orders: 123_456,
                cpu_ms_per_completed_order: Some(123.45),
                ..Cost::default()
            },
            ..Manifest::default()
        };
        let counts = RequestCounts { scheduled: 3, ok: 3, ..RequestCounts::default() };
        manifest.requests.insert(Operation::Place, counts);
        manifest.generator.lag_p99_us = 98_765;
        let reason =
            "send lag p99 is 98765 µs; the scenario allows 1000 µs, and so it is with all of it";
        manifest.validity.reasons = vec![Reason::parse(reason)];
        let kind = |status| Attempts {
            operation: Operation::Place,
            outcome: Outcome::Unknown,
            status,
            trouble: Trouble::None,
            count: 12_345,
        };
        manifest.attempts = (500..510).map(kind).collect();
        let broken = Met {
            expect: "p(99) < 1s".to_owned(),
            operation: Operation::Place,
            phase: "during".to_owned(),
            found: None,
            met: false,
            why: "none of the requests was answered as asked, so that there is no time of any"
                .to_owned(),
        };
        let lines = lines(&manifest, &Verdict::default(), &[broken]).join("\n");
        assert!(lines.lines().count() > 6, "{lines}");
        for line in lines.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(lines.contains("audit unknown  not valid\n    INVALID: send lag"), "{lines}");
    }
}
