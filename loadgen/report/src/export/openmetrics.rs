//! A summary as OpenMetrics text: gauges, for a run is over when it is exported.

use std::fmt::Write;

use super::summary::{PhaseSummary, Summary, Times, TrialSummary};
use record::Outcome;

const FAMILIES: [(&str, &str, &str); 6] = [
    ("triptych_requests", "", "Requests by outcome."),
    ("triptych_time_seconds", "seconds", "Times by quantile; quantile 1 is the largest."),
    ("triptych_cpu_seconds_per_order", "", "System CPU per completed order."),
    ("triptych_violations", "", "Orders that the audit found in a class of violation."),
    ("triptych_valid", "", "1 if the trial may be believed."),
    ("triptych_blurred", "", "1 if the machine was disturbed: then times are upper ends."),
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
            family(&mut out, name, &summary.run, trial);
        }
    }
    out.push_str("# EOF\n");
    out
}

fn put(out: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = writeln!(out, "{line}");
}

/// The labels of every series of a trial; a rerun has its number, which tells it from the void one before it.
fn labels(run: &str, trial: &TrialSummary) -> String {
    let TrialSummary { scenario, system, trial: number, rerun, revision, .. } = trial;
    let rerun = if *rerun > 0 { format!(",rerun=\"{rerun}\"") } else { String::new() };
    format!(
        "run=\"{}\",revision=\"{}\",scenario=\"{}\",system=\"{}\",trial=\"{number}\"{rerun}",
        escape(run),
        escape(revision),
        escape(scenario),
        escape(system),
    )
}

fn family(out: &mut String, name: &str, run: &str, trial: &TrialSummary) {
    let labels = labels(run, trial);
    match name {
        "triptych_requests" => {
            for (operation, c) in &trial.requests {
                for outcome in Outcome::ALL {
                    let n = c.of(outcome);
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
        "triptych_valid" => {
            put(out, format_args!("{name}{{{labels}}} {}", u8::from(trial.validity.valid)));
        }
        _ => {
            let blurred = !trial.validity.blurs.is_empty();
            put(out, format_args!("{name}{{{labels}}} {}", u8::from(blurred)));
        }
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
    use record::{Operation, RequestCounts, Validity};

    #[test]
    fn labels_are_escaped_and_the_text_ends() {
        let counts = RequestCounts { scheduled: 2, ok: 2, ..RequestCounts::default() };
        let trial = TrialSummary {
            scenario: "a \"b\"".to_owned(),
            system: "s".to_owned(),
            trial: 1,
            rerun: 0,
            revision: "0123abc".to_owned(),
            seed: 1,
            schedule_hash: String::new(),
            operations_hash: String::new(),
            validity: Validity { valid: true, ..Validity::default() },
            audit: None,
            violations: [("lost".to_owned(), 0)].into(),
            cpu_ms_per_completed_order: Some(1.5),
            send_lag_p99_us: 1,
            requests: [(Operation::Place, counts)].into(),
            phases: Vec::new(),
            thresholds: Vec::new(),
        };
        let summary =
            Summary { format: 1, run: "r".to_owned(), environment: [].into(), trials: vec![trial] };
        let text = text(&summary);
        assert!(text.ends_with("# EOF\n"));
        let of = r#"run="r",revision="0123abc",scenario="a \"b\"",system="s",trial="1""#;
        for line in [
            format!("triptych_requests{{{of},operation=\"place\",outcome=\"ok\"}} 2\n"),
            format!("triptych_cpu_seconds_per_order{{{of}}} 0.0015\n"),
            format!("triptych_valid{{{of}}} 1\n"),
            format!("triptych_blurred{{{of}}} 0\n"),
        ] {
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}
