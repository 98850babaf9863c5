//! Invented families of claims with a known truth, decided as real ones are: how often is what is told false, and how
//! often is what is true found?

use std::path::Path;

use decide::{Answer, Asked, Claim, Decision, Measured, Results, decide};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

/// Claims in a family.
pub(crate) const FAMILY: usize = 30;
/// How far the pairs' ratios scatter, in logarithms: a standard deviation of normal noise.
const SCATTER: f64 = 0.05;
/// Outliers are up to so many standard deviations away.
const OUTLIER: f64 = 10.0;

/// What the noise of a pair's ratio is like; its median is 0 for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noise {
    /// Normal.
    Normal,
    /// Lognormal: a long tail towards the bound, the median left where it is.
    Skewed,
    /// Normal, but one trial in ten of either arm is much slower.
    Outliers,
}

impl Noise {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Normal, Self::Skewed, Self::Outliers];

    fn draw(self, chance: &mut ChaCha8Rng) -> f64 {
        let normal: f64 = chance.sample(StandardNormal);
        let mut late =
            || if chance.random_bool(0.1) { OUTLIER * chance.random::<f64>() } else { 0.0 };
        SCATTER
            * match self {
                Self::Normal => normal,
                Self::Skewed => 1.0 - normal.exp(),
                Self::Outliers => normal + late() - late(),
            }
    }
}

/// A family: how many of its claims are true, and by how much; the others lie exactly at their bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truth {
    /// How many are true, the first ones.
    pub(crate) trues: usize,
    /// How far beyond the bound these lie, in standard deviations of normal noise.
    pub(crate) beyond: f64,
    /// The half width of each block's doubt interval, in the same.
    pub(crate) doubt: f64,
}

/// What came of many families.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    /// The part of the claims at their bound of which a side was told.
    pub(crate) false_alone: f64,
    /// The part of the families in which any such was told.
    pub(crate) any_false: f64,
    /// Of what was told in a family, the part that was false, on the average.
    pub(crate) false_of_told: f64,
    /// The part of the true claims that were found.
    pub(crate) found: f64,
}

/// Decides so many families of `FAMILY` claims.
pub(crate) fn families(number: usize, blocks: u32, noise: Noise, truth: Truth) -> Rates {
    rates(number, blocks, noise, truth, &vec![claim("at_least = 1.05"); FAMILY])
}

/// The same for claims that stand alone.
pub(crate) fn alone(number: usize, blocks: u32, noise: Noise, truth: Truth) -> Rates {
    rates(number, blocks, noise, truth, &[claim("at_least = 1.05")])
}

/// How often a claim that two are alike is told, if they differ by the margin exactly.
pub(crate) fn alike_at_the_margin(number: usize, blocks: u32, noise: Noise) -> f64 {
    let claims = [claim("within = 1.05")];
    let truth = Truth { trues: 0, beyond: 0.0, doubt: 0.0 };
    let holds = |seed| told(&decision(seed, blocks, noise, truth, &claims))[0] == Some(true);
    (0..number).filter(|seed| holds(*seed as u64)).count() as f64 / number as f64
}

/// How often the run's controls come out wrong: a known nothing (A/A), and a difference of so many standard deviations
/// that must be found.
pub(crate) fn wrong_controls(number: usize, blocks: u32, noise: Noise, known: f64) -> (f64, f64) {
    let share = |truth: Truth, lines: &str, must: &str| {
        let claims = [control(lines, must)];
        let is_wrong = |seed| !decision(seed, blocks, noise, truth, &claims).wrong.is_empty();
        (0..number).filter(|seed| is_wrong(*seed as u64)).count() as f64 / number as f64
    };
    // Nothing lies 5 % below the bound that the ratios are drawn around.
    let nothing = Truth { trues: 1, beyond: -(1.05_f64.ln()) / SCATTER, doubt: 0.0 };
    let difference = Truth { trues: 1, beyond: known + nothing.beyond, doubt: 0.0 };
    (share(nothing, "within = 1.05", "not-fail"), share(difference, "at_least = 1", "hold"))
}

fn rates(number: usize, blocks: u32, noise: Noise, truth: Truth, claims: &[Claim]) -> Rates {
    let mut sum = Rates::default();
    for seed in 0..number {
        let told = told(&decision(seed as u64, blocks, noise, truth, claims));
        let (trues, nulls) = told.split_at(truth.trues.min(told.len()));
        let count = |of: &[Option<bool>], wanted: fn(&Option<bool>) -> bool| {
            of.iter().filter(|one| wanted(one)).count() as f64
        };
        let (found, reversed) =
            (count(trues, |one| *one == Some(true)), count(trues, |one| *one == Some(false)));
        let wrong = count(nulls, |one| one.is_some()) + reversed;
        sum.found += found / (trues.len().max(1) as f64);
        sum.false_alone += wrong / (nulls.len().max(1) as f64);
        sum.any_false += f64::from(u8::from(wrong > 0.0));
        sum.false_of_told += wrong / (wrong + found).max(1.0);
    }
    let mean = |sum: f64| sum / number as f64;
    Rates {
        false_alone: mean(sum.false_alone),
        any_false: mean(sum.any_false),
        false_of_told: mean(sum.false_of_told),
        found: mean(sum.found),
    }
}

/// Of each claim what was told: that it holds, that it fails, nothing.
fn told(decision: &Decision) -> Vec<Option<bool>> {
    let told = |answer: &Answer| match answer {
        Answer::Holds => Some(true),
        Answer::Fails => Some(false),
        _ => None,
    };
    decision.verdicts.iter().map(|verdict| told(&verdict.answer)).collect()
}

fn decision(seed: u64, blocks: u32, noise: Noise, truth: Truth, claims: &[Claim]) -> Decision {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut ratio = |claim: usize| {
        let beyond = if claim < truth.trues { truth.beyond } else { 0.0 };
        (noise.draw(&mut chance) + beyond * SCATTER).exp() * 1.05
    };
    let rows = (0..claims.len()).map(|claim| (0..blocks).map(|_| ratio(claim)).collect()).collect();
    let claims: Vec<Claim> = numbered(claims);
    decide(&claims, &Invented { rows, doubt: (truth.doubt * SCATTER).exp() })
}

/// Claims find their rows by their number.
fn numbered(claims: &[Claim]) -> Vec<Claim> {
    let number =
        |(number, claim): (usize, &Claim)| Claim { id: number.to_string(), ..claim.clone() };
    claims.iter().enumerate().map(number).collect()
}

struct Invented {
    rows: Vec<Vec<f64>>,
    doubt: f64,
}

impl Results for Invented {
    fn blocks(&self, _: &Claim, _: usize) -> Vec<u32> {
        (0..self.rows.first().map_or(0, Vec::len) as u32).collect()
    }

    fn figure(&self, asked: &Asked<'_>) -> Option<Measured> {
        let row = self.rows.get(asked.claim.id.parse::<usize>().ok()?)?;
        let value = if asked.arm == "a" { *row.get(asked.block as usize)? } else { 1.0 };
        let doubt = if asked.arm == "a" { self.doubt } else { 1.0 };
        let figure = decide::Figure { value, least: value / doubt, most: value * doubt };
        Some(Measured { figure, of: None })
    }
}

fn claim(rule: &str) -> Claim {
    parse(&format!("[[expect]]\nfigure = \"accepted p50\"\nof = \"a / b\"\n{rule}\n"))
}

fn control(rule: &str, must: &str) -> Claim {
    parse(&format!(
        "must = \"{must}\"\n[[expect]]\nfigure = \"accepted p50\"\nof = \"a / b\"\n{rule}\n"
    ))
}

#[expect(clippy::expect_used, reason = "the text is our own")]
fn parse(text: &str) -> Claim {
    let head = "sentence = \"s\"\nsource = { text = \"t\" }\narms = { a = \"x\", b = \"y\" }\nscenario = \"z\"\nrefuted_by = \"r\"\n";
    Claim::parse(Path::new("0.toml"), &format!("{head}{text}")).expect("a claim")
}
