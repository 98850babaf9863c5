//! `verdicts.json`: the verdicts with all that they rest on. docs/verdicts.schema.json describes it, and a test holds
//! the two together.

use std::collections::BTreeSet;
use std::path::Path;

use decide::{Answer, Claim, Finding, Side, Verdict};
use record::read::{Validate, table};
use serde::{Deserialize, Serialize};

use super::plan::{Plan, Planned};
use super::{Decided, JSON};

/// The number that changes when a reader of the old form would misread the new one.
const FORMAT: u32 = 1;

/// What a run decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdicts {
    /// 1.
    pub format: u32,
    /// The results folder's name.
    pub run: String,
    /// The revision of the sources.
    pub revision: String,
    /// Whether only what counts decide was asked.
    pub quick: bool,
    /// How many blocks were planned at most.
    pub blocks: u32,
    /// How chance in many findings was allowed for, in words.
    pub correction: String,
    /// What is wrong with the run's controls; then nothing is decided.
    pub wrong: Vec<String>,
    /// Which controls could not be judged.
    pub unjudged: Vec<String>,
    /// Of the claims.
    pub verdicts: Vec<Told>,
    /// Of the run's controls.
    pub controls: Vec<Told>,
}

/// A claim and what is said of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The claim's file, without `.toml`.
    pub claim: String,
    /// As its source has it.
    pub sentence: String,
    /// Who says so.
    pub source: String,
    /// Where it can be read.
    pub url: Option<String>,
    /// What else could make the figures so.
    pub confounds: String,
    /// What would show that the sentence is wrong.
    pub refuted_by: String,
    /// Whether it was asked for.
    pub asked: bool,
    /// holds, fails, holds-only-if, undecided, not-here.
    pub verdict: String,
    /// The same in words.
    pub said: String,
    /// Why, a sentence each.
    pub reasons: Vec<String>,
    /// The number of the finding, from 0, that a line about the claim shows.
    pub main: Option<usize>,
    /// What it rests on.
    pub findings: Vec<Found>,
    /// Folders of a scenario's trials on a system, which hold a folder for each block.
    pub trials: Vec<String>,
}

/// One expectation at one point of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Figure, and of whom.
    pub measure: String,
    /// The point of the sweep, in words.
    pub point: Option<String>,
    /// Whether it is about the claim's control arm alone.
    pub control: bool,
    /// holds, fails, undecided.
    pub side: String,
    /// Median over the blocks; none if nothing was measured, or without an end.
    pub effect: Option<f64>,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// What was expected, in words.
    pub margin: String,
    /// Blocks with a value.
    pub blocks: usize,
    /// Blocks without.
    pub left_out: usize,
    /// Arrivals or orders that it rests on; 0 where their number says nothing.
    pub n: f64,
    /// The chance of it, if there were nothing.
    pub p: Option<f64>,
    /// The same beside all other findings.
    pub adjusted: Option<f64>,
    /// All of it in one sentence.
    pub reason: String,
}

/// The verdicts that a run's folder holds; `None` if it holds none.
///
/// # Errors
/// If there is such a file that cannot be read.
pub fn last(folder: &Path) -> anyhow::Result<Option<Verdicts>> {
    Ok(table::json(&folder.join(JSON))?)
}

impl Validate for Verdicts {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Verdicts {
    pub(super) fn of(folder: &Path, plan: &Plan, decided: &Decided) -> Self {
        let decision = &decided.decision;
        let name = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let told = |verdict: &Verdict| {
            let mut both = plan.claims.iter().zip(&decided.claims);
            let (planned, claim) = both.find(|(_, claim)| claim.id == verdict.claim)?;
            Some(Told::of(verdict, claim, planned))
        };
        Self {
            format: FORMAT,
            run: name.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            revision: plan.revision.clone(),
            quick: plan.quick,
            blocks: plan.blocks,
            correction: decision.correction.words(),
            wrong: decision.wrong.clone(),
            unjudged: decision.unjudged.clone(),
            verdicts: decision.verdicts.iter().filter_map(told).collect(),
            controls: decision.controls.iter().filter_map(told).collect(),
        }
    }
}

impl Told {
    fn of(verdict: &Verdict, claim: &Claim, planned: &Planned) -> Self {
        let trials: BTreeSet<String> =
            planned.cells.iter().map(|cell| format!("{}/{}", cell.scenario, cell.system)).collect();
        let main = verdict.main();
        Self {
            claim: claim.id.clone(),
            sentence: claim.sentence.clone(),
            source: claim.source.text.clone(),
            url: claim.source.url.clone(),
            confounds: claim.confounds.clone(),
            refuted_by: claim.refuted_by.clone(),
            asked: planned.asked,
            verdict: word(&verdict.answer).to_owned(),
            said: verdict.answer.to_string(),
            reasons: verdict.reasons.clone(),
            main: main.and_then(|main| verdict.findings.iter().position(|one| one == main)),
            findings: verdict.findings.iter().map(|found| Found::of(found, claim)).collect(),
            trials: trials.into_iter().collect(),
        }
    }
}

impl Found {
    fn of(found: &Finding, claim: &Claim) -> Self {
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        Self {
            measure: found.what.clone(),
            point: found.point.and_then(|point| claim.point(point)),
            control: found.is_control,
            side: side(found.side).to_owned(),
            effect: finite(found.effect),
            low: finite(found.low),
            high: finite(found.high),
            margin: found.margin.clone(),
            blocks: found.blocks,
            left_out: found.left_out,
            n: if found.arrivals.is_finite() { found.arrivals } else { 0.0 },
            p: found.p,
            adjusted: found.adjusted,
            reason: found.reason(),
        }
    }
}

pub(super) fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Holds => "holds",
        Answer::Fails => "fails",
        Answer::OnlyIf(_) => "holds-only-if",
        Answer::Undecided => "undecided",
        Answer::NotHere(_) => "not-here",
    }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Holds => "holds",
        Side::Fails => "fails",
        Side::Undecided => "undecided",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::decided::plan::{Cell, Plan};
    use crate::decided::{page, table};
    use serde_json::Value;

    const SCHEMA: &str = include_str!("../../../../docs/verdicts.schema.json");

    fn planned(id: &str, more: &str) -> Planned {
        let head = "sentence = \"Is <b> less than c?\"\nsource = { text = \"t\" }\nrefuted_by = \"r\"\nscenario = \"s\"\narms = { a = \"m\" }\n";
        let expect = "[[expect]]\nfigure = \"accepted share\"\nof = \"a\"\nat_least = 0.5\n";
        let cell = |(arm, point): (&str, usize)| Cell {
            arm: arm.to_owned(),
            point,
            scenario: "s+x=1".to_owned(),
            system: "m".to_owned(),
        };
        Planned {
            path: format!("claims/{id}.toml").into(),
            text: format!("{head}{more}\n{expect}"),
            asked: true,
            blocks: None,
            predicted: Vec::new(),
            cells: vec![cell(("a", 0))],
        }
    }

    fn plan() -> Plan {
        let mut plan = Plan::new("abc", "0", true, 3);
        plan.claims = vec![
            planned("one", ""),
            planned("other", "needs = \"a balancer\""),
            planned("sure", "must = \"hold\""),
        ];
        plan
    }

    /// Writes a folder with these verdicts: claim, verdict, in words, and what is added to its file.
    pub(in crate::decided) fn verdicts_of(folder: &Path, said: &[(&str, &str, &str, &str)]) {
        std::fs::create_dir_all(folder).unwrap();
        let mut plan = Plan::new("abc", "0", false, 7);
        plan.claims = said.iter().map(|(id, _, _, more)| planned(id, more)).collect();
        plan.write(folder).unwrap();
        let decided = crate::decided::decide(folder, &plan).unwrap();
        let mut verdicts = Verdicts::of(folder, &plan, &decided);
        for (told, (_, verdict, words, _)) in verdicts.verdicts.iter_mut().zip(said) {
            (told.verdict, told.said) = ((*verdict).to_owned(), (*words).to_owned());
        }
        record::atomic_write::write_json(&folder.join(JSON), &verdicts).unwrap();
    }

    fn verdicts() -> Verdicts {
        let folder = tempfile::tempdir().unwrap();
        let decided = crate::decided::decide(folder.path(), &plan()).unwrap();
        Verdicts::of(folder.path(), &plan(), &decided)
    }

    #[test]
    fn what_is_printed_fits_the_schema() {
        let (printed, schema): (Value, Value) =
            (serde_json::to_value(verdicts()).unwrap(), serde_json::from_str(SCHEMA).unwrap());
        crate::export::schema::check(&printed, &schema, &schema, "$");
        assert_eq!(printed["verdicts"][0]["verdict"], "undecided");
        assert_eq!(printed["verdicts"][1]["said"], "not decidable here: needs a balancer");
        assert_eq!(printed["controls"][0]["claim"], "sure");
    }

    #[test]
    fn the_table_and_the_page_show_each_claim() {
        let verdicts = verdicts();
        let table = String::from_utf8(table::csv(&verdicts).unwrap()).unwrap();
        assert_eq!(table.lines().count(), 4, "{table}");
        assert!(table.contains("one,undecided,undecided,\"accepted share, a\""), "{table}");
        assert!(table.lines().nth(1).unwrap().ends_with("\"right, some not judged\",s+x=1/m"));
        let page = page::html(&verdicts, &["one".to_owned()], &[]).unwrap();
        assert!(
            page.contains("report.html#scenario-s-x-1") && page.contains("s+x=1&#x2f;m"),
            "{page}"
        );
        assert_eq!(page.matches("src=\"charts/events-one.png\"").count(), 1);
        assert!(page.contains("Is &lt;b&gt; less than c?") && !page.contains("Is <b>"));
    }

    #[test]
    fn a_plan_that_is_another_says_in_what() {
        let plan = plan();
        assert_eq!(plan.differs(&plan), None);
        let other = Plan { program: "1".to_owned(), ..plan.clone() };
        assert_eq!(plan.differs(&other).unwrap(), "the program was 0 and is 1");
        let mut other = plan.clone();
        other.claims[1].text.push('#');
        assert_eq!(plan.differs(&other).unwrap(), "claims/other.toml is another");
        other.claims.truncate(1);
        assert_eq!(plan.differs(&other).unwrap(), "other claims are asked");
        let other = Plan { blocks: 4, ..plan.clone() };
        assert!(plan.differs(&other).is_some());
    }
}
