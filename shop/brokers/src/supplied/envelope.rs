//! What is written around a message where the engine has no place for it: when it is due, and why its
//! attempts failed. Pure; it knows no queue.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::port::error_text;
use crate::{DeadLetter, Error, Failure, Message, Micros, Result};

/// The first byte of a body; raised when its form changes.
const FORM: u8 = 1;

/// A message as it lies in a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Envelope {
    pub(super) message: Message,
    pub(super) published_us: Micros,
    /// When it is to be delivered; of a dead letter, when it died.
    pub(super) due_us: Micros,
    pub(super) failures: Vec<Failure>,
}

impl Envelope {
    pub(super) fn new(message: Message, now_us: Micros) -> Self {
        Self { message, published_us: now_us, due_us: now_us, failures: Vec::new() }
    }

    pub(super) fn encode(&self) -> Result<Bytes> {
        let written = postcard::to_extend(self, vec![FORM]);
        written.map(Bytes::from).map_err(|error| Error::Invalid(format!("no envelope: {error}")))
    }

    /// What another program put there is a message without a key.
    pub(super) fn decode(body: Bytes, now_us: Micros) -> Self {
        let ours = body.split_first().filter(|(form, _)| **form == FORM);
        let read = ours.and_then(|(_, rest)| postcard::from_bytes(rest).ok());
        read.unwrap_or_else(|| Self::new(Message { payload: body, ..Message::default() }, now_us))
    }

    /// How often it failed.
    pub(super) fn failures(&self) -> u32 {
        self.failures.len() as u32
    }

    /// As it comes again.
    pub(super) fn due(mut self, due_us: Micros) -> Self {
        self.due_us = due_us;
        self
    }

    /// With one failure more.
    pub(super) fn failed(mut self, text: &str, now_us: Micros) -> Self {
        let (attempt, text) = (self.failures() + 1, error_text(text).to_owned());
        self.failures.push(Failure { attempt, at_us: now_us, text });
        self
    }

    /// As it begins anew.
    pub(super) fn anew(mut self, now_us: Micros) -> Self {
        self.failures.clear();
        self.due(now_us)
    }

    /// As a dead letter of this number.
    pub(super) fn letter(self, id: i64) -> DeadLetter {
        let attempts = self.failures();
        let Self { message, published_us, due_us: died_us, failures: errors } = self;
        DeadLetter { id, message, attempts, errors, published_us, died_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        let payload = Bytes::from_static(&[0, 255]);
        Envelope::new(Message { key: "k".to_owned(), payload, ..Message::default() }, 7)
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let failed = envelope().failed("no", 8).due(9);
        assert_eq!(Envelope::decode(failed.encode().unwrap(), 100), failed);
    }

    #[test]
    fn what_is_foreign_or_cut_is_a_message_all_the_same() {
        let whole = envelope().encode().unwrap();
        for foreign in [Bytes::new(), Bytes::from_static(b"{}"), whole.slice(..whole.len() - 1)] {
            let read = Envelope::decode(foreign.clone(), 100);
            assert_eq!((read.message.payload, read.published_us), (foreign, 100));
        }
    }

    #[test]
    fn a_letter_tells_all_failures_and_a_replay_forgets_them() {
        let dead = envelope().failed("one", 8).failed("two", 9).due(9);
        let letter = dead.clone().letter(1);
        let told: Vec<_> = letter.errors.iter().map(|e| (e.attempt, e.text.as_str())).collect();
        assert_eq!(told, [(1, "one"), (2, "two")]);
        assert_eq!((letter.attempts, letter.published_us, letter.died_us), (2, 7, 9));
        assert_eq!(dead.anew(20).failures(), 0);
    }
}
