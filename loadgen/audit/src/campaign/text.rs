//! A campaign as Markdown, which is also what the terminal shows, and as CSV.

use std::fmt::Write as _;

use super::{Campaign, ClassSum, Conclusion, Quantiles, SystemSum};
use record::Answer;

impl Campaign {
    /// What must be known first, then the tables.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("# Campaign: {}\n\n", word(self.conclusion));
        for reason in &self.reasons {
            line(&mut text, &format!("- {reason}"));
        }
        self.write_controls(&mut text);
        self.write_troubled(&mut text);
        self.write_systems(&mut text);
        self.write_violations(&mut text);
        self.write_faults(&mut text);
        self.write_unproved(&mut text);
        self.write_doubts(&mut text);
        text
    }

    fn write_controls(&self, text: &mut String) {
        for control in &self.controls {
            line(text, &format!("- {}: {}", control.system, control.sentence));
            if !control.met {
                line(text, &format!("  again: `{}`", control.again));
            }
        }
    }

    fn write_troubled(&self, text: &mut String) {
        if !self.troubled.is_empty() {
            line(text, "\n## Trials that are not true\n");
        }
        for trial in &self.troubled {
            let verdict = if trial.verdict == Answer::False { "FALSE" } else { "unknown" };
            line(text, &format!("- {verdict}: {}: {}", trial.folder, trial.why.join("; ")));
            line(text, &format!("  again: `{}`", trial.again));
        }
        for folder in &self.broken {
            line(
                text,
                &format!("- no record: {folder}; `loadgen heal {folder}` takes back what it left"),
            );
        }
    }

    fn write_systems(&self, text: &mut String) {
        line(text, "\n## Orders\n");
        let head = [
            "system",
            "trials",
            "true",
            "unknown",
            "false",
            "asked",
            "accepted",
            "not judged",
            "outcome unknown",
            "captures",
            "safety violations",
            "stuck",
            "dead-lettered",
        ];
        let rows = self.systems.iter().chain(self.sum().as_ref()).map(order_row).collect();
        table(text, &head, rows);
    }

    /// The row below the systems.
    fn sum(&self) -> Option<SystemSum> {
        let (first, others) = self.systems.split_first().filter(|(_, o)| !o.is_empty())?;
        let mut all = SystemSum { system: "all".to_owned(), ..first.clone() };
        for s in others {
            all.trials += s.trials;
            all.true_trials += s.true_trials;
            all.unknown_trials += s.unknown_trials;
            all.false_trials += s.false_trials;
            all.asked += s.asked;
            all.accepted += s.accepted;
            all.not_judged += s.not_judged;
            all.unknown += s.unknown;
            all.captures += s.captures;
            for (sum, class) in all.violations.iter_mut().zip(&s.violations) {
                sum.count += class.count;
                sum.n += class.n;
            }
        }
        Some(all)
    }

    fn write_violations(&self, text: &mut String) {
        line(text, "\n## Violations and oddities by class\n");
        line(text, "0 of n is no zero: with 95 % confidence the rate is below 3/n, if orders fail");
        line(
            text,
            "independently, which orders under one fault do not. n are the accepted orders of",
        );
        line(text, "trials whose audit had no doubts.\n");
        let Some(first) = self.systems.first() else { return };
        let mut head = vec!["class", "kind"];
        head.extend(self.systems.iter().map(|s| s.system.as_str()));
        let classes = first.violations.iter().chain(&first.oddities).enumerate();
        let rows = classes.map(|(index, class)| {
            let of = |s: &SystemSum| {
                s.violations.iter().chain(&s.oddities).nth(index).map(counted).unwrap_or_default()
            };
            let cells = [class.class.clone(), class.kind.clone()].into_iter();
            cells.chain(self.systems.iter().map(of)).collect()
        });
        table(text, &head, rows.collect());
        self.write_not_judged(text);
    }

    fn write_not_judged(&self, text: &mut String) {
        let some = |s: &&SystemSum| s.not_judged > 0;
        for (i, s) in self.systems.iter().filter(some).enumerate() {
            let why: Vec<String> =
                s.not_judged_why.iter().map(|(why, trials)| format!("{why} ({trials})")).collect();
            let left = format!("{}: {} accepted orders are in no n", s.system, s.not_judged);
            let gap = if i == 0 { "\n" } else { "" };
            line(text, &format!("{gap}- {left}: in how many trials, and why: {}", why.join("; ")));
        }
    }

    fn write_faults(&self, text: &mut String) {
        line(text, "\n## Faults\n");
        let head = [
            "system",
            "kind",
            "commanded",
            "proved",
            "healed",
            "beyond lease",
            "back: seen of watched",
            "p50 s",
            "p95 s",
            "longest s",
        ];
        let rows = self.systems.iter().flat_map(|s| {
            s.faults.iter().map(|f| {
                let mut row = vec![s.system.clone(), f.kind.clone()];
                row.extend([f.commanded, f.proved, f.healed].map(|n| n.to_string()));
                row.push(f.beyond_lease.map_or_else(|| "—".to_owned(), |n| n.to_string()));
                row.extend(recovery_cells(&f.recovery));
                row
            })
        });
        table(text, &head, rows.collect());
        line(
            text,
            "\nBack: goodput is within 10 % of the level before the first fault, for 3 s; what the next",
        );
        line(
            text,
            "fault cut off counts as longer (Kaplan–Meier), and — is longer than what was watched.",
        );
        line(
            text,
            "Several trials shared the machine: these times are upper bounds, no comparison.",
        );
    }

    fn write_unproved(&self, text: &mut String) {
        if !self.unproved.is_empty() {
            line(text, "\n## Faults without proof\n");
        }
        for gap in &self.unproved {
            line(text, &format!("- {}: {}: {}", gap.folder, gap.fault, gap.found));
            line(text, &format!("  again: `{}`", gap.again));
        }
    }

    fn write_doubts(&self, text: &mut String) {
        if !self.doubts.is_empty() {
            line(text, "\n## Invalid measurements, of which the audit does not depend on times\n");
        }
        for (reason, trials) in &self.doubts {
            line(text, &format!("- {trials} trials: {reason}"));
        }
    }

    /// One row per count: system, what, which, count, of, below.
    ///
    /// # Errors
    /// If a row cannot be written.
    pub fn csv(&self) -> anyhow::Result<String> {
        let mut rows = csv::Writer::from_writer(Vec::new());
        rows.write_record(["system", "what", "which", "count", "of", "below"])?;
        for s in &self.systems {
            let mut row =
                |what: &str, which: &str, count: u64, of: Option<u64>, below: Option<f64>| {
                    let [of, below] =
                        [of.map(|n| n.to_string()), below.map(|b| format!("{b:.3e}"))];
                    let cells = [&s.system, what, which, &count.to_string()].map(str::to_owned);
                    let ends = [of.unwrap_or_default(), below.unwrap_or_default()];
                    rows.write_record(cells.into_iter().chain(ends))
                };
            let trials =
                [("true", s.true_trials), ("unknown", s.unknown_trials), ("false", s.false_trials)];
            for (which, count) in trials {
                row("trials", which, count, Some(s.trials), None)?;
            }
            row("orders", "accepted", s.accepted, Some(s.asked), None)?;
            row("orders", "not judged", s.not_judged, Some(s.accepted), None)?;
            row("orders", "unknown", s.unknown, Some(s.asked), None)?;
            row("captures", "", s.captures, None, None)?;
            for class in s.violations.iter().chain(&s.oddities) {
                row(&class.kind, &class.class, class.count, Some(class.n), class.below)?;
            }
            for fault in &s.faults {
                row("fault commanded", &fault.kind, fault.commanded, None, None)?;
                row("fault proved", &fault.kind, fault.proved, Some(fault.commanded), None)?;
                row("fault healed", &fault.kind, fault.healed, Some(fault.commanded), None)?;
                if let Some(count) = fault.beyond_lease {
                    row("fault beyond lease", &fault.kind, count, Some(fault.proved), None)?;
                }
            }
        }
        Ok(String::from_utf8(rows.into_inner()?)?)
    }
}

fn word(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::True => "true",
        Conclusion::Unknown => "unknown",
        Conclusion::False => "FALSE",
        Conclusion::Void => "VOID",
    }
}

fn order_row(s: &SystemSum) -> Vec<String> {
    let of = |wanted: &dyn Fn(&ClassSum) -> bool| {
        let found = || s.violations.iter().filter(|class| wanted(class));
        // Where none was met they are the same; where one was, n is not shown.
        let n = found().map(|class| class.n).min().unwrap_or_default();
        let sum = ClassSum {
            count: found().map(|class| class.count).sum(),
            n,
            below: Some(3.0 / n.max(1) as f64),
            ..ClassSum::default()
        };
        counted(&sum)
    };
    let numbers = [
        s.trials,
        s.true_trials,
        s.unknown_trials,
        s.false_trials,
        s.asked,
        s.accepted,
        s.not_judged,
        s.unknown,
        s.captures,
    ];
    let mut row = vec![s.system.clone()];
    row.extend(numbers.map(|n| n.to_string()));
    row.push(of(&|class| class.kind == "safety"));
    row.push(of(&|class| class.class == "stuck"));
    row.push(of(&|class| class.class == "dead-lettered"));
    row
}

/// `7`, or `0 of 60000 (< 5.0e-5)`; of oddities, of which any number is right, the number.
fn counted(class: &ClassSum) -> String {
    match class.below {
        Some(_) if class.n == 0 => "0 of 0".to_owned(),
        Some(below) if class.count == 0 && class.kind != "oddity" => {
            format!("0 of {} (< {:.1e})", class.n, below.min(1.0))
        }
        _ => class.count.to_string(),
    }
}

fn recovery_cells(q: &Quantiles) -> [String; 4] {
    let seconds = |s: Option<f64>| s.map_or("—".to_owned(), |s| format!("{s:.1}"));
    [format!("{} of {}", q.seen, q.watched), seconds(q.p50_s), seconds(q.p95_s), seconds(q.max_s)]
}

/// A Markdown table whose columns are aligned for those who read it as text.
fn table(text: &mut String, head: &[&str], rows: Vec<Vec<String>>) {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let lengths: Vec<usize> = (0..head.len())
        .map(|i| {
            let cells = rows.iter().chain([&head]).filter_map(|row| row.get(i));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        })
        .collect();
    let rule = lengths.iter().map(|length| "-".repeat(*length)).collect();
    for row in [head, rule].iter().chain(&rows) {
        for (cell, length) in row.iter().zip(&lengths) {
            let _ = write!(text, "| {cell:<length$} ");
        }
        text.push_str("|\n");
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
