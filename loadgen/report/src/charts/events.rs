//! How often an event came at each point of a sweep: a field for each, and beside it what was foreseen.

use std::path::Path;

use plotters::style::RGBColor;

use crate::canvas::{Canvas, Hold, Pen};
use crate::decided::map::{Map, MapCell};
use crate::palette;
use crate::sheet::{Area, Sample, Sheet, WIDTH};

const ROW_HEIGHT: f64 = 86.0;
/// For the values of a row, left of the fields.
const NAMES: f64 = 130.0;
/// Between what was seen and what was foreseen.
const GAP: f64 = 40.0;
/// Above the fields: a heading, the key, its values.
const HEAD: f64 = 92.0;

/// Draws it at `path`.
pub(crate) fn draw(map: &Map, path: &Path) -> anyhow::Result<()> {
    let rows = map.down.1.len() as f64;
    let surprising = map.cells.iter().filter(|cell| cell.surprises()).count();
    let sheet = Sheet {
        title: map.sentence.clone(),
        subtitle: format!(
            "{}: in how many trials it came, with the exact interval of 95 %. Foreseen is what a model gave before the \
             first trial; it lies outside of the interval at {surprising} of {} points.",
            map.what,
            map.cells.len()
        ),
        legend: vec![
            (Sample::Block(shade(0.0)), "never".to_owned()),
            (Sample::Block(shade(0.5)), "in half of the trials".to_owned()),
            (Sample::Block(shade(1.0)), "always".to_owned()),
            (Sample::Cross(palette::INVALID), "other than foreseen".to_owned()),
        ],
        source: format!("claim {} · events.csv has the numbers", map.claim),
        height: (330.0 + HEAD + rows * ROW_HEIGHT) as u32,
    };
    sheet.save(path, |canvas, body| fields(canvas, body, map))
}

fn fields(canvas: &Canvas<'_>, body: Area, map: &Map) -> anyhow::Result<()> {
    let both = map.cells.iter().any(|cell| cell.foreseen.is_some());
    let room = body.right - body.left - NAMES;
    let wide = if both { (room - GAP) / 2.0 } else { room };
    let seen = Area { left: body.left + NAMES, right: body.left + NAMES + wide, ..body };
    names(canvas, seen, map)?;
    field(canvas, seen, map, "measured", measured)?;
    if both {
        let foreseen = Area { left: seen.right + GAP, right: f64::from(WIDTH) - 44.0, ..body };
        field(canvas, foreseen, map, "foreseen by the model", predicted)?;
    }
    Ok(())
}

/// The values of the rows.
fn names(canvas: &Canvas<'_>, area: Area, map: &Map) -> anyhow::Result<()> {
    if map.down.0.is_empty() {
        return Ok(());
    }
    let key = canvas.fit(16.0, NAMES, &map.down.0)?;
    canvas.text((area.left - 14.0, area.top + 74.0), Hold::Right, 16.0, palette::SOFT, &key)?;
    for (row, value) in (0..).map(f64::from).zip(&map.down.1) {
        let y = area.top + HEAD + (row + 0.5) * ROW_HEIGHT;
        let value = canvas.fit(20.0, NAMES - 20.0, value)?;
        canvas.text((area.left - 14.0, y), Hold::Right, 20.0, palette::INK, &value)?;
    }
    Ok(())
}

/// A cell's share, its two lines of text, and whether it is marked.
type Told = fn(&MapCell) -> (Option<f64>, String, String, bool);

fn measured(cell: &MapCell) -> (Option<f64>, String, String, bool) {
    let percent = |share: f64| format!("{:.0}", share * 100.0);
    let (low, high) = cell.interval;
    let between = format!("{} to {} %", percent(low), percent(high));
    let between = if cell.trials == 0 { String::new() } else { between };
    (cell.share(), format!("{} of {}", cell.came, cell.trials), between, cell.surprises())
}

fn predicted(cell: &MapCell) -> (Option<f64>, String, String, bool) {
    let text = cell.foreseen.map_or_else(String::new, |share| format!("{:.0} %", share * 100.0));
    (cell.foreseen, text, String::new(), false)
}

fn field(
    canvas: &Canvas<'_>,
    area: Area,
    map: &Map,
    heading: &str,
    told: Told,
) -> anyhow::Result<()> {
    let columns = map.across.1.len();
    let wide = (area.right - area.left) / columns as f64;
    let (middle, _) = area.centre();
    canvas.heavy((middle, area.top + 12.0), Hold::Centre, 20.0, palette::INK, heading)?;
    let key = canvas.fit(16.0, area.right - area.left, &map.across.0)?;
    canvas.text((middle, area.top + 42.0), Hold::Centre, 16.0, palette::SOFT, &key)?;
    for (index, value) in map.across.1.iter().enumerate() {
        let x = area.left + (index as f64 + 0.5) * wide;
        let value = canvas.fit(20.0, wide - 8.0, value)?;
        canvas.text((x, area.top + 72.0), Hold::Centre, 20.0, palette::INK, &value)?;
    }
    for (index, cell) in map.cells.iter().enumerate() {
        let (column, row) = ((index % columns) as f64, (index / columns) as f64);
        let (left, top) = (area.left + column * wide, area.top + HEAD + row * ROW_HEIGHT);
        let place = Area { left, top, right: left + wide - 4.0, bottom: top + ROW_HEIGHT - 4.0 };
        square(canvas, place, told(cell))?;
    }
    Ok(())
}

fn square(
    canvas: &Canvas<'_>,
    place: Area,
    (share, first, second, is_marked): (Option<f64>, String, String, bool),
) -> anyhow::Result<()> {
    let colour = share.map_or(palette::WARM_UP, shade);
    canvas.block((place.left, place.top), (place.right, place.bottom), colour, 1.0)?;
    let ink = if share.is_some_and(|share| share > 0.6) { palette::PAPER } else { palette::INK };
    let (x, y) = place.centre();
    let lift = if second.is_empty() { 0.0 } else { 14.0 };
    canvas.text((x, y - lift), Hold::Centre, 22.0, ink, &first)?;
    canvas.text((x, y + 16.0), Hold::Centre, 16.0, ink, &second)?;
    if is_marked {
        canvas.cross((place.right - 14.0, place.top + 14.0), 7.0, palette::INVALID)?;
    }
    canvas.line(
        &[(place.left, place.bottom), (place.right, place.bottom)],
        Pen::solid(palette::GRID, 1.0),
    )
}

/// From nearly white to dark: lightness alone tells shares apart.
fn shade(share: f64) -> RGBColor {
    palette::tint(palette::system(0), 0.08 + 0.92 * share.clamp(0.0, 1.0))
}
