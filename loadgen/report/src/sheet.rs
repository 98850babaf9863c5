//! What every chart has: a title in words, what it shows, a legend outside the data, a source.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use plotters::style::RGBColor;

use super::canvas::{Canvas, Hold, Pen, picture};
use super::palette;

/// The width of all charts, px.
pub(super) const WIDTH: u32 = 1600;
/// Free space at the left and right of the sheet, px.
pub(super) const MARGIN: f64 = 44.0;

const TITLE_SIZE: f64 = 32.0;
const SUBTITLE_SIZE: f64 = 20.0;
const LEGEND_SIZE: f64 = 20.0;
const FOOTER_HEIGHT: f64 = 40.0;

/// A part of the sheet, px.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    /// Its left edge.
    pub(super) left: f64,
    /// Its upper edge.
    pub(super) top: f64,
    /// Its right edge.
    pub(super) right: f64,
    /// Its lower edge.
    pub(super) bottom: f64,
}

/// A legend's sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sample {
    /// A line.
    Line(Pen),
    /// A filled area.
    Block(RGBColor),
    /// A point.
    Dot(RGBColor),
    /// A hollow point.
    Ring(RGBColor),
    /// A cross.
    Cross(RGBColor),
}

/// The frame around a chart.
#[derive(Clone, Debug)]
pub(super) struct Sheet {
    /// The finding's subject in words.
    pub(super) title: String,
    /// What is drawn, by which rule.
    pub(super) subtitle: String,
    /// What the lines and colours mean.
    pub(super) legend: Vec<(Sample, String)>,
    /// Where it comes from.
    pub(super) source: String,
    /// The whole height, px.
    pub(super) height: u32,
}

impl Sheet {
    /// Draws the frame, then `body` within it, and puts the picture at `path` at once.
    pub(super) fn save(
        &self,
        path: &Path,
        body: impl FnOnce(&Canvas<'_>, Area) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // The format follows from the ending, so the temporary name keeps it.
        let unfinished = path.with_file_name(format!(".unfinished-{name}"));
        picture(&unfinished, (WIDTH, self.height), |canvas| {
            let area = self.frame(canvas)?;
            body(canvas, area)
        })
        .with_context(|| format!("cannot draw {}", path.display()))?;
        fs::rename(&unfinished, path).with_context(|| format!("cannot write {}", path.display()))
    }

    fn frame(&self, canvas: &Canvas<'_>) -> anyhow::Result<Area> {
        let right = f64::from(WIDTH) - MARGIN;
        let room = right - MARGIN;
        let mut y = 42.0;
        for line in canvas.wrap(TITLE_SIZE, room, &self.title)? {
            canvas.heavy((MARGIN, y), Hold::Left, TITLE_SIZE, palette::INK, &line)?;
            y += TITLE_SIZE * 1.25;
        }
        for line in canvas.wrap(SUBTITLE_SIZE, room, &self.subtitle)? {
            canvas.text((MARGIN, y), Hold::Left, SUBTITLE_SIZE, palette::SOFT, &line)?;
            y += SUBTITLE_SIZE * 1.35;
        }
        let top = self.legend(canvas, y + 8.0)?;
        let bottom = f64::from(self.height) - FOOTER_HEIGHT;
        let foot = (MARGIN, f64::from(self.height) - 20.0);
        let source = canvas.fit(16.0, room, &self.source)?;
        canvas.text(foot, Hold::Left, 16.0, palette::SOFT, &source)?;
        Ok(Area { left: MARGIN, top, right, bottom })
    }

    fn legend(&self, canvas: &Canvas<'_>, mut y: f64) -> anyhow::Result<f64> {
        let mut x = MARGIN;
        for (sample, label) in &self.legend {
            let label = canvas.fit(LEGEND_SIZE, f64::from(WIDTH) / 2.0, label)?;
            let width = 46.0 + canvas.width(LEGEND_SIZE, &label)? + 34.0;
            if x + width > f64::from(WIDTH) - MARGIN + 34.0 && x > MARGIN {
                (x, y) = (MARGIN, y + 30.0);
            }
            draw_sample(canvas, *sample, x, y)?;
            canvas.text((x + 46.0, y), Hold::Left, LEGEND_SIZE, palette::INK, &label)?;
            x += width;
        }
        Ok(y + 26.0)
    }
}

impl Area {
    /// The height, px.
    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    /// Its centre.
    pub(super) fn centre(&self) -> (f64, f64) {
        (f64::midpoint(self.left, self.right), f64::midpoint(self.top, self.bottom))
    }
}

fn draw_sample(canvas: &Canvas<'_>, sample: Sample, x: f64, y: f64) -> anyhow::Result<()> {
    match sample {
        Sample::Line(pen) => canvas.line(&[(x, y), (x + 36.0, y)], pen),
        Sample::Block(colour) => canvas.block((x, y - 8.0), (x + 36.0, y + 8.0), colour, 1.0),
        Sample::Dot(colour) => canvas.dot((x + 18.0, y), 6.0, colour, 1.0),
        Sample::Ring(colour) => canvas.ring((x + 18.0, y), 6.0, colour),
        Sample::Cross(colour) => canvas.cross((x + 18.0, y), 7.0, colour),
    }
}

/// Greys what was drawn in `area`, whose numbers may not be believed. Why not stands beside it: a box
/// across a curve hides the curve.
pub(super) fn veil(canvas: &Canvas<'_>, area: Area) -> anyhow::Result<()> {
    canvas.block((area.left, area.top), (area.right, area.bottom), palette::PAPER, 0.6)
}
