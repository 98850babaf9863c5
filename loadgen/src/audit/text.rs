//! The audit in words, for a terminal.

use std::fmt::Write;

use super::order::Event;
use super::record::Read;
use crate::record::{Answer, Finding, Metastable, Recovery, Verdict};

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
    let n = if wrong == 0 { format!("; violations {}", bound(c.asked)) } else { String::new() };
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
    let mut text = String::new();
    for fault in &recovery.faults {
        let seconds = |s: Option<f64>| s.map_or("—".to_owned(), |s| format!("{s:.1} s"));
        let metastable = match fault.metastable {
            Metastable::No => "no".to_owned(),
            Metastable::Yes => "YES".to_owned(),
            Metastable::Unknown => format!("unknown ({})", fault.why),
        };
        let _ = writeln!(
            text,
            "    after {} on {}: goodput back in {}, drained in {} (backlog {}, backlog/(μ−λ) = {}), metastable: {metastable}",
            fault.kind,
            fault.harm,
            seconds(fault.recovered_after_s),
            seconds(fault.drained_after_s),
            fault.backlog,
            seconds(fault.drain_predicted_s),
        );
    }
    text
}
