//! What a terminal shows of a finished attack.

use std::fmt::Write as _;

use record::{Attempts, Manifest, RequestCounts};
use report::export::summary::{PhaseSummary, Times, TrialSummary};

/// The ledger, what was answered, the times of each phase, and how the generator fared.
pub(super) fn text(trial: &TrialSummary, manifest: &Manifest) -> String {
    let generator = &manifest.generator;
    let mut text = String::new();
    for counts in trial.requests.values() {
        let _ = writeln!(text, "requests  {}", ledger(counts));
    }
    let mut answers: Vec<&Attempts> = manifest.attempts.iter().collect();
    answers.sort_by_key(|kind| std::cmp::Reverse(kind.count));
    for kind in answers {
        let _ = writeln!(text, "  {:>9} × {} ({})", kind.count, kind.answer(), kind.outcome);
    }
    for PhaseSummary { response, service, .. } in &trial.phases {
        let _ = writeln!(text, "response  {} (from the instant it was due)", times(response));
        let _ = writeln!(text, "service   {} (from the instant it was sent)", times(service));
    }
    let _ = writeln!(
        text,
        "send lag  p50 {}  p99 {}  max {} µs",
        generator.lag_p50_us, generator.lag_p99_us, generator.lag_max_us
    );
    let requests: u64 = trial.requests.values().map(|counts| counts.recorded()).sum();
    let _ = writeln!(
        text,
        "generator {:.1} µs of CPU per request; its sending thread worked {:.1} % of the time",
        generator.cpu_s * 1e6 / requests.max(1) as f64,
        generator.cpu_share * 100.0
    );
    for reason in &trial.validity.reasons {
        let _ = writeln!(text, "INVALID   {reason}");
    }
    text
}

fn ledger(counts: &RequestCounts) -> String {
    let classes = [
        (counts.ok, "ok"),
        (counts.failed, "failed"),
        (counts.unknown, "unknown"),
        (counts.dropped, "dropped"),
        (counts.unfinished, "unfinished"),
    ];
    let classes = classes.map(|(count, name)| format!("{count} {name}")).join(" + ");
    format!("{} scheduled = {classes}", counts.scheduled)
}

fn times(times: &Times) -> String {
    let ms = |label: &str, value: Option<f64>| {
        value.map_or_else(|| format!("{label} –"), |ms| format!("{label} {ms:.2}"))
    };
    let cells = [
        ms("p50", times.p50_ms),
        ms("p90", times.p90_ms),
        ms("p99", times.p99_ms),
        ms("p99.9", times.p999_ms),
        ms("max", times.max_ms),
    ];
    format!("{} ms", cells.join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_is_an_equation_and_a_small_sample_has_no_far_percentile() {
        let counts = RequestCounts {
            scheduled: 20,
            ok: 15,
            unknown: 4,
            unfinished: 1,
            ..RequestCounts::default()
        };
        assert_eq!(
            ledger(&counts),
            "20 scheduled = 15 ok + 0 failed + 4 unknown + 0 dropped + 1 unfinished"
        );
        let small =
            Times { count: 20, p50_ms: Some(0.123), max_ms: Some(5000.4), ..Times::default() };
        assert_eq!(times(&small), "p50 0.12  p90 –  p99 –  p99.9 –  max 5000.40 ms");
    }
}
