//! `decision.html`: verdicts first, then what each rests on, with links to charts and records.

use serde::Serialize;

use super::json::{Told, Verdicts};
use super::units::{self, Sheet};
use crate::page::pictures::anchor;
use crate::page::render;

const HTML: &str = include_str!("../page/decision.html");

#[derive(Serialize)]
struct Page<'v> {
    verdicts: &'v Verdicts,
    rows: Vec<Row<'v>>,
    controls: Vec<Row<'v>>,
}

#[derive(Serialize)]
struct Row<'v> {
    told: &'v Told,
    anchor: String,
    main: Option<&'v str>,
    blocks: usize,
    scenarios: Vec<Link<'v>>,
    /// Its picture of events, if it has one.
    events: Option<String>,
    /// What one more process brings and costs.
    units: Option<Sheet>,
}

#[derive(Serialize)]
struct Link<'v> {
    name: &'v str,
    anchor: String,
}

/// The page; of these claims there is a picture of events, and these are the figures of more and more processes.
pub(super) fn html(
    verdicts: &Verdicts,
    pictured: &[String],
    units: &[units::Row],
) -> anyhow::Result<String> {
    let row = |told| row(told, pictured, units);
    let page = Page {
        verdicts,
        rows: verdicts.verdicts.iter().map(row).collect(),
        controls: verdicts.controls.iter().map(row).collect(),
    };
    render("decision.html", HTML, &page)
}

fn row<'v>(told: &'v Told, pictured: &[String], units: &[units::Row]) -> Row<'v> {
    let main = told.main.and_then(|main| told.findings.get(main));
    let mut names: Vec<&str> =
        told.trials.iter().filter_map(|place| Some(place.split_once('/')?.0)).collect();
    names.dedup();
    Row {
        told,
        anchor: anchor(&told.claim),
        main: main.map(|main| main.reason.as_str()),
        blocks: main.map_or(0, |main| main.blocks),
        events: pictured.contains(&told.claim).then(|| super::map::picture(&told.claim)),
        units: units::sheet(units, &told.claim),
        scenarios: names.into_iter().map(|name| Link { name, anchor: anchor(name) }).collect(),
    }
}
