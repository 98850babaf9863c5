//! When requests start: a rate curve and a seed become intended instants, before the run.
//!
//! The n-th arrival is where the area under the rate curve reaches aₙ: n − ½ for constant arrivals,
//! n − u with a uniform u for jitter, and for Poisson arrivals the sum of n exponential variates of
//! mean 1 (time change of the unit process). A trace is replayed as it is. It knows no clock.

use std::f64::consts::TAU;
use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1};

use record::RatePoint;
use scenario::{Arrivals, Curve, Scenario};

/// A rate of arrivals over time, or the arrivals themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    pieces: Vec<Piece>,
    trace: Option<Arc<Vec<u64>>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    from_s: f64,
    length_s: f64,
    shape: Shape,
    /// Area under the curve before it.
    before: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    /// Per second, at its start and end.
    Line(f64, f64),
    /// middle + amplitude·sin(2πt/period).
    Sine { middle: f64, amplitude: f64, period_s: f64 },
}

/// Halvings of an interval of a day leave less than a nanosecond.
const HALVINGS: u32 = 60;
/// Corners that stand for one period of a sine in the record.
const SINE_CORNERS: f64 = 24.0;

impl Shape {
    fn rate(&self, t: f64, length_s: f64) -> f64 {
        match *self {
            Self::Line(r0, r1) => r0 + (r1 - r0) * t / length_s,
            Self::Sine { middle, amplitude, period_s } => {
                middle + amplitude * (TAU * t / period_s).sin()
            }
        }
    }

    /// The area under the first `t` seconds.
    fn area(&self, t: f64, length_s: f64) -> f64 {
        match *self {
            Self::Line(r0, _) => t * f64::midpoint(r0, self.rate(t, length_s)),
            Self::Sine { middle, amplitude, period_s } => {
                let turn = TAU / period_s;
                middle * t + amplitude / turn * (1.0 - (turn * t).cos())
            }
        }
    }
}

impl Piece {
    fn area(&self) -> f64 {
        self.shape.area(self.length_s, self.length_s)
    }

    /// The instant at which the area since the piece's start is `area`. A line's
    /// r₀t + (r₁−r₀)t²/2L = area is solved in the form that does not cancel; a sine by halving.
    fn instant_s(&self, area: f64) -> f64 {
        let t = match self.shape {
            Shape::Line(r0, r1) => {
                let slope = (r1 - r0) / self.length_s;
                let sum = r0 + (r0 * r0 + 2.0 * slope * area).max(0.0).sqrt();
                if sum > 0.0 { 2.0 * area / sum } else { 0.0 }
            }
            Shape::Sine { .. } => self.halve(area),
        };
        self.from_s + t.min(self.length_s)
    }

    fn halve(&self, area: f64) -> f64 {
        let (mut low, mut high) = (0.0, self.length_s);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if self.shape.area(middle, self.length_s) < area {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }
}

impl Profile {
    /// The curve of a scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        match &scenario.curve {
            Curve::Stages => Self::of_shapes(stages(scenario)),
            Curve::Intensity(corners) => {
                let line = |w: &[(f64, f64)]| (w[1].0 - w[0].0, Shape::Line(w[0].1, w[1].1));
                Self::of_shapes(corners.windows(2).map(line))
            }
            Curve::Trace(instants) => {
                Self { pieces: Vec::new(), trace: Some(Arc::new(instants.clone())) }
            }
        }
    }

    /// A constant rate for a while.
    #[must_use]
    pub fn constant(rate: f64, length_s: f64) -> Self {
        Self::of_shapes([(length_s, Shape::Line(rate, rate))])
    }

    /// Shapes with their lengths in seconds, one after another.
    fn of_shapes(shapes: impl IntoIterator<Item = (f64, Shape)>) -> Self {
        let mut pieces = Vec::new();
        let (mut from_s, mut before) = (0.0, 0.0);
        for (length_s, shape) in shapes.into_iter().filter(|(length_s, _)| *length_s > 0.0) {
            let piece = Piece { from_s, length_s, shape, before };
            before += piece.area();
            from_s += length_s;
            pieces.push(piece);
        }
        Self { pieces, trace: None }
    }

    /// The corners of the curve; a sine's are where it is drawn, a trace's are its seconds.
    #[must_use]
    pub fn points(&self) -> Vec<RatePoint> {
        if let Some(trace) = &self.trace {
            return per_second(trace);
        }
        let mut points: Vec<RatePoint> = self.pieces.iter().flat_map(Piece::corners).collect();
        points.dedup();
        points
    }

    /// The expected number of arrivals.
    #[must_use]
    pub fn total(&self) -> f64 {
        match &self.trace {
            Some(trace) => trace.len() as f64,
            None => self.pieces.last().map_or(0.0, |p| p.before + p.area()),
        }
    }

    /// The highest rate, per second.
    #[must_use]
    pub fn peak_per_s(&self) -> f64 {
        self.points().iter().map(|p| p.rate_per_s).fold(0.0, f64::max)
    }

    /// The intended instants in nanoseconds since the start, in order; the same for the same seed.
    #[must_use]
    pub fn instants(&self, arrivals: Arrivals, seed: u64) -> Instants<'_> {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Instants { profile: self, arrivals, rng, count: 0, area: 0.0, piece: 0 }
    }
}

/// The intended instants of a schedule, one after another: nothing is kept.
#[derive(Debug)]
pub struct Instants<'a> {
    profile: &'a Profile,
    arrivals: Arrivals,
    rng: ChaCha8Rng,
    count: usize,
    area: f64,
    piece: usize,
}

impl Piece {
    fn corners(&self) -> Vec<RatePoint> {
        let count = match self.shape {
            Shape::Line(..) => 1.0,
            Shape::Sine { period_s, .. } => (self.length_s / period_s * SINE_CORNERS).ceil(),
        };
        let at = |n: u32| self.length_s * (f64::from(n) / count).min(1.0);
        let point = |t: f64| RatePoint {
            at_s: self.from_s + t,
            rate_per_s: self.shape.rate(t, self.length_s),
        };
        (0..=count as u32).map(|n| point(at(n))).collect()
    }
}

fn stages(scenario: &Scenario) -> Vec<(f64, Shape)> {
    let mut rate = scenario.start;
    let mut shapes = Vec::new();
    for stage in &scenario.stages {
        let shape = match (stage.amplitude, stage.period) {
            (Some(amplitude), Some(period)) => {
                Shape::Sine { middle: stage.rate, amplitude, period_s: period.as_s() }
            }
            _ => Shape::Line(rate, stage.rate),
        };
        shapes.push((stage.duration.as_s(), shape));
        rate = stage.rate;
    }
    shapes
}

fn per_second(trace: &[u64]) -> Vec<RatePoint> {
    let seconds = trace.last().map_or(0, |ns| ns / 1_000_000_000 + 1);
    let mut counts = vec![0_u32; usize::try_from(seconds).unwrap_or(0)];
    for ns in trace {
        counts[(ns / 1_000_000_000) as usize] += 1;
    }
    let steps = counts.iter().enumerate().flat_map(|(second, count)| {
        let point = |at_s| RatePoint { at_s, rate_per_s: f64::from(*count) };
        [point(second as f64), point(second as f64 + 1.0)]
    });
    steps.collect()
}

impl Iterator for Instants<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let before = self.count as f64;
        self.count += 1;
        if let Some(trace) = &self.profile.trace {
            return trace.get(self.count - 1).copied();
        }
        self.area = match self.arrivals {
            Arrivals::Poisson => {
                let gap: f64 = Exp1.sample(&mut self.rng);
                self.area + gap
            }
            Arrivals::Constant => before + 0.5,
            Arrivals::Jitter => before + self.rng.random::<f64>(),
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
    use scenario::Stage;
    use scenario::config::Span;

    fn profile(start: f64, stages: &[(u64, f64)]) -> Profile {
        let toml = "about = 'x'\nstart = 1\nstages = []\nmix = { place = 1 }";
        let mut scenario: Scenario = toml::from_str(toml).unwrap();
        scenario.start = start;
        scenario.stages = stages
            .iter()
            .map(|(s, rate)| Stage { duration: Span::secs(*s), rate: *rate, ..Stage::default() })
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
    fn a_sine_swings_around_its_middle() {
        let mut profile = profile(100.0, &[(20, 100.0)]);
        profile.pieces[0].shape = Shape::Sine { middle: 100.0, amplitude: 80.0, period_s: 20.0 };
        let instants = seconds(&profile, Arrivals::Constant);
        // ∫ over half a period: 100·10 ± 80·20/π
        let first = instants.iter().filter(|t| **t < 10.0).count() as f64;
        assert!((first - (1_000.0 + 1_600.0 / std::f64::consts::PI)).abs() < 1.5, "{first}");
        assert!((profile.total() - 2_000.0).abs() < 1e-6);
        assert!((profile.peak_per_s() - 180.0).abs() < 1e-6);
    }

    #[test]
    fn jitter_puts_one_arrival_in_each_slot() {
        let instants = seconds(&profile(10.0, &[(10, 10.0)]), Arrivals::Jitter);
        assert_eq!(instants.len(), 100);
        for (n, t) in instants.iter().enumerate() {
            assert_eq!((t * 10.0).floor() as usize, n);
        }
    }

    #[test]
    fn a_trace_is_replayed_as_it_is() {
        let toml = "about = 'x'\nmix = { place = 1 }";
        let mut scenario: Scenario = toml::from_str(toml).unwrap();
        scenario.curve = Curve::Trace(vec![5, 1_500_000_000, 1_500_000_000]);
        let profile = Profile::new(&scenario);
        let instants: Vec<u64> = profile.instants(Arrivals::Poisson, 1).collect();
        assert_eq!(instants, [5, 1_500_000_000, 1_500_000_000]);
        let rates: Vec<f64> = profile.points().iter().map(|p| p.rate_per_s).collect();
        assert_eq!(rates, [1.0, 1.0, 2.0, 2.0]);
        scenario.curve = Curve::Intensity(vec![(0.0, 10.0), (2.0, 10.0), (4.0, 0.0)]);
        assert_eq!(Profile::new(&scenario).total(), 30.0);
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
