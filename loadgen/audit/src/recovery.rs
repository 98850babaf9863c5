//! How a system came back after its faults: goodput from the time series, work from the ledger. Pure; it
//! judges no order.
//!
//! Goodput is taken as the share of the orders offered in a second that met the objective, so that
//! chance in the arrivals does not look like trouble.

use super::work::Work;
use record::{
    FaultRecovery, FaultRow, Forecast, Manifest, Metastable, Operation, PHASE, Recovery,
    TimelineRow,
};

/// Back means: at least this part of the level before (within 10 %).
const BACK: f64 = 0.9;
/// … for so many seconds with arrivals in a row.
const STAYS: usize = 3;
/// A level from fewer seconds is no level.
const LEVEL_MIN: usize = 5;
/// Down for longer after the healing, with the load of before, is metastable.
const PATIENCE_S: f64 = 60.0;
/// "The load of before": its mean differs by at most this part.
const LOAD_MAX: f64 = 0.1;
/// Chance alone makes 100 arrivals differ by 10: of a smaller backlog nothing is foretold.
const FORETOLD_MIN: u64 = 100;
/// The phase in which a scenario without faults has its trouble.
const DURING: &str = "during";

/// What the record says of the time after each fault that took effect and was healed, or after the
/// phase "during" of a load without faults; `None` if there is none such.
#[must_use]
pub(super) fn recovery(
    manifest: &Manifest,
    timeline: &[TimelineRow],
    faults: &[FaultRow],
    work: &Work,
) -> Option<Recovery> {
    let healed: Vec<(&FaultRow, f64)> = faults
        .iter()
        .filter(|fault| fault.effective_s.is_some())
        .filter_map(|fault| Some((fault, fault.healed_s?)))
        .collect();
    if faults.is_empty() {
        return after_phase(manifest, timeline, work);
    }
    let first_s = faults.iter().map(|fault| fault.commanded_s).fold(f64::INFINITY, f64::min);
    let series = Series::new(manifest, timeline, work, first_s);
    let judged: Vec<FaultRecovery> = healed
        .iter()
        .map(|(fault, healed_s)| {
            let later = faults.iter().map(|f| f.commanded_s).filter(|at| at > healed_s);
            series.after(fault, *healed_s, later.fold(f64::INFINITY, f64::min))
        })
        .collect();
    let metastable = judged.iter().map(|fault| fault.metastable).max()?;
    Some(Recovery { good_share_before: series.level, metastable, faults: judged, phase: None })
}

/// The trouble of a spike is the load itself, and over when the phase is.
fn after_phase(manifest: &Manifest, timeline: &[TimelineRow], work: &Work) -> Option<Recovery> {
    let during = manifest.phases.iter().find(|phase| phase.name == DURING)?;
    let (from_s, to_s) = (f64::from(during.from_s), f64::from(during.to_s));
    let series = Series::new(manifest, timeline, work, from_s);
    let trouble = FaultRow {
        kind: PHASE.to_owned(),
        harm: DURING.to_owned(),
        commanded_s: from_s,
        ..FaultRow::default()
    };
    let found = series.after(&trouble, to_s, f64::INFINITY);
    let (good_share_before, metastable) = (series.level, found.metastable);
    Some(Recovery { good_share_before, metastable, faults: Vec::new(), phase: Some(found) })
}

/// The rows of `place`, and how it was before the first fault.
struct Series<'a> {
    manifest: &'a Manifest,
    rows: Vec<&'a TimelineRow>,
    work: &'a Work,
    length_s: f64,
    from_s: f64,
    first_s: f64,
    level: Option<f64>,
    /// The most orders in work.
    before: u64,
}

impl<'a> Series<'a> {
    fn new(
        manifest: &'a Manifest,
        timeline: &'a [TimelineRow],
        work: &'a Work,
        first_s: f64,
    ) -> Self {
        let places = timeline.iter().filter(|row| row.operation == Operation::Place);
        let mut rows: Vec<_> = places.collect();
        rows.sort_by_key(|row| row.t_s);
        let length_s = f64::from(manifest.interval_s.max(1));
        let from_s = f64::from(manifest.warm_up_s);
        let within = |row: &TimelineRow| {
            let at_s = f64::from(row.t_s);
            from_s <= at_s && at_s + length_s <= first_s
        };
        let level = level(&rows.iter().copied().filter(|row| within(row)).collect::<Vec<_>>());
        let before = if from_s < first_s { work.most(from_s, first_s) } else { 0 };
        Self { manifest, rows, work, length_s, from_s, first_s, level, before }
    }

    /// What happened between a healing and the next fault.
    fn after(&self, fault: &FaultRow, healed_s: f64, next_s: f64) -> FaultRecovery {
        let after: Vec<&TimelineRow> = self
            .rows
            .iter()
            .copied()
            .filter(|row| f64::from(row.t_s) + self.length_s > healed_s)
            .filter(|row| f64::from(row.t_s) + self.length_s <= next_s)
            .collect();
        let since = |row: &TimelineRow| (f64::from(row.t_s) - healed_s).max(0.0);
        let recovered_after_s = self.back(&after).map(since);
        let (metastable, why) = self.metastable(recovered_after_s, healed_s, next_s);
        let mut found = FaultRecovery {
            kind: fault.kind.clone(),
            harm: fault.harm.clone(),
            healed_s,
            recovered_after_s,
            met_nothing: fault.met_nothing(),
            backlog: self.work.at(healed_s),
            before: self.level.map(|_| self.before),
            metastable,
            why,
            ..FaultRecovery::default()
        };
        if self.level.is_some() {
            self.drain(next_s, &mut found);
        }
        found
    }

    /// The first of so many seconds in a row in which goodput is back.
    fn back<'r>(&self, after: &[&'r TimelineRow]) -> Option<&'r TimelineRow> {
        let bound = self.level? * BACK;
        let loaded: Vec<_> = after.iter().copied().filter(|row| row.offered > 0).collect();
        let good = |row: &&TimelineRow| {
            row.good.is_some_and(|good| good as f64 >= bound * row.offered as f64)
        };
        let found = loaded.windows(STAYS).find(|rows| rows.iter().all(good))?;
        found.first().copied()
    }

    /// Time until no more was in work than before, measured, and by backlog/(μ − λ).
    fn drain(&self, next_s: f64, found: &mut FaultRecovery) {
        if found.backlog <= self.before {
            found.drained_after_s = Some(0.0);
            return;
        }
        let back_s = self.work.back_to(self.before, found.healed_s, next_s, STAYS as f64);
        let Some(back_s) = back_s else { return };
        found.drained_after_s = Some(back_s - found.healed_s);
        let (offered, completed) = self.work.rates(found.healed_s, back_s);
        found.completed_per_s = Some(completed);
        found.offered_per_s = Some(offered);
        let grown = found.backlog.saturating_sub(self.before) as f64;
        found.drain_predicted_s = (completed > offered).then(|| grown / (completed - offered));
        found.forecast = self.forecast(next_s, found, back_s);
    }

    /// What the first half of a drain said of the second; `None` if it ended after the load, was not of orders enough, or
    /// came no nearer its end in the first half. It ends when no more are in work than before for the first time:
    /// whether it stays so is a matter of the next arrivals.
    fn forecast(&self, next_s: f64, found: &FaultRecovery, back_s: f64) -> Option<Forecast> {
        let grown = found.backlog.saturating_sub(self.before);
        if grown < FORETOLD_MIN {
            return None;
        }
        let left = grown / 2;
        let falls_to =
            |part: u64| self.work.back_to(self.before + part, found.healed_s, back_s, 0.0);
        // The first tenth is the time in which who was harmed gets going.
        let (from_s, half_s, end_s) =
            (falls_to(grown - grown / 10)?, falls_to(left)?, falls_to(0)?);
        let load_s = f64::from(self.manifest.duration_s).min(next_s);
        let (_, completed_per_s) = self.work.rates(from_s, half_s);
        let (offered_per_s, _) = self.work.rates(found.healed_s, load_s);
        let predicted_s = left as f64 / (completed_per_s - offered_per_s);
        let lasted_s = end_s - half_s;
        let is_told = end_s <= load_s && completed_per_s > offered_per_s && lasted_s > 0.0;
        is_told.then_some(Forecast { completed_per_s, offered_per_s, left, predicted_s, lasted_s })
    }

    fn metastable(
        &self,
        recovered_after_s: Option<f64>,
        healed_s: f64,
        next_s: f64,
    ) -> (Metastable, String) {
        let unknown = |why: &str| (Metastable::Unknown, why.to_owned());
        if self.level.is_none() {
            return unknown("there is no level of goodput from before the faults");
        }
        let end_s = f64::from(self.manifest.duration_s).min(next_s);
        let judged_s = recovered_after_s.unwrap_or(PATIENCE_S).min(PATIENCE_S);
        let until_s = (healed_s + judged_s + self.length_s * STAYS as f64).min(end_s);
        let in_time = recovered_after_s.is_some_and(|after_s| after_s <= PATIENCE_S);
        if !in_time && healed_s + PATIENCE_S > end_s {
            let left_s = (end_s - healed_s).max(0.0);
            return unknown(&format!(
                "the load ended, or the next fault came, {left_s:.1} s after the healing; it takes {PATIENCE_S} s"
            ));
        }
        if !self.same_load(healed_s, until_s) {
            return unknown("the load after the healing is not the load of before");
        }
        (if in_time { Metastable::No } else { Metastable::Yes }, String::new())
    }

    /// Whether the rate curve has the same mean before the first fault and in this time.
    fn same_load(&self, from_s: f64, to_s: f64) -> bool {
        let before = self.mean_rate(self.from_s, self.first_s);
        let after = self.mean_rate(from_s, to_s);
        match (before, after) {
            (Some(before), Some(after)) => {
                before > 0.0 && (after - before).abs() <= LOAD_MAX * before
            }
            _ => false,
        }
    }

    /// The mean of the offered curve, 1/s: the area under it divided by the time.
    fn mean_rate(&self, from_s: f64, to_s: f64) -> Option<f64> {
        let corners = &self.manifest.offered;
        if to_s <= from_s {
            return None;
        }
        let mut area = 0.0;
        for pair in corners.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let (left, right) = (a.at_s.max(from_s), b.at_s.min(to_s));
            if left < right {
                let slope = (b.rate_per_s - a.rate_per_s) / (b.at_s - a.at_s);
                let middle = f64::midpoint(left, right);
                area += (right - left) * (a.rate_per_s + slope * (middle - a.at_s));
            }
        }
        Some(area / (to_s - from_s))
    }
}

fn level(before: &[&TimelineRow]) -> Option<f64> {
    let loaded: Vec<_> = before.iter().filter(|row| row.offered > 0).collect();
    if loaded.len() < LEVEL_MIN {
        return None;
    }
    let good: Option<u64> = loaded.iter().map(|row| row.good).sum();
    let offered: u64 = loaded.iter().map(|row| row.offered).sum();
    good.filter(|good| *good > 0).map(|good| good as f64 / offered as f64)
}

#[cfg(test)]
mod tests {
    use super::super::work::tests::work;
    use super::*;
    use record::{Phase, RatePoint};

    const RATE: u64 = 20;

    /// What the time series alone says.
    fn goodput(manifest: &Manifest, rows: &[TimelineRow], faults: &[FaultRow]) -> Option<Recovery> {
        recovery(manifest, rows, faults, &Work::default())
    }

    /// A row per second: how many of 20 orders were good, completed, and how many wait.
    fn timeline(rows: &[(u64, u64, u64)]) -> Vec<TimelineRow> {
        let row = |(t_s, (good, completed, backlog)): (u32, &(u64, u64, u64))| TimelineRow {
            t_s,
            operation: Operation::Place,
            offered: RATE,
            good: Some(*good),
            completed: *completed,
            backlog: *backlog,
            ..TimelineRow::default()
        };
        (0..).zip(rows).map(row).collect()
    }

    fn manifest(duration_s: u32) -> Manifest {
        let corner = |at_s| RatePoint { at_s, rate_per_s: RATE as f64 };
        Manifest {
            interval_s: 1,
            warm_up_s: 2,
            duration_s,
            offered: vec![corner(0.0), corner(f64::from(duration_s))],
            ..Manifest::default()
        }
    }

    fn fault(commanded_s: f64, healed_s: Option<f64>) -> FaultRow {
        FaultRow {
            kind: "kill".to_owned(),
            harm: "orders".to_owned(),
            commanded_s,
            effective_s: Some(commanded_s),
            healed_s,
            ..FaultRow::default()
        }
    }

    /// 12 good seconds, 3 dead ones, then these; harmed from 12 to 15.
    fn after(rows: &[(u64, u64, u64)]) -> Vec<(u64, u64, u64)> {
        [&[(20, 20, 2); 12][..], &[(0, 0, 22), (0, 0, 42), (0, 0, 62)], rows].concat()
    }

    #[track_caller]
    fn judged(rows: &[(u64, u64, u64)], faults: &[FaultRow]) -> Recovery {
        let rows = after(rows);
        goodput(&manifest(rows.len() as u32), &timeline(&rows), faults).unwrap()
    }

    #[test]
    fn goodput_is_back_when_it_stays() {
        let faults = [fault(12.0, Some(15.0))];
        let rows =
            [[(5, 30, 52), (20, 30, 42), (17, 30, 32), (18, 30, 22)].as_slice(), &[(20, 20, 2); 9]]
                .concat();
        let found = judged(&rows, &faults);
        assert_eq!(found.good_share_before, Some(1.0));
        assert_eq!(found.faults[0].recovered_after_s, Some(3.0));
        assert_eq!((found.metastable, found.faults[0].why.as_str()), (Metastable::No, ""));
        let two = judged(&[(20, 20, 2), (20, 20, 2), (0, 0, 2)], &faults);
        assert_eq!(two.faults[0].recovered_after_s, None);
        let none = [fault(12.0, Some(15.4))];
        let at_once = judged(&[(20, 20, 62); 4], &none);
        assert_eq!(
            at_once.faults[0].recovered_after_s,
            Some(0.0),
            "in the interval of the healing"
        );
    }

    /// Orders at 20/s from 0 s to 30 s, each done after 0.09 s; in the outage from 12 s to 15 s they are
    /// accepted and wait, and are then done at 60/s in their order, as are those that come meanwhile.
    fn outage() -> Work {
        let mut free_s = 15.0;
        let spans: Vec<_> = (0..600)
            .map(|n| {
                let at_s = f64::from(n) / 20.0;
                let to_s = if at_s < 12.0 || at_s > free_s { at_s + 0.09 } else { free_s };
                if (12.0..free_s).contains(&at_s) {
                    free_s += 1.0 / 60.0;
                }
                (at_s, Some(to_s))
            })
            .collect();
        work(&spans)
    }

    #[test]
    fn a_known_drain_is_measured_and_predicted() {
        let rows = timeline(&after(&[(20, 20, 2); 15]));
        let of = |healed_s, work: &Work| {
            let faults = [fault(12.0, Some(healed_s))];
            recovery(&manifest(30), &rows, &faults, work).unwrap().faults.swap_remove(0)
        };
        let found = of(15.0, &outage());
        // 61 came from 12 to 15 s, the last of them as it was healed, which ended the first.
        assert_eq!(found.before, Some(2), "{found:?}");
        assert_eq!(found.backlog, 60);
        // It shrinks by 40 a second: from 60 to 2 in 1.45 s, by steps of 1/60 s.
        let drained_s = found.drained_after_s.unwrap();
        assert!((drained_s - 1.45).abs() < 0.05, "{found:?}");
        let predicted_s = found.drain_predicted_s.unwrap();
        assert!((predicted_s - 1.45).abs() < 0.1, "{found:?}");
        let rates = (found.completed_per_s.unwrap(), found.offered_per_s.unwrap());
        assert!((rates.0 - 60.0).abs() < 2.0 && (rates.1 - 20.0).abs() < 1.0, "{found:?}");
        // Within the second of the healing it makes a difference when.
        assert_eq!(of(15.5, &outage()).backlog, 40);
    }

    /// 40/s from 0 s to 60 s; nothing is done from 12 s to 15 s, then 60/s until `slow` orders are left, then 50/s.
    fn long_outage(slow: usize) -> Work {
        let at_s = |n: usize| n as f64 / 40.0;
        let mut spans: Vec<(f64, Option<f64>)> = Vec::new();
        let mut free_s = 15.0;
        for n in 0..2_400 {
            let waits = at_s(n) >= 12.0 && at_s(n) < free_s;
            spans.push((at_s(n), Some(if waits { free_s } else { at_s(n) + 0.01 })));
            if waits {
                let behind = (40.0 * free_s) as usize - n;
                free_s += if behind > slow { 1.0 / 60.0 } else { 1.0 / 50.0 };
            }
        }
        work(&spans)
    }

    #[test]
    fn the_second_half_of_a_drain_is_foretold_by_the_first() {
        let rows = timeline(&after(&[(20, 20, 2); 45]));
        let forecast = |work: &Work, duration_s| {
            let faults = [fault(12.0, Some(15.0))];
            let found = recovery(&manifest(duration_s), &rows, &faults, work).unwrap();
            found.faults[0].forecast
        };
        // 120 wait. At 60/s less 40/s that come 20 fewer wait each second, so the last 60 take 3 s.
        let steady = forecast(&long_outage(0), 60).unwrap();
        assert!((steady.completed_per_s - 60.0).abs() < 1.0, "{steady:?}");
        assert!((steady.offered_per_s - 40.0).abs() < 0.5, "{steady:?}");
        assert!((steady.predicted_s - 3.0).abs() < 0.2, "{steady:?}");
        assert!((steady.lasted_s / steady.predicted_s - 1.0).abs() < 0.05, "{steady:?}");
        // Who gets slower in the second half takes twice as long as the first half said.
        let slower = forecast(&long_outage(60), 60).unwrap();
        assert!((slower.predicted_s - 3.0).abs() < 0.2, "{slower:?}");
        assert!((slower.lasted_s / slower.predicted_s - 2.0).abs() < 0.2, "{slower:?}");
        assert_eq!(forecast(&long_outage(0), 20), None, "arrivals end in the middle of it");
        assert_eq!(forecast(&outage(), 60), None, "58 orders are few");
    }

    #[test]
    fn what_never_drains_is_not_drained() {
        let rows = timeline(&after(&[(20, 20, 2); 5]));
        let faults = [fault(12.0, Some(15.0))];
        let of = |work: &Work| {
            recovery(&manifest(20), &rows, &faults, work).unwrap().faults.swap_remove(0)
        };
        let never = of(&work(&[(5.0, Some(6.0)), (12.5, None), (13.0, None)]));
        assert_eq!((never.backlog, never.before), (2, Some(1)));
        assert_eq!((never.drained_after_s, never.drain_predicted_s), (None, None));
        let none = of(&work(&[(5.0, Some(6.0)), (12.5, Some(14.0))]));
        assert_eq!((none.backlog, none.drained_after_s), (0, Some(0.0)));
        assert_eq!(none.completed_per_s, None);
    }

    #[test]
    fn a_spike_is_over_when_its_phase_is() {
        let phase = |name: &str, from_s, to_s| Phase { name: name.to_owned(), from_s, to_s };
        let phases = vec![phase("before", 2, 12), phase("during", 12, 15), phase("after", 15, 30)];
        let manifest = Manifest { phases, ..manifest(30) };
        let rows = timeline(&after(&[(20, 20, 2); 15]));
        let found = recovery(&manifest, &rows, &[], &outage()).unwrap();
        assert!(found.faults.is_empty());
        let phase = found.phase.unwrap();
        assert_eq!((phase.kind.as_str(), phase.harm.as_str()), ("phase", "during"));
        assert_eq!((phase.healed_s, phase.backlog), (15.0, 60));
        assert!((phase.drained_after_s.unwrap() - 1.45).abs() < 0.05, "{phase:?}");
    }

    #[test]
    fn down_for_a_minute_under_the_same_load_is_metastable() {
        let faults = [fault(12.0, Some(15.0))];
        let metastable = |rows: &[(u64, u64, u64)]| judged(rows, &faults).metastable;
        assert_eq!(metastable(&[(3, 3, 9); 60]), Metastable::Yes);
        assert_eq!(metastable(&[(3, 3, 9); 59]), Metastable::Unknown);
        assert_eq!(
            metastable(&[[(3, 3, 9); 57].as_slice(), &[(20, 20, 2); 3]].concat()),
            Metastable::No
        );
        assert_eq!(
            metastable(&[[(3, 3, 9); 60].as_slice(), &[(20, 20, 2); 3]].concat()),
            Metastable::No
        );
        assert_eq!(
            metastable(&[[(3, 3, 9); 61].as_slice(), &[(20, 20, 2); 9]].concat()),
            Metastable::Yes
        );
        let why = &judged(&[(3, 3, 9); 30], &faults).faults[0].why;
        assert!(why.contains("30.0 s after the healing; it takes 60 s"), "{why}");
    }

    #[test]
    fn another_load_proves_nothing() {
        let rows = after(&[(20, 20, 2); 70]);
        let mut manifest = manifest(rows.len() as u32);
        let with = |manifest: &Manifest| {
            goodput(manifest, &timeline(&rows), &[fault(12.0, Some(15.0))]).unwrap().metastable
        };
        let curve = |points: &[(f64, f64)]| {
            points
                .iter()
                .map(|(at_s, rate_per_s)| RatePoint { at_s: *at_s, rate_per_s: *rate_per_s })
                .collect::<Vec<_>>()
        };
        manifest.offered = curve(&[(0.0, 20.0), (15.0, 20.0), (15.0, 22.0), (85.0, 22.0)]);
        assert_eq!(with(&manifest), Metastable::No, "10 % more");
        manifest.offered = curve(&[(0.0, 20.0), (15.0, 20.0), (15.0, 22.1), (85.0, 22.1)]);
        assert_eq!(with(&manifest), Metastable::Unknown);
        manifest.offered = curve(&[(0.0, 20.0), (15.0, 20.0), (15.0, 17.9), (85.0, 17.9)]);
        assert_eq!(with(&manifest), Metastable::Unknown);
        // a ramp from 20 to 60 in 100 s: 22.8 before on the mean, 26.6 after
        manifest.offered = curve(&[(0.0, 20.0), (100.0, 60.0)]);
        assert_eq!(with(&manifest), Metastable::Unknown);
        manifest.offered = curve(&[(0.0, 20.0), (100.0, 40.0)]);
        assert_eq!(with(&manifest), Metastable::No);
        // flat until 10 s, then 1/s more each second: 20.2 before on the mean, 26.5 after
        manifest.offered = curve(&[(0.0, 20.0), (10.0, 20.0), (90.0, 100.0)]);
        assert_eq!(with(&manifest), Metastable::Unknown);
        // half of that for ten seconds: 20.1 before, 23.3 after
        manifest.offered = curve(&[(0.0, 20.0), (10.0, 20.0), (20.0, 25.0), (85.0, 25.0)]);
        assert_eq!(with(&manifest), Metastable::Unknown);
        // a tenth of it: 20.02 before, 20.65 after
        manifest.offered = curve(&[(0.0, 20.0), (10.0, 20.0), (90.0, 28.0)]);
        assert_eq!(with(&manifest), Metastable::No);
        // a step and a fall: 25.95 before, 24 after
        manifest.offered =
            curve(&[(0.0, 24.5), (10.0, 24.5), (10.0, 34.0), (15.0, 24.0), (85.0, 24.0)]);
        assert_eq!(with(&manifest), Metastable::No);
        manifest.offered = curve(&[(0.0, 0.0), (85.0, 0.0)]);
        assert_eq!(with(&manifest), Metastable::Unknown);
        manifest.offered = Vec::new();
        assert_eq!(with(&manifest), Metastable::Unknown);
    }

    #[test]
    fn the_next_fault_ends_the_time_after_one() {
        let rows = after(&[
            (3, 3, 62),
            (20, 20, 62),
            (20, 20, 2),
            (0, 0, 9),
            (20, 20, 2),
            (20, 20, 2),
            (20, 20, 2),
        ]);
        let faults = [fault(12.0, Some(15.0)), fault(18.0, Some(19.0))];
        let found = goodput(&manifest(22), &timeline(&rows), &faults).unwrap();
        assert_eq!(found.faults[0].recovered_after_s, None, "two seconds are too few");
        assert_eq!(found.faults[0].metastable, Metastable::Unknown);
        assert_eq!(found.faults[1].recovered_after_s, Some(0.0));
        assert_eq!(found.metastable, Metastable::Unknown);
        let ahead = [fault(12.0, Some(15.0)), fault(18.0, None)];
        assert_eq!(goodput(&manifest(22), &timeline(&rows), &ahead).unwrap().faults.len(), 1);
    }

    #[test]
    fn without_faults_or_a_level_nothing_is_said() {
        let rows = after(&[(20, 20, 2); 5]);
        let manifest = manifest(20);
        assert_eq!(goodput(&manifest, &timeline(&rows), &[]), None);
        let unseen = FaultRow { effective_s: None, ..fault(12.0, Some(15.0)) };
        assert_eq!(goodput(&manifest, &timeline(&rows), &[unseen]), None);
        let level = |commanded_s| {
            let found = goodput(&manifest, &timeline(&rows), &[fault(commanded_s, Some(15.0))]);
            found.unwrap()
        };
        assert_eq!(level(6.9).good_share_before, None, "2 s to 6 s are four seconds");
        assert_eq!(level(6.9).faults[0].metastable, Metastable::Unknown);
        assert_eq!(level(7.0).good_share_before, Some(1.0));
        let with = |change: fn(&mut TimelineRow)| {
            let mut rows = timeline(&rows);
            rows[..7].iter_mut().skip(6).for_each(change);
            goodput(&manifest, &rows, &[fault(7.0, Some(15.0))]).unwrap().good_share_before
        };
        assert_eq!(with(|row| row.offered = 0), None, "a second without arrivals is no second");
        assert_eq!(with(|row| row.good = Some(10)), Some(0.9));
        let mut dead = timeline(&rows);
        dead.iter_mut().for_each(|row| row.good = Some(0));
        let dead = goodput(&manifest, &dead, &[fault(12.0, Some(15.0))]).unwrap();
        assert_eq!(dead.good_share_before, None, "nothing to come back to");
        let mut old = timeline(&rows);
        old.iter_mut().for_each(|row| row.good = None);
        let old = goodput(&manifest, &old, &[fault(12.0, Some(15.0))]).unwrap();
        assert_eq!((old.good_share_before, old.metastable), (None, Metastable::Unknown));
    }

    #[test]
    fn seconds_without_arrivals_are_no_evidence() {
        let mut rows = timeline(&after(&[(20, 20, 2), (0, 0, 2), (20, 20, 2), (20, 20, 2)]));
        rows[16].offered = 0;
        let found = goodput(&manifest(19), &rows, &[fault(12.0, Some(15.0))]).unwrap();
        assert_eq!(found.faults[0].recovered_after_s, Some(0.0));
        rows.push(TimelineRow { operation: Operation::Get, backlog: 99, ..rows[0].clone() });
        let same = goodput(&manifest(19), &rows, &[fault(12.0, Some(15.0))]).unwrap();
        assert_eq!(same, found, "place alone counts");
    }

    #[test]
    fn intervals_may_be_longer_and_end_where_the_next_fault_begins() {
        let row = |(index, (good, completed, backlog)): (u32, (u64, u64, u64))| TimelineRow {
            t_s: 2 * index,
            operation: Operation::Place,
            offered: 2 * RATE,
            good: Some(good),
            completed,
            backlog,
            ..TimelineRow::default()
        };
        let calm = [(40, 40, 2); 6];
        let then = [(0, 0, 42), (0, 20, 62), (40, 60, 42), (40, 60, 22), (40, 60, 2), (40, 40, 2)];
        let rows: Vec<_> = (0..).zip(calm.into_iter().chain(then)).map(row).collect();
        let manifest = Manifest { interval_s: 2, ..manifest(24) };
        let of =
            |faults: &[FaultRow]| goodput(&manifest, &rows, faults).unwrap().faults.swap_remove(0);
        let found = of(&[fault(12.0, Some(15.0))]);
        assert_eq!((found.kind.as_str(), found.harm.as_str()), ("kill", "orders"));
        assert_eq!(found.recovered_after_s, Some(1.0));
        let next = of(&[fault(12.0, Some(15.0)), fault(21.0, Some(22.0))]);
        assert_eq!(
            next.recovered_after_s, None,
            "the interval from 20 s to 22 s is the next fault's"
        );
    }

    #[test]
    fn edges_of_intervals() {
        let rows = [(3, 3, 2), (20, 20, 2), (20, 20, 2), (20, 20, 2), (20, 20, 2)];
        let next = judged(&rows, &[fault(12.0, Some(15.0)), fault(18.5, Some(19.0))]);
        assert_eq!(next.faults[0].recovered_after_s, None);
        let next = judged(&rows, &[fault(12.0, Some(15.0)), fault(19.0, Some(19.5))]);
        assert_eq!(next.faults[0].recovered_after_s, Some(1.0));
        let instant = judged(&rows, &[fault(12.0, Some(12.0))]);
        assert_eq!(instant.faults[0].recovered_after_s, Some(4.0), "no fault is its own next");
        let mut gap = timeline(&after(&[(20, 20, 2), (0, 0, 2), (20, 20, 2)]));
        gap[16].offered = 0;
        let gap = goodput(&manifest(18), &gap, &[fault(12.0, Some(15.0))]).unwrap();
        assert_eq!(gap.faults[0].recovered_after_s, None, "two seconds with arrivals are too few");
    }

    #[test]
    fn the_load_is_looked_at_until_goodput_has_stayed() {
        let rows = timeline(&after(&[(20, 20, 2); 10]));
        let with = |corners: &[(f64, f64)]| {
            let corner = |(at_s, rate_per_s): &(f64, f64)| RatePoint {
                at_s: *at_s,
                rate_per_s: *rate_per_s,
            };
            let offered = corners.iter().map(corner).collect();
            let manifest = Manifest { offered, ..manifest(25) };
            goodput(&manifest, &rows, &[fault(12.0, Some(15.0))]).unwrap().metastable
        };
        assert_eq!(with(&[(0.0, 20.0), (18.0, 20.0), (18.0, 99.0), (25.0, 99.0)]), Metastable::No);
        assert_eq!(
            with(&[(0.0, 20.0), (17.0, 20.0), (17.0, 99.0), (25.0, 99.0)]),
            Metastable::Unknown
        );
    }
}
