//! Where the money of one trial was, over time.

use std::path::PathBuf;

use super::Chart;
use crate::canvas::{Canvas, Pen, Point};
use crate::compare::Scenario;
use crate::palette;
use crate::panels::{self, Axis};
use crate::plot::Plot;
use crate::scale::Scale;
use crate::sheet::{Area, MARGIN, Sample, Sheet};
use crate::words;
use audit::Money;

const AID: &str = "Above: sums since second 0. Accepted: orders that were acknowledged. \
Captured: by the provider's journal. Settled: orders that are paid. Below: the gaps between them. \
Accepted but not captured is work put off; it ends at the declined orders less those that were captured although \
their customers were not told so (then it is below zero). Captured but not settled is money \
taken for orders that do not say so yet: it must come back to zero. Orders of the preparation are \
left out.";

/// Both halves, px.
const HEIGHT: u32 = 1040;

type Sum = fn(&Money) -> i64;

/// Draws the one trial of `scenario`.
pub(super) fn draw(
    scenario: &Scenario<'_>,
    money: &[Money],
    source: &str,
    path: PathBuf,
) -> anyhow::Result<Chart> {
    let title = format!("Money {}", scenario.circumstance());
    let mut legend: Vec<_> =
        sums().map(|(name, pen, _)| (Sample::Line(pen), name.to_owned())).into();
    legend.extend(gaps().map(|(name, pen, _)| (Sample::Line(pen), name.to_owned())));
    legend.extend(panels::shading(scenario));
    let sheet = Sheet {
        title: title.clone(),
        subtitle: "In whole units of money, at the end of each second.".to_owned(),
        legend,
        source: source.to_owned(),
        height: HEIGHT,
    };
    sheet.save(&path, |canvas, body| {
        let middle = body.top + body.height() * 0.55;
        let upper = Area { bottom: middle, ..body };
        half(canvas, upper, scenario, money, "money, cumulative", &sums())?;
        let lower = Area { top: middle + MARGIN / 2.0, ..body };
        half(canvas, lower, scenario, money, "gap", &gaps())
    })?;
    let scenario = Some(scenario.name.to_owned());
    Ok(Chart { path, scenario, title, seen: seen(money), aid: AID, data: None })
}

/// The sums at the end.
fn seen(money: &[Money]) -> String {
    let Some(last) = money.last() else { return "No money moved.".to_owned() };
    let told = sums().map(|(name, _, sum)| format!("{} {name}", label(units(sum, last))));
    format!("At the end: {}.", told.join(", "))
}

fn sums() -> [(&'static str, Pen, Sum); 3] {
    let [accepted, captured, settled] = palette::MONEY;
    [
        ("accepted", Pen::solid(accepted, 4.0), |row| row.accepted_cents),
        ("captured", Pen::solid(captured, 2.6), |row| row.captured_cents),
        ("settled", Pen::dashed(settled, 2.2), |row| row.settled_cents),
    ]
}

fn gaps() -> [(&'static str, Pen, Sum); 2] {
    let [accepted, captured, _] = palette::MONEY;
    [
        ("gap: accepted, not captured", Pen::dashed(accepted, 2.4), |row| {
            row.accepted_cents.saturating_sub(row.captured_cents)
        }),
        ("gap: captured, not settled", Pen::dashed(captured, 2.4), |row| {
            row.captured_cents.saturating_sub(row.settled_cents)
        }),
    ]
}

fn half<const N: usize>(
    canvas: &Canvas<'_>,
    area: Area,
    scenario: &Scenario<'_>,
    money: &[Money],
    name: &'static str,
    lines: &[(&'static str, Pen, Sum); N],
) -> anyhow::Result<()> {
    let values = || lines.iter().flat_map(|(_, _, sum)| money.iter().map(|row| units(*sum, row)));
    let scale = Scale::with_zero(values().fold(0.0, f64::min), values().fold(1.0, f64::max));
    let axis = Axis { scale, name, label, is_time: false };
    panels::draw(canvas, area, scenario, &axis, |plot, _| {
        lines.iter().try_for_each(|(_, pen, sum)| line(canvas, plot, money, *sum, *pen))
    })
}

fn label(units: f64) -> String {
    let sign = if units < 0.0 { "−" } else { "" };
    format!("{sign}{}", words::count(units.abs().round() as u64))
}

fn units(sum: Sum, row: &Money) -> f64 {
    sum(row) as f64 / 100.0
}

/// The sum holds from one second that ends to the next, so it is drawn in steps.
fn line(
    canvas: &Canvas<'_>,
    plot: &Plot,
    money: &[Money],
    sum: Sum,
    pen: Pen,
) -> anyhow::Result<()> {
    plot.line(canvas, &steps(money, sum, plot.x.end()), pen)
}

fn steps(money: &[Money], sum: Sum, end_s: f64) -> Vec<Point> {
    let mut points = vec![(0.0, 0.0)];
    let mut before = 0.0;
    for row in money {
        let at_s = (f64::from(row.t_s) + 1.0).min(end_s);
        points.push((at_s, before));
        before = units(sum, row);
        points.push((at_s, before));
    }
    points.push((end_s, before));
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_rises_when_its_second_ends_and_stays() {
        let row = |t_s, accepted_cents| Money { t_s, accepted_cents, ..Money::default() };
        let found = steps(&[row(0, 500), row(3, 800)], |row| row.accepted_cents, 9.0);
        let expected = [(0.0, 0.0), (1.0, 0.0), (1.0, 5.0), (4.0, 5.0), (4.0, 8.0), (9.0, 8.0)];
        assert_eq!(found, expected);
    }
}
