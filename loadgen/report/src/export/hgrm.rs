//! Percentile spectra in HdrHistogram's text form, for its plotters. Values in milliseconds.

use std::fmt::Write;

use record::latency::Metric;
use record::read::{Spectrum, Trial, rank};
use record::{Operation, Outcome};

/// As in HdrHistogram's `outputPercentileDistribution`.
const TICKS_PER_HALF_DISTANCE: f64 = 5.0;

/// File names and texts, one for each phase, operation and series that has values.
pub(super) fn spectra(trial: &Trial) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let manifest = &trial.manifest;
    for (index, phase) in manifest.phases.iter().enumerate() {
        for operation in manifest.requests.keys().copied() {
            for metric in [Metric::Response, Metric::Service, Metric::Completed] {
                // Orders finished after their customer got no answer are no completed time.
                let wanted = |outcome| metric != Metric::Completed || outcome == Outcome::Ok;
                let spectrum = trial.latencies.times(index, operation, metric, wanted);
                let note = match metric {
                    Metric::Completed => not_final(trial.never_final(index, operation)),
                    _ => still_open(trial, index, operation, metric),
                };
                if spectrum.count() > 0 {
                    let name = format!("{}-{operation}-{metric}.hgrm", phase.name);
                    files.push((name, text(&spectrum) + &note));
                }
            }
        }
    }
    files
}

/// What the lines above do not hold, as a comment that HdrHistogram's tools pass over.
fn not_final(count: u64) -> String {
    if count == 0 {
        return String::new();
    }
    format!("#[Not final = {count:>10}, accepted and longer than any above; left out]\n")
}

/// Requests of which only a lower bound stands above.
fn still_open(trial: &Trial, phase: usize, operation: Operation, metric: Metric) -> String {
    let open = trial.latencies.times(phase, operation, metric, |o| o == Outcome::Unfinished);
    let Some(least_us) = open.min() else { return String::new() };
    let (count, least) = (open.count(), ms(least_us));
    format!(
        "#[Open    = {count:>12}, at least so long; values from {least:.3} on are lower bounds]\n"
    )
}

fn text(spectrum: &Spectrum) -> String {
    let mut out = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let count = spectrum.count();
    let mut quantile = 0.0_f64;
    loop {
        let value_us = spectrum.at_rank(rank(quantile, count)).unwrap_or(0);
        let up_to = spectrum.count_up_to(value_us);
        if up_to >= count {
            let _ = writeln!(out, "{:>12.3} {:>2.12} {count:>10}", ms(value_us), 1.0);
            break;
        }
        let inverse = 1.0 / (1.0 - quantile);
        let _ =
            writeln!(out, "{:>12.3} {quantile:>2.12} {up_to:>10} {inverse:>14.2}", ms(value_us));
        // Steps halve with each halving of the distance to 1.
        let halves = (1.0 / (1.0 - quantile)).log2().floor() + 1.0;
        quantile += 1.0 / (TICKS_PER_HALF_DISTANCE * halves.exp2());
    }
    let (mean, deviation) = moments(spectrum);
    let max = ms(spectrum.max().unwrap_or(0));
    let _ = writeln!(out, "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]");
    let _ = writeln!(out, "#[Max     = {max:>12.3}, Total count    = {count:>12}]");
    let _ = writeln!(out, "#[Buckets = {:>12}, SubBuckets     = {:>12}]", 22, 2_048);
    out
}

fn ms(us: u64) -> f64 {
    us as f64 / 1e3
}

/// Mean and standard deviation, ms.
fn moments(spectrum: &Spectrum) -> (f64, f64) {
    let count = spectrum.count() as f64;
    let sum = |f: &dyn Fn(f64) -> f64| -> f64 {
        spectrum.bins().iter().map(|(us, n)| f(ms(*us)) * *n as f64).sum::<f64>() / count
    };
    let mean = sum(&|v| v);
    (mean, sum(&|v| (v - mean).powi(2)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::latency::histogram;
    use record::read::Latencies;
    use record::{Phase, RequestCounts};

    #[test]
    fn what_never_ended_is_told_in_a_comment() {
        let times = [
            (Outcome::Ok, Metric::Response, 1..=90),
            (Outcome::Ok, Metric::Completed, 1..=60),
            (Outcome::Unfinished, Metric::Response, 5_000..=5_009),
        ];
        let mut trial = Trial { latencies: Latencies::of_places(&times), ..Trial::default() };
        trial.manifest.phases.push(Phase { name: "steady".to_owned(), ..Phase::default() });
        trial.manifest.requests.insert(Operation::Place, RequestCounts::default());
        let last = |(name, text): (String, String)| {
            let (all, last) = text.trim_end().rsplit_once('\n').unwrap();
            let before = all.rsplit_once('\n').unwrap().1;
            assert!(last.starts_with('#') && before.starts_with("#[Buckets"), "{text}");
            (name, last.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        let last: Vec<_> = spectra(&trial).into_iter().map(last).collect();
        assert_eq!(last[0].0, "steady-place-response.hgrm");
        assert!(
            last[0].1.starts_with("#[Open = 10, at least so long; values from 5.0"),
            "{last:?}"
        );
        assert_eq!(last[1].0, "steady-place-completed.hgrm");
        assert!(last[1].1.starts_with("#[Not final = 30, accepted"), "{last:?}");
    }

    #[test]
    fn a_spectrum_rises_to_its_largest_value() {
        let mut values = histogram().unwrap();
        for us in 1..=1_000 {
            values.record(us * 1_000).unwrap();
        }
        let text = text(&Spectrum::of(&values));
        let rows: Vec<Vec<f64>> = text
            .lines()
            .skip(2)
            .filter(|l| !l.starts_with('#'))
            .map(|l| l.split_whitespace().map(|n| n.parse().unwrap()).collect())
            .collect();
        assert!(rows.windows(2).all(|w| w[0][0] <= w[1][0] && w[0][1] < w[1][1]));
        let half = rows.iter().find(|r| r[1] >= 0.5).unwrap();
        assert!((half[0] - 500.0).abs() < 1.0, "{half:?}");
        let last = rows.last().unwrap();
        assert!((last[0] - 1_000.0).abs() < 1.0 && last[1] == 1.0 && last[2] == 1_000.0);
        assert!(
            text.contains("#[Max     =     1000.")
                && text.contains("Total count    =         1000]"),
            "{text}"
        );
    }
}
