//! All pictures of a run. Each file below draws one kind.

mod attempts;
mod backlog;
pub(super) mod capacity;
mod cost;
mod money;
mod outcomes;
mod percentiles;
mod rates;
mod response;
mod throughput;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::audit_tables::AuditTables;
use super::compare::{Comparison, Scenario};

/// A picture that was drawn.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// Its file.
    pub(super) path: PathBuf,
    /// The scenario that it belongs to; `None` if it shows all.
    pub(super) scenario: Option<String>,
    /// What it is about, for readers who cannot see it.
    pub(super) alt: String,
    /// How to read it.
    pub(super) aid: &'static str,
}

/// A kind of chart: draws one scenario at a path and returns its title.
type Draw = fn(&Scenario<'_>, &str, &Path) -> anyhow::Result<String>;

const KINDS: [(&str, Draw, &str); 5] = [
    ("response", response::draw, response::AID),
    ("percentiles", percentiles::draw, percentiles::AID),
    ("throughput", throughput::draw, throughput::AID),
    ("backlog", backlog::draw, backlog::AID),
    ("outcomes", outcomes::draw, outcomes::AID),
];

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
        for (kind, draw, aid) in KINDS {
            let path = folder.join(format!("{}-{kind}.png", scenario.name));
            let alt = draw(scenario, &source, &path)?;
            charts.push(Chart { path, scenario: Some(scenario.name.to_owned()), alt, aid });
        }
    }
    if cost::is_known(comparison) {
        let path = folder.join("cost.png");
        let alt = cost::draw(comparison, source, &path)?;
        charts.push(Chart { path, scenario: None, alt, aid: cost::AID });
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
    let mut put = |path: PathBuf, alt: String, aid| {
        charts.push(Chart { path, scenario: Some(scenario.name.to_owned()), alt, aid });
    };
    if let Some(points) = &evidence.attempts {
        let path = at("attempts");
        let alt = attempts::draw(scenario, points, source, &path)?;
        put(path, alt, attempts::AID);
    }
    put(at("rates"), rates::draw(scenario, source, &at("rates"))?, rates::AID);
    if let Some(rows) = &evidence.money {
        put(at("money"), money::draw(scenario, rows, source, &at("money"))?, money::AID);
    }
    put(at("backlog"), backlog::draw(scenario, source, &at("backlog"))?, backlog::AID);
    Ok(charts)
}
