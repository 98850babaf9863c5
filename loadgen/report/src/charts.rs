//! All pictures of a run. Each file below draws one kind: as a picture for slides, and as data for the page.

mod arrivals;
mod attempts;
mod backlog;
pub(super) mod capacity;
mod cost;
pub(super) mod events;
mod money;
mod outcomes;
mod percentiles;
mod rates;
mod response;
#[cfg(test)]
mod tests;
mod throughput;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::audit_tables::AuditTables;
use super::compare::{Comparison, Scenario};
use super::interactive::Interactive;

/// A picture that was drawn.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// Its file.
    pub(super) path: PathBuf,
    /// The scenario that it belongs to; `None` if it shows all.
    pub(super) scenario: Option<String>,
    /// What it is about.
    pub(super) title: String,
    /// What is seen in it, for readers who cannot see it.
    pub(super) seen: String,
    /// How to read it.
    pub(super) aid: &'static str,
    /// The same for the page's script, if it can show it.
    pub(super) data: Option<Interactive>,
}

/// A kind of chart of one scenario.
struct Kind {
    /// What its file's name ends with.
    name: &'static str,
    /// What it is about, with the circumstance.
    title: fn(&Scenario<'_>) -> String,
    /// What is seen in it: the figures that a look would give.
    seen: fn(&Scenario<'_>) -> String,
    /// How to read it.
    aid: &'static str,
    /// Draws it at a path.
    draw: fn(&Scenario<'_>, &str, &Path) -> anyhow::Result<()>,
    /// The same as data; `None` if it is a picture only.
    data: Option<fn(&Scenario<'_>) -> Interactive>,
}

/// In the order of the page: first what customers got.
const KINDS: [Kind; 6] = [
    arrivals::KIND,
    response::KIND,
    throughput::KIND,
    backlog::KIND,
    percentiles::KIND,
    outcomes::KIND,
];

impl Chart {
    /// Its title and what is seen in it.
    pub(super) fn alt(&self) -> String {
        if self.seen.is_empty() {
            self.title.clone()
        } else {
            format!("{}. {}", self.title, self.seen)
        }
    }
}

impl Kind {
    fn chart(&self, scenario: &Scenario<'_>, source: &str, path: PathBuf) -> anyhow::Result<Chart> {
        (self.draw)(scenario, source, &path)?;
        Ok(Chart {
            path,
            scenario: Some(scenario.name.to_owned()),
            title: (self.title)(scenario),
            seen: (self.seen)(scenario),
            aid: self.aid,
            data: self.data.map(|data| data(scenario)),
        })
    }
}

/// Draws everything into `folder`, which is made if need be.
pub(super) fn draw_all(
    comparison: &Comparison<'_>,
    source: &str,
    folder: &Path,
) -> anyhow::Result<Vec<Chart>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut charts = Vec::new();
    for scenario in &comparison.scenarios {
        let source = format!("{source} · seed {}", scenario.manifest().seed);
        for kind in KINDS {
            let path = folder.join(format!("{}-{}.png", scenario.name, kind.name));
            charts.push(kind.chart(scenario, &source, path)?);
        }
    }
    if cost::is_known(comparison) {
        charts.push(cost::draw(comparison, source, folder.join("cost.png"))?);
    }
    Ok(charts)
}

/// Draws the audit of the one trial in `scenario` into `folder`, which is made if need be: what the
/// evidence lacks is left out.
pub(super) fn draw_audit(
    scenario: &Scenario<'_>,
    evidence: &AuditTables,
    source: &str,
    folder: &Path,
) -> anyhow::Result<Vec<Chart>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let at = |name: &str| folder.join(format!("{name}.png"));
    let mut charts = Vec::new();
    if let Some(points) = &evidence.attempts {
        charts.push(attempts::draw(scenario, points, source, at("attempts"))?);
    }
    charts.push(rates::KIND.chart(scenario, source, at("rates"))?);
    if let Some(rows) = &evidence.money {
        charts.push(money::draw(scenario, rows, source, at("money"))?);
    }
    charts.push(backlog::KIND.chart(scenario, source, at("backlog"))?);
    Ok(charts)
}

/// A sentence for each system, joined: "monolith: 6.3 %; microservices-sync: 14.4 %".
fn by_system(
    scenario: &Scenario<'_>,
    tell: impl Fn(&super::compare::Contestant<'_>) -> String,
) -> String {
    let told = scenario.contestants.iter().map(|one| match super::exclusion::of_all(one) {
        Some(excluded) => format!("{}: {excluded}", one.name),
        None => format!("{}: {}", one.name, tell(one)),
    });
    told.collect::<Vec<_>>().join("; ") + "."
}

/// The phase to look at first, and how to say so where there are several.
fn in_phase<'s>(scenario: &'s Scenario<'_>) -> (&'s str, String) {
    match scenario.main_phase() {
        Some(phase) if phase.name == "during" => ("during", "While “during”: ".to_owned()),
        Some(phase) => (phase.name.as_str(), String::new()),
        None => ("", String::new()),
    }
}
