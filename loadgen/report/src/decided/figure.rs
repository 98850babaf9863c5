//! The figures that claims may be about, read off a trial's record: the one place where such a name becomes a value.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use decide::{Figure, Kind, Measure, Measured};
use record::read::Trial;
use record::{Answer, FaultRecovery, Operation, Phase, TimelineRow, ledger};

use super::{overtaken, stuck};
use crate::compare::trusted;
use crate::figures::{Figures, Time, attempts_each};
use crate::summary;

const MIB: f64 = 1_048_576.0;

/// What a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Of the arrivals of a phase, or of all.
    Phase,
    /// Of a whole trial.
    Trial,
    /// No record has it yet.
    Nothing,
}

/// What a figure is of.
#[must_use]
pub fn scope(measure: &Measure) -> Scope {
    match measure.name.as_str() {
        "accepted share"
        | "failed share"
        | "completed share"
        | "in time share"
        | "accepted in time share"
        | "accepted p50"
        | "accepted p99"
        | "completed p50"
        | "completed p99"
        | "response p50"
        | "response p99"
        | "goodput"
        | "completions"
        | "charges"
        | "attempts per order" => Scope::Phase,
        "cpu per order"
        | "cpu"
        | "memory"
        | "memory per order rate"
        | "fsyncs per order"
        | "energy per order"
        | "time to recover"
        | "drain"
        | "drain against prediction"
        | "processes restarted"
        | "settled out of order"
        | "keys moved share"
        | "stuck after trigger" => Scope::Trial,
        class if record::classes().any(|known| known == class) => Scope::Trial,
        _ => Scope::Nothing,
    }
}

/// Which figure of a trial.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    pub(super) measure: String,
    pub(super) phase: Option<String>,
    pub(super) operation: Option<String>,
}

/// The figure of a trial whose record lies in `folder`; `None` if it does not have it, or may not be believed.
///
/// # Errors
/// If the journal of charges cannot be read.
pub(super) fn measured(
    folder: &Path,
    trial: &Trial,
    measure: &Measure,
    wanted: &Wanted,
) -> anyhow::Result<Option<Measured>> {
    if measure.kind == Kind::Count && record::classes().any(|class| class == measure.name) {
        return Ok(count(trial, &measure.name));
    }
    if !trusted(trial) {
        return Ok(None);
    }
    if measure.name == "settled out of order" {
        let found = overtaken::count(folder)?;
        return Ok(found
            .map(|(of, count)| Measured { figure: (count as f64).into(), of: Some(of as f64) }));
    }
    if measure.name == "keys moved share" {
        return Ok(keys_moved(trial));
    }
    if scope(measure) == Scope::Trial {
        return Ok(of_trial(trial, &measure.name).map(plain));
    }
    let Some(operation) = operation(trial, wanted.operation.as_deref()) else { return Ok(None) };
    let Some(figures) = figures(trial, wanted.phase.as_deref(), operation) else { return Ok(None) };
    if measure.name == "charges" {
        return charges_per_s(folder, trial, &figures.phase).map(|rate| Some(plain(rate.into())));
    }
    Ok(of_phase(trial, &figures, &measure.name, operation))
}

/// Of the customers that had orders, how many were moved: keys are whose orders stay together.
fn keys_moved(trial: &Trial) -> Option<Measured> {
    let moved = trial.moved.as_ref()?;
    let all = (moved.customers + moved.stayed) as f64;
    let share = moved.customers as f64 / all;
    (all > 0.0).then(|| Measured { figure: share.into(), of: Some(all) })
}

fn plain(figure: Figure) -> Measured {
    Measured { figure, of: None }
}

fn operation(trial: &Trial, name: Option<&str>) -> Option<Operation> {
    let Some(name) = name else { return Some(trial.main_operation()) };
    Operation::of_customers().find(|one| one.as_str() == name)
}

fn figures(trial: &Trial, phase: Option<&str>, operation: Operation) -> Option<Figures> {
    let Some(name) = phase else { return Figures::whole(trial, operation) };
    let index = trial.manifest.phases.iter().position(|one| one.name == name)?;
    Figures::of(trial, index, operation)
}

fn of_phase(
    trial: &Trial,
    figures: &Figures,
    name: &str,
    operation: Operation,
) -> Option<Measured> {
    let share = |share: Option<Figure>, part: fn(&TimelineRow) -> u64| {
        let spread = figures.spread_of_seconds(trial, part).max(1.0);
        Some(Measured { figure: share?, of: Some(figures.counts.scheduled as f64 / spread) })
    };
    let ok: fn(&TimelineRow) -> u64 = |row| row.ok;
    let good: fn(&TimelineRow) -> u64 = |row| row.good.unwrap_or(0);
    let Figures { accepted, felt, completed, .. } = figures;
    let figure = match name {
        "accepted share" => return share(figures.ok_share(), ok),
        "failed share" => return share(figures.failed_share(), ok),
        // Nearest to these are, second by second, the answers and what was final in time.
        "completed share" => return share(figures.completed_share(), ok),
        "accepted in time share" => return share(figures.accepted_in_time_share(), ok),
        "in time share" => return share(figures.in_time_share(), good),
        "accepted p50" => bounded(accepted.quantile(0.5)?),
        "accepted p99" => bounded(accepted.quantile(0.99)?),
        "completed p50" => bounded(completed.quantile(0.5)?),
        "completed p99" => bounded(completed.quantile(0.99)?),
        "response p50" => bounded(felt.quantile(0.5)?),
        "response p99" => bounded(felt.quantile(0.99)?),
        "goodput" => figures.goodput_per_s(),
        "completions" => figures.completions_per_s(),
        "attempts per order" => attempts_each(trial, &figures.phase, operation)?.into(),
        _ => return None,
    };
    Some(plain(figure))
}

/// A time that is only a lower bound has no upper end.
fn bounded(time: Time) -> Figure {
    let figure = Figure::from(time);
    if time.at_least { Figure { most: f64::INFINITY, ..figure } } else { figure }
}

fn of_trial(trial: &Trial, name: &str) -> Option<Figure> {
    let manifest = &trial.manifest;
    let cost = &manifest.cost;
    let value = match name {
        "cpu per order" => cost.cpu_ms_per_completed_order?,
        "cpu" => cost.system_cpu_s,
        "memory" => cost.rss_peak_bytes as f64 / MIB,
        "fsyncs per order" => each(trial, commits(trial)? as f64)?,
        "energy per order" => each(trial, cost.energy_j?)?,
        "memory per order rate" => return memory_per_order_rate(trial),
        "time to recover" => return recovered(trial),
        "drain against prediction" => return foretold(trial),
        "processes restarted" => restarted(trial)?,
        "drain" => return drained(trial),
        "stuck after trigger" => return stuck::after_trigger(trial),
        _ => return None,
    };
    Some(value.into())
}

/// Divided by how many orders were completed; `None` if none was.
fn each(trial: &Trial, sum: f64) -> Option<f64> {
    let orders = trial.manifest.cost.completed_orders;
    (orders > 0).then(|| sum / orders as f64)
}

/// Commits that reached the disk; `None` if a process was started again, for its count is gone then.
fn commits(trial: &Trial) -> Option<u64> {
    trial.manifest.cost.commits.filter(|_| restarted(trial) == Some(0.0))
}

/// What the system's processes held at most, for each order that it completed per second.
fn memory_per_order_rate(trial: &Trial) -> Option<Figure> {
    let mib = Figure::from(trial.manifest.cost.rss_peak_bytes as f64 / MIB);
    mib.over(Figures::whole(trial, Operation::Place)?.completions_per_s())
}

/// Of every fault of a trial, or of its phase "during", how it came back.
fn recoveries(trial: &Trial) -> impl Iterator<Item = &FaultRecovery> {
    let recovery = trial.audit.as_ref().and_then(|audit| audit.recovery.as_ref());
    recovery.into_iter().flat_map(|all| all.faults.iter().chain(&all.phase))
}

/// From the healing until goodput was back, the longest of a trial, s; ∞ if it was not. One looks at whole seconds of
/// arrivals, so it may be one more or less. `None` if the record has no goodput of before, or no fault.
fn recovered(trial: &Trial) -> Option<Figure> {
    let manifest = &trial.manifest;
    let recovery = trial.audit.as_ref()?.recovery.as_ref()?;
    recovery.good_share_before?;
    let interval_s = f64::from(manifest.interval_s.max(1));
    let time = |fault: &FaultRecovery| match fault.recovered_after_s {
        Some(s) => Figure { value: s, least: (s - interval_s).max(0.0), most: s + interval_s },
        None => Figure {
            value: f64::INFINITY,
            least: (f64::from(manifest.duration_s) - fault.healed_s).max(0.0),
            most: f64::INFINITY,
        },
    };
    recoveries(trial).map(time).max_by(|a, b| a.value.total_cmp(&b.value))
}

/// From the healing until no more was in work than before the fault: the longest of these. Without faults from the end
/// of the load until all was final.
fn drained(trial: &Trial) -> Option<Figure> {
    let after = |fault: &FaultRecovery| fault.drained_after_s.unwrap_or(f64::INFINITY);
    let longest = recoveries(trial).map(after).max_by(f64::total_cmp);
    Some(longest.unwrap_or(trial.manifest.drained_s).into())
}

/// How long the second half of the longest drain was, as a multiple of what its first half foretold.
fn foretold(trial: &Trial) -> Option<Figure> {
    let forecasts = recoveries(trial).filter_map(|fault| fault.forecast);
    let longest = forecasts.max_by(|a, b| a.lasted_s.total_cmp(&b.lasted_s))?;
    Figure::from(longest.lasted_s).over(longest.predicted_s.into())
}

/// How many of the system's processes were started again while one looked at them: seen under another id. `None` where
/// nobody looked.
fn restarted(trial: &Trial) -> Option<f64> {
    let is_provider = |roles: &[String]| roles.iter().all(|role| role == "provider");
    let roles = trial.manifest.roles.iter();
    let own = roles.filter(|(_, roles)| !roles.is_empty() && !is_provider(roles));
    let own: BTreeSet<&str> = own.map(|(process, _)| process.as_str()).collect();
    let mut seen: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for row in trial.resources.iter().filter(|row| own.contains(row.process.as_str())) {
        seen.entry(&row.process).or_default().insert(row.pid);
    }
    let again = seen.values().filter(|pids| pids.len() > 1).count();
    (!seen.is_empty()).then_some(again as f64)
}

/// How often the audit met a class. What it found is found in a void trial, too; that it found nothing says
/// something only where nothing is in doubt.
fn count(trial: &Trial, class: &str) -> Option<Measured> {
    let audit = trial.audit.as_ref()?;
    if trial.manifest.validity.interrupted || trial.is_laid_aside() {
        return None;
    }
    let found = audit.oddities.iter().find(|finding| finding.class == class);
    let odd = found.map(|finding| finding.count);
    let count = summary::violations(trial, class).or(odd)?;
    let is_sure = trusted(trial) && audit.verdict != Answer::Unknown;
    if !is_sure && count == 0 {
        return None;
    }
    let value = count as f64;
    let most = if is_sure { value } else { f64::INFINITY };
    Some(Measured {
        figure: Figure { value, least: value, most },
        of: Some(audit.counts.n() as f64),
    })
}

/// Charges that the card network made in a phase, whose orders may have come before, per second.
fn charges_per_s(folder: &Path, trial: &Trial, phase: &Phase) -> anyhow::Result<f64> {
    let at = |second: u32| trial.manifest.started_at_us + i64::from(second) * 1_000_000;
    let (from_us, to_us) = (at(phase.from_s), at(phase.to_s));
    let mut charges = 0_u64;
    for row in ledger::charges(folder)? {
        let row = row?;
        charges += u64::from(row.event == "captured" && (from_us..to_us).contains(&row.at_us));
    }
    Ok(charges as f64 / f64::from(phase.to_s.saturating_sub(phase.from_s).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::latency::Metric;
    use record::read::Latencies;
    use record::{Finding, Forecast, Outcome, Recovery, ResourceRow, Verdict};

    fn trial() -> Trial {
        let mut trial = Trial {
            latencies: Latencies::of_places(&[
                (Outcome::Ok, Metric::Response, 1_000..=1_399),
                (Outcome::Ok, Metric::Completed, 2_000..=2_399),
            ]),
            ..Trial::default()
        };
        let row = |t_s| TimelineRow {
            t_s,
            operation: Operation::Place,
            offered: 100,
            ok: 80,
            ..TimelineRow::default()
        };
        trial.timeline = (0..5).map(row).collect();
        trial.manifest.phases = vec![Phase { name: "steady".to_owned(), from_s: 0, to_s: 5 }];
        trial.manifest.limits.objective_s = 0.0012;
        trial.manifest.validity.valid = true;
        trial.manifest.cost.rss_peak_bytes = 3 * 1_048_576;
        trial
    }

    #[track_caller]
    fn value(trial: &Trial, name: &str, phase: Option<&str>) -> Option<f64> {
        let measure = Measure::named(name).unwrap();
        let phase = phase.map(str::to_owned);
        let wanted = Wanted { measure: name.to_owned(), phase, operation: None };
        let found = measured(Path::new(""), trial, &measure, &wanted).unwrap();
        found.map(|found| found.figure.value)
    }

    #[test]
    fn figures_are_read_by_their_names() {
        let trial = trial();
        assert_eq!(value(&trial, "accepted share", None), Some(0.8));
        assert_eq!(value(&trial, "failed share", Some("steady")), Some(0.2));
        assert_eq!(value(&trial, "completed share", None), Some(0.8));
        assert_eq!(value(&trial, "completions", None), Some(80.0));
        let in_time = value(&trial, "accepted in time share", None).unwrap();
        assert!((0.39..0.42).contains(&in_time), "{in_time}");
        let p50 = value(&trial, "accepted p50", None).unwrap();
        assert!((1.19..1.21).contains(&p50), "{p50}");
        assert_eq!(value(&trial, "memory", None), Some(3.0));
        assert_eq!(value(&trial, "memory per order rate", None), Some(3.0 / 80.0));
        assert_eq!(value(&trial, "accepted share", Some("during")), None);
        assert_eq!(value(&trial, "cpu per order", None), None);
    }

    #[test]
    fn a_void_trial_has_no_figure_but_what_its_audit_found() {
        let mut trial = trial();
        let finding =
            |class: &str, count| Finding { class: class.to_owned(), count, ..Finding::default() };
        let violations = vec![finding("lost", 0), finding("stuck", 2)];
        trial.audit = Some(Verdict { violations, ..Verdict::default() });
        trial.manifest.validity.valid = false;
        assert_eq!(value(&trial, "accepted share", None), None);
        assert_eq!(value(&trial, "lost", None), None);
        assert_eq!(value(&trial, "stuck", None), Some(2.0));
        trial.manifest.validity.valid = true;
        trial.audit.as_mut().unwrap().verdict = Answer::True;
        assert_eq!(value(&trial, "lost", None), Some(0.0));
        assert_eq!(value(&trial, "double-charge", None), None, "it did not judge it");
    }

    #[test]
    fn what_came_after_a_fault_is_read_off_the_audit() {
        let mut trial = trial();
        let with = |trial: &mut Trial, faults: Vec<FaultRecovery>| {
            let recovery = Recovery { good_share_before: Some(1.0), faults, ..Recovery::default() };
            trial.audit = Some(Verdict { recovery: Some(recovery), ..Verdict::default() });
        };
        assert_eq!(value(&trial, "time to recover", None), None);
        trial.manifest.drained_s = 2.5;
        assert_eq!(value(&trial, "drain", None), Some(2.5), "after the load, without a fault");
        let drained = |s| FaultRecovery { drained_after_s: s, ..FaultRecovery::default() };
        with(&mut trial, vec![drained(Some(3.5)), drained(Some(8.5))]);
        assert_eq!(value(&trial, "drain", None), Some(8.5));
        with(&mut trial, vec![drained(Some(3.5)), drained(None)]);
        assert_eq!(value(&trial, "drain", None), Some(f64::INFINITY));
        let forecast = Forecast { predicted_s: 4.0, lasted_s: 5.0, ..Forecast::default() };
        let back = FaultRecovery { recovered_after_s: Some(2.0), ..FaultRecovery::default() };
        let late = FaultRecovery {
            recovered_after_s: Some(7.0),
            forecast: Some(forecast),
            ..FaultRecovery::default()
        };
        with(&mut trial, vec![late.clone(), back.clone()]);
        assert_eq!(recovered(&trial), Some(Figure { value: 7.0, least: 6.0, most: 8.0 }));
        assert_eq!(value(&trial, "drain against prediction", None), Some(1.25));
        with(&mut trial, vec![back]);
        assert_eq!(value(&trial, "drain against prediction", None), None);
        trial.manifest.duration_s = 30;
        let never = FaultRecovery { healed_s: 12.0, ..FaultRecovery::default() };
        with(&mut trial, vec![late, never]);
        let expected = Figure { value: f64::INFINITY, least: 18.0, most: f64::INFINITY };
        assert_eq!(recovered(&trial), Some(expected));
        let audit = trial.audit.as_mut().unwrap();
        audit.recovery.as_mut().unwrap().good_share_before = None;
        assert_eq!(value(&trial, "time to recover", None), None);
    }

    #[test]
    fn who_has_another_id_was_started_again() {
        let mut trial = trial();
        assert_eq!(value(&trial, "processes restarted", None), None);
        let roles = [("shop", "orders"), ("pay", "payments"), ("net", "provider"), ("door", "")];
        let roles = roles.map(|(process, role)| {
            let roles = Some(role).filter(|role| !role.is_empty()).map(str::to_owned);
            (process.to_owned(), roles.into_iter().collect())
        });
        trial.manifest.roles = roles.into_iter().collect();
        let row = |process: &str, pid| ResourceRow {
            process: process.to_owned(),
            pid,
            ..ResourceRow::default()
        };
        trial.resources = vec![row("shop", 1), row("pay", 2), row("net", 3), row("door", 4)];
        assert_eq!(value(&trial, "processes restarted", None), Some(0.0));
        assert_eq!(value(&trial, "fsyncs per order", None), None);
        trial.manifest.cost.commits = Some(30);
        assert_eq!(value(&trial, "fsyncs per order", None), None, "of no order");
        trial.manifest.cost.completed_orders = 10;
        assert_eq!(value(&trial, "fsyncs per order", None), Some(3.0));
        assert_eq!(value(&trial, "energy per order", None), None);
        trial.manifest.cost.energy_j = Some(5.0);
        assert_eq!(value(&trial, "energy per order", None), Some(0.5));
        trial.resources.extend([row("shop", 1), row("pay", 5), row("net", 6), row("door", 7)]);
        trial.resources.extend([row("loadgen", 9), row("loadgen", 10)]);
        assert_eq!(value(&trial, "processes restarted", None), Some(1.0));
        assert_eq!(value(&trial, "fsyncs per order", None), None, "its count is gone");
    }

    #[test]
    fn keys_moved_are_a_part_of_the_customers_with_orders() {
        let mut trial = trial();
        assert_eq!(value(&trial, "keys moved share", None), None, "nothing was moved");
        let moved = record::Moved { databases: 5, customers: 20, stayed: 60, ..Default::default() };
        trial.moved = Some(moved);
        assert_eq!(value(&trial, "keys moved share", None), Some(0.25));
        trial.moved = Some(record::Moved { databases: 5, ..Default::default() });
        assert_eq!(value(&trial, "keys moved share", None), None, "there was no order");
    }

    /// Whatever a claim may name has a scope, and what has one has a value or says why not.
    #[test]
    fn what_no_record_has_is_known() {
        let nothing: Vec<String> = Measure::all()
            .filter(|measure| scope(measure) == Scope::Nothing)
            .map(|measure| measure.name)
            .collect();
        let expected = ["capacity"];
        assert_eq!(nothing, expected);
    }
}
