//! A summary as OpenMetrics text: gauges, for a run is over when it is exported.

use std::fmt::Write;

use super::summary::{PhaseSummary, Summary, Times, TrialSummary};

const FAMILIES: [(&str, &str, &str); 5] = [
    ("triptych_requests", "", "Requests by outcome."),
    ("triptych_time_seconds", "seconds", "Times by quantile; quantile 1 is the largest."),
    ("triptych_cpu_seconds_per_order", "", "System CPU per completed order."),
    ("triptych_violations", "", "Orders that the audit found in a class of violation."),
    ("triptych_valid", "", "1 if the trial may be believed."),
];

/// The whole exposition.
pub(super) fn text(summary: &Summary) -> String {
    let mut out = String::new();
    for (name, unit, help) in FAMILIES {
        put(&mut out, format_args!("# TYPE {name} gauge"));
        if !unit.is_empty() {
            put(&mut out, format_args!("# UNIT {name} {unit}"));
        }
        put(&mut out, format_args!("# HELP {name} {help}"));
        for trial in &summary.trials {
            family(&mut out, name, trial);
        }
    }
    out.push_str("# EOF\n");
    out
}

fn put(out: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = writeln!(out, "{line}");
}

fn family(out: &mut String, name: &str, trial: &TrialSummary) {
    let labels = format!(
        "scenario=\"{}\",system=\"{}\",trial=\"{}\"",
        escape(&trial.scenario),
        escape(&trial.system),
        trial.trial
    );
    match name {
        "triptych_requests" => {
            for (operation, c) in &trial.requests {
                let outcomes = [
                    ("ok", c.ok),
                    ("failed", c.failed),
                    ("unknown", c.unknown),
                    ("dropped", c.dropped),
                    ("unfinished", c.unfinished),
                ];
                for (outcome, n) in outcomes {
                    put(
                        out,
                        format_args!(
                            "{name}{{{labels},operation=\"{operation}\",outcome=\"{outcome}\"}} {n}"
                        ),
                    );
                }
            }
        }
        "triptych_time_seconds" => trial.phases.iter().for_each(|p| times(out, name, &labels, p)),
        "triptych_cpu_seconds_per_order" => {
            if let Some(ms) = trial.cpu_ms_per_completed_order {
                put(out, format_args!("{name}{{{labels}}} {}", ms / 1e3));
            }
        }
        "triptych_violations" => {
            for (class, n) in &trial.violations {
                put(out, format_args!("{name}{{{labels},class=\"{class}\"}} {n}"));
            }
        }
        _ => put(out, format_args!("{name}{{{labels}}} {}", u8::from(trial.validity.valid))),
    }
}

fn times(out: &mut String, name: &str, labels: &str, p: &PhaseSummary) {
    let series = [
        ("response", &p.response),
        ("accepted", &p.accepted),
        ("service", &p.service),
        ("completed", &p.completed),
    ];
    for (series, times) in series {
        for (quantile, ms) in quantiles(times) {
            if let Some(ms) = ms {
                put(
                    out,
                    format_args!(
                        "{name}{{{labels},phase=\"{}\",operation=\"{}\",series=\"{series}\",quantile=\"{quantile}\"}} {}",
                        escape(&p.phase),
                        p.operation,
                        ms / 1e3
                    ),
                );
            }
        }
    }
}

fn quantiles(t: &Times) -> [(&'static str, Option<f64>); 5] {
    [
        ("0.5", t.p50_ms),
        ("0.9", t.p90_ms),
        ("0.99", t.p99_ms),
        ("0.999", t.p999_ms),
        ("1", t.max_ms),
    ]
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{RequestCounts, Validity};

    #[test]
    fn labels_are_escaped_and_the_text_ends() {
        let counts = RequestCounts { scheduled: 2, ok: 2, ..RequestCounts::default() };
        let trial = TrialSummary {
            scenario: "a \"b\"".to_owned(),
            system: "s".to_owned(),
            trial: 1,
            seed: 1,
            schedule_hash: String::new(),
            operations_hash: String::new(),
            validity: Validity { valid: true, ..Validity::default() },
            audit: None,
            violations: [("lost".to_owned(), 0)].into(),
            cpu_ms_per_completed_order: Some(1.5),
            send_lag_p99_us: 1,
            requests: [("place".to_owned(), counts)].into(),
            phases: Vec::new(),
            thresholds: Vec::new(),
        };
        let summary =
            Summary { format: 1, run: "r".to_owned(), environment: [].into(), trials: vec![trial] };
        let text = text(&summary);
        assert!(text.ends_with("# EOF\n"));
        let line = "triptych_requests{scenario=\"a \\\"b\\\"\",system=\"s\",trial=\"1\",operation=\"place\",outcome=\"ok\"} 2\n";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("triptych_cpu_seconds_per_order{scenario=\"a \\\"b\\\"\",system=\"s\",trial=\"1\"} 0.0015\n"));
        assert!(
            text.contains("triptych_valid{scenario=\"a \\\"b\\\"\",system=\"s\",trial=\"1\"} 1\n")
        );
    }
}
