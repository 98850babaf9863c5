//! The figures that a claim may be about, by name. How each is read off a record is not known here.

use record::classes;
use scenario::config;

/// What a figure is, which decides how it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A part of many arrivals, from 0 to 1.
    Share,
    /// How often something happened in a trial.
    Count,
    /// Whether a trial came out so: 1 or 0.
    Event,
    /// A time, a cost, a rate: this unit.
    Amount(&'static str),
}

/// A figure of a trial, of a phase and an operation where it has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Its name in a claim's file.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

const MS: Kind = Kind::Amount("ms");
const S: Kind = Kind::Amount("s");
const PER_S: Kind = Kind::Amount("/s");

/// All but the classes of the audit, which are counts.
const TABLE: [(&str, Kind); 29] = [
    // Of the arrivals of a phase, or of all after the warm-up.
    ("accepted share", Kind::Share),
    ("failed share", Kind::Share),
    ("completed share", Kind::Share),
    ("in time share", Kind::Share),
    ("accepted in time share", Kind::Share),
    ("accepted p50", MS),
    ("accepted p99", MS),
    ("completed p50", MS),
    ("completed p99", MS),
    ("response p50", MS),
    ("response p99", MS),
    ("goodput", PER_S),
    ("completions", PER_S),
    ("charges", PER_S),
    ("attempts per order", Kind::Amount("")),
    // Of a trial.
    ("capacity", PER_S),
    ("cpu per order", MS),
    ("cpu", S),
    ("memory", Kind::Amount("MiB")),
    ("memory per order rate", Kind::Amount("MiB/(order/s)")),
    ("fsyncs per order", Kind::Amount("")),
    ("energy per order", Kind::Amount("J")),
    ("keys moved share", Kind::Share),
    ("time to recover", S),
    ("drain", S),
    ("drain against prediction", Kind::Amount("")),
    ("processes restarted", Kind::Count),
    ("settled out of order", Kind::Count),
    ("stuck after trigger", Kind::Event),
];

/// The phases that "stuck after trigger" compares: both have the usual load, and nothing is harmed.
pub const AROUND_TRIGGER: [&str; 2] = ["before", "after"];

impl Measure {
    /// The phases that it needs beside those that a claim names.
    #[must_use]
    pub fn phases(&self) -> &'static [&'static str] {
        if self.kind == Kind::Event { &AROUND_TRIGGER } else { &[] }
    }

    /// All that there are.
    pub fn all() -> impl Iterator<Item = Self> {
        let known = TABLE.into_iter().chain(classes().map(|class| (class, Kind::Count)));
        known.map(|(name, kind)| Self { name: name.to_owned(), kind })
    }

    /// By its name.
    ///
    /// # Errors
    /// If there is none such, in words, with the nearest that there is.
    pub fn named(name: &str) -> Result<Self, String> {
        let all: Vec<Self> = Self::all().collect();
        let found = all.iter().find(|one| one.name == name).cloned();
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        found.ok_or_else(|| config::unknown("figure", name, &names))
    }

    /// A value of it as a reader meets it.
    #[must_use]
    pub fn shown(&self, value: f64) -> String {
        match self.kind {
            Kind::Share => format!("{} %", digits(value * 100.0)),
            Kind::Count | Kind::Event | Kind::Amount("") => digits(value),
            Kind::Amount(unit) => format!("{} {unit}", digits(value)),
        }
    }
}

/// Three digits that count, or the whole number.
pub(crate) fn digits(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "∞".to_owned() } else { "−∞".to_owned() };
    }
    let places = match value.abs() {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.995 => 2,
        _ => 3,
    };
    let text = format!("{value:.places$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_their_units() {
        let shown = |name: &str, value| Measure::named(name).unwrap().shown(value);
        assert_eq!(shown("accepted share", 0.0009), "0.09 %");
        assert_eq!(shown("accepted share", 1.0), "100 %");
        assert_eq!(shown("accepted p50", 23.456), "23.5 ms");
        assert_eq!(shown("lost", 1204.0), "1204");
        assert_eq!(shown("completed p99", f64::INFINITY), "∞ ms");
    }

    #[test]
    fn a_wrong_name_is_told_with_the_nearest() {
        let wrong = Measure::named("acepted p50").unwrap_err();
        assert!(
            wrong.starts_with("unknown figure `acepted p50`; did you mean `accepted p50`?"),
            "{wrong}"
        );
        assert_eq!(Measure::named("double-charge").unwrap().kind, Kind::Count);
    }
}
