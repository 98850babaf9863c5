//! A claim and the figures of a few blocks in, a verdict with its reasons out. It runs nothing, reads no record
//! and draws nothing: who measures hands the figures over ([`Results`]).
//!
//! The rules in plain words, and how often they err: `docs/methodology/decide.md`.

mod claim;
mod figure;
pub mod statistics;
pub mod storm;
mod verdict;

pub use claim::shown;
pub use claim::{
    AROUND_TRIGGER, Across, Arm, Bounds, Cell, Change, Claim, Direction, Expect, Kind, MARGIN,
    Measure, Must, Predict, Quantity, REPLICAS, Rule, Source, Sweep,
};
pub use figure::{Figure, Measured};
pub use verdict::{
    Answer, Asked, Correction, Decision, Finding, LEAST_BLOCKS, LEAST_BLOCKS_OF_FACTS,
    LEAST_BLOCKS_OF_HOLM, Proof, RATE, Results, Side, Verdict, decide,
};
