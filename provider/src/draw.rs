//! Chance, fixed beforehand: what happens to a charge follows from the seed, its key and how often
//! the key was tried, not from when it comes. So an order meets the same luck in every system.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// The draws of one seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
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
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
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
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..24].copy_from_slice(&fnv_1a(key).to_le_bytes());
        seed[24..28].copy_from_slice(&attempt.to_le_bytes());
        seed[28] = purpose as u8;
        ChaCha8Rng::from_seed(seed)
    }
}

/// FNV-1a with 128 bits (draft-eastlake-fnv): tells keys apart; ChaCha does the mixing.
fn fnv_1a(key: &str) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0100_0000_0000_0000_0000_013b;
    key.bytes().fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of 10,000 keys for which it is so.
    fn share(is: impl Fn(&str) -> bool) -> f64 {
        let count = (0..10_000).filter(|n| is(&format!("key-{n}"))).count();
        f64::from(u32::try_from(count).unwrap()) / 10_000.0
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv_1a(""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fnv_1a("a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }

    #[test]
    fn rates_are_kept() {
        let draws = Draws::new(1);
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
    fn chance_follows_from_seed_key_attempt_and_nothing_else() {
        let draws = Draws::new(1);
        let decline = |seed, key: &str| Draws::new(seed).declines(key, 0.5);
        assert!(share(|key| decline(1, key) == decline(1, key)) > 0.999_9);
        let near_half = |share: f64| (0.47..0.53).contains(&share);
        assert!(near_half(share(|key| decline(1, key) == decline(2, key))), "seeds differ");
        let attempts = share(|key| draws.fails(key, 1, 0.5) == draws.fails(key, 2, 0.5));
        assert!(near_half(attempts), "attempts differ");
        let purposes = share(|key| draws.fails(key, 0, 0.5) == draws.declines(key, 0.5));
        assert!(near_half(purposes), "purposes differ");
        assert_ne!(draws.charge_id("k", 1), draws.charge_id("k", 2));
        assert_ne!(draws.charge_id("k", 1), draws.charge_id("l", 1));
    }
}
