//! Many tests at once: what each p is worth beside the others.

/// Adjusted p, in the order given: those at or below q are a set of which at most a part q is false on the average
/// (Benjamini and Hochberg 1995). It holds for tests that depend on each other positively, as claims do that share
/// experiments (Benjamini and Yekutieli 2001), and for the side that is claimed, too (2005).
#[must_use]
pub fn benjamini_hochberg(ps: &[f64]) -> Vec<f64> {
    let m = ps.len() as f64;
    // From the greatest down: no adjusted p exceeds a greater one's.
    adjust(ps, |order| {
        let mut least = 1.0_f64;
        for (place, p) in order.iter_mut().enumerate().rev() {
            least = least.min(**p * m / (place + 1) as f64);
            **p = least;
        }
    })
}

/// Adjusted p, in the order given: the chance that any at or below α is false is at most α, whatever the tests have to
/// do with each other (Holm 1979).
#[must_use]
pub fn holm(ps: &[f64]) -> Vec<f64> {
    let m = ps.len();
    adjust(ps, |order| {
        let mut most = 0.0_f64;
        for (place, p) in order.iter_mut().enumerate() {
            most = most.max((**p * (m - place) as f64).min(1.0));
            **p = most;
        }
    })
}

/// Lets `step` change the values in ascending order.
fn adjust(ps: &[f64], step: impl Fn(&mut [&mut f64])) -> Vec<f64> {
    let mut adjusted = ps.to_vec();
    let mut order: Vec<&mut f64> = adjusted.iter_mut().collect();
    order.sort_by(|a, b| a.total_cmp(b));
    step(&mut order);
    adjusted
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    include!("family_reference.rs");

    #[test]
    fn they_are_those_of_scipy_and_of_the_definition() {
        for (ps, by_rate, by_family) in REFERENCE {
            for (found, expected) in [(benjamini_hochberg(ps), by_rate), (holm(ps), by_family)] {
                let meets = found.iter().zip(*expected).all(|(a, b)| (a - b).abs() < 1e-12);
                assert!(meets, "{ps:?}: {found:?}, not {expected:?}");
            }
        }
    }

    /// What made Holm impossible at 7 blocks: docs/methodology/decide.md.
    #[test]
    fn thirty_claims_need_ten_at_the_least_p_of_seven_blocks() {
        let family = |at_least_p: usize, p: f64| {
            let mut ps = vec![0.6; 30];
            ps[..at_least_p].fill(p);
            (benjamini_hochberg(&ps)[0] <= 0.05, holm(&ps)[0] <= 0.05)
        };
        assert_eq!(family(9, 2.0 / 128.0), (false, false));
        assert_eq!(family(10, 2.0 / 128.0), (true, false));
        assert_eq!(family(5, 2.0 / 256.0), (true, false));
        assert_eq!(family(1, 2.0 / 4096.0), (true, true));
    }

    proptest! {
        #[test]
        fn neither_makes_a_p_less_and_holm_is_the_stricter(ps in vec(0.0..1.0_f64, 1..40)) {
            let (by_rate, by_family) = (benjamini_hochberg(&ps), holm(&ps));
            for ((p, rate), family) in ps.iter().zip(by_rate).zip(by_family) {
                prop_assert!(*p <= rate + 1e-15 && rate <= family + 1e-15 && family <= 1.0);
            }
        }
    }
}
