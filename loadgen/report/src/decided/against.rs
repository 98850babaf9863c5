//! The verdicts of two runs, claim by claim: of which of them both say the same. It judges nothing again.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::json::{Told, Verdicts};
use super::{last, plan};
use crate::summary::folded;

/// Of the claim's name in a terminal, and of each verdict.
const NAME_WIDTH: usize = 34;
const VERDICT_WIDTH: usize = 17;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Against {
    /// The earlier run, or the record that was kept.
    pub a: String,
    /// The later one.
    pub b: String,
    /// Of each claim that one of them was asked.
    pub claims: Vec<Row>,
}

/// A claim in both runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its file, without `.toml`.
    pub claim: String,
    /// What A says; none if it was not asked.
    pub a: Option<String>,
    /// What B says.
    pub b: Option<String>,
    /// Whether they say the same.
    pub same: Same,
}

/// Whether two runs say the same of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Same {
    /// Both decide alike.
    Yes,
    /// They contradict each other.
    No,
    /// One of them, or both, left it undecided.
    Open,
    /// One of them was not asked.
    NotAsked,
    /// The claim's file is another, and so may be its verdict.
    Changed,
}

/// Sets the verdicts of the folder `a` against those of `b`.
///
/// # Errors
/// If one of them holds no verdicts, or they cannot be read.
pub fn against(a: &Path, b: &Path) -> anyhow::Result<Against> {
    let (one, other) = (Said::read(a)?, Said::read(b)?);
    let mut names: Vec<&String> = one.claims.keys().chain(other.claims.keys()).collect();
    names.sort();
    names.dedup();
    let row = |name: &String| Row::of(name, one.claims.get(name), other.claims.get(name));
    let claims = names.into_iter().map(row).collect();
    Ok(Against { a: one.run, b: other.run, claims })
}

/// What a run says of each claim, with the text of its file.
struct Said {
    run: String,
    claims: BTreeMap<String, (Told, String)>,
}

impl Said {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let none =
            || format!("{}: expected a folder with verdicts of `loadgen decide`", folder.display());
        let verdicts: Verdicts = last(folder)?.with_context(none)?;
        let plan = plan(folder)?.with_context(none)?;
        let texts: BTreeMap<String, String> = plan
            .claims
            .iter()
            .map(|claim| (claim.path.file_stem().unwrap_or_default(), claim.text.clone()))
            .map(|(stem, text)| (stem.to_string_lossy().into_owned(), text))
            .collect();
        let all = verdicts.verdicts.into_iter().chain(verdicts.controls);
        let with_text = |told: Told| {
            let text = texts.get(&told.claim).cloned().unwrap_or_default();
            (told.claim.clone(), (told, text))
        };
        Ok(Self { run: verdicts.run, claims: all.map(with_text).collect() })
    }
}

impl Row {
    fn of(name: &str, a: Option<&(Told, String)>, b: Option<&(Told, String)>) -> Self {
        let said = |one: Option<&(Told, String)>| one.map(|(told, _)| told.said.clone());
        let same = match (a, b) {
            (Some((a, of_a)), Some((b, of_b))) => Same::of((a, of_a), (b, of_b)),
            _ => Same::NotAsked,
        };
        Self { claim: name.to_owned(), a: said(a), b: said(b), same }
    }
}

impl Same {
    fn of((a, of_a): (&Told, &str), (b, of_b): (&Told, &str)) -> Self {
        let is_open = |told: &Told| matches!(told.verdict.as_str(), "undecided" | "not-here");
        if of_a != of_b {
            Self::Changed
        } else if is_open(a) || is_open(b) {
            Self::Open
        } else if a.said == b.said {
            Self::Yes
        } else {
            Self::No
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Yes => "same",
            Self::No => "CONTRADICTS",
            Self::Open => "open",
            Self::NotAsked => "not asked",
            Self::Changed => "other claim",
        }
    }
}

impl Against {
    /// Whether a claim that both decided came out otherwise.
    #[must_use]
    pub fn contradicts(&self) -> bool {
        self.claims.iter().any(|row| row.same == Same::No)
    }

    /// For a terminal of 80 columns.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text =
            format!("A: {}\nB: {}\n\n", self.a, self.b) + &line("claim", "A", "B", "same?");
        for row in &self.claims {
            let said = |said: &Option<String>| said.clone().unwrap_or_else(|| "–".to_owned());
            let (a, b) = (said(&row.a), said(&row.b));
            text += &line(&row.claim, &a, &b, row.same.words());
            let is_cut = |said: &String| said.chars().count() >= VERDICT_WIDTH;
            for (side, said) in [("A", &a), ("B", &b)].into_iter().filter(|(_, said)| is_cut(said))
            {
                let whole = folded(&format!("{side}: {said}"), 76);
                whole.iter().for_each(|line| text += &format!("    {line}\n"));
            }
        }
        text + &self.counted()
    }

    fn counted(&self) -> String {
        let count = |same| self.claims.iter().filter(|row| row.same == same).count();
        let more = [
            (Same::No, "contradict each other"),
            (Same::Open, "open on one side or both, which is no contradiction"),
            (Same::NotAsked, "not asked on one side"),
            (Same::Changed, "claims that were changed meanwhile"),
        ];
        let more = more.into_iter().filter(|(same, _)| count(*same) > 0);
        let more: String = more.map(|(same, words)| format!("; {} {words}", count(same))).collect();
        let all = folded(&format!("{} the same{more}.", count(Same::Yes)), 80);
        format!("\n{}\n", all.join("\n"))
    }
}

fn line(name: &str, a: &str, b: &str, same: &str) -> String {
    let [name, a, b] = [(name, NAME_WIDTH), (a, VERDICT_WIDTH), (b, VERDICT_WIDTH)].map(cut);
    format!("{name}{a}{b}{same}\n")
}

/// A cell with a space at its end.
fn cut((text, width): (&str, usize)) -> String {
    let short: String = if text.chars().count() < width {
        text.to_owned()
    } else {
        text.chars().take(width - 2).chain(std::iter::once('…')).collect()
    };
    format!("{short:<width$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decided::json::tests::verdicts_of;

    #[test]
    fn what_both_decided_is_the_same_or_contradicts() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let long = "holds only if stages.0.rate = 200, stages.0.rate = 400";
        verdicts_of(
            &a,
            &[
                ("alike", "holds", "holds", ""),
                ("changed", "holds", "holds", ""),
                ("gone", "fails", "fails", ""),
                ("never-the-same", "holds", "holds", ""),
                ("open", "holds", "holds", ""),
                ("some", "holds-only-if", long, ""),
            ],
        );
        verdicts_of(
            &b,
            &[
                ("alike", "holds", "holds", ""),
                ("changed", "fails", "fails", "# now"),
                ("never-the-same", "fails", "fails", ""),
                ("open", "undecided", "undecided", ""),
                ("some", "holds-only-if", "holds only if stages.0.rate = 400", ""),
            ],
        );
        let found = against(&a, &b).unwrap();
        let same: Vec<Same> = found.claims.iter().map(|row| row.same).collect();
        assert_eq!(
            same,
            [Same::Yes, Same::Changed, Same::NotAsked, Same::No, Same::Open, Same::No]
        );
        assert!(found.contradicts() && !against(&a, &a).unwrap().contradicts());
        insta::assert_snapshot!(found.text());
        assert!(found.text().lines().all(|line| line.chars().count() <= 80));
        let error = format!("{:#}", against(&a, folder.path()).unwrap_err());
        assert!(error.contains("expected a folder with verdicts"), "{error}");
    }
}
