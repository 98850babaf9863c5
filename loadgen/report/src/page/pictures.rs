//! The charts of a page: as data for its script, as links, or, where a page has no script, as pictures in it.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context as _;
use serde::Serialize;

use crate::charts::Chart;
use crate::embed;
use crate::interactive::Interactive;

/// A chart of the page: drawn by its script, or for those without one a file beside the page.
#[derive(Serialize)]
pub(super) struct Picture {
    anchor: String,
    title: String,
    seen: String,
    aid: &'static str,
    file: String,
    /// Whether the script can draw it.
    is_live: bool,
}

/// A picture inside a page that has no script.
#[derive(Serialize)]
pub(crate) struct Embedded {
    src: String,
    alt: String,
    aid: &'static str,
}

/// The charts of `scenario`, or of the whole run.
pub(super) fn pictures(charts: &[Chart], scenario: Option<&str>) -> Vec<Picture> {
    let wanted = charts.iter().filter(|chart| chart.scenario.as_deref() == scenario);
    let picture = |chart: &Chart| Picture {
        anchor: anchor(&stem(chart)),
        title: chart.title.clone(),
        seen: chart.seen.clone(),
        aid: chart.aid,
        file: file(chart),
        is_live: chart.data.is_some(),
    };
    wanted.map(picture).collect()
}

/// Charts read back from their files, to stand in a page.
pub(crate) fn embedded(charts: &[Chart]) -> anyhow::Result<Vec<Embedded>> {
    let embed = |chart: &Chart| {
        let bytes = fs::read(&chart.path)
            .with_context(|| format!("cannot read {}", chart.path.display()))?;
        Ok(Embedded { src: embed::png(&bytes), alt: chart.alt(), aid: chart.aid })
    };
    charts.iter().map(embed).collect()
}

/// All that the script draws, by anchor. No `<`, which might end the element that it stands in.
pub(super) fn data(charts: &[Chart]) -> anyhow::Result<String> {
    let live = charts.iter().filter_map(|chart| Some((anchor(&stem(chart)), chart.data.as_ref()?)));
    let live: BTreeMap<String, &Interactive> = live.collect();
    Ok(serde_json::to_string(&live)?.replace('<', "\\u003c"))
}

fn stem(chart: &Chart) -> String {
    chart.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

pub(super) fn file(chart: &Chart) -> String {
    format!("charts/{}", chart.path.file_name().unwrap_or_default().to_string_lossy())
}

/// A name as a place in a page that can be linked.
pub(crate) fn anchor(name: &str) -> String {
    name.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' }).collect()
}
