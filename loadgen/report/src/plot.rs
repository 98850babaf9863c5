//! One coordinate system on a sheet: axes, grid, lines.

use plotters::style::RGBColor;

use super::canvas::{Canvas, Hold, Pen, Point};
use super::palette;
use super::scale::Scale;
use super::sheet::Area;

const LABEL_SIZE: f64 = 18.0;

/// Values against positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plot {
    /// Where it lies on the sheet.
    pub(super) area: Area,
    /// The horizontal axis.
    pub(super) x: Scale,
    /// The vertical axis.
    pub(super) y: Scale,
}

impl Plot {
    /// The point of the sheet that stands for `value`.
    pub(super) fn at(&self, value: Point) -> Point {
        let Area { left, top, right, bottom } = self.area;
        let (x, y) = (self.x.share(value.0), self.y.share(value.1));
        (left + (right - left) * x, bottom - (bottom - top) * y)
    }

    /// Horizontal grid lines with their values.
    pub(super) fn grid(
        &self,
        canvas: &Canvas<'_>,
        label: impl Fn(f64) -> String,
    ) -> anyhow::Result<()> {
        let marks = self.y.marks(5);
        let room = self.area.height() / marks.len().max(1) as f64;
        let every = (26.0 / room).ceil().max(1.0) as usize;
        for (index, mark) in marks.into_iter().enumerate() {
            let y = self.at((0.0, mark)).1;
            let line = [(self.area.left, y), (self.area.right, y)];
            canvas.line(&line, Pen::solid(palette::GRID, 1.0))?;
            if index % every == 0 {
                let at = (self.area.left - 12.0, y);
                canvas.text(at, Hold::Right, LABEL_SIZE, palette::INK, &label(mark))?;
            }
        }
        Ok(())
    }

    /// The lower edge with marks at the values of `marks`.
    pub(super) fn floor(&self, canvas: &Canvas<'_>, marks: &[(f64, String)]) -> anyhow::Result<()> {
        let y = self.area.bottom;
        canvas
            .line(&[(self.area.left, y), (self.area.right, y)], Pen::solid(palette::SOFT, 1.0))?;
        for (value, label) in marks {
            let x = self.at((*value, 0.0)).0;
            canvas.line(&[(x, y), (x, y + 6.0)], Pen::solid(palette::SOFT, 1.0))?;
            canvas.text((x, y + 19.0), Hold::Centre, LABEL_SIZE, palette::INK, label)?;
        }
        Ok(())
    }

    /// What the axes measure; the vertical one stands `away` px from the left edge.
    pub(super) fn name_axes(
        &self,
        canvas: &Canvas<'_>,
        x: &str,
        y: &str,
        away: f64,
    ) -> anyhow::Result<()> {
        let (centre_x, centre_y) = self.area.centre();
        canvas.upwards((self.area.left - away, centre_y), LABEL_SIZE, palette::SOFT, y)?;
        let at = (centre_x, self.area.bottom + 46.0);
        canvas.text(at, Hold::Centre, LABEL_SIZE, palette::SOFT, x)
    }

    /// A line through `values`.
    pub(super) fn line(
        &self,
        canvas: &Canvas<'_>,
        values: &[Point],
        pen: Pen,
    ) -> anyhow::Result<()> {
        let points: Vec<_> = values.iter().map(|value| self.at(*value)).collect();
        canvas.line(&points, pen)
    }

    /// The area between `values` and the floor.
    pub(super) fn under(
        &self,
        canvas: &Canvas<'_>,
        values: &[Point],
        colour: RGBColor,
        opacity: f64,
    ) -> anyhow::Result<()> {
        let (Some(first), Some(last)) = (values.first(), values.last()) else { return Ok(()) };
        if values.len() < 2 {
            return Ok(());
        }
        let mut points: Vec<_> = values.iter().map(|value| self.at(*value)).collect();
        points.push((self.at(*last).0, self.area.bottom));
        points.push((self.at(*first).0, self.area.bottom));
        canvas.fill(&points, colour, opacity)
    }

    /// The area between `upper` and `lower`, which have their values at the same positions.
    pub(super) fn between(
        &self,
        canvas: &Canvas<'_>,
        (upper, lower): (&[Point], &[Point]),
        colour: RGBColor,
        opacity: f64,
    ) -> anyhow::Result<()> {
        let there = upper.iter();
        let points: Vec<_> = there.chain(lower.iter().rev()).map(|value| self.at(*value)).collect();
        if points.len() < 4 { Ok(()) } else { canvas.fill(&points, colour, opacity) }
    }

    /// A vertical band between two positions.
    pub(super) fn band(
        &self,
        canvas: &Canvas<'_>,
        from: f64,
        to: f64,
        colour: RGBColor,
        opacity: f64,
    ) -> anyhow::Result<()> {
        let (left, right) = (self.at((from, 0.0)).0, self.at((to, 0.0)).0);
        if right <= left {
            return Ok(());
        }
        canvas.block((left, self.area.top), (right, self.area.bottom), colour, opacity)
    }
}
