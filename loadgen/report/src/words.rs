//! Numbers and circumstances as a reader meets them. Units stand beside every number.

use record::{FaultRow, Manifest, Operation, Phase, RatePoint};

/// More faults than that are counted in a title instead of told one by one.
const HARMS_TOLD: usize = 2;

/// A time: three digits at most, in µs, ms or s.
pub(super) fn millis(ms: f64) -> String {
    match ms {
        0.0 => "0 ms".to_owned(),
        ms if ms < 0.0995 => format!("{} µs", digits(ms * 1e3)),
        ms if ms < 999.5 => format!("{} ms", digits(ms)),
        ms => format!("{} s", digits(ms / 1e3)),
    }
}

/// A share in percent that is never rounded to all or nothing.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        p if p > 99.995 && p < 100.0 => "> 99.99 %".to_owned(),
        p if p < 0.005 && p > 0.0 => "< 0.01 %".to_owned(),
        p if p == 0.0 || p == 100.0 => format!("{p:.0} %"),
        p if (1.0..=99.0).contains(&p) => format!("{p:.1} %"),
        p => format!("{p:.2} %"),
    }
}

/// A count with its thousands set apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `lo` without its unit if `hi` has the same.
pub(super) fn without_unit<'t>(lo: &'t str, hi: &str) -> &'t str {
    match (lo.rsplit_once(' '), hi.rsplit_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => number,
        _ => lo,
    }
}

/// Three digits at most, no trailing zeros behind a point.
pub(super) fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

/// µs since the epoch as a date and time, UTC.
pub(super) fn utc(at_us: i64) -> String {
    let seconds = at_us.div_euclid(1_000_000);
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute) = (of_day / 3600, of_day / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// The date of a day since the epoch (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// What the systems had to bear, to follow "Placing an order".
pub(super) fn circumstance(manifest: &Manifest, faults: &[FaultRow]) -> String {
    let measured_s = f64::from(manifest.warm_up_s);
    // What was healed before the statistics begin is in none of them.
    let is_felt = |fault: &&FaultRow| {
        fault.healed_s.or(fault.heal_commanded_s).unwrap_or(f64::INFINITY) > measured_s
    };
    let faults: Vec<&FaultRow> = faults.iter().filter(is_felt).collect();
    if faults.len() > HARMS_TOLD {
        return format!("while {} faults strike ({})", faults.len(), kinds(&faults));
    }
    if !faults.is_empty() {
        let harms: Vec<_> = faults.into_iter().map(harm).collect();
        return format!("while {}", harms.join(" and "));
    }
    let middle = |phase: &Phase| f64::from(phase.from_s + phase.to_s) / 2.0;
    let rate = |phase: &Phase| rate_at(&manifest.offered, middle(phase));
    let phase = |name| manifest.phases.iter().find(|phase| phase.name == name);
    match (phase("before"), phase("during"), manifest.phases.first()) {
        (Some(before), Some(during), _) => format!(
            "while arrivals go from {} to {} per second{} for {} s",
            digits(rate(before)),
            digits(rate(during)),
            orders_among(manifest),
            during.to_s - during.from_s
        ),
        (_, _, Some(only)) => {
            format!("at {} arrivals per second{}", digits(rate(only)), orders_among(manifest))
        }
        _ => "under load".to_owned(),
    }
}

/// How many of the arrivals are orders, where charts show these alone: " (70 % of them orders)".
fn orders_among(manifest: &Manifest) -> String {
    let all: u64 = manifest.requests.values().map(|counts| counts.scheduled).sum();
    match manifest.requests.get(&Operation::Place) {
        Some(orders) if orders.scheduled < all => {
            let share = orders.scheduled as f64 / all as f64;
            format!(" ({:.0} % of them orders)", share * 100.0)
        }
        _ => String::new(),
    }
}

/// A fault in words: "the payments role is dead for 15 s".
pub(super) fn harm(fault: &FaultRow) -> String {
    let state = fault.state();
    let who = match fault.harm.as_str() {
        "provider" => "the card network".to_owned(),
        "disk" => "the disk".to_owned(),
        harm => match harm.strip_prefix("link:") {
            Some(link) => format!("the link {link}"),
            None => format!("the {harm} role"),
        },
    };
    let length = fault.heal_commanded_s.map(|heal| heal - fault.commanded_s);
    match length {
        Some(length) if length >= 1.0 => format!("{who} is {state} for {} s", length.round()),
        Some(length) if length >= 0.05 => format!("{who} is {state} for {length:.1} s"),
        _ => format!("{who} is {state}"),
    }
}

/// "kill 12, crash 9, deploy 2".
fn kinds(faults: &[&FaultRow]) -> String {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for fault in faults {
        *counts.entry(&fault.kind).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(kind, count)| (std::cmp::Reverse(*count), *kind));
    let told: Vec<_> = counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    told.join(", ")
}

/// The rate of the curve at an instant, per second.
pub(super) fn rate_at(corners: &[RatePoint], at_s: f64) -> f64 {
    let after = corners.partition_point(|corner| corner.at_s <= at_s);
    match (after.checked_sub(1).map(|index| corners[index]), corners.get(after)) {
        (Some(a), Some(b)) if b.at_s > a.at_s => {
            a.rate_per_s + (b.rate_per_s - a.rate_per_s) * (at_s - a.at_s) / (b.at_s - a.at_s)
        }
        (Some(a), _) => a.rate_per_s,
        (None, Some(b)) => b.rate_per_s,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::RequestCounts;

    #[track_caller]
    fn check(found: String, expected: &str) {
        assert_eq!(found, expected);
    }

    #[test]
    fn times_carry_the_unit_that_suits_them() {
        check(millis(0.042), "42 µs");
        check(millis(0.42), "0.42 ms");
        check(millis(4.2), "4.2 ms");
        check(millis(42.04), "42 ms");
        check(millis(420.4), "420 ms");
        check(millis(4204.0), "4.2 s");
        check(millis(999.9), "1 s");
    }

    fn fault(kind: &str, harm: &str, length: Option<f64>) -> FaultRow {
        FaultRow {
            kind: kind.to_owned(),
            harm: harm.to_owned(),
            commanded_s: 3.0,
            heal_commanded_s: length.map(|length| 3.0 + length),
            ..FaultRow::default()
        }
    }

    #[test]
    fn a_fault_in_words() {
        check(harm(&fault("kill", "payments", Some(15.2))), "the payments role is dead for 15 s");
        check(harm(&fault("kill", "auth", Some(0.42))), "the auth role is dead for 0.4 s");
        check(
            harm(&fault("data-loss", "broker", Some(3.0))),
            "the broker role is dead, and its data are lost, for 3 s",
        );
        check(harm(&fault("deploy", "auth", Some(0.01))), "the auth role is deployed anew");
        check(harm(&fault("crash", "orders", None)), "the orders role is crashed");
        check(harm(&fault("reset", "link:entry", Some(1.0))), "the link entry is reset for 1 s");
        check(harm(&fault("power-cut", "disk", Some(2.0))), "the disk is without power for 2 s");
        check(
            harm(&fault("provider", "provider", Some(9.0))),
            "the card network is impaired for 9 s",
        );
        let told = FaultRow { state: "out to lunch".to_owned(), ..fault("x", "auth", None) };
        check(harm(&told), "the auth role is out to lunch");
        check(harm(&fault("x", "auth", None)), "the auth role is under the fault x");
    }

    #[test]
    fn many_faults_are_counted() {
        let manifest = Manifest::default();
        let two = [fault("kill", "auth", Some(1.0)), fault("reset", "link:entry", None)];
        let told = "while the auth role is dead for 1 s and the link entry is reset";
        check(circumstance(&manifest, &two), told);
        let many = [two.to_vec(), two.to_vec(), two[..1].to_vec()].concat();
        check(circumstance(&manifest, &many), "while 5 faults strike (kill 3, reset 2)");
    }

    #[test]
    fn a_fault_that_was_over_before_the_statistics_began_is_not_in_them() {
        let early = fault("pause", "orders", Some(1.0));
        let manifest = Manifest { warm_up_s: 5, ..Manifest::default() };
        check(circumstance(&manifest, std::slice::from_ref(&early)), "under load");
        let late = Manifest { warm_up_s: 4, ..Manifest::default() };
        let healed_late = FaultRow { healed_s: Some(4.5), ..early };
        check(circumstance(&late, &[healed_late]), "while the orders role is frozen for 1 s");
    }

    #[test]
    fn a_rate_of_all_arrivals_says_how_many_are_orders() {
        let mut manifest = Manifest::default();
        manifest.phases.push(Phase { name: "steady".to_owned(), from_s: 0, to_s: 9 });
        manifest.offered.push(RatePoint { at_s: 0.0, rate_per_s: 100.0 });
        let of = |scheduled| RequestCounts { scheduled, ..RequestCounts::default() };
        manifest.requests.insert(Operation::Place, of(694));
        check(circumstance(&manifest, &[]), "at 100 arrivals per second");
        manifest.requests.insert(Operation::Get, of(306));
        check(circumstance(&manifest, &[]), "at 100 arrivals per second (69 % of them orders)");
    }

    #[test]
    fn a_share_is_never_rounded_to_all_or_nothing() {
        check(percent(1.0), "100 %");
        check(percent(0.999_99), "> 99.99 %");
        check(percent(0.9987), "99.87 %");
        check(percent(0.5), "50.0 %");
        check(percent(0.000_001), "< 0.01 %");
        check(percent(0.0), "0 %");
    }

    #[test]
    fn counts_and_dates() {
        check(count(1_234_567), "1,234,567");
        check(count(999), "999");
        check(utc(0), "1970-01-01 00:00 UTC");
        check(utc(1_709_210_096_000_000), "2024-02-29 12:34 UTC");
    }

    #[test]
    fn the_rate_is_linear_between_corners_and_jumps_where_two_share_an_instant() {
        let corner = |at_s, rate_per_s| RatePoint { at_s, rate_per_s };
        let curve =
            [corner(0.0, 0.0), corner(10.0, 100.0), corner(10.0, 500.0), corner(20.0, 500.0)];
        assert_eq!(
            [5.0, 10.0, 15.0, 30.0].map(|at| rate_at(&curve, at)),
            [50.0, 500.0, 500.0, 500.0]
        );
    }
}
