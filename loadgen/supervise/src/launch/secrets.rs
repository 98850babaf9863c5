//! Secrets of one run: random words that processes are given by their environment and that are never
//! written down. It does not know who needs which: `env = { NAME = "{secret:token}" }` says so.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use crate::mutex::lock;
use record::redact;
use scenario::system::secret::{NETWORK, next};

/// The random words of one run, by name.
#[derive(Clone)]
pub struct Secrets {
    root: [u8; 32],
    /// Words that were given, so that they can be found again.
    given: Arc<Mutex<BTreeSet<String>>>,
    /// Reads all orders.
    pub operator: String,
    /// Changes the provider.
    pub control: String,
    /// What the card network seals its lines and draws its luck with; no contestant is given it.
    pub network: String,
}

impl Secrets {
    /// New ones, from the operating system's generator.
    #[must_use]
    pub fn new() -> Self {
        Self::with_network(&Self::draw_network(&Self::draw_luck()))
    }

    /// New ones, but for the card network's.
    #[must_use]
    pub fn with_network(network: &str) -> Self {
        let root = rand::random();
        let [operator, control] = ["operator", "control"].map(|name| word(&root, name));
        let network = network.to_owned();
        let given = [&operator, &control, &network].map(Clone::clone);
        let given = Arc::new(Mutex::new(BTreeSet::from(given)));
        Self { root, given, operator, control, network }
    }

    /// A secret for the card network: what it seals with, and what follows the colon is its luck.
    #[must_use]
    pub fn draw_network(luck: &str) -> String {
        format!("{}:{luck}", word(&rand::random(), NETWORK))
    }

    /// What decides over charges and their times, with seed and key.
    #[must_use]
    pub fn draw_luck() -> String {
        word(&rand::random(), "luck")
    }

    /// The word of this name: 64 characters, the same wherever the name is used in a run.
    #[must_use]
    pub fn word(&self, name: &str) -> String {
        let word = if name == NETWORK { self.network.clone() } else { word(&self.root, name) };
        lock(&self.given).insert(word.clone());
        word
    }

    /// A text with a mark in place of words that somebody was given.
    #[must_use]
    pub fn without(&self, text: &str) -> String {
        let given = lock(&self.given);
        given.iter().fold(text.to_owned(), |text, word| text.replace(word, redact::MARK))
    }

    /// A text with the words in place of their names.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, name, after)) = next(rest) {
            out.push_str(before);
            out.push_str(&self.word(name));
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self::new()
    }
}

/// One way only: who knows a word learns nothing of the others.
fn word(root: &[u8; 32], name: &str) -> String {
    let digest = Sha256::new().chain_update(root).chain_update(name).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_the_same_in_one_run_and_another_in_the_next() {
        let (one, other) = (Secrets::new(), Secrets::new());
        assert_eq!(one.word("token"), one.clone().word("token"));
        assert_eq!(one.word("token").len(), 64);
        assert_ne!(one.word("token"), one.word("merchant"));
        assert_ne!(one.word("token"), other.word("token"));
        assert_ne!(one.word("network"), other.word("network"));
        let network = Secrets::draw_network("luck");
        assert!(network.ends_with(":luck") && network != Secrets::draw_network("luck"));
        assert_eq!(Secrets::with_network(&network).word("network"), network);
        assert_ne!(Secrets::with_network(&network).word("token"), one.word("token"));
        assert_eq!((one.word("operator"), one.word("control")), (one.operator, one.control));
    }

    #[test]
    fn words_stand_where_their_names_stood() {
        let secrets = Secrets::new();
        let (a, b) = (secrets.word("a"), secrets.word("b"));
        assert_eq!(secrets.fill("x{secret:a}y{secret:b}z"), format!("x{a}y{b}z"));
        assert_eq!(secrets.fill("plain {data}"), "plain {data}");
    }
}
