//! Percentile spectra in HdrHistogram's text form, for its plotters. Values in milliseconds.

use std::fmt::Write;

use crate::record::latency::Metric;
use crate::record::read::{Spectrum, Trial, rank};

/// As in HdrHistogram's `outputPercentileDistribution`.
const TICKS_PER_HALF_DISTANCE: f64 = 5.0;

/// File names and texts, one for each phase, operation and series that has values.
pub(super) fn spectra(trial: &Trial) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let manifest = &trial.manifest;
    for (index, phase) in manifest.phases.iter().enumerate() {
        for operation in manifest.requests.keys() {
            for metric in [Metric::Response, Metric::Service, Metric::Completed] {
                // Orders finished after their customer got no answer are no completed time.
                let wanted = |outcome: &str| metric != Metric::Completed || outcome == "ok";
                let spectrum = trial.latencies.times(index, operation, metric, wanted);
                if spectrum.count() > 0 {
                    let name = format!("{}-{operation}-{metric}.hgrm", phase.name);
                    files.push((name, text(&spectrum)));
                }
            }
        }
    }
    files
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
    use crate::record::latency::histogram;

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
