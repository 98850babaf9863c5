//! `lesson.html` and `lesson.md`: a lab report of a run's claims, with questions whose answers are computed from the
//! run's own figures.

use std::path::Path;

use anyhow::Context as _;
use record::atomic_write;
use serde::Serialize;

use super::json::{Found, Told, Verdicts, last};
use crate::figure_text::NOTHING;
use crate::page::render;

const HTML: &str = include_str!("../page/lesson.html");
const MARKDOWN: &str = include_str!("../page/lesson.md");
/// The report, for who says where it is.
pub const LESSON: &str = "lesson.html";

#[derive(Serialize)]
struct Lesson<'v> {
    verdicts: &'v Verdicts,
    method: Vec<String>,
    parts: Vec<Part<'v>>,
    controls: Vec<Question>,
}

/// A hypothesis.
#[derive(Serialize)]
struct Part<'v> {
    sentence: &'v str,
    source: &'v str,
    refuted_by: &'v str,
    said: &'v str,
    rows: Vec<Row<'v>>,
    questions: Vec<Question>,
}

#[derive(Serialize)]
struct Row<'v> {
    measure: String,
    effect: String,
    low: String,
    high: String,
    margin: &'v str,
    blocks: usize,
}

#[derive(Serialize)]
struct Question {
    asks: String,
    answer: String,
}

/// Writes both into the folder of a run that has verdicts.
///
/// # Errors
/// If it has none, or a file cannot be written.
pub fn write_lesson(folder: &Path) -> anyhow::Result<()> {
    let verdicts = last(folder)?;
    let verdicts = verdicts.with_context(|| {
        format!("{}: expected a folder with verdicts of `loadgen decide`", folder.display())
    })?;
    let page = lesson(&verdicts);
    atomic_write::write(&folder.join(LESSON), render(LESSON, HTML, &page)?.as_bytes())?;
    let text = render("lesson.md", MARKDOWN, &page)?;
    atomic_write::write(&folder.join("lesson.md"), text.as_bytes())
}

fn lesson(verdicts: &Verdicts) -> Lesson<'_> {
    let asked = verdicts.verdicts.iter().filter(|told| told.asked);
    Lesson {
        verdicts,
        method: method(verdicts),
        parts: asked.map(part).collect(),
        controls: verdicts.controls.iter().map(control).collect(),
    }
}

fn method(verdicts: &Verdicts) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{} blocks at most. In each, all systems meet the same seeded arrivals, in a random order, with fresh \
             processes and databases; the next block has another seed.",
            verdicts.blocks
        ),
        "A share of thousands is decided by the exact bounds of each block, all alike. All else is decided by \
         repetition: the interval of the median over the blocks must lie beyond what was expected."
            .to_owned(),
        verdicts.correction.clone(),
    ];
    let wrong = verdicts
        .wrong
        .iter()
        .map(|why| format!("A control came out wrong, so nothing is decided: {why}"));
    lines.extend(wrong);
    lines
}

fn part(told: &Told) -> Part<'_> {
    Part {
        sentence: &told.sentence,
        source: &told.source,
        refuted_by: &told.refuted_by,
        said: &told.said,
        rows: told.findings.iter().map(row).collect(),
        questions: questions(told),
    }
}

fn row(found: &Found) -> Row<'_> {
    let number = |value: Option<f64>| {
        value.map_or_else(|| NOTHING.to_owned(), |value| format!("{value:.4}"))
    };
    let at = found.point.as_ref().map_or_else(String::new, |point| format!(" ({point})"));
    Row {
        measure: found.measure.clone() + &at,
        effect: number(found.effect),
        low: number(found.low),
        high: number(found.high),
        margin: &found.margin,
        blocks: found.blocks,
    }
}

fn questions(told: &Told) -> Vec<Question> {
    let main = told.main.and_then(|main| told.findings.get(main));
    let ask = |asks: &str, answer: String| Question { asks: asks.to_owned(), answer };
    let mut all = vec![ask(
        "Does the sentence hold here, and by which figure?",
        format!("{}: {}", told.said, told.reasons.join(" ")),
    )];
    all.extend(main.map(|found| {
        ask("Is that a fact of each block or does it rest on repetition?", rests_on(found))
    }));
    all.extend(main.and_then(|found| {
        Some(ask("How wide is the interval, beside the figure itself?", width(found)?))
    }));
    if !told.confounds.is_empty() {
        all.push(ask("What else could make the figures so?", format!("{}.", told.confounds)));
    }
    all
}

fn rests_on(found: &Found) -> String {
    let blocks = found.blocks;
    match found.p {
        Some(p) => format!(
            "On repetition: {blocks} blocks, each one pair. If there were nothing, chance alone would make it so with p = \
             {p:.3}; beside all other findings of the run, {}.",
            found.adjusted.map_or_else(|| "not told".to_owned(), |p| format!("{p:.3}"))
        ),
        None if found.n > 0.0 => format!(
            "By counts: {:.0} arrivals over {blocks} blocks, and each block must say the same by itself.",
            found.n
        ),
        None => format!("{blocks} blocks are too few to tell."),
    }
}

fn width(found: &Found) -> Option<String> {
    let (effect, low, high) = (found.effect?, found.low?, found.high?);
    let width = high - low;
    let times =
        (effect.abs() > 0.0).then(|| format!(", {:.2} times the figure", width / effect.abs()));
    Some(format!("It is {width:.4} wide, from {low:.4} to {high:.4}{}.", times.unwrap_or_default()))
}

fn control(told: &Told) -> Question {
    Question {
        asks: format!("{} Did it come out so, and what would it mean if not?", told.sentence),
        answer: format!(
            "{}: {} If it were refuted ({}), nothing would be decided.",
            told.said,
            told.reasons.join(" "),
            told.refuted_by
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decided::json::tests::verdicts_of;

    #[test]
    fn its_questions_are_answered_by_the_run() {
        let folder = tempfile::tempdir().unwrap();
        verdicts_of(folder.path(), &[("one", "holds", "holds", "")]);
        let path = folder.path().join("verdicts.json");
        let mut verdicts = last(folder.path()).unwrap().unwrap();
        let found = &mut verdicts.verdicts[0].findings[0];
        (found.effect, found.low, found.high) = (Some(0.5), Some(0.25), Some(0.75));
        (found.p, found.adjusted, found.blocks) = (Some(0.0156), Some(0.0312), 7);
        record::atomic_write::write_json(&path, &verdicts).unwrap();
        write_lesson(folder.path()).unwrap();
        let html = std::fs::read_to_string(folder.path().join(LESSON)).unwrap();
        assert!(html.contains("<details>") && html.contains("Is &lt;b&gt; less than c?"), "{html}");
        let text = std::fs::read_to_string(folder.path().join("lesson.md")).unwrap();
        insta::assert_snapshot!(text.replace(&verdicts.run, "RUN"));
        std::fs::remove_file(path).unwrap();
        let error = write_lesson(folder.path()).unwrap_err().to_string();
        assert!(error.contains("expected a folder with verdicts"), "{error}");
    }
}
