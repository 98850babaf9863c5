//! Sentences back into reasons, for records from before kinds were kept.

use super::{
    ABORTED, CLOCK_DRIFT, DROPPED, DROPPED_BY_IN_FLIGHT, ENDED_BY_ITSELF, FAULT_UNPROVED,
    GENERATOR_CPU, HICCUP, INTERRUPTED, LEDGER_OPEN, LEFT_OVER, LITTLES_LAW, NOT_JUDGED,
    NOT_RETRIED, NOTHING_SUCCEEDED, RIVALS, RUN_QUEUE, Reason, SEND_LAG, SHARED_CORE, STEAL,
    STILL_PENDING, STOOD_STILL, UNRECORDED,
};
use crate::RequestCounts;
use crate::doubt::NOTHING;
use crate::sentence::captured;

/// Makes a reason of what stood in the place of each `{}`.
type Reader = fn(&[&str]) -> Option<Reason>;

impl Reason {
    /// The reason of a sentence, whose `Display` it is.
    #[must_use]
    pub fn parse(sentence: &str) -> Self {
        let read = |(template, read): &(&str, Reader)| read(&captured(template, sentence)?);
        let found = READERS.iter().find_map(read);
        // Figures that were rounded, and what another version wrote otherwise, must not change.
        let same = found.filter(|reason| reason.to_string() == sentence);
        same.unwrap_or_else(|| Self::Other { sentence: sentence.to_owned() })
    }
}

/// A sentence that fits several templates belongs to the first.
const READERS: [(&str, Reader); 23] = [
    (INTERRUPTED, |_| Some(Reason::Interrupted)),
    (ABORTED, |at| {
        let (at_s, condition) = (at[0].parse().ok()?, at[1].to_owned());
        let of_send_lag = condition.starts_with("lag ");
        Some(Reason::Aborted { at_s, condition, of_send_lag })
    }),
    (SEND_LAG, |at| {
        Some(Reason::SendLag { p99_us: at[0].parse().ok()?, allowed_us: at[1].parse().ok()? })
    }),
    (GENERATOR_CPU, |at| {
        Some(Reason::GeneratorCpu { share: share(at[0])?, trusted: share(at[1])? })
    }),
    (RUN_QUEUE, |at| Some(Reason::RunQueue { share: share(at[0])?, trusted: share(at[1])? })),
    (HICCUP, |at| {
        Some(Reason::Hiccup { ms: at[0].parse().ok()?, trusted_ms: at[1].parse().ok()? })
    }),
    (STOOD_STILL, |at| Some(Reason::StoodStill { share: share(at[0])?, trusted: share(at[1])? })),
    (RIVALS, |at| Some(Reason::Rivals { cores: share(at[0])?, trusted: share(at[1])? })),
    (STEAL, |at| Some(Reason::Steal { share: share(at[0])? })),
    (CLOCK_DRIFT, |at| Some(Reason::ClockDrift { us: at[0].parse().ok()? })),
    (SHARED_CORE, |_| Some(Reason::SharedCore)),
    (DROPPED, |at| dropped(at, false)),
    (DROPPED_BY_IN_FLIGHT, |at| dropped(at, true)),
    (LEDGER_OPEN, |at| {
        Some(Reason::LedgerOpen { operation: at[0].parse().ok()?, counts: counts(at[1])? })
    }),
    (NOTHING_SUCCEEDED, |at| {
        Some(Reason::NothingSucceeded { asked: at[0].parse().ok()?, ends: at[1].to_owned() })
    }),
    (UNRECORDED, |at| Some(Reason::Unrecorded { requests: at[0].parse().ok()? })),
    (NOT_RETRIED, |at| Some(Reason::NotRetried { retries: at[0].parse().ok()? })),
    (LITTLES_LAW, |at| Some(Reason::LittlesLaw { off: share(at[0])? })),
    (FAULT_UNPROVED, |at| {
        let [fault, on, found] = [at[0], at[1], at[2]].map(str::to_owned);
        Some(Reason::FaultUnproved { fault, on, found })
    }),
    (ENDED_BY_ITSELF, |at| Some(Reason::ended(at[0]))),
    (LEFT_OVER, |at| Some(Reason::LeftOver { what: at[0].to_owned() })),
    (STILL_PENDING, |_| Some(Reason::StillPending)),
    (NOT_JUDGED, |at| {
        let nothing_to_judge = at[0].starts_with(NOTHING);
        Some(Reason::NotJudged { why: vec![at[0].to_owned()], nothing_to_judge })
    }),
];

fn dropped(at: &[&str], by_in_flight: bool) -> Option<Reason> {
    Some(Reason::Dropped { requests: at[0].parse().ok()?, by_in_flight })
}

fn share(percent: &str) -> Option<f64> {
    percent.parse::<f64>().ok().map(|percent| percent / 100.0)
}

/// Reads what `{:?}` makes of counts.
fn counts(text: &str) -> Option<RequestCounts> {
    let of = |name: &str| -> Option<u64> {
        let (_, rest) = text.split_once(&format!(" {name}: "))?;
        rest.split([',', ' ']).next()?.parse().ok()
    };
    Some(RequestCounts {
        scheduled: of("scheduled")?,
        ok: of("ok")?,
        failed: of("failed")?,
        unknown: of("unknown")?,
        dropped: of("dropped")?,
        unfinished: of("unfinished")?,
    })
}
