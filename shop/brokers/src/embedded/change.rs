//! What can become of messages: the words of the log. What they do is the state's business.

use serde::{Deserialize, Serialize};

use crate::{Failure, Message, Micros};

/// A change; `M` is a message, or a borrowed one that is written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Change<M = Message> {
    /// Nothing: whoever asks whether a commit would be durable.
    Nothing,
    /// There is a topic of this name; numbers count from 0.
    Topic { number: u32, name: String },
    /// A message that nobody has had yet.
    Publish { id: i64, topic: u32, at_us: Micros, message: M },
    /// It was claimed, for the so-manieth time.
    Lease { id: i64, number: u32, until_us: Micros },
    /// It comes again; no attempt was counted.
    Defer { id: i64, due_us: Micros, delay_us: Micros },
    /// An attempt failed: it comes again, or is dead.
    Fail { id: i64, failure: Failure, then: At },
    /// It is done.
    Done { id: i64 },
    /// A dead letter becomes a new message: this one.
    Replay { dead: i64, id: i64, kept: Kept<M> },
    /// A message as it is: further on in the log than where it was before.
    Keep { id: i64, kept: Kept<M> },
}

/// What is known of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept<M = Message> {
    pub(super) topic: u32,
    pub(super) published_us: Micros,
    /// Deliveries.
    pub(super) claims: u32,
    /// Attempts that failed; deferred ones did not.
    pub(super) failures: u32,
    /// The last of them.
    pub(super) errors: Vec<Failure>,
    pub(super) at: At,
    pub(super) message: M,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum At {
    /// Never delivered.
    Fresh,
    /// Comes again, after a delay of so long: after a restart at most so long, whatever the clock says then.
    Again { due_us: Micros, delay_us: Micros },
    /// With a consumer.
    Leased { until_us: Micros },
    /// Given up.
    Dead { at_us: Micros },
}

/// What stands at the beginning of a segment: all that cannot be read from it and those behind it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Head {
    /// The last number that was given to a message.
    pub(super) last_id: i64,
    /// Topics by number.
    pub(super) topics: Vec<String>,
}

impl<M: Serialize> Change<M> {
    /// Appends it.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        // Writing to memory does not fail.
        let _ = postcard::to_io(self, bytes);
    }
}

/// The changes of a frame, in order; an error where something else stands.
pub(super) fn decode(mut bytes: &[u8]) -> impl Iterator<Item = Result<Change, String>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        Some(match postcard::take_from_bytes(bytes) {
            Ok((change, rest)) => {
                bytes = rest;
                Ok(change)
            }
            Err(error) => {
                bytes = &[];
                Err(format!("a change cannot be read: {error}"))
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_back_in_order_and_noise_is_told() {
        let message = Message { key: "k".to_owned(), ..Message::default() };
        let mut bytes = Vec::new();
        Change::Publish { id: 7, topic: 0, at_us: 1, message: &message }.encode(&mut bytes);
        Change::<Message>::Done { id: 7 }.encode(&mut bytes);
        let read: Vec<_> = decode(&bytes).map(Result::unwrap).collect();
        let [Change::Publish { id: 7, message: found, .. }, Change::Done { id: 7 }] = &read[..]
        else {
            panic!("{read:?}")
        };
        assert_eq!(found, &message);
        bytes.extend([200, 1]);
        assert_eq!(decode(&bytes).filter(Result::is_err).count(), 1);
    }
}
