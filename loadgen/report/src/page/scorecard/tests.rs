//! Who is the best of a scenario, and who is not.

use super::*;
use record::Phase;
use record::latency::Metric;
use record::read::{Latencies, Trial};

/// Ends and value of each system's figure; `None` if it cannot be the best.
#[track_caller]
fn check(figures: &[Option<[f64; 3]>], is_more: bool, expected: &[usize]) {
    let spread =
        |[least, value, most]: [f64; 3]| Spread::of(vec![Figure { value, least, most }]).unwrap();
    let values: Vec<_> = figures.iter().map(|figure| figure.map(spread)).collect();
    let mut cells = vec![Cell::default(); figures.len()];
    mark_best(&mut cells.iter_mut().collect::<Vec<_>>(), &values, is_more);
    let best: Vec<usize> = (0..cells.len()).filter(|at| cells[*at].is_best).collect();
    assert_eq!(best, expected);
}

fn exact(value: f64) -> Option<[f64; 3]> {
    Some([value; 3])
}

#[test]
fn the_best_is_marked_where_there_is_one() {
    check(&[exact(0.063), exact(1.0)], true, &[1]);
    check(&[exact(2.0), exact(4.0), exact(2.05)], false, &[0, 2]);
    check(&[exact(1.0), exact(1.0)], true, &[]);
    check(&[exact(85.5), exact(85.9), exact(86.1)], false, &[]);
    check(&[exact(2.0)], false, &[]);
    check(&[exact(0.0), exact(1.0)], false, &[0]);
}

#[test]
fn whose_ends_overlap_is_not_better() {
    check(&[Some([2.0, 4.0, 4.0]), exact(3.0), exact(9.0)], false, &[0, 1]);
    check(&[Some([2.0, 9.0, 9.0]), exact(3.0)], false, &[]);
    check(&[Some([0.0, 0.0, 0.9]), exact(0.8)], true, &[]);
    check(&[Some([0.0, 0.0, 0.6]), exact(0.8)], true, &[1]);
    // The second may be anything from the worst to nearly the best: it is none.
    let unclear = [exact(0.062), Some([0.058, 0.058, 0.144]), Some([0.127, 0.127, 1.0])];
    check(&unclear, true, &[2]);
}

/// Of 2,000 times the 10 to 30 slowest make the p99.
#[test]
fn a_p99_is_as_sure_as_its_sample_is_large() {
    let ends = |samples: u64| {
        let times = [(record::Outcome::Ok, Metric::Response, 1_000..=999 + samples)];
        let mut trial = Trial { latencies: Latencies::of_places(&times), ..Trial::default() };
        trial.manifest.phases.push(Phase::default());
        let figure = p99_by_chance(&Figures::named(&trial, "").unwrap().accepted).unwrap();
        (figure.least, figure.value, figure.most)
    };
    let (least, value, most) = ends(2_000);
    assert!((least - 2.971).abs() < 0.01 && (most - 2.989).abs() < 0.01, "{least} {most}");
    assert!((value - 2.979).abs() < 0.01, "{value}");
    assert!(ends(400).2.is_infinite(), "the slowest of 400 may be faster than the p99");
}

#[test]
fn trials_that_overlap_make_no_best() {
    let (one, other) = (Spread::of(vec![1.0, 2.0, 5.0]), Spread::of(vec![4.0, 4.1, 4.2]));
    let mut cells = vec![Cell::default(); 2];
    mark_best(&mut cells.iter_mut().collect::<Vec<_>>(), &[one, other], false);
    assert!(cells.iter().all(|cell| !cell.is_best));
}

#[test]
fn who_cannot_be_the_best_is_not() {
    check(&[None, exact(9.0)], false, &[]);
    check(&[None, exact(9.0), exact(9.1)], false, &[]);
    check(&[None, exact(9.0), exact(10.0)], false, &[1]);
    check(&[None, None], false, &[]);
    check(&[exact(f64::INFINITY), None], false, &[]);
    check(&[exact(f64::INFINITY), exact(3.0)], false, &[1]);
}

#[test]
fn what_stands_in_brackets_is_a_note() {
    let cell = figure("2 ms (1 to 4 ms; 3 of 7 trials)");
    assert_eq!((cell.text.as_str(), cell.note.as_str()), ("2 ms", "1 to 4 ms; 3 of 7 trials"));
    assert_eq!(figure("100 %"), Cell { text: "100 %".to_owned(), ..Cell::default() });
}
