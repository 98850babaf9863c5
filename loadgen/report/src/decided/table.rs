//! `verdicts.csv`: a row per claim, with the finding that its line shows.

use serde::Serialize;

use super::json::{Told, Verdicts};

/// One row. Empty: nothing measured, or without an end. A share is from 0 to 1, a multiple a number, else the unit is
/// the figure's.
#[derive(Serialize)]
struct Row<'v> {
    claim: &'v str,
    verdict: &'v str,
    said: &'v str,
    measure: &'v str,
    effect: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    margin: &'v str,
    blocks: usize,
    n: f64,
    p_adjusted: Option<f64>,
    controls: &'static str,
    trials: String,
}

pub(super) fn csv(verdicts: &Verdicts) -> anyhow::Result<Vec<u8>> {
    let controls = match (verdicts.wrong.is_empty(), verdicts.unjudged.is_empty()) {
        (false, _) => "wrong",
        (true, true) => "right",
        (true, false) => "right, some not judged",
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    for told in verdicts.verdicts.iter().chain(&verdicts.controls) {
        writer.serialize(row(told, controls))?;
    }
    Ok(writer.into_inner()?)
}

fn row<'v>(told: &'v Told, controls: &'static str) -> Row<'v> {
    let main = told.main.and_then(|main| told.findings.get(main));
    Row {
        claim: &told.claim,
        verdict: &told.verdict,
        said: &told.said,
        measure: main.map_or("", |main| &main.measure),
        effect: main.and_then(|main| main.effect),
        low: main.and_then(|main| main.low),
        high: main.and_then(|main| main.high),
        margin: main.map_or("", |main| &main.margin),
        blocks: main.map_or(0, |main| main.blocks),
        n: main.map_or(0.0, |main| main.n),
        p_adjusted: main.and_then(|main| main.adjusted),
        controls,
        trials: told.trials.join(" "),
    }
}
