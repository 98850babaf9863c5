//! Abort conditions: what ends a trial early, while it runs. Judged where samples are recorded, on a
//! sliding window of whole seconds by the instant at which requests ended: who has the history can
//! judge again. It knows neither the engine nor what is done about it.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use record::latency::MAX_US;
use record::read::Spectrum;
use record::requests::Ended;
use record::{Aborted, Operation, Outcome, Sample};
use scenario::{Abort, Quantity, Series};

const NS_PER_S: u64 = 1_000_000_000;
/// Times are told apart to 1 %: enough for a bound that is far from good.
const DIGITS: u8 = 2;

/// Judges conditions while samples come in, about in the order of their ends.
#[derive(Default)]
pub struct Lookout {
    windows: Vec<Window>,
    /// The second that is being filled.
    second: u64,
    /// The schedule's end: what is late in the drain ends nothing.
    until_s: u64,
    aborted: Option<Aborted>,
}

impl Lookout {
    /// For a load of so many seconds.
    ///
    /// # Errors
    /// Never for the constants here; the histogram's constructor is fallible.
    pub fn new(conditions: &[Abort], duration_s: f64) -> anyhow::Result<Self> {
        let windows = conditions.iter().cloned().map(Window::new).collect::<Result<_, _>>()?;
        Ok(Self { windows, until_s: duration_s.round() as u64, ..Self::default() })
    }

    /// Counts a sample. A second is judged when one that ended after it comes; one that comes later
    /// still (stamped by the kernel, read when the sender was awake) counts in its own second from
    /// then on. What was given up because the load was stopped says nothing of the system.
    /// `ended` is what became of its request, if it was the last attempt: that is what failed, and what
    /// took its time from the first intent; service times and lags are those of each attempt.
    pub fn add(&mut self, sample: &Sample, ended: Option<Ended>) {
        if self.windows.is_empty() || sample.outcome == Outcome::Unfinished {
            return;
        }
        let second = sample.done_ns / NS_PER_S;
        while self.second < second && self.aborted.is_none() {
            self.close_second();
        }
        let late_s = usize::try_from(self.second.saturating_sub(second)).unwrap_or(usize::MAX);
        self.windows.iter_mut().for_each(|w| w.count(sample, ended, late_s));
    }

    /// The first condition that held.
    #[must_use]
    pub fn aborted(&self) -> Option<&Aborted> {
        self.aborted.as_ref()
    }

    fn close_second(&mut self) {
        self.second += 1;
        if self.second <= self.until_s {
            self.aborted = self.windows.iter().find_map(|w| w.aborts(self.second));
        }
        self.windows.iter_mut().for_each(Window::advance);
    }
}

/// The last seconds of one condition.
struct Window {
    condition: Abort,
    length: usize,
    /// The last is being filled.
    seconds: VecDeque<Tally>,
    sum: Tally,
    empty: Tally,
}

impl Window {
    fn new(condition: Abort) -> anyhow::Result<Self> {
        let length = condition.over.whole_s().unwrap_or(1) as usize;
        let is_time = matches!(condition.when.quantity(), Quantity::Time(..));
        let histogram = || Histogram::new_with_bounds(1, MAX_US, DIGITS);
        let times_us = if is_time { Some(histogram()?) } else { None };
        let empty = Tally { times_us, ..Tally::default() };
        let seconds = VecDeque::from([empty.clone()]);
        Ok(Self { condition, length, seconds, sum: empty.clone(), empty })
    }

    /// Counts a sample that ended so many seconds before the one that is being filled.
    fn count(&mut self, sample: &Sample, ended: Option<Ended>, late_s: usize) {
        if self.condition.operation.is_some_and(|o| o != sample.operation) {
            return;
        }
        let time_us = time_us(self.condition.when.quantity(), sample, ended);
        if let Some(second) = self.seconds.iter_mut().rev().nth(late_s) {
            second.add(ended, time_us);
            self.sum.add(ended, time_us);
        }
    }

    /// Begins a further second; the oldest leaves a full window.
    fn advance(&mut self) {
        let next = if self.seconds.len() < self.length {
            self.empty.clone()
        } else {
            let Some(mut oldest) = self.seconds.pop_front() else { return };
            self.sum.subtract(&oldest);
            oldest.clear();
            oldest
        };
        self.seconds.push_back(next);
    }

    /// Why the trial ends at `second`, if it does: never before the window is full.
    fn aborts(&self, second: u64) -> Option<Aborted> {
        let Abort { when, over, operation } = &self.condition;
        let found = self.found().filter(|_| second >= self.length as u64)?;
        when.holds(found).then(|| {
            let of = operation.map_or("all operations", Operation::as_str);
            let of_send_lag = matches!(when.quantity(), Quantity::Time(Series::Lag, _));
            let reason = format!("{when} over {over} of {of}; found {}", when.shown(found));
            Aborted { at_s: second, reason, of_send_lag }
        })
    }

    /// What the window holds; `None` if that is too little for the quantity.
    fn found(&self) -> Option<f64> {
        let Tally { ok, all, times_us } = &self.sum;
        match self.condition.when.quantity() {
            Quantity::Time(_, q) => {
                let times_us = times_us.as_ref()?;
                let enough = times_us.len() >= Spectrum::least(*q).max(1);
                enough.then(|| times_us.value_at_quantile(*q) as f64 / 1e6)
            }
            _ => (*all > 0).then(|| (all - ok) as f64 / *all as f64),
        }
    }
}

fn time_us(quantity: &Quantity, sample: &Sample, ended: Option<Ended>) -> Option<u64> {
    let Quantity::Time(series, _) = quantity else { return None };
    let (from_ns, to_ns) = match (series, ended) {
        (Series::Service, _) => (sample.sent_ns, sample.done_ns),
        (Series::Lag, _) => (sample.intended_ns, sample.sent_ns),
        (Series::Accepted, Some(ended)) if ended.outcome != Outcome::Ok => return None,
        (Series::Response | Series::Accepted | Series::Completed, Some(ended)) => {
            (ended.intended_ns, ended.done_ns)
        }
        (Series::Response | Series::Accepted | Series::Completed, None) => return None,
    };
    // What was never sent has no time.
    let sent = sample.outcome != Outcome::Dropped;
    sent.then(|| (to_ns.saturating_sub(from_ns) / 1_000).max(1))
}

/// Counts of some seconds.
#[derive(Clone, Default)]
struct Tally {
    ok: u64,
    all: u64,
    /// Only where a time is asked for.
    times_us: Option<Histogram<u32>>,
}

impl Tally {
    fn add(&mut self, ended: Option<Ended>, time_us: Option<u64>) {
        self.all += u64::from(ended.is_some());
        self.ok += u64::from(ended.is_some_and(|ended| ended.outcome == Outcome::Ok));
        if let (Some(times), Some(us)) = (&mut self.times_us, time_us) {
            times.saturating_record(us);
        }
    }

    /// `other` is a part of this.
    fn subtract(&mut self, other: &Self) {
        self.ok -= other.ok;
        self.all -= other.all;
        if let (Some(times), Some(part)) = (&mut self.times_us, &other.times_us) {
            // Fails only for values that are not in `times`.
            let _ = times.subtract(part);
        }
    }

    fn clear(&mut self) {
        (self.ok, self.all) = (0, 0);
        if let Some(times) = &mut self.times_us {
            times.reset();
        }
    }
}

#[cfg(test)]
mod tests;
