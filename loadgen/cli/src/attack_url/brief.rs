//! What a terminal shows of a finished attack.

use std::fmt::Write as _;

use crate::terminal::folded;
use record::{Attempts, Manifest, Outcome, RequestCounts};
use report::export::summary::{Ends, PhaseSummary, Times, TrialSummary};

/// The ledger, what was answered, the times of each phase, and how the generator fared.
pub(super) fn text(trial: &TrialSummary, manifest: &Manifest) -> String {
    let generator = &manifest.generator;
    let mut text = String::new();
    for counts in trial.requests.values() {
        let _ = writeln!(text, "{}", folded(&format!("requests  {}", ledger(counts))));
        let _ = writeln!(text, "rate      {}", rate(counts, manifest.duration_s));
    }
    let mut answers: Vec<&Attempts> = manifest.attempts.iter().collect();
    answers.sort_by_key(|kind| std::cmp::Reverse(kind.count));
    for kind in &answers {
        let _ = writeln!(text, "  {:>9} × {} ({})", kind.count, kind.answer(), kind.outcome);
    }
    if let Some(told) = redirected(&answers) {
        let _ = writeln!(text, "{}", folded(&told));
    }
    for PhaseSummary { response, service, .. } in &trial.phases {
        let _ = writeln!(text, "response  {} (since due)", times(response));
        if let Some(ends) = &response.ends {
            let _ = writeln!(text, "          {}", between(ends));
        }
        let _ = writeln!(text, "service   {} (since sent)", times(service));
    }
    let _ = writeln!(
        text,
        "send lag  p50 {}  p99 {}  max {} µs",
        generator.lag_p50_us, generator.lag_p99_us, generator.lag_max_us
    );
    let requests: u64 = trial.requests.values().map(|counts| counts.recorded()).sum();
    let _ = writeln!(
        text,
        "generator {:.1} µs of CPU per request; its thread worked {:.1} % of the time",
        generator.cpu_s * 1e6 / requests.max(1) as f64,
        generator.cpu_share * 100.0
    );
    if let Some(how) = manifest.parity.get(super::ENCRYPTION) {
        let cost = "its cost is in this CPU, in the target's, and in the times of requests that waited for a connection";
        let _ = writeln!(text, "{}", folded(&format!("encrypted {how}: {cost}")));
    }
    for reason in &trial.validity.blurs {
        let _ = writeln!(text, "blurred   {reason}");
    }
    for reason in &trial.validity.reasons {
        let _ = writeln!(text, "{}", folded(&format!("INVALID   {reason}")));
    }
    text
}

/// What was answered as asked, against what was asked.
fn rate(counts: &RequestCounts, seconds: u32) -> String {
    let per_s = |count: u64| count as f64 / f64::from(seconds.max(1));
    format!(
        "{:.1}/s answered as asked, of {:.1}/s; {seconds} s of load",
        per_s(counts.ok),
        per_s(counts.scheduled)
    )
}

/// What was answered by pointing elsewhere: it counts as an answer, and nobody went there.
fn redirected(answers: &[&Attempts]) -> Option<String> {
    let elsewhere = |kind: &&&Attempts| matches!(kind.status, 301 | 302 | 303 | 307 | 308);
    let count: u64 = answers.iter().filter(elsewhere).map(|kind| kind.count).sum();
    (count > 0).then(|| {
        format!(
            "redirects {count} answers point elsewhere and were not followed: give the URL that they \
             point to (curl -I URL shows it)"
        )
    })
}

fn ledger(counts: &RequestCounts) -> String {
    let class = |outcome| format!("{} {outcome}", counts.of(outcome));
    let classes = Outcome::ALL.map(class).join(" + ");
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

/// What a generator that is never late would have found.
fn between(ends: &Ends) -> String {
    let shown = |end: Option<f64>| end.map_or_else(|| "∞".to_owned(), |ms| format!("{ms:.2}"));
    let between = |name: &str, least: Option<f64>, most: Option<f64>| {
        least.map(|_| format!("  {name} {} to {}", shown(least), shown(most))).unwrap_or_default()
    };
    let p50 = between("p50", ends.p50_least_ms, ends.p50_most_ms);
    let p99 = between("p99", ends.p99_least_ms, ends.p99_most_ms);
    format!("if sent in time:{p50}{p99} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_told_and_rates_are_per_second_of_load() {
        let kind = |status, count| Attempts { status, count, ..Attempts::default() };
        let (ok, moved, unchanged) = (kind(200, 7), kind(302, 3), kind(304, 9));
        assert_eq!(redirected(&[&ok, &unchanged]), None, "304 is no redirect");
        assert!(redirected(&[&ok, &moved]).unwrap().starts_with("redirects 3 answers"));
        let counts = RequestCounts { scheduled: 200, ok: 150, ..RequestCounts::default() };
        assert_eq!(rate(&counts, 10), "15.0/s answered as asked, of 20.0/s; 10 s of load");
    }

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
