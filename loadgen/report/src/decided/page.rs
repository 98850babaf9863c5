//! `decision.html`: verdicts first, then what each rests on, with links to charts and records.

use serde::Serialize;

use super::json::{Told, Verdicts};
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
}

#[derive(Serialize)]
struct Link<'v> {
    name: &'v str,
    anchor: String,
}

pub(super) fn html(verdicts: &Verdicts) -> anyhow::Result<String> {
    let page = Page {
        verdicts,
        rows: verdicts.verdicts.iter().map(row).collect(),
        controls: verdicts.controls.iter().map(row).collect(),
    };
    render("decision.html", HTML, &page)
}

fn row(told: &Told) -> Row<'_> {
    let main = told.main.and_then(|main| told.findings.get(main));
    let mut names: Vec<&str> =
        told.trials.iter().filter_map(|place| Some(place.split_once('/')?.0)).collect();
    names.dedup();
    Row {
        told,
        anchor: anchor(&told.claim),
        main: main.map(|main| main.reason.as_str()),
        blocks: main.map_or(0, |main| main.blocks),
        scenarios: names.into_iter().map(|name| Link { name, anchor: anchor(name) }).collect(),
    }
}
