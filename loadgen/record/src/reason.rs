//! Why a trial's numbers may not be believed: a kind with its numbers, and one sentence for people. It
//! judges nothing. Records from before kinds were kept have the sentences alone; they are parsed here.

mod parse;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::sentence::{Part, Sentence, general, number, percent, spoken};
use super::{Doubt, Operation, RequestCounts};

/// One doubt. Its `Display` is the sentence of the record; shares are of 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Reason {
    /// Somebody stopped the trial.
    Interrupted,
    /// A condition of the scenario ended it.
    Aborted {
        /// The second at whose begin it held.
        at_s: u64,
        /// The condition and what was found.
        condition: String,
        /// Whether the condition is on the generator's send lag.
        #[serde(default)]
        of_send_lag: bool,
    },
    /// Requests were sent too late.
    SendLag {
        /// 99th percentile, µs.
        p99_us: u64,
        /// What the scenario allows, µs.
        allowed_us: u64,
    },
    /// The sending thread was too busy.
    GeneratorCpu {
        /// Of its core.
        share: f64,
        /// The most that is trusted.
        trusted: f64,
    },
    /// The sending thread had to wait for its core.
    RunQueue {
        /// Of the load's time.
        share: f64,
        /// The most that is trusted.
        trusted: f64,
    },
    /// The generator's core stood still.
    Hiccup {
        /// The longest, ms.
        ms: u64,
        /// The most that is trusted, ms.
        trusted_ms: u64,
    },
    /// The machine stood still again and again.
    StoodStill {
        /// Of the load's time.
        share: f64,
        /// The most that is trusted.
        trusted: f64,
    },
    /// Other programs used what the systems ran on.
    Rivals {
        /// In cores.
        cores: f64,
        /// The most that is trusted.
        trusted: f64,
    },
    /// The hypervisor took time from the machine.
    Steal {
        /// Of the machine's time.
        share: f64,
    },
    /// Wall and monotonic clock went apart.
    ClockDrift {
        /// By so much, µs.
        us: i64,
    },
    /// Generator and system have one core between them.
    SharedCore,
    /// Requests were never sent.
    Dropped {
        /// How many.
        requests: u64,
        /// Told by a generator that knew of no other bound than `limits.in_flight`: in older records.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_in_flight: bool,
    },
    /// The classes of an operation's requests do not add up.
    LedgerOpen {
        /// Which operation.
        operation: Operation,
        /// Its classes.
        counts: RequestCounts,
    },
    /// Not one request was answered as asked.
    NothingSucceeded {
        /// How many requests there were.
        asked: u64,
        /// How most of them ended.
        ends: String,
    },
    /// Requests that are in no record.
    Unrecorded {
        /// How many.
        requests: u64,
    },
    /// Retries that were not made.
    NotRetried {
        /// How many.
        retries: u64,
    },
    /// Recorder and sender disagree on how many requests were open.
    LittlesLaw {
        /// By this share.
        off: f64,
    },
    /// A fault's effect or healing was not seen.
    FaultUnproved {
        /// The fault's kind.
        fault: String,
        /// Whom it was to hit.
        on: String,
        /// What was found instead of a proof.
        found: String,
    },
    /// A process of the system ended that nobody had ended.
    EndedByItself {
        /// Which.
        process: String,
        /// How, as `(signal: 6)`; empty if that is not known.
        how: String,
    },
    /// The last sweep had to take something back.
    LeftOver {
        /// What.
        what: String,
    },
    /// Orders had not come to their end when the drain was over.
    StillPending,
    /// The audit came to no verdict.
    NotJudged {
        /// The audit's reasons.
        why: Vec<String>,
        /// Whether nothing was accepted that it could have judged.
        #[serde(default)]
        nothing_to_judge: bool,
    },
    /// A sentence of another version.
    Other {
        /// As it stands in the record.
        sentence: String,
    },
}

const INTERRUPTED: &str = "interrupted before its end";
const ABORTED: &str = "aborted at {} s: {}";
const SEND_LAG: &str = "send lag p99 is {} µs; the scenario allows {} µs";
const GENERATOR_CPU: &str = "the generator used {} % of its core; at most {} % is trusted";
const RUN_QUEUE: &str =
    "the sending thread waited for its core {} % of the time; at most {} % is trusted";
const HICCUP: &str = "the generator's core stood still for {} ms; at most {} ms is trusted";
const STOOD_STILL: &str = "the machine stood still for {} % of the time; at most {} % is trusted";
const RIVALS: &str =
    "other programs used up to {} % of a core beside the systems; at most {} % is trusted";
const STEAL: &str = "the hypervisor took {} % of the machine's time";
const CLOCK_DRIFT: &str = "wall and monotonic clock moved apart by {} µs";
const SHARED_CORE: &str = "generator and system share their only core";
const DROPPED: &str = "{} requests were dropped: more than limits.in_flight were open, or no descriptor or port was left";
const DROPPED_BY_IN_FLIGHT: &str = "{} requests were dropped: more than limits.in_flight were open";
const LEDGER_OPEN: &str = "the ledger of {} does not close: {}";
const NOTHING_SUCCEEDED: &str = "none of {} requests was answered as asked: {}";
const UNRECORDED: &str = "{} requests are in no record: the recorder was slower than the load";
const NOT_RETRIED: &str = "{} retries were not made: too many orders waited for theirs";
const LITTLES_LAW: &str = "Little's law is off by {} %: recorder and sender disagree";
const FAULT_UNPROVED: &str = "fault {} on {}: {}";
const ENDED_BY_ITSELF: &str = "the process {} ended by itself";
const LEFT_OVER: &str = "something was left after the faults' healing: {}";
const STILL_PENDING: &str = "orders were still pending at the end of the drain";
const NOT_JUDGED: &str = "the audit could not judge: {}";
const OTHER: &str = "{}";

impl Reason {
    /// A process that ended by itself, as `orders (signal: 6)`.
    #[must_use]
    pub fn ended(process: &str) -> Self {
        let (process, how) = process
            .split_once(" (")
            .map_or((process, ""), |(name, _)| process.split_at(name.len()));
        Self::EndedByItself { process: process.to_owned(), how: how.trim_start().to_owned() }
    }

    /// The audit's silence.
    #[must_use]
    pub fn not_judged(why: &[Doubt]) -> Self {
        let nothing_to_judge = why.first().is_some_and(Doubt::is_nothing_to_judge);
        Self::NotJudged { why: why.iter().map(Doubt::to_string).collect(), nothing_to_judge }
    }

    /// The sentence without its figures: the same for all of a kind that speak of the same thing.
    #[must_use]
    pub fn general(&self) -> String {
        general(self.sentence())
    }

    fn sentence(&self) -> Sentence {
        use Part::{Detail, Name};
        match self {
            Self::Interrupted => (INTERRUPTED, Vec::new()),
            Self::Aborted { at_s, condition, .. } => {
                (ABORTED, vec![number(at_s), Detail(condition.clone())])
            }
            Self::SendLag { p99_us, allowed_us } => {
                (SEND_LAG, vec![number(p99_us), number(allowed_us)])
            }
            Self::GeneratorCpu { share, trusted } => {
                (GENERATOR_CPU, vec![percent(*share, 0), percent(*trusted, 0)])
            }
            Self::RunQueue { share, trusted } => {
                (RUN_QUEUE, vec![percent(*share, 1), percent(*trusted, 0)])
            }
            Self::Hiccup { ms, trusted_ms } => (HICCUP, vec![number(ms), number(trusted_ms)]),
            Self::StoodStill { share, trusted } => {
                (STOOD_STILL, vec![percent(*share, 0), percent(*trusted, 0)])
            }
            Self::Rivals { cores, trusted } => {
                (RIVALS, vec![percent(*cores, 0), percent(*trusted, 0)])
            }
            Self::Steal { share } => (STEAL, vec![percent(*share, 1)]),
            Self::ClockDrift { us } => (CLOCK_DRIFT, vec![number(us)]),
            Self::SharedCore => (SHARED_CORE, Vec::new()),
            Self::Dropped { requests, by_in_flight: false } => (DROPPED, vec![number(requests)]),
            Self::Dropped { requests, by_in_flight: true } => {
                (DROPPED_BY_IN_FLIGHT, vec![number(requests)])
            }
            Self::LedgerOpen { operation, counts } => {
                (LEDGER_OPEN, vec![Name(operation.to_string()), Detail(format!("{counts:?}"))])
            }
            Self::NothingSucceeded { asked, ends } => {
                (NOTHING_SUCCEEDED, vec![number(asked), Detail(ends.clone())])
            }
            Self::Unrecorded { requests } => (UNRECORDED, vec![number(requests)]),
            Self::NotRetried { retries } => (NOT_RETRIED, vec![number(retries)]),
            Self::LittlesLaw { off } => (LITTLES_LAW, vec![percent(*off, 0)]),
            Self::FaultUnproved { fault, on, found } => {
                let parts = vec![Name(fault.clone()), Name(on.clone()), Detail(found.clone())];
                (FAULT_UNPROVED, parts)
            }
            Self::EndedByItself { process, how } => {
                let process =
                    if how.is_empty() { process.clone() } else { format!("{process} {how}") };
                (ENDED_BY_ITSELF, vec![Name(process)])
            }
            Self::LeftOver { what } => (LEFT_OVER, vec![Detail(what.clone())]),
            Self::StillPending => (STILL_PENDING, Vec::new()),
            Self::NotJudged { why, .. } => (NOT_JUDGED, vec![Detail(why.join("; "))]),
            Self::Other { sentence } => (OTHER, vec![Name(sentence.clone())]),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&spoken(self.sentence()))
    }
}

#[cfg(test)]
mod tests;
