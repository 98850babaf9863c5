//! What an acknowledgement costs and what it is worth: the messages per second of brokers, and beside them what each
//! lost of what it had acknowledged. For `scripts/bench-brokers`, whose tables it draws.

use std::path::Path;

use super::canvas::{Canvas, Hold};
use super::palette;
use super::plot::Plot;
use super::scale::Scale;
use super::sheet::{Area, Sample, Sheet};

const NAME_WIDTH: f64 = 330.0;
const RATE_WIDTH: f64 = 110.0;
const LOST_WIDTH: f64 = 440.0;
const ROW_HEIGHT: f64 = 40.0;
const BAR_HEIGHT: f64 = 24.0;
const TEXT: f64 = 18.0;
const HEAD_HEIGHT: f64 = 34.0;
const AXIS_HEIGHT: f64 = 44.0;

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// The broker, and how it is set.
    pub name: String,
    /// Whether it fsyncs before each answer.
    pub durable: bool,
    /// Messages per second, one value per round.
    pub rates: Vec<f64>,
    /// What crashed, how many messages were lost, and of how many that were acknowledged.
    pub losses: Vec<(String, usize, usize)>,
}

/// Draws these bars at `path`, in their order.
///
/// # Errors
/// If the picture cannot be drawn or written.
pub fn draw(bars: &[Bar], subtitle: &str, source: &str, path: &Path) -> anyhow::Result<()> {
    let sheet = Sheet {
        title: "What an acknowledgement costs, and what it is worth".to_owned(),
        subtitle: subtitle.to_owned(),
        legend: vec![
            (Sample::Block(palette::system(0)), "an fsync before each answer".to_owned()),
            (Sample::Block(palette::system(1)), "as installed, or careless".to_owned()),
            (Sample::Dot(palette::INK), "one round".to_owned()),
        ],
        source: source.to_owned(),
        height: (230.0 + ROW_HEIGHT * bars.len() as f64 + HEAD_HEIGHT + AXIS_HEIGHT) as u32,
    };
    sheet.save(path, |canvas, body| rows(canvas, body, bars))
}

fn rows(canvas: &Canvas<'_>, body: Area, bars: &[Bar]) -> anyhow::Result<()> {
    let area = Area {
        left: body.left + NAME_WIDTH,
        right: body.right - RATE_WIDTH - LOST_WIDTH,
        top: body.top + HEAD_HEIGHT,
        bottom: body.bottom - AXIS_HEIGHT,
    };
    let most = bars.iter().flat_map(|bar| bar.rates.iter().copied()).fold(0.0, f64::max);
    let plot = Plot { area, x: Scale::from_zero(most), y: Scale::Linear { lo: 0.0, hi: 1.0 } };
    let marks: Vec<_> = plot.x.marks(4).into_iter().map(|at| (at, whole(at))).collect();
    plot.floor(canvas, &marks)?;
    let heads = [
        (area.left, "messages per second"),
        (area.right + RATE_WIDTH, "lost of what it had acknowledged"),
    ];
    for (x, head) in heads {
        canvas.text((x, body.top + HEAD_HEIGHT / 2.0), Hold::Left, TEXT, palette::SOFT, head)?;
    }
    for (nth, bar) in bars.iter().enumerate() {
        row(canvas, &plot, area.top + ROW_HEIGHT * nth as f64, (body.left, bar))?;
    }
    Ok(())
}

fn row(canvas: &Canvas<'_>, plot: &Plot, top: f64, (left, bar): (f64, &Bar)) -> anyhow::Result<()> {
    let y = top + ROW_HEIGHT / 2.0;
    let colour = palette::system(u32::from(!bar.durable));
    let name = canvas.fit(TEXT, NAME_WIDTH - 16.0, &bar.name)?;
    canvas.heavy((left, y), Hold::Left, TEXT, palette::INK, &name)?;
    let mut rates = bar.rates.clone();
    rates.sort_by(f64::total_cmp);
    let at = |value: f64| plot.at((value, 0.0)).0;
    if let Some(median) = rates.get(rates.len() / 2) {
        let half = BAR_HEIGHT / 2.0;
        canvas.block((at(0.0), y - half), (at(*median), y + half), colour, 0.75)?;
        let x = plot.area.right + 14.0;
        canvas.text((x, y), Hold::Left, TEXT, palette::INK, &whole(*median))?;
    }
    for rate in &rates {
        canvas.dot((at(*rate), y), 5.0, palette::PAPER, 1.0)?;
        canvas.dot((at(*rate), y), 3.5, palette::INK, 1.0)?;
    }
    let any = bar.losses.iter().any(|(_, lost, _)| *lost > 0);
    let ink = if any { palette::INVALID } else { palette::INK };
    let told: Vec<_> = bar.losses.iter().map(lost).collect();
    let told = canvas.fit(TEXT, LOST_WIDTH - 12.0, &told.join(", "))?;
    canvas.text((plot.area.right + RATE_WIDTH, y), Hold::Left, TEXT, ink, &told)
}

fn lost((crash, lost, of): &(String, usize, usize)) -> String {
    format!("{crash}: {} of {}", whole(*lost as f64), whole(*of as f64))
}

/// With a comma between thousands.
fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        assert_eq!(whole(0.0), "0");
        assert_eq!(whole(999.6), "1,000");
        assert_eq!(whole(1_234_567.0), "1,234,567");
    }

    #[test]
    fn a_picture_of_many_is_drawn() {
        let bar = |nth: u32| Bar {
            name: format!("a broker with a long name, number {nth} (installed)"),
            durable: nth.is_multiple_of(2),
            rates: vec![f64::from(nth) * 1e3, f64::from(nth) * 1.1e3],
            losses: vec![
                ("kill -9".to_owned(), 0, 1_512),
                ("power cut".to_owned(), nth as usize, 1_498),
            ],
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("brokers.png");
        let bars: Vec<_> = (0..16).map(bar).collect();
        draw(&bars, "16 brokers, 64 messages under way.", "a test", &path).unwrap();
        assert_eq!(&std::fs::read(path).unwrap()[1..4], b"PNG");
        draw(&[], "nobody", "a test", &folder.path().join("empty.png")).unwrap();
    }
}
