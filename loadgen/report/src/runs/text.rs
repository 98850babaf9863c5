//! A comparison of two runs for a terminal of 80 columns.

use std::fmt::Write as _;

use super::{Claim, Compared, Figure, Refused, Side, System};
use crate::differences::LEAST_PAIRS;
use crate::words;

impl Compared {
    /// The whole of it.
    // Writing to memory cannot fail.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, side) in [("A", &self.a), ("B", &self.b)] {
            let Side { run, revision, began, trials } = side;
            let _ =
                writeln!(text, "{name}  {run}\n   revision {revision}, {began}, {trials} trials");
        }
        let _ = writeln!(text, "{}", self.machine());
        for system in &self.systems {
            write(&mut text, system);
        }
        if !self.refused.is_empty() {
            text.push_str("\nNot compared:\n");
            self.refused.iter().for_each(|refused| {
                let _ = writeln!(text, "  {}", refusal(refused));
            });
        }
        text + &self.conclusion()
    }

    fn machine(&self) -> String {
        let fsync = self.machine.fsync_change_ms.map_or("not known".to_owned(), |change_ms| {
            let sign = if change_ms < 0.0 { "−" } else { "+" };
            format!("{sign}{}", words::millis(change_ms.abs()))
        });
        let cpu = self.machine.cpu_ratio.map_or("not known".to_owned(), |r| format!("{r:.2} ×"));
        let luck = if self.same_luck {
            ""
        } else {
            "\n   the card network's luck differs: --luck-of A would make the pairs closer"
        };
        format!(
            "   the machine from A to B: fsync {fsync}; CPU of the generator's own work {cpu}{luck}"
        )
    }

    fn conclusion(&self) -> String {
        let figures = || self.systems.iter().flat_map(|system| &system.figures);
        let claimed = figures().filter(|f| matches!(f.claim, Claim::Higher | Claim::Lower)).count();
        let all = figures().count();
        let few = figures().filter(|figure| figure.claim == Claim::TooFew).count();
        let mut text =
            format!("\n{claimed} of {all} figures differ by more than the machine does.\n");
        if few > 0 {
            let _ = writeln!(
                text,
                "Of {few} nothing is said: a 95 % interval needs {LEAST_PAIRS} pairs of trials."
            );
        }
        text
    }
}

/// Why a system under a scenario is not compared.
pub(super) fn refusal(Refused { scenario, system, why }: &Refused) -> String {
    format!("{scenario} · {system}: {}", why.join("; "))
}

fn write(text: &mut String, system: &System) {
    let System { scenario, system: name, phase, pairs, settings, figures, violations } = system;
    let phase = if phase == "steady" { String::new() } else { format!(", phase {phase}") };
    let pairs = if *pairs == 1 { "1 pair".to_owned() } else { format!("{pairs} pairs") };
    let _ = writeln!(text, "\n{scenario} · {name}{phase} ({pairs} of trials)");
    figures.iter().for_each(|figure| line(text, figure));
    for (class, in_a, in_b) in violations {
        let _ = writeln!(text, "  {class}: {in_a} in A, {in_b} in B: that is no matter of chance");
    }
    for setting in settings {
        let _ = writeln!(text, "  differs: {setting}");
    }
}

fn line(text: &mut String, figure: &Figure) {
    let claim = match figure.claim {
        Claim::Higher => "B is higher",
        Claim::Lower => "B is lower",
        Claim::None => "–",
        Claim::TooFew => "too few",
    };
    let _ = writeln!(
        text,
        "  {:<15}{:>10}  →{:>10}  {:<27} {claim}",
        figure.name,
        figure.shown(figure.a),
        figure.shown(figure.b),
        figure.shown_change()
    );
}
