//! Whether a trial's numbers may be believed, and if not, why: one reason per doubt. What only blurs them is
//! told apart: `doubt.rs` gives each figure its two ends.

use record::{
    Aborted, Answer, Attempts, Class, Doubt, FaultRow, Generator, Manifest, Operation, Reason,
    Validity, Verdict,
};

/// Above this the sending thread may have delayed answers by its own work.
const CPU_SHARE_MAX: f64 = 0.8;
/// The kernel stops a real-time thread that runs for more than 95 % of a second (sched_rt_runtime_us).
const BUSY_SHARE_MAX: f64 = 0.9;
/// Little's law holds exactly over a whole run, up to what the recorder lost or doubled.
const LITTLE_MAX: f64 = 0.1;
const STEAL_SHARE_MAX: f64 = 0.05;
/// With more of their cores in use by other programs the systems were slower than they are: their times are
/// upper ends alone: at 16 % a p99 of 79 ms was 105.
const RIVALS_MAX: f64 = 0.1;
/// A machine that stands still for more of the time is another machine than the one to be measured.
const STOOD_STILL_MAX: f64 = 0.05;
/// Above this share of waiting for its core, something else is running on it: what comes at a random
/// instant meets a waiting sender with this probability (PASTA, Wolff 1982), an arrival (as the send
/// lag shows), but also a new connection: then a wait for one may be the generator's (`digest.rs`).
/// Idle: 0.05 to 0.25 % at 100 to 600 requests/s.
pub const RUN_QUEUE_SHARE_MAX: f64 = 0.05;
/// The least delay that people notice (Miller 1968, Nielsen 1993). If the measuring core itself once
/// stood still so long, the largest times are not the system's. Idle: up to 5 ms.
const HICCUP_MAX_US: u64 = 100_000;
/// Completion times come from another process's wall clock.
const CLOCK_DRIFT_MAX_US: i64 = 5_000;

/// Whom a reason speaks of where too much load is what is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// Generator, machine, faults, or a user: nothing follows for the system.
    Instrument,
    /// The system under too much load.
    Overload,
    /// The audit: it has nothing to say.
    Audit,
}

fn of(reason: &Reason) -> Of {
    match reason {
        Reason::Aborted { of_send_lag: false, .. }
        | Reason::Dropped { .. }
        | Reason::NothingSucceeded { .. }
        | Reason::EndedByItself { .. }
        | Reason::StillPending => Of::Overload,
        Reason::NotJudged { .. } => Of::Audit,
        Reason::Aborted { of_send_lag: true, .. }
        | Reason::Interrupted
        | Reason::SendLag { .. }
        | Reason::GeneratorCpu { .. }
        | Reason::RunQueue { .. }
        | Reason::Hiccup { .. }
        | Reason::StoodStill { .. }
        | Reason::Rivals { .. }
        | Reason::Steal { .. }
        | Reason::ClockDrift { .. }
        | Reason::SharedCore
        | Reason::LedgerOpen { .. }
        | Reason::Unrecorded { .. }
        | Reason::NotRetried { .. }
        | Reason::LittlesLaw { .. }
        | Reason::FaultUnproved { .. }
        | Reason::LeftOver { .. }
        | Reason::Other { .. } => Of::Instrument,
    }
}

/// Whether a reason that [`judge`] gave would be a finding where too much load is what is tried.
#[must_use]
pub fn comes_of_overload(reason: &Reason) -> bool {
    of(reason) == Of::Overload
}

/// Of the reasons and blurs that [`judge`] gave, those that speak of the instrument where too much load is what
/// is tried. An audit cannot judge a system that has died, or that has accepted nothing; that is no
/// doubt beside it.
pub fn of_instrument<'r>(
    reasons: impl Iterator<Item = &'r Reason> + Clone,
) -> impl Iterator<Item = &'r Reason> {
    let died = reasons.clone().any(|reason| matches!(reason, Reason::EndedByItself { .. }));
    let silenced = move |reason: &Reason| match reason {
        Reason::NotJudged { nothing_to_judge, .. } => died || *nothing_to_judge,
        _ => false,
    };
    reasons.filter(move |reason| !comes_of_overload(reason) && !silenced(reason))
}

/// Whether nothing but the instrument makes a trial void.
#[must_use]
pub fn is_of_instrument_alone(reasons: &[Reason]) -> bool {
    !reasons.is_empty() && reasons.iter().all(|reason| of(reason) == Of::Instrument)
}

/// A share of doubtful outcomes beyond which another try is worth its time: intervals of shares are wider than
/// ends that are told as one.
const DOUBTFUL_MAX: f64 = 0.05;

/// Whether so many outcomes are doubtful that another try may say more.
#[must_use]
pub fn is_much_blurred(manifest: &Manifest) -> bool {
    let asked: u64 = manifest.requests.values().map(|counts| counts.scheduled).sum();
    manifest.touched.is_some_and(|of| of.outcomes as f64 > DOUBTFUL_MAX * asked as f64)
}

/// What is known of a trial.
pub struct Observed<'a> {
    /// Its manifest, complete but for the validity.
    pub manifest: &'a Manifest,
    /// Whether the load was stopped before its end.
    pub stopped: bool,
    /// The condition of the scenario that ended it early.
    pub aborted: Option<&'a Aborted>,
    /// Requests that the recorder did not take in time.
    pub unrecorded: u64,
    /// Retries that found no room to wait in.
    pub not_retried: u64,
    /// The sender's integral of open requests over time, s.
    pub in_flight_area_s: f64,
    /// The recorder's sum of times from sent to done, s.
    pub service_s: f64,
    /// The faults.
    pub faults: &'a [FaultRow],
    /// The audit.
    pub verdict: &'a Verdict,
    /// Whether nothing was pending at the end of the drain.
    pub drained: bool,
    /// Processes that ended by themselves.
    pub ended: &'a [String],
    /// What only the final sweep took back.
    pub left: &'a [String],
    /// Whether generator and systems had different cores.
    pub apart: bool,
}

/// Collects every reason not to believe a trial.
#[must_use]
pub fn judge(o: &Observed<'_>) -> Validity {
    let interrupted = o.stopped && o.aborted.is_none();
    let mut reasons = Vec::new();
    reasons.extend(interrupted.then_some(Reason::Interrupted));
    reasons.extend(o.aborted.map(Reason::from));
    reasons.extend(of_generator(o.manifest));
    reasons.extend((!o.apart).then_some(Reason::SharedCore));
    reasons.extend(of_requests(o, interrupted));
    reasons.extend(of_faults(o));
    if !interrupted {
        reasons.extend(of_ends(o));
    }
    let blurs = blurs(o.manifest);
    let aborted = o.aborted.cloned();
    Validity { valid: reasons.is_empty(), interrupted, aborted, reasons, blurs }
}

/// Whether every request came through, was recorded, and is counted.
fn of_requests(o: &Observed<'_>, interrupted: bool) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let dropped: u64 = o.manifest.requests.values().map(|r| r.dropped).sum();
    let of = |count: u64, reason: Reason| (count > 0).then_some(reason);
    reasons.extend(of(dropped, Reason::Dropped { requests: dropped, by_in_flight: false }));
    for (operation, counts) in o.manifest.requests.iter().filter(|(_, counts)| !counts.closes()) {
        reasons.push(Reason::LedgerOpen { operation: *operation, counts: *counts });
    }
    reasons.extend(nothing_succeeded(o.manifest).filter(|_| !interrupted));
    reasons.extend(of(o.unrecorded, Reason::Unrecorded { requests: o.unrecorded }));
    reasons.extend(of(o.not_retried, Reason::NotRetried { retries: o.not_retried }));
    let off = (o.in_flight_area_s - o.service_s).abs() / o.service_s.max(1e-9);
    if o.service_s > 0.0 && off > LITTLE_MAX {
        reasons.push(Reason::LittlesLaw { off });
    }
    reasons
}

/// Whether every order came to its end, and the audit to a verdict.
fn of_ends(o: &Observed<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if !o.drained && !only_poison_is_left(o.verdict) {
        reasons.push(Reason::StillPending);
    }
    if o.verdict.verdict == Answer::Unknown && !asked_for_nothing(o) {
        reasons.push(Reason::not_judged(&o.verdict.reasons));
    }
    reasons
}

/// Kinds of ends that are named.
const NAMED: usize = 3;

/// A load of which every request failed is a wrong address or a dead server more often than a finding.
fn nothing_succeeded(manifest: &Manifest) -> Option<Reason> {
    let counts = manifest.requests.values();
    let (asked, ok) = counts.fold((0, 0), |(asked, ok), c| (asked + c.scheduled, ok + c.ok));
    if asked == 0 || ok > 0 {
        return None;
    }
    let mut kinds: Vec<_> = manifest.attempts.iter().collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
    let name = |kind: &&Attempts| match (kind.status, kind.trouble.as_str()) {
        (0, "") => format!("{} {}", kind.count, kind.outcome),
        (0, trouble) => format!("{} {trouble}", kind.count),
        (status, "") => format!("{} with status {status}", kind.count),
        (status, trouble) => format!("{} with status {status}, {trouble}", kind.count),
    };
    let named: Vec<String> = kinds.iter().take(NAMED).map(name).collect();
    Some(Reason::NothingSucceeded { asked, ends: named.join("; ") })
}

/// Of doubts, those that hold.
fn those<const N: usize>(doubts: [(bool, Reason); N]) -> Vec<Reason> {
    doubts.into_iter().filter(|(holds, _)| *holds).map(|(_, reason)| reason).collect()
}

/// What its own watchdogs say of the generator, and nothing can be inferred from.
fn of_generator(manifest: &Manifest) -> Vec<Reason> {
    let g = &manifest.generator;
    let busy = g.cpu_share + g.polled_share;
    let still_s: f64 = manifest.stalls.iter().map(|stall| stall.ms / 1e3).sum();
    let still = still_s / f64::from(manifest.duration_s.max(1));
    those([
        (
            g.cpu_share > CPU_SHARE_MAX,
            Reason::GeneratorCpu { share: g.cpu_share, trusted: CPU_SHARE_MAX },
        ),
        (
            g.real_time && busy > BUSY_SHARE_MAX,
            Reason::GeneratorCpu { share: busy, trusted: BUSY_SHARE_MAX },
        ),
        (still > STOOD_STILL_MAX, Reason::StoodStill { share: still, trusted: STOOD_STILL_MAX }),
        (g.steal_share > STEAL_SHARE_MAX, Reason::Steal { share: g.steal_share }),
        (g.clock_drift_us.abs() > CLOCK_DRIFT_MAX_US, Reason::ClockDrift { us: g.clock_drift_us }),
    ])
}

/// Whether the systems shared their cores with other programs.
pub(crate) fn has_rivals(generator: &Generator) -> bool {
    generator.rivals > RIVALS_MAX
}

/// What they say that gives each figure two ends.
fn blurs(manifest: &Manifest) -> Vec<Reason> {
    let (g, allowed_us) = (&manifest.generator, manifest.limits.send_lag_us);
    those([
        (g.lag_p99_us > allowed_us, Reason::SendLag { p99_us: g.lag_p99_us, allowed_us }),
        (
            g.run_queue_share > RUN_QUEUE_SHARE_MAX,
            Reason::RunQueue { share: g.run_queue_share, trusted: RUN_QUEUE_SHARE_MAX },
        ),
        (has_rivals(g), Reason::Rivals { cores: g.rivals, trusted: RIVALS_MAX }),
        (
            g.hiccup_max_us > HICCUP_MAX_US,
            Reason::Hiccup { ms: g.hiccup_max_us / 1_000, trusted_ms: HICCUP_MAX_US / 1_000 },
        ),
    ])
}

/// What went wrong with the faults, or without any.
fn of_faults(o: &Observed<'_>) -> Vec<Reason> {
    let unproved = |fault: &FaultRow| {
        let found = match (fault.effective_s, fault.healed_s) {
            (None, _) => &fault.effect_proof,
            (_, None) => &fault.heal_proof,
            _ => return None,
        };
        let (fault, on, found) = (fault.kind.clone(), fault.harm.clone(), found.clone());
        Some(Reason::FaultUnproved { fault, on, found })
    };
    let ended = o.ended.iter().map(|process| Reason::ended(process));
    let left = o.left.iter().map(|what| Reason::LeftOver { what: what.clone() });
    o.faults.iter().filter_map(unproved).chain(ended).chain(left).collect()
}

/// Whether the load places no orders, and that is all that keeps the audit from judging.
fn asked_for_nothing(o: &Observed<'_>) -> bool {
    let place = o.manifest.requests.get(&Operation::Place);
    let places = place.is_some_and(|counts| counts.scheduled > 0);
    let reasons = &o.verdict.reasons;
    !places && !reasons.is_empty() && reasons.iter().all(Doubt::is_nothing_to_judge)
}

/// Whether every order that is not final is one that the scenario poisoned.
fn only_poison_is_left(verdict: &Verdict) -> bool {
    let poisoned = verdict.oddities.iter().find(|found| found.class == Class::Poisoned.name());
    let left = verdict.counts.pending + verdict.counts.dead;
    left > 0 && poisoned.is_some_and(|found| found.count == left)
}

#[cfg(test)]
mod tests;
