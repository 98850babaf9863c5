//! Chance, fixed beforehand: what happens to a charge follows from the secret, the seed, its key and how
//! often the key was tried, not from when it comes. So an order meets the same luck in every system, and
//! none of them knows it before.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::secret::Secret;

/// The draws of one secret and seed.
#[derive(Clone)]
pub(crate) struct Draws {
    secret: Secret,
    seed: u64,
}

#[derive(Clone, Copy)]
enum Purpose {
    Decline = 1,
    Error,
    Latency,
    Id,
    Lost,
}

impl Draws {
    pub(crate) fn new(secret: Secret, seed: u64) -> Self {
        Self { secret, seed }
    }

    /// Whether the card is refused: the same for every attempt of a key.
    pub(crate) fn declines(&self, key: &str, rate: f64) -> bool {
        self.random(key, 0, Purpose::Decline).random::<f64>() < rate
    }

    /// Whether this attempt fails.
    pub(crate) fn fails(&self, key: &str, attempt: u32, rate: f64) -> bool {
        self.random(key, attempt, Purpose::Error).random::<f64>() < rate
    }

    /// Whether the answer to this attempt is lost.
    pub(crate) fn loses(&self, key: &str, attempt: u32, rate: f64) -> bool {
        self.random(key, attempt, Purpose::Lost).random::<f64>() < rate
    }

    /// Randomness for this attempt's latency.
    pub(crate) fn latency(&self, key: &str, attempt: u32) -> ChaCha8Rng {
        self.random(key, attempt, Purpose::Latency)
    }

    /// The reference of a capture by this attempt.
    pub(crate) fn charge_id(&self, key: &str, attempt: u32) -> String {
        format!("ch-{:016x}", self.random(key, attempt, Purpose::Id).random::<u64>())
    }

    fn random(&self, key: &str, attempt: u32, purpose: Purpose) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(self.secret.luck(self.seed, purpose as u8, attempt, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(secret: &str, seed: u64) -> Draws {
        Draws::new(Secret::new(secret), seed)
    }

    /// The share of 10,000 keys for which it is so.
    fn share(is: impl Fn(&str) -> bool) -> f64 {
        let count = (0..10_000).filter(|n| is(&format!("key-{n}"))).count();
        f64::from(u32::try_from(count).unwrap()) / 10_000.0
    }

    #[test]
    fn rates_are_kept() {
        let draws = draws("s", 1);
        for rate in [0.0, 0.02, 0.5, 1.0] {
            // Four standard deviations.
            let margin = 4.0 * (rate * (1.0 - rate) / 10_000.0_f64).sqrt();
            let declined = share(|key| draws.declines(key, rate));
            let failed = share(|key| draws.fails(key, 1, rate));
            assert!((declined - rate).abs() <= margin, "{declined} instead of {rate}");
            assert!((failed - rate).abs() <= margin, "{failed} instead of {rate}");
        }
    }

    #[test]
    fn chance_follows_from_secret_seed_key_attempt_and_nothing_else() {
        let draws = draws("s", 1);
        let (same, seeded, other) = (draws.clone(), self::draws("s", 2), self::draws("t", 1));
        let agree = |with: &Draws| share(|key| draws.declines(key, 0.5) == with.declines(key, 0.5));
        assert!(agree(&same) > 0.999_9);
        let near_half = |share: f64| (0.47..0.53).contains(&share);
        assert!(near_half(agree(&seeded)), "seeds differ");
        assert!(near_half(agree(&other)), "secrets differ: who does not know it guesses");
        let attempts = share(|key| draws.fails(key, 1, 0.5) == draws.fails(key, 2, 0.5));
        assert!(near_half(attempts), "attempts differ");
        let purposes = share(|key| draws.fails(key, 0, 0.5) == draws.declines(key, 0.5));
        assert!(near_half(purposes), "purposes differ");
        assert_ne!(draws.charge_id("k", 1), draws.charge_id("k", 2));
        assert_ne!(draws.charge_id("k", 1), draws.charge_id("l", 1));
    }
}
