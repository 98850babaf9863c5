//! How often what is told is false, by simulation: the small brother of `examples/error_rates`.

#[path = "../examples/error_rates/simulate.rs"]
mod simulate;

use simulate::{Noise, Truth, alike_at_the_margin, alone, families, wrong_controls};

/// What is promised, and three standard deviations of what so many draws show of it.
fn allowed(draws: f64) -> f64 {
    0.05 + 3.0 * (0.05 * 0.95 / draws).sqrt()
}

const BLOCKS: [u32; 3] = [7, 9, 12];

#[test]
fn at_the_bound_a_side_is_hardly_ever_told() {
    let null = Truth { trues: 0, beyond: 0.0, doubt: 0.0 };
    for (blocks, noise) in cases() {
        let single = alone(1_000, blocks, noise, null).false_alone;
        assert!(single <= allowed(1_000.0), "{blocks} {noise:?}: {single}");
        let any = families(60, blocks, noise, null).any_false;
        assert!(any <= allowed(60.0), "{blocks} {noise:?}: {any}");
        let alike = alike_at_the_margin(1_000, blocks, noise);
        assert!(alike <= allowed(1_000.0), "{blocks} {noise:?}: {alike}");
    }
}

/// Of what is told among true claims and others at their bound, one in twenty may be false.
#[test]
fn what_is_told_beside_the_true_is_true() {
    for (blocks, noise) in cases() {
        for doubt in [0.0, 0.5] {
            let rates = families(80, blocks, noise, Truth { trues: 15, beyond: 4.0, doubt });
            assert!(rates.false_of_told <= allowed(80.0), "{blocks} {noise:?}: {rates:?}");
            // Little is found where one trial in ten is no good, or all lie in doubt.
            let is_hard = noise != Noise::Normal || doubt > 0.0;
            assert!(is_hard || rates.found > 0.8, "{blocks} {noise:?}: {rates:?}");
            assert!(
                blocks < 12 || rates.any_false <= allowed(80.0),
                "{blocks} {noise:?}: {rates:?}"
            );
        }
    }
}

/// What it costs to be careful: a difference of two standard deviations, alone, in seven blocks.
#[test]
fn what_is_true_is_found() {
    let truth = |beyond| Truth { trues: 1, beyond, doubt: 0.0 };
    assert!(alone(1_000, 7, Noise::Normal, truth(2.0)).found >= 0.8);
    assert!(alone(1_000, 12, Noise::Normal, truth(1.5)).found >= 0.8);
}

#[test]
fn the_controls_of_a_run_come_out_right() {
    for (blocks, noise) in [(7, Noise::Normal), (20, Noise::Skewed), (20, Noise::Outliers)] {
        let (nothing, difference) = wrong_controls(1_000, blocks, noise, 3.0);
        assert!(nothing < 0.01, "{noise:?}: {nothing}");
        assert!(difference < 0.2, "{noise:?}: {difference}");
    }
}

fn cases() -> impl Iterator<Item = (u32, Noise)> {
    BLOCKS.into_iter().flat_map(|blocks| Noise::ALL.map(|noise| (blocks, noise)))
}
