//! No label of a picture lies on another or leaves the sheet, however many systems, trials and words.

use std::fs;
use std::path::Path;

use super::{KINDS, cost};
use crate::canvas::labels::{self, Label};
use crate::compare::{Comparison, Scenario};
use crate::sheet::WIDTH;
use record::Reason;
use record::read::{Run, Trial};

const LONG: &str = "microservices-async-with-a-name-that-nobody-would-type-twice";

/// So many systems with so many trials each, some or all of which are excluded.
fn crowd(systems: u32, trials: u32, spoilt: bool) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let wanted = |scenario: &str, system: &str| {
        scenario == "payment-outage" && system == "microservices-async"
    };
    record_fixture::write_some(folder.path(), wanted).unwrap();
    let mut sample = Run::read(folder.path()).unwrap().trials.remove(0);
    sample.timeline.iter_mut().for_each(|row| row.p99_least_ms = row.p50_ms);
    let of = |(system, trial): (u32, u32)| {
        let mut copy = sample.clone();
        copy.manifest.system =
            if system == 0 { LONG.to_owned() } else { format!("system-{system}") };
        (copy.manifest.system_order, copy.manifest.trial) = (system, trial);
        copy.manifest.validity.valid = !spoilt || (system < 5 && (system + trial) % 3 == 0);
        let why =
            "the process orders ended by itself (signal: 6), long before anybody had asked it to";
        copy.manifest.validity.reasons = vec![Reason::parse(why)];
        copy
    };
    let all = (0..systems).flat_map(|system| (1..=trials).map(move |trial| (system, trial)));
    let trials: Vec<Trial> = all.map(of).collect();
    Run { name: "a-run-with-a-long-name ".repeat(9), trials, ..Run::default() }
}

#[track_caller]
fn check_labels(what: &str, path: &Path) {
    let drawn = labels::take();
    assert!(drawn.len() > 5, "{what}: {} labels", drawn.len());
    let height = png_height(path);
    for (text, [left, top, right, bottom]) in &drawn {
        let inside = *left >= 0.0 && *top >= 0.0 && *right <= f64::from(WIDTH) && *bottom <= height;
        assert!(
            inside,
            "{what}: {text:?} leaves the sheet: {left:.0} {top:.0} {right:.0} {bottom:.0}"
        );
    }
    let lies_on = |(_, a): &Label, (_, b): &Label| {
        a[0] + 1.0 < b[2] && b[0] + 1.0 < a[2] && a[1] + 1.0 < b[3] && b[1] + 1.0 < a[3]
    };
    for (index, one) in drawn.iter().enumerate() {
        let other = drawn[..index].iter().find(|other| lies_on(one, other));
        assert!(other.is_none(), "{what}: {one:?} lies on {other:?}");
    }
}

/// Bytes 20 to 23 of a PNG.
fn png_height(path: &Path) -> f64 {
    let bytes = fs::read(path).unwrap();
    f64::from(u32::from_be_bytes(bytes[20..24].try_into().unwrap()))
}

#[track_caller]
fn check(systems: u32, trials: u32, spoilt: bool) {
    let run = crowd(systems, trials, spoilt);
    let comparison = Comparison::of(&run);
    let scenario: &Scenario<'_> = &comparison.scenarios[0];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    labels::take();
    for kind in KINDS {
        (kind.draw)(scenario, &run.name, &path).unwrap();
        check_labels(&format!("{} of {systems} × {trials}", kind.name), &path);
    }
    cost::draw(&comparison, &run.name, path.clone()).unwrap();
    check_labels(&format!("cost of {systems} × {trials}"), &path);
}

#[test]
fn labels_of_one_system_do_not_collide() {
    check(1, 1, false);
}

#[test]
fn labels_of_three_systems_do_not_collide() {
    check(3, 3, true);
}

#[test]
fn labels_of_eight_systems_and_twenty_trials_do_not_collide() {
    check(8, 20, true);
}
