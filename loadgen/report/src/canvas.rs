//! A bitmap to draw on, in points of the finished picture. It knows nothing of what is drawn.

pub(super) mod labels;

use std::path::Path;
use std::sync::Once;

use anyhow::Context as _;
use plotters::coord::Shift;
use plotters::prelude::{
    BitMapBackend, Circle, DrawingArea, IntoDrawingArea, PathElement, Polygon, Rectangle, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color as _, FontStyle, FontTransform, IntoFont as _, RGBAColor, RGBColor, ShapeStyle, TextStyle,
};

use super::{palette, pixels};

/// Drawn at twice the size and halved: the backend itself does not smooth slanted lines.
const FINER: u32 = 2;

/// A point, in pixels of the finished picture.
pub(super) type Point = (f64, f64);

/// Where a text is held, relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// The point is at the text's left end, half its height.
    Left,
    /// The point is the text's centre.
    Centre,
    /// The point is at the text's right end, half its height.
    Right,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pen {
    /// Its colour.
    pub(super) colour: RGBColor,
    /// Its opacity.
    pub(super) opacity: f64,
    /// Its width, px.
    pub(super) width: f64,
    /// Lengths of dash and gap, px.
    pub(super) dash: Option<(f64, f64)>,
}

impl Pen {
    /// An opaque, unbroken line.
    pub(super) fn solid(colour: RGBColor, width: f64) -> Self {
        Self { colour, opacity: 1.0, width, dash: None }
    }

    /// An opaque, broken line.
    pub(super) fn dashed(colour: RGBColor, width: f64) -> Self {
        Self { dash: Some((9.0, 6.0)), ..Self::solid(colour, width) }
    }

    /// The same, seen through.
    pub(super) fn faint(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }
}

/// A picture in the making.
pub(super) struct Canvas<'b> {
    area: DrawingArea<BitMapBackend<'b>, Shift>,
}

/// Draws a picture of `size` and saves it as PNG at `path`.
pub(super) fn picture(
    path: &Path,
    size: (u32, u32),
    draw: impl FnOnce(&Canvas<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    register_fonts();
    let fine = (size.0 * FINER, size.1 * FINER);
    let mut fine_pixels = vec![0xff; (fine.0 * fine.1 * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut fine_pixels, fine).into_drawing_area();
        let canvas = Canvas { area };
        draw(&canvas)?;
        canvas.area.present()?;
    }
    pixels::save(path, size, &pixels::halved(&fine_pixels, size))
        .with_context(|| format!("cannot write {}", path.display()))
}

impl Canvas<'_> {
    /// A line through `points`; one point becomes a dot.
    pub(super) fn line(&self, points: &[Point], pen: Pen) -> anyhow::Result<()> {
        if let [point] = points {
            return self.dot(*point, pen.width * 0.9, pen.colour, pen.opacity);
        }
        for part in dashes(points, pen.dash) {
            let part: Vec<_> = part.into_iter().map(fine).collect();
            let width = (pen.width * f64::from(FINER)).round() as u32;
            let style = shape(pen.colour, pen.opacity).stroke_width(width.max(1));
            self.area.draw(&PathElement::new(part, style))?;
        }
        Ok(())
    }

    /// A filled polygon.
    pub(super) fn fill(
        &self,
        points: &[Point],
        colour: RGBColor,
        opacity: f64,
    ) -> anyhow::Result<()> {
        let points: Vec<_> = points.iter().copied().map(fine).collect();
        self.area.draw(&Polygon::new(points, shape(colour, opacity).filled()))?;
        Ok(())
    }

    /// A filled rectangle between two corners.
    pub(super) fn block(
        &self,
        from: Point,
        to: Point,
        colour: RGBColor,
        opacity: f64,
    ) -> anyhow::Result<()> {
        let corners = [fine(from), fine(to)];
        self.area.draw(&Rectangle::new(corners, shape(colour, opacity).filled()))?;
        Ok(())
    }

    /// A filled circle.
    pub(super) fn dot(
        &self,
        at: Point,
        radius: f64,
        colour: RGBColor,
        opacity: f64,
    ) -> anyhow::Result<()> {
        let radius = (radius * f64::from(FINER)).round() as i32;
        self.area.draw(&Circle::new(fine(at), radius, shape(colour, opacity).filled()))?;
        Ok(())
    }

    /// A circle that shows the paper.
    pub(super) fn ring(&self, at: Point, radius: f64, colour: RGBColor) -> anyhow::Result<()> {
        self.dot(at, radius + 1.0, colour, 1.0)?;
        self.dot(at, radius - 1.5, palette::PAPER, 1.0)
    }

    /// Two crossed strokes.
    pub(super) fn cross(&self, (x, y): Point, arm: f64, colour: RGBColor) -> anyhow::Result<()> {
        let pen = Pen::solid(colour, 2.5);
        self.line(&[(x - arm, y - arm), (x + arm, y + arm)], pen)?;
        self.line(&[(x - arm, y + arm), (x + arm, y - arm)], pen)
    }

    /// A text of `size` px, held at `at`.
    pub(super) fn text(
        &self,
        at: Point,
        hold: Hold,
        size: f64,
        colour: RGBColor,
        text: &str,
    ) -> anyhow::Result<()> {
        self.note(at, hold, size, text)?;
        self.strike(at, hold, size, colour, text)
    }

    fn strike(
        &self,
        at: Point,
        hold: Hold,
        size: f64,
        colour: RGBColor,
        text: &str,
    ) -> anyhow::Result<()> {
        let style = style(size, colour).pos(Pos::new(horizontal(hold), VPos::Center));
        // The backend centres the font's whole height; letters without descent would sit too high.
        let at = (at.0, at.1 + size * 0.13);
        self.area.draw(&Text::new(text, fine(at), style))?;
        Ok(())
    }

    /// The same, heavier: the font has one weight, so it is struck twice.
    pub(super) fn heavy(
        &self,
        at: Point,
        hold: Hold,
        size: f64,
        colour: RGBColor,
        text: &str,
    ) -> anyhow::Result<()> {
        self.note(at, hold, size, text)?;
        [0.0, 0.5, 1.0]
            .into_iter()
            .try_for_each(|shift| self.strike((at.0 + shift, at.1), hold, size, colour, text))
    }

    /// Tells tests where a label stands.
    fn note(&self, at: Point, hold: Hold, size: f64, text: &str) -> anyhow::Result<()> {
        if cfg!(test) && !text.is_empty() {
            let width = self.width(size, text)?;
            let left = match hold {
                Hold::Left => at.0,
                Hold::Centre => at.0 - width / 2.0,
                Hold::Right => at.0 - width,
            };
            // What letters fill of the line's height.
            let half = size * 0.36;
            let of_area = [left, at.1 - half, left + width, at.1 + half];
            labels::put(text, of_area);
        }
        Ok(())
    }

    /// A text that reads upwards, centred at `at`.
    pub(super) fn upwards(
        &self,
        at: Point,
        size: f64,
        colour: RGBColor,
        text: &str,
    ) -> anyhow::Result<()> {
        if cfg!(test) && !text.is_empty() {
            let (width, half) = (self.width(size, text)?, size * 0.36);
            let (top, bottom) = (at.1 - width / 2.0, at.1 + width / 2.0);
            labels::put(text, [at.0 - half, top, at.0 + half, bottom]);
        }
        let font = font(size).transform(FontTransform::Rotate270);
        let style = TextStyle::from(font).color(&colour);
        let style = style.pos(Pos::new(HPos::Center, VPos::Center));
        self.area.draw(&Text::new(text, fine(at), style))?;
        Ok(())
    }

    /// How wide a text of `size` px is, px.
    pub(super) fn width(&self, size: f64, text: &str) -> anyhow::Result<f64> {
        let (width, _) = self.area.estimate_text_size(text, &style(size, palette::INK))?;
        Ok(f64::from(width) / f64::from(FINER))
    }

    /// `text`, cut so that it is at most `width` px wide: after a word if one fits.
    pub(super) fn fit(&self, size: f64, width: f64, text: &str) -> anyhow::Result<String> {
        let mut kept = text.to_owned();
        let mut shown = kept.clone();
        while !kept.is_empty() && self.width(size, &shown)? > width {
            let word = kept.trim_end().rfind(' ').unwrap_or(0);
            let letter = kept.char_indices().next_back().map_or(0, |(at, _)| at);
            kept.truncate(if word > 0 { word } else { letter });
            shown = format!("{kept} …");
        }
        Ok(shown)
    }

    /// `text` broken into lines of at most `width` px.
    pub(super) fn wrap(&self, size: f64, width: f64, text: &str) -> anyhow::Result<Vec<String>> {
        let mut lines = vec![String::new()];
        for word in text.split_whitespace() {
            let line = lines.last().cloned().unwrap_or_default();
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if line.is_empty() || self.width(size, &longer)? <= width {
                lines.pop();
                lines.push(longer);
            } else {
                lines.push(word.to_owned());
            }
        }
        Ok(lines)
    }
}

fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let bytes = epaint_default_fonts::UBUNTU_LIGHT;
        // The embedded font parses; if it did not, drawing the first text would say so.
        let _ = plotters::style::register_font("sans-serif", FontStyle::Normal, bytes);
    });
}

fn font(size: f64) -> plotters::style::FontDesc<'static> {
    ("sans-serif", size * f64::from(FINER)).into_font()
}

fn style(size: f64, colour: RGBColor) -> TextStyle<'static> {
    TextStyle { color: colour.to_backend_color(), ..TextStyle::from(font(size)) }
}

fn shape(colour: RGBColor, opacity: f64) -> ShapeStyle {
    let mixed: RGBAColor = colour.mix(opacity);
    ShapeStyle::from(&mixed)
}

fn horizontal(hold: Hold) -> HPos {
    match hold {
        Hold::Left => HPos::Left,
        Hold::Centre => HPos::Center,
        Hold::Right => HPos::Right,
    }
}

fn fine(point: Point) -> (i32, i32) {
    let scale = f64::from(FINER);
    ((point.0 * scale).round() as i32, (point.1 * scale).round() as i32)
}

/// The unbroken parts of a line.
fn dashes(points: &[Point], dash: Option<(f64, f64)>) -> Vec<Vec<Point>> {
    let Some((on, off)) = dash else { return vec![points.to_vec()] };
    let mut parts = Vec::new();
    let mut part = points.first().copied().into_iter().collect::<Vec<_>>();
    let (mut drawing, mut left) = (true, on);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        let mut length = (to.0 - from.0).hypot(to.1 - from.1);
        while length > left {
            from = between(from, to, left / length);
            length -= left;
            if drawing {
                part.push(from);
                parts.push(std::mem::take(&mut part));
            } else {
                part = vec![from];
            }
            drawing = !drawing;
            left = if drawing { on } else { off };
        }
        left -= length;
        if drawing {
            part.push(to);
        }
    }
    if part.len() > 1 {
        parts.push(part);
    }
    parts
}

fn between(from: Point, to: Point, share: f64) -> Point {
    (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share)
}
