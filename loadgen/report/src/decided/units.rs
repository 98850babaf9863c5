//! What one more process brings and what it costs, where a claim's sweep is over how many there are: as a table for all
//! claims, and on the page for each.

use std::collections::BTreeSet;
use std::path::Path;

use decide::statistics::median;
use decide::{Asked, Claim, Figure, Measure, Results};
use record::atomic_write;
use serde::Serialize;

use super::figure::Wanted;
use super::results::asked;

/// All of them, a row for each figure.
const TABLE: &str = "units.csv";
/// What is told of every arm beside what its claim asks for.
const COSTS: [&str; 3] = ["memory", "cpu", "cpu per order"];

/// A figure of an arm with so many processes. Empty: no block has it, or there is no point before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    claim: String,
    arm: String,
    /// Of which there are more from point to point.
    process: String,
    replicas: i64,
    /// The figure's name, with its operation and phase.
    figure: String,
    /// How many blocks have it.
    blocks: usize,
    /// Over the blocks, in the figure's unit; a share from 0 to 1.
    median: Option<f64>,
    lowest: Option<f64>,
    highest: Option<f64>,
    /// By how much each process that was added since the point before changed it, in those blocks that have both.
    each_more_blocks: usize,
    each_more: Option<f64>,
    each_more_lowest: Option<f64>,
    each_more_highest: Option<f64>,
    /// The two for a reader.
    #[serde(skip)]
    shown: [String; 2],
}

/// A claim's rows as a page has them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Sheet {
    figures: Vec<String>,
    lines: Vec<Line>,
}

/// An arm with so many processes.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Line {
    of: String,
    /// In the order of the figures: the value, and what each more changed.
    cells: Vec<[String; 2]>,
}

/// What is read off the trials of this arm beside what is expected of it.
pub(super) fn costs(claim: &Claim, arm: &str) -> Vec<Wanted> {
    let cost = |name: &str| Wanted { measure: name.to_owned(), phase: None, operation: None };
    replicated(claim, arm).map(|_| COSTS.map(cost).into()).unwrap_or_default()
}

/// Of all claims: what some trial has.
pub(super) fn of(claims: &[Claim], results: &dyn Results) -> Vec<Row> {
    let of_claim = |claim: &Claim| -> Vec<Row> {
        claim.arms.keys().flat_map(|arm| of_arm(claim, arm, results)).collect()
    };
    let mut rows: Vec<Row> = claims.iter().flat_map(of_claim).collect();
    let key = |row: &Row| (row.claim.clone(), row.arm.clone(), row.figure.clone());
    let had: BTreeSet<_> = rows.iter().filter(|row| row.blocks > 0).map(key).collect();
    rows.retain(|row| had.contains(&key(row)));
    rows
}

/// Writes the table, if there is anything to tell.
pub(super) fn write(folder: &Path, rows: &[Row]) -> anyhow::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    atomic_write::write(&folder.join(TABLE), &writer.into_inner()?)
}

/// What a claim has of them.
pub(super) fn sheet(rows: &[Row], claim: &str) -> Option<Sheet> {
    let mut sheet = Sheet { figures: Vec::new(), lines: Vec::new() };
    for row in rows.iter().filter(|row| row.claim == claim) {
        let of = format!("{}, {} × {}", row.arm, row.replicas, row.process);
        let known = sheet.figures.iter().position(|figure| *figure == row.figure);
        let place = known.unwrap_or(sheet.figures.len());
        if known.is_none() {
            sheet.figures.push(row.figure.clone());
        }
        if sheet.lines.last().is_none_or(|line| line.of != of) {
            sheet.lines.push(Line { of, cells: Vec::new() });
        }
        if let Some(line) = sheet.lines.last_mut() {
            // Of another arm something else may be asked.
            line.cells.resize(line.cells.len().max(place + 1), <[String; 2]>::default());
            line.cells[place].clone_from(&row.shown);
        }
    }
    let figures = sheet.figures.len();
    for line in &mut sheet.lines {
        line.cells.resize(figures, <[String; 2]>::default());
    }
    (!sheet.lines.is_empty()).then_some(sheet)
}

/// The process of this arm of which there are more from point to point, and how many; of a map there is no such row.
fn replicated<'c>(claim: &'c Claim, arm: &str) -> Option<(&'c str, Vec<i64>)> {
    claim.sweep.as_ref().filter(|sweep| sweep.across.is_none())?.replicated(arm)
}

fn of_arm(claim: &Claim, arm: &str, results: &dyn Results) -> Vec<Row> {
    let Some((process, counts)) = replicated(claim, arm) else { return Vec::new() };
    let mut figures: Vec<Wanted> = Vec::new();
    for wanted in asked(claim, arm).chain(costs(claim, arm)) {
        if !figures.contains(&wanted) {
            figures.push(wanted);
        }
    }
    let points = counts.iter().enumerate().map(|(point, replicas)| {
        let before = point.checked_sub(1);
        let before = before.map(|before| (before, (replicas - counts[before]) as f64));
        let before = before.filter(|(_, added)| *added != 0.0);
        (Point { claim, arm, process, point, replicas: *replicas, before }, &figures)
    });
    let rows = points.flat_map(|(at, figures)| figures.iter().map(move |one| (at, one)));
    rows.filter_map(|(at, wanted)| at.row(wanted, results)).collect()
}

/// An arm with so many processes, where the point before has so many less.
#[derive(Clone, Copy)]
struct Point<'c> {
    claim: &'c Claim,
    arm: &'c str,
    process: &'c str,
    point: usize,
    replicas: i64,
    before: Option<(usize, f64)>,
}

impl Point<'_> {
    fn row(self, wanted: &Wanted, results: &dyn Results) -> Option<Row> {
        let Self { claim, arm, point, .. } = self;
        // The claim was parsed: its figures have names.
        let measure = &Measure::named(&wanted.measure).ok()?;
        let (phase, operation) = (wanted.phase.as_deref(), wanted.operation.as_deref());
        let at = |point, block| {
            let asked = Asked { claim, arm, point, block, measure, phase, operation };
            results.figure(&asked).map(|measured| measured.figure)
        };
        let blocks = results.blocks(claim, point);
        let values = Spread::of(blocks.iter().filter_map(|block| at(point, *block)));
        let each_more = Spread::of(blocks.iter().filter_map(|block| {
            let (before, added) = self.before?;
            let more = at(point, *block)?.minus(at(before, *block)?)?.value;
            Some(Figure::from(more / added))
        }));
        Some(Row {
            claim: claim.id.clone(),
            arm: arm.to_owned(),
            process: self.process.to_owned(),
            replicas: self.replicas,
            figure: told(wanted),
            blocks: values.blocks,
            shown: [values.shown(measure), each_more.shown(measure)],
            median: values.median,
            lowest: values.lowest,
            highest: values.highest,
            each_more_blocks: each_more.blocks,
            each_more: each_more.median,
            each_more_lowest: each_more.lowest,
            each_more_highest: each_more.highest,
        })
    }
}

fn told(wanted: &Wanted) -> String {
    let Wanted { measure, phase, operation } = wanted;
    let operation = operation.as_ref().map(|operation| format!(" of {operation}"));
    let phase = phase.as_ref().map(|phase| format!(", {phase}"));
    format!("{measure}{}{}", operation.unwrap_or_default(), phase.unwrap_or_default())
}

/// A value over the blocks.
struct Spread {
    blocks: usize,
    median: Option<f64>,
    lowest: Option<f64>,
    highest: Option<f64>,
}

impl Spread {
    fn of(values: impl Iterator<Item = Figure>) -> Self {
        let values: Vec<_> = values.filter(|one| !one.value.is_nan()).collect();
        let all = || values.iter().map(|one| one.value);
        Self {
            blocks: values.len(),
            median: median(&values),
            lowest: all().min_by(f64::total_cmp),
            highest: all().max_by(f64::total_cmp),
        }
    }

    /// Its median, and between what its blocks lie.
    fn shown(&self, measure: &Measure) -> String {
        let (Some(median), Some(lowest), Some(highest)) = (self.median, self.lowest, self.highest)
        else {
            return String::new();
        };
        let [median, lowest, highest] = [median, lowest, highest].map(|one| measure.shown(one));
        if self.blocks == 1 { median } else { format!("{median} [{lowest}, {highest}]") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use decide::Measured;
    use std::fs;

    /// Charges grow by a hundred with each consumer, and by ten a block; memory by 8 MiB; CPU has no figure.
    struct Invented;

    impl Results for Invented {
        fn blocks(&self, _: &Claim, point: usize) -> Vec<u32> {
            if point == 2 { vec![1] } else { vec![1, 2, 3] }
        }

        fn figure(&self, asked: &Asked<'_>) -> Option<Measured> {
            let consumers = [1.0, 2.0, 4.0][asked.point];
            let value = match asked.measure.name.as_str() {
                "charges" => (100.0 + f64::from(asked.block) * 10.0) * consumers,
                "memory" => 8.0 * consumers,
                _ => return None,
            };
            Some(Measured { figure: value.into(), of: None })
        }
    }

    fn claim(sweep: &str) -> Claim {
        let text = format!(
            "sentence = \"s\"\nsource = {{ text = \"t\" }}\nscenario = \"z\"\nrefuted_by = \"r\"\n\
            arms = {{ a = \"x\", b = \"y\" }}\nsweep = {{ {sweep} }}\n\
            [[expect]]\nfigure = \"charges\"\nphase = \"steady\"\nof = \"a\"\ntrend = \"rises\"\n"
        );
        Claim::parse(Path::new("claims/units.toml"), &text).unwrap()
    }

    #[test]
    fn each_more_is_what_changed_divided_by_how_many_came() {
        let of_both = "key = \"replicas\", of = { a = \"p\", b = \"q\" }, values = [1, 2, 4]";
        let rows = of(&[claim(of_both)], &Invented);
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &rows).unwrap();
        let table = fs::read_to_string(folder.path().join(TABLE)).unwrap();
        let lines: Vec<&str> = table.lines().collect();
        let charges = "units,a,p,2,\"charges, steady\",3,240.0,220.0,260.0,3,120.0,110.0,130.0";
        assert!(lines.contains(&charges), "{table}");
        // Two came, and one block has both points.
        assert!(lines.contains(&"units,a,p,4,memory,1,32.0,32.0,32.0,1,8.0,8.0,8.0"), "{table}");
        assert!(lines.contains(&"units,a,p,1,memory,3,8.0,8.0,8.0,0,,,"), "{table}");
        assert!(!table.contains("cpu"), "nobody has it: {table}");
        let sheet = sheet(&rows, "units").unwrap();
        assert_eq!(sheet.figures, ["charges, steady", "memory"]);
        let [one, other] = [&sheet.lines[1], &sheet.lines[4]];
        assert_eq!((&*one.of, &*other.of), ("a, 2 × p", "b, 2 × q"));
        assert_eq!(one.cells[0], ["240 /s [220 /s, 260 /s]", "120 /s [110 /s, 130 /s]"]);
        // Of b no charges are asked for.
        let memory = ["16 MiB".to_owned() + " [16 MiB, 16 MiB]", "8 MiB [8 MiB, 8 MiB]".to_owned()];
        assert_eq!([&one.cells[1], &other.cells[1]], [&memory, &memory]);
        assert_eq!(other.cells[0], ["", ""]);
    }

    #[test]
    fn a_sweep_over_anything_else_has_none() {
        let one = claim("arm = \"b\", key = \"replicas.q\", values = [1, 2, 4]");
        assert!(costs(&one, "a").is_empty() && !costs(&one, "b").is_empty());
        let of_a_flag =
            claim("key = \"--work-ms\", of = { a = \"p\", b = \"q\" }, values = [1, 2]");
        assert!(of(&[of_a_flag, claim("key = \"start\", values = [1, 2]")], &Invented).is_empty());
        assert!(sheet(&[], "units").is_none());
    }
}
