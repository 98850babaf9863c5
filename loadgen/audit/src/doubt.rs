//! By how much the measuring machine may have lengthened each request, from what it was seen to do: send
//! late, or stand still. It knows no outcome and no file.
//!
//! A response time counts from the intended instant, so lateness can only add to it. Where servers work
//! whenever there is work, and serve in the order of arrival, an answer is late by no more than the latest
//! of the requests before it that it still depends on: departures are maxima of sums that begin with an
//! arrival, so they move by no more than the arrivals did (max-plus maps are non-expansive: Baccelli, Cohen,
//! Olsder, Quadrat, Synchronization and Linearity, 1992). It depends on a late one until what that one caused
//! is worked off: here, until no more requests are open than is typical of these seconds. A machine that
//! stands still adds to an answer at most the time for which it stood.

use record::Stall;

/// A request that is sent later than this disturbs others, ns. Idle, 99 % are sent within 50 to 80 µs.
const LATE_NS: u64 = 100_000;
/// The finest resolution of what is kept, ns.
const BUCKET_NS: u64 = 1_000_000;
/// The most buckets that are kept: a load that is longer has coarser ones.
const BUCKETS_MAX: u64 = 4_000_000;
/// How many open requests are typical is told anew for every so long, ns.
const TYPICAL_NS: u64 = 10_000_000_000;

/// From the first pass over a history, which may be in any order.
#[derive(Debug)]
pub(crate) struct Observed {
    bucket_ns: u64,
    /// By bucket: how many more requests are open at its end than before.
    changes: Vec<i32>,
    /// Late ones: intended and sent.
    late: Vec<(u64, u64)>,
}

/// What is known of the whole load.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    bucket_ns: u64,
    /// By bucket: the largest lateness that what is due in it may still feel, µs.
    late_us: Vec<u32>,
    stalls: Stalls,
    /// How many requests were sent late.
    late: u64,
}

impl Observed {
    /// Of a load that ends, drain included, after so many seconds; what is later is told of the end.
    pub(crate) fn new(length_s: f64) -> Self {
        let length_ns = (length_s.max(1.0) * 1e9) as u64;
        let bucket_ns = BUCKET_NS.max(length_ns.div_ceil(BUCKETS_MAX));
        let buckets = length_ns.div_ceil(bucket_ns) as usize + 1;
        Self { bucket_ns, changes: vec![0; buckets], late: Vec::new() }
    }

    /// Takes a request that was sent.
    pub(crate) fn add(&mut self, intended_ns: u64, sent_ns: u64, done_ns: u64) {
        let (sent, done) = (self.bucket(sent_ns), self.bucket(done_ns.max(sent_ns)));
        self.changes[sent] += 1;
        self.changes[done] -= 1;
        if sent_ns.saturating_sub(intended_ns) > LATE_NS {
            self.late.push((intended_ns, sent_ns));
        }
    }

    fn bucket(&self, at_ns: u64) -> usize {
        bucket(at_ns, self.bucket_ns, self.changes.len())
    }

    /// What follows of it, if the machine stood still so.
    pub(crate) fn doubts(self, stalls: &[Stall]) -> Doubts {
        let still = Still::of(stalls);
        let calm = calm(&self.changes, (TYPICAL_NS / self.bucket_ns).max(1) as usize);
        let felt_until = |there_ns: u64| calm[self.bucket(there_ns)] as usize;
        let mut windows = Vec::new();
        for (intended_ns, sent_ns) in &self.late {
            // Those that were due meanwhile are late for no other reason.
            let still_ns = still.within(*intended_ns, *sent_ns);
            let late_ns = (sent_ns - intended_ns).saturating_sub(still_ns);
            if late_ns > LATE_NS {
                let us = u32::try_from(late_ns.div_ceil(1_000)).unwrap_or(u32::MAX);
                windows.push((us, self.bucket(*intended_ns), felt_until(*sent_ns)));
            }
        }
        let late = self.late.len() as u64;
        let end_of = |at: usize| (at as u64 + 1).saturating_mul(self.bucket_ns);
        let stalls = still.0.iter().map(|(from_ns, to_ns)| {
            (*from_ns, end_of(felt_until(*to_ns)).max(*to_ns), to_ns - from_ns)
        });
        let stalls = Stalls::of(stalls.collect());
        let late_us = painted(windows, self.changes.len());
        Doubts { bucket_ns: self.bucket_ns, late_us, stalls, late }
    }
}

impl Doubts {
    /// The most that a request may be shorter than it seems, which was due then and is answered then, ns;
    /// 0 if nothing touched it.
    pub(crate) fn adds_ns(&self, due_ns: u64, done_ns: u64) -> u64 {
        let at = bucket(due_ns, self.bucket_ns.max(1), self.late_us.len());
        let late_us = self.late_us.get(at).copied().unwrap_or(0);
        let still_ns = self.stalls.met(due_ns, done_ns);
        let added_ns = still_ns.saturating_add(u64::from(late_us) * 1_000);
        added_ns.min(done_ns.saturating_sub(due_ns))
    }

    /// How many requests were sent late.
    pub(crate) fn late(&self) -> u64 {
        self.late
    }
}

fn bucket(at_ns: u64, bucket_ns: u64, buckets: usize) -> usize {
    let at = usize::try_from(at_ns / bucket_ns).unwrap_or(usize::MAX);
    at.min(buckets.saturating_sub(1))
}

/// From each bucket on the first one in which no more requests were open than is typical.
fn calm(changes: &[i32], of_one: usize) -> Vec<u32> {
    let mut now = 0;
    let running = |change: &i32| {
        now += change;
        now
    };
    let open: Vec<i32> = changes.iter().map(running).collect();
    let typical: Vec<i32> = open.chunks(of_one).map(typical).collect();
    let mut calm = vec![0; open.len()];
    let mut next = open.len().saturating_sub(1);
    for at in (0..open.len()).rev() {
        if open[at] <= typical[at / of_one] {
            next = at;
        }
        calm[at] = next as u32;
    }
    calm
}

/// The lower median.
fn typical(open: &[i32]) -> i32 {
    let mut open = open.to_vec();
    let middle = open.len().saturating_sub(1) / 2;
    if open.is_empty() { 0 } else { *open.select_nth_unstable(middle).1 }
}

/// The largest value of all windows (value, first, last) over each of so many buckets. The largest goes
/// first and what is painted is skipped, so that it takes no longer for windows that overlap.
fn painted(mut windows: Vec<(u32, usize, usize)>, buckets: usize) -> Vec<u32> {
    windows.sort_unstable_by(|a, b| b.cmp(a));
    let mut values = vec![0; buckets];
    // The first bucket from each one on that is not painted yet.
    let mut unpainted: Vec<u32> = (0..=buckets as u32).collect();
    for (value, first, last) in windows {
        let mut at = skip(&mut unpainted, first);
        while at <= last && at < buckets {
            values[at] = value;
            unpainted[at] = at as u32 + 1;
            at = skip(&mut unpainted, at);
        }
    }
    values
}

/// Where a chain of painted buckets ends; the chain is shortened on the way.
fn skip(unpainted: &mut [u32], from: usize) -> usize {
    let mut end = from;
    while unpainted[end] as usize != end {
        end = unpainted[end] as usize;
    }
    let mut at = from;
    while at != end {
        at = std::mem::replace(&mut unpainted[at], end as u32) as usize;
    }
    end
}

/// When the machine stood still: from and to, ascending, none within another.
struct Still(Vec<(u64, u64)>);

impl Still {
    fn of(stalls: &[Stall]) -> Self {
        let ns = |s: f64| (s.max(0.0) * 1e9) as u64;
        let span =
            |stall: &Stall| (ns(stall.at_s), ns(stall.at_s).saturating_add(ns(stall.ms / 1e3)));
        let mut spans: Vec<(u64, u64)> = stalls.iter().map(span).collect();
        spans.sort_unstable();
        spans.dedup_by(|next, kept| {
            let meet = next.0 <= kept.1;
            if meet {
                kept.1 = kept.1.max(next.1);
            }
            meet
        });
        Self(spans)
    }

    /// For how much of this time it stood.
    fn within(&self, from_ns: u64, to_ns: u64) -> u64 {
        let first = self.0.partition_point(|(_, to)| *to <= from_ns);
        let met = self.0[first..].iter().take_while(|(from, _)| *from < to_ns);
        met.map(|(from, to)| (*to).min(to_ns).saturating_sub((*from).max(from_ns))).sum()
    }
}

/// Stalls and until when each is felt, so that how much met a span takes two look-ups.
#[derive(Debug, Default)]
struct Stalls {
    /// When they begin, ascending, with the lengths of all up to it.
    begun: Vec<(u64, u64)>,
    /// When they are worked off, ascending, in the same way.
    over: Vec<(u64, u64)>,
}

impl Stalls {
    /// Of begins, ends of what is felt, and lengths.
    fn of(stalls: Vec<(u64, u64, u64)>) -> Self {
        let sums = |mut at: Vec<(u64, u64)>| {
            at.sort_unstable();
            let mut sum = 0_u64;
            for (_, length) in &mut at {
                sum = sum.saturating_add(*length);
                *length = sum;
            }
            at
        };
        Self {
            begun: sums(stalls.iter().map(|(from, _, length)| (*from, *length)).collect()),
            over: sums(stalls.iter().map(|(_, until, length)| (*until, *length)).collect()),
        }
    }

    /// The lengths of those that are felt at any instant of a span.
    fn met(&self, from_ns: u64, to_ns: u64) -> u64 {
        let up_to = |sums: &[(u64, u64)], end: usize| end.checked_sub(1).map_or(0, |at| sums[at].1);
        let begun = self.begun.partition_point(|(at, _)| *at <= to_ns);
        let over = self.over.partition_point(|(at, _)| *at < from_ns);
        up_to(&self.begun, begun).saturating_sub(up_to(&self.over, over))
    }
}

#[cfg(test)]
mod tests;
