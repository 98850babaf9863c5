//! The beta law, by which exact bounds of a share are found.

/// The accuracy of the continued fraction.
const ACCURACY: f64 = 1e-15;
/// It meets it in some √max(a, b) steps; this is enough for ten million arrivals.
const STEPS_MAX: u32 = 10_000;
/// Halvings of the interval from 0 to 1: below the least step of a double.
const HALVINGS: u32 = 80;

/// The chance that a value of the law Beta(`a`, `b`) is at most `x`: the regularised incomplete beta function, by its
/// continued fraction (DLMF 8.17.22).
#[must_use]
pub fn beta_law(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // It converges quickly below the law's middle, and the law is its own mirror.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_law(1.0 - x, b, a);
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    (front.exp() / a / fraction(x, a, b)).clamp(0.0, 1.0)
}

/// The value below which a part `p` of the law Beta(`a`, `b`) lies.
#[must_use]
pub fn beta_place(p: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if beta_law(middle, a, b) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// 1 + d₁/(1 + d₂/(1 + …)), from the front (Lentz).
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let apart = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let (mut value, mut c, mut d) = (1.0, 1.0, 0.0);
    for step in 1..=STEPS_MAX {
        let term = term(f64::from(step), x, a, b);
        d = 1.0 / apart(1.0 + term * d);
        c = apart(1.0 + term / c);
        let change = c * d;
        value *= change;
        if (change - 1.0).abs() < ACCURACY {
            break;
        }
    }
    value
}

/// d₁, d₂, … of DLMF 8.17.23.
fn term(step: f64, x: f64, a: f64, b: f64) -> f64 {
    let m = (step / 2.0).floor();
    let below = (a + step - 1.0) * (a + step);
    if step % 2.0 == 0.0 { m * (b - m) * x / below } else { -(a + m) * (a + b + m) * x / below }
}

/// The logarithm of Γ for positive values: Stirling's series (DLMF 5.11.1) from 15 on, where its rest is below 1e-15;
/// below that by Γ(x + 1) = x Γ(x).
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0_f64);
    while x < 15.0 {
        product *= x;
        x += 1.0;
    }
    let square = x * x;
    let series =
        (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / 1680.0 / square) / square) / square) / x;
    let half_ln_tau = 0.5 * std::f64::consts::TAU.ln();
    (x - 0.5) * x.ln() - x + half_ln_tau + series - product.ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// scipy 1.17.1: `scipy.stats.beta.cdf(x, a, b)`.
    #[test]
    fn the_law_is_that_of_scipy() {
        for (x, a, b, expected) in REFERENCE {
            let found = beta_law(x, a, b);
            assert!((found - expected).abs() <= 1e-11, "{x} {a} {b}: {found}, not {expected}");
        }
    }

    include!("beta_reference.rs");

    proptest! {
        #[test]
        fn a_place_is_the_inverse(p in 0.001..0.999_f64, a in 0.5..5e3_f64, b in 0.5..5e3_f64) {
            prop_assert!((beta_law(beta_place(p, a, b), a, b) - p).abs() < 1e-9);
        }

        #[test]
        fn more_is_never_less_likely(x in 0.0..1.0_f64, y in 0.0..1.0_f64, a in 0.5..1e3_f64, b in 0.5..1e3_f64) {
            let (x, y) = (x.min(y), x.max(y));
            prop_assert!(beta_law(x, a, b) <= beta_law(y, a, b) + 1e-12);
        }
    }
}
