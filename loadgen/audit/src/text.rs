//! The audit in words, for a terminal.

use std::fmt::Write;

use super::order::Event;
use super::reading::Read;
use record::{Answer, FaultRecovery, Finding, Forecast, Metastable, Recovery, Verdict};

/// Examples that a line shows.
const SHOWN: usize = 5;

/// One block per trial: verdict, what was found and where, how it came back.
#[must_use]
pub fn table(trials: &[Read]) -> String {
    let mut text = String::new();
    for trial in trials {
        let Read { scenario, system, trial: number, audit, .. } = trial;
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{scenario:<16} {system:<22} {number:>2}  audit {}  (safety {}, liveness {})  {}",
            answer(audit.verdict),
            answer(audit.safety),
            answer(audit.liveness),
            sums(audit)
        );
        for reason in &audit.reasons {
            let _ = writeln!(text, "    doubt: {reason}");
        }
        if !audit.unchecked.is_empty() {
            let _ = writeln!(text, "    not checked: {}", audit.unchecked.join("; "));
        }
        for found in audit.violations.iter().filter(|found| found.count > 0) {
            let _ = writeln!(text, "    VIOLATION {}", line(found));
        }
        for found in audit.oddities.iter().filter(|found| found.count > 0) {
            let _ =
                writeln!(text, "    legal: {}: {} ({})", found.class, found.count, found.meaning);
        }
        if let Some(recovery) = &audit.recovery {
            text += &recovered(recovery);
        }
    }
    text
}

/// What zero of n proves: with 95 % confidence the rate is below 3/n (the rule of three: the largest
/// p for which (1−p)ⁿ is 5 % is −ln 0.05/n ≈ 3/n).
#[must_use]
pub fn bound(n: u64) -> String {
    if n == 0 {
        return "0 of 0: nothing is shown".to_owned();
    }
    format!("0 of {n}: below {:.2e} at 95 %", (3.0 / n as f64).min(1.0))
}

/// The events of an order, one per line.
#[must_use]
pub fn events_text(events: &[Event]) -> String {
    let line = |e: &Event| format!("{:>12.6} s  {:<10} {}\n", e.at_s, e.who, e.what);
    events.iter().map(line).collect()
}

fn answer(answer: Answer) -> &'static str {
    match answer {
        Answer::True => "true",
        Answer::Unknown => "unknown",
        Answer::False => "FALSE",
    }
}

fn sums(audit: &Verdict) -> String {
    let c = &audit.counts;
    let wrong: u64 = audit.violations.iter().map(|found| found.count).sum();
    let n = if wrong == 0 { format!("; violations {}", bound(c.n())) } else { String::new() };
    format!(
        "acknowledged {}, orders {} = paid {} + declined {} + dead {} + pending {}, captures {}{n}",
        c.acknowledged, c.orders, c.paid, c.declined, c.dead, c.pending, c.captures
    )
}

fn line(found: &Finding) -> String {
    let shown: Vec<&str> = found.examples.iter().take(SHOWN).map(String::as_str).collect();
    let more = if found.count > shown.len() as u64 { ", …" } else { "" };
    format!("{}: {} ({}): {}{more}", found.class, found.count, found.meaning, shown.join(", "))
}

fn recovered(recovery: &Recovery) -> String {
    recovery.faults.iter().chain(&recovery.phase).map(after).collect()
}

fn foretold(forecast: Forecast) -> String {
    let Forecast { predicted_s, lasted_s, .. } = forecast;
    format!("; its second half foretold by its first {predicted_s:.1} s, was {lasted_s:.1} s")
}

fn after(fault: &FaultRecovery) -> String {
    let seconds = |s: Option<f64>| s.map_or("—".to_owned(), |s| format!("{s:.1} s"));
    let metastable = match fault.metastable {
        Metastable::No => "no".to_owned(),
        Metastable::Yes => "YES".to_owned(),
        Metastable::Unknown => format!("unknown ({})", fault.why),
    };
    format!(
        "    after {}: goodput back in {}, drained in {} (backlog {}, backlog/(μ−λ) = {}{}), metastable: {metastable}{}\n",
        fault.name(),
        seconds(fault.recovered_after_s),
        seconds(fault.drained_after_s),
        fault.backlog,
        seconds(fault.drain_predicted_s),
        fault.forecast.map(foretold).unwrap_or_default(),
        if fault.met_nothing { "; it met a system with nothing in work" } else { "" },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::AuditCounts;

    #[test]
    fn zero_of_n_is_a_bound() {
        assert_eq!(bound(0), "0 of 0: nothing is shown");
        assert_eq!(bound(2), "0 of 2: below 1.00e0 at 95 %");
        assert_eq!(bound(100_000), "0 of 100000: below 3.00e-5 at 95 %");
    }

    #[test]
    fn a_trial_is_told_with_what_was_found_and_where() {
        let finding = |class: &str, count| Finding {
            class: class.to_owned(),
            meaning: "it".to_owned(),
            count,
            examples: (0..count).map(|n| format!("k{n}")).collect(),
        };
        let fault = FaultRecovery {
            kind: "kill".to_owned(),
            harm: "orders".to_owned(),
            recovered_after_s: Some(1.25),
            why: "the load ended".to_owned(),
            met_nothing: true,
            ..FaultRecovery::default()
        };
        let audit = Verdict {
            verdict: Answer::False,
            counts: AuditCounts { acknowledged_of_load: Some(9), ..AuditCounts::default() },
            reasons: vec!["why".to_owned().into()],
            unchecked: vec!["this".to_owned(), "that".to_owned()],
            violations: vec![finding("lost", 6), finding("stuck", 0)],
            oddities: vec![finding("vanished", 1)],
            recovery: Some(Recovery { faults: vec![fault], ..Recovery::default() }),
            ..Verdict::default()
        };
        let [scenario, system, folder] = ["spike", "monolith", "f"].map(ToOwned::to_owned);
        let text = table(&[Read { folder, scenario, system, trial: 1, audit: audit.clone() }]);
        for part in [
            "audit FALSE  (safety unknown, liveness unknown)",
            "doubt: why",
            "VIOLATION lost: 6 (it): k0, k1, k2, k3, k4, …\n",
            "legal: vanished: 1",
            "after kill on orders: goodput back in 1.2 s, drained in —",
            "metastable: unknown (the load ended); it met a system with nothing in work",
            "not checked: this; that",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("stuck") && !text.contains("0 of 9"), "{text}");
        let clean = Verdict { violations: Vec::new(), ..audit };
        assert!(sums(&clean).ends_with("; violations 0 of 9: below 3.33e-1 at 95 %"));
    }
}
