//! When requests start: a rate curve and a seed become intended instants, before the run.
//!
//! The n-th arrival is where the area under the rate curve reaches an: for constant arrivals n − ½,
//! for Poisson arrivals the sum of n exponential variates of mean 1 (time change of the unit
//! process). Pure; it knows no clock.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};

use crate::record::RatePoint;
use crate::scenario::{Arrivals, Scenario};

/// A piecewise linear rate of arrivals.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    from_s: f64,
    length_s: f64,
    /// Per second, at its start and end.
    rates: (f64, f64),
    /// Area under the curve before it.
    before: f64,
}

impl Piece {
    fn area(&self) -> f64 {
        self.length_s * f64::midpoint(self.rates.0, self.rates.1)
    }

    /// The instant at which the area since the piece's start is `area`:
    /// r₀t + (r₁−r₀)t²/2L = area, solved in the form that does not cancel.
    fn instant_s(&self, area: f64) -> f64 {
        let (r0, r1) = self.rates;
        let slope = (r1 - r0) / self.length_s;
        let root = (r0 * r0 + 2.0 * slope * area).max(0.0).sqrt();
        let sum = r0 + root;
        let t = if sum > 0.0 { 2.0 * area / sum } else { 0.0 };
        self.from_s + t.min(self.length_s)
    }
}

impl Profile {
    /// The curve of a scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let mut pieces = Vec::new();
        let (mut from_s, mut rate, mut before) = (0.0, scenario.start, 0.0);
        for stage in &scenario.stages {
            let length_s = stage.duration.as_s();
            if length_s > 0.0 {
                let piece = Piece { from_s, length_s, rates: (rate, stage.rate), before };
                before += piece.area();
                from_s += length_s;
                pieces.push(piece);
            }
            rate = stage.rate;
        }
        Self { pieces }
    }

    /// A constant rate for a while.
    #[must_use]
    pub fn constant(rate: f64, length_s: f64) -> Self {
        Self { pieces: vec![Piece { from_s: 0.0, length_s, rates: (rate, rate), before: 0.0 }] }
    }

    /// The corners of the curve.
    #[must_use]
    pub fn points(&self) -> Vec<RatePoint> {
        let ends = |p: &Piece| {
            [
                RatePoint { at_s: p.from_s, rate_per_s: p.rates.0 },
                RatePoint { at_s: p.from_s + p.length_s, rate_per_s: p.rates.1 },
            ]
        };
        let mut points: Vec<RatePoint> = self.pieces.iter().flat_map(ends).collect();
        points.dedup();
        points
    }

    /// The expected number of arrivals.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.pieces.last().map_or(0.0, |p| p.before + p.area())
    }

    /// The intended instants in nanoseconds since the start, in order; the same for the same seed.
    #[must_use]
    pub fn instants(&self, arrivals: Arrivals, seed: u64) -> Instants<'_> {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Instants { profile: self, arrivals, rng, area: 0.0, piece: 0 }
    }
}

/// The intended instants of a schedule, one after another: nothing is kept.
#[derive(Debug)]
pub struct Instants<'a> {
    profile: &'a Profile,
    arrivals: Arrivals,
    rng: ChaCha8Rng,
    area: f64,
    piece: usize,
}

impl Iterator for Instants<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let first = self.area == 0.0;
        self.area += match self.arrivals {
            Arrivals::Poisson => Exp1.sample(&mut self.rng),
            Arrivals::Constant if first => 0.5,
            Arrivals::Constant => 1.0,
        };
        let pieces = &self.profile.pieces;
        while self.area > pieces.get(self.piece)?.before + pieces[self.piece].area() {
            self.piece += 1;
        }
        let piece = pieces.get(self.piece)?;
        let at_s = piece.instant_s(self.area - piece.before);
        Some((at_s * 1e9).round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Span;
    use crate::scenario::Stage;

    fn profile(start: f64, stages: &[(u64, f64)]) -> Profile {
        let toml = "about = 'x'\nstart = 1\nstages = []\nmix = { place = 1 }";
        let mut scenario: Scenario = toml::from_str(toml).unwrap();
        scenario.start = start;
        scenario.stages = stages
            .iter()
            .map(|(s, rate)| Stage { duration: Span::secs(*s), rate: *rate })
            .collect();
        Profile::new(&scenario)
    }

    fn seconds(profile: &Profile, arrivals: Arrivals) -> Vec<f64> {
        profile.instants(arrivals, 7).map(|ns| ns as f64 / 1e9).collect()
    }

    #[test]
    fn constant_arrivals_are_evenly_spaced() {
        let instants = seconds(&profile(4.0, &[(2, 4.0)]), Arrivals::Constant);
        assert_eq!(instants, [0.125, 0.375, 0.625, 0.875, 1.125, 1.375, 1.625, 1.875]);
    }

    #[test]
    fn a_ramp_puts_the_nth_arrival_where_the_area_reaches_n() {
        // rate 10t: area 5t², so the n-th is at sqrt((n − ½)/5)
        let instants = seconds(&profile(0.0, &[(10, 100.0)]), Arrivals::Constant);
        assert_eq!(instants.len(), 500);
        for (n, t) in instants.iter().enumerate() {
            let expected = ((n as f64 + 0.5) / 5.0).sqrt();
            assert!((t - expected).abs() < 1e-6, "{n}: {t} instead of {expected}");
        }
    }

    #[test]
    fn a_jump_and_a_pause_are_exact() {
        let spike = profile(
            10.0,
            &[(5, 10.0), (0, 80.0), (2, 80.0), (0, 0.0), (3, 0.0), (0, 10.0), (5, 10.0)],
        );
        let instants = seconds(&spike, Arrivals::Constant);
        let within =
            |from: f64, to: f64| instants.iter().filter(|t| (from..to).contains(*t)).count();
        assert_eq!(
            (within(0.0, 5.0), within(5.0, 7.0), within(7.0, 10.0), within(10.0, 15.0)),
            (50, 160, 0, 50)
        );
        assert!((spike.total() - 260.0).abs() < 1e-9);
        assert_eq!(spike.points().len(), 8);
    }

    #[test]
    fn poisson_gaps_are_exponential() {
        // Kolmogorov–Smirnov at 1 %: D < 1.63/√n
        let instants = seconds(&profile(1000.0, &[(20, 1000.0)]), Arrivals::Poisson);
        let mut gaps: Vec<f64> = instants.windows(2).map(|w| (w[1] - w[0]) * 1000.0).collect();
        gaps.sort_by(f64::total_cmp);
        let n = gaps.len() as f64;
        let distance = gaps
            .iter()
            .enumerate()
            .map(|(i, gap)| {
                let truth = 1.0 - (-gap).exp();
                (truth - i as f64 / n).abs().max((truth - (i + 1) as f64 / n).abs())
            })
            .fold(0.0, f64::max);
        assert!((19_000.0..21_000.0).contains(&n), "{n} arrivals");
        assert!(distance < 1.63 / n.sqrt(), "distance {distance}");
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_another() {
        let profile = profile(100.0, &[(5, 100.0)]);
        let first: Vec<u64> = profile.instants(Arrivals::Poisson, 1).collect();
        assert_eq!(first, profile.instants(Arrivals::Poisson, 1).collect::<Vec<_>>());
        assert_ne!(first, profile.instants(Arrivals::Poisson, 2).collect::<Vec<_>>());
        assert!(first.is_sorted());
        assert!(first.iter().all(|ns| *ns <= 5_000_000_000));
    }
}
