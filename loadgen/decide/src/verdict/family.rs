//! All findings that rest on repetition, beside each other: one of twenty would come by chance.

use super::finding::{Finding, Side};
use crate::statistics::{benjamini_hochberg, holm};

/// The part of what is told that may be false, or the chance that anything is.
pub const RATE: f64 = 0.05;
/// From so many blocks on the stricter promise can be kept: the least p of 12 is 0.0005, of 11 0.001, and thirty
/// findings ask for 0.0017 from the first one of them.
pub const LEAST_BLOCKS_OF_HOLM: usize = 12;

/// What is promised of all findings that rest on repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// None rests on it.
    Nothing,
    /// Of those told, 5 % are false on the average, at most (Benjamini and Hochberg).
    Rate {
        /// How many there are.
        findings: usize,
    },
    /// The chance that any of those told is false is 5 % at most (Holm).
    Any {
        /// How many there are.
        findings: usize,
    },
}

impl Correction {
    /// In plain words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Nothing => {
                "No verdict rests on repetition: the counts of each block decide.".to_owned()
            }
            Self::Rate { findings } => format!(
                "{findings} findings rest on repetition. Of those that are told, at most one in twenty is false on the \
                 average (Benjamini–Hochberg)."
            ),
            Self::Any { findings } => format!(
                "{findings} findings rest on repetition. With 95 % none of those that are told is false (Holm)."
            ),
        }
    }
}

/// Leaves undecided what is not enough beside all others.
pub(super) fn correct(claims: &mut [Vec<Finding>]) -> Correction {
    let tested = |claims: &[Vec<Finding>]| -> Vec<(f64, usize)> {
        let all = claims.iter().flatten();
        all.filter_map(|found| Some((found.p?, found.blocks))).collect()
    };
    let tested = tested(claims);
    let Some(fewest) = tested.iter().map(|(_, blocks)| *blocks).min() else {
        return Correction::Nothing;
    };
    let ps: Vec<f64> = tested.into_iter().map(|(p, _)| p).collect();
    let findings = ps.len();
    let (adjusted, correction) = if fewest >= LEAST_BLOCKS_OF_HOLM {
        (holm(&ps), Correction::Any { findings })
    } else {
        (benjamini_hochberg(&ps), Correction::Rate { findings })
    };
    settle(claims, adjusted);
    correction
}

/// The controls' own findings, each by itself.
pub(super) fn alone(controls: &mut [Vec<Finding>]) {
    let ps = controls.iter().flatten().filter_map(|found| found.p).collect();
    settle(controls, ps);
}

fn settle(claims: &mut [Vec<Finding>], adjusted: Vec<f64>) {
    let tested = claims.iter_mut().flatten().filter(|found| found.p.is_some());
    for (found, p) in tested.zip(adjusted) {
        found.adjusted = Some(p);
        if p > RATE {
            found.side = Side::Undecided;
        }
    }
}
