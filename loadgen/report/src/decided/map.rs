//! How often an event came at each point of a claim's sweep, with what a model had foreseen beside it: as a table
//! for all claims, and as a picture for each.

use std::fs;
use std::path::Path;

use decide::statistics::exact_bounds;
use decide::{Asked, Claim, Expect, Kind, Quantity, Results, shown};
use record::atomic_write;
use serde::Serialize;

use super::plan::Plan;
use crate::charts::events;

/// All of them, a line for each point.
const TABLE: &str = "events.csv";
/// How often the interval of a share may miss it.
const MISS: f64 = 0.05;

/// The events of one arm of a claim.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Map {
    pub(crate) claim: String,
    pub(crate) sentence: String,
    /// The figure, and of whom.
    pub(crate) what: String,
    /// The key that changes from left to right, and its values.
    pub(crate) across: (String, Vec<String>),
    /// The key that changes from row to row, and its values; one empty value without it.
    pub(crate) down: (String, Vec<String>),
    /// Row by row.
    pub(crate) cells: Vec<MapCell>,
}

/// One point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MapCell {
    /// In how many trials it came, for sure.
    pub(crate) came: usize,
    /// In how many it may have come.
    pub(crate) possible: usize,
    /// Trials that have the figure.
    pub(crate) trials: usize,
    /// The exact interval of the share.
    pub(crate) interval: (f64, f64),
    /// The share that was foreseen before the first trial.
    pub(crate) foreseen: Option<f64>,
}

#[derive(Serialize)]
struct Row<'m> {
    claim: &'m str,
    figure: &'m str,
    point: String,
    came: usize,
    may_have_come: usize,
    trials: usize,
    low: f64,
    high: f64,
    foreseen: Option<f64>,
}

impl MapCell {
    /// In what share of trials it came; `None` without one.
    pub(crate) fn share(&self) -> Option<f64> {
        (self.trials > 0).then(|| self.came as f64 / self.trials as f64)
    }

    /// Whether what was foreseen lies outside of what was seen.
    pub(crate) fn surprises(&self) -> bool {
        let (low, high) = self.interval;
        self.trials > 0 && self.foreseen.is_some_and(|share| !(low..=high).contains(&share))
    }
}

/// Writes the table and the pictures, where a claim is about events; the names of those claims.
pub(super) fn write(
    folder: &Path,
    plan: &Plan,
    claims: &[Claim],
    results: &dyn Results,
) -> anyhow::Result<Vec<String>> {
    let maps: Vec<Map> = of(plan, claims, results);
    if maps.is_empty() {
        return Ok(Vec::new());
    }
    let charts = folder.join("charts");
    fs::create_dir_all(&charts)?;
    for map in &maps {
        events::draw(map, &charts.join(picture(&map.claim)))?;
    }
    atomic_write::write(&folder.join(TABLE), &csv(&maps)?)?;
    Ok(maps.into_iter().map(|map| map.claim).collect())
}

/// The file of a claim's picture.
pub(super) fn picture(claim: &str) -> String {
    format!("events-{claim}.png")
}

/// One for each claim with a sweep of events; of several arms that of the first.
fn of(plan: &Plan, claims: &[Claim], results: &dyn Results) -> Vec<Map> {
    let both = plan.claims.iter().zip(claims).filter(|(planned, _)| !planned.cells.is_empty());
    both.filter_map(|(planned, claim)| {
        let is_event = |expect: &&Expect| expect.measure.kind == Kind::Event;
        let expect = claim.expect.iter().find(is_event)?;
        map(claim, expect, &planned.predicted, results)
    })
    .collect()
}

fn map(claim: &Claim, expect: &Expect, foreseen: &[f64], results: &dyn Results) -> Option<Map> {
    let sweep = claim.sweep.as_ref()?;
    let words = |values: &[_]| values.iter().map(shown).collect::<Vec<_>>();
    let down = match &sweep.across {
        Some(across) => (across.key.clone(), words(&across.values)),
        None => (String::new(), vec![String::new()]),
    };
    let cell = |point| cell(claim, expect, point, foreseen.get(point).copied(), results);
    Some(Map {
        claim: claim.id.clone(),
        sentence: claim.sentence.clone(),
        what: format!("{}, {}", expect.measure.name, expect.of),
        across: (sweep.key.clone(), words(&sweep.values)),
        down,
        cells: (0..claim.points()).map(cell).collect(),
    })
}

fn cell(
    claim: &Claim,
    expect: &Expect,
    point: usize,
    foreseen: Option<f64>,
    results: &dyn Results,
) -> MapCell {
    let Quantity::One(of) = &expect.of else { return none(foreseen) };
    let blocks = results.blocks(claim, point).into_iter();
    let figures = blocks.filter_map(|block| {
        let (arm, phase, measure) = (of.arm.as_str(), of.phase.as_deref(), &expect.measure);
        let operation = expect.operation.as_deref();
        results.figure(&Asked { claim, arm, point, block, measure, phase, operation })
    });
    let figures: Vec<_> = figures.map(|measured| measured.figure).collect();
    let count = |is: fn(&decide::Figure) -> bool| figures.iter().filter(|one| is(one)).count();
    let (came, possible) = (count(|one| one.least >= 0.5), count(|one| one.most >= 0.5));
    let trials = figures.len();
    let end = |k: usize| exact_bounds(k as f64 / trials.max(1) as f64, trials as f64, MISS);
    let interval = if trials == 0 { (0.0, 1.0) } else { (end(came).0, end(possible).1) };
    MapCell { came, possible, trials, interval, foreseen }
}

fn none(foreseen: Option<f64>) -> MapCell {
    MapCell { came: 0, possible: 0, trials: 0, interval: (0.0, 1.0), foreseen }
}

fn csv(maps: &[Map]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for map in maps {
        let columns = map.across.1.len();
        for (index, cell) in map.cells.iter().enumerate() {
            let (column, row) = (index % columns, index / columns);
            let mut point = format!("{} = {}", map.across.0, map.across.1[column]);
            if !map.down.0.is_empty() {
                point = format!("{point}, {} = {}", map.down.0, map.down.1[row]);
            }
            writer.serialize(Row {
                claim: &map.claim,
                figure: &map.what,
                point,
                came: cell.came,
                may_have_come: cell.possible,
                trials: cell.trials,
                low: cell.interval.0,
                high: cell.interval.1,
                foreseen: cell.foreseen,
            })?;
        }
    }
    Ok(writer.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decided::plan::{Cell, Planned};
    use decide::{Figure, Measured};

    /// Stuck in as many of ten blocks as the point's number says; block 9 of point 3 may have been otherwise.
    struct Invented;

    impl Results for Invented {
        fn blocks(&self, _: &Claim, point: usize) -> Vec<u32> {
            if point == 5 { Vec::new() } else { (0..10).collect() }
        }

        fn figure(&self, asked: &Asked<'_>) -> Option<Measured> {
            let value = f64::from(u8::from((asked.block as usize) < asked.point));
            let most = if (asked.point, asked.block) == (3, 9) { 1.0 } else { value };
            Some(Measured { figure: Figure { value, least: value, most }, of: None })
        }
    }

    fn written() -> (tempfile::TempDir, String) {
        let text = "sentence = \"s\"\nsource = { text = \"t\" }\nscenario = \"z\"\nrefuted_by = \"r\"\n\
            arms = { a = \"x\" }\n\
            sweep = { key = \"for\", values = [\"1s\", \"2s\"], across = { key = \"start\", values = [4, 5, 6] } }\n\
            [[expect]]\nfigure = \"stuck after trigger\"\nof = \"a\"\ntrend = \"rises\"\n";
        let path = std::path::PathBuf::from("claims/storm.toml");
        let claim = Claim::parse(&path, text).unwrap();
        let mut plan = Plan::new("r", "p", false, 10);
        plan.claims = vec![Planned {
            path,
            text: text.to_owned(),
            predicted: vec![0.0, 0.1, 0.9, 0.3, 0.4, 0.5],
            cells: vec![Cell::default()],
            ..Planned::default()
        }];
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &plan, &[claim], &Invented).unwrap();
        let table = fs::read_to_string(folder.path().join(TABLE)).unwrap();
        (folder, table)
    }

    #[test]
    fn the_table_has_a_line_for_each_point_and_there_is_a_picture() {
        let (folder, table) = written();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 7, "{table}");
        assert!(lines[1].contains("\"for = 1s, start = 4\",0,0,10,0.0,0.308"), "{table}");
        assert!(lines[4].contains("\"for = 2s, start = 5\",3,4,10,0.066"), "{table}");
        // The upper end is of the four that may have been: of three it would be 0.65.
        let upper: f64 = lines[4].rsplit(',').nth(1).unwrap().parse().unwrap();
        assert!((upper - 0.738).abs() < 0.001, "{table}");
        assert!(lines[6].ends_with("0,0,0,0.0,1.0,0.5"), "{table}");
        let picture = fs::read(folder.path().join("charts/events-storm.png")).unwrap();
        assert!(picture.starts_with(b"\x89PNG"));
    }

    #[test]
    fn what_was_foreseen_and_did_not_come_is_marked() {
        let cell = |came, foreseen| {
            let (low, high) = exact_bounds(came as f64 / 30.0, 30.0, MISS);
            MapCell {
                came,
                possible: came,
                trials: 30,
                interval: (low, high),
                foreseen: Some(foreseen),
            }
        };
        assert!(!cell(15, 0.5).surprises() && !cell(0, 0.1).surprises());
        assert!(cell(0, 0.2).surprises() && cell(30, 0.5).surprises());
        assert!(!none(Some(0.5)).surprises());
    }
}
