//! What client and server say to each other: postcard in frames that begin with their length.

use std::collections::HashSet;
use std::io;
use std::marker::PhantomData;

use bytes::{BufMut, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio_util::codec::{Decoder, LengthDelimitedCodec};

use crate::{DeadLetter, Delivery, Depth, Error, Message, Micros, Receipt, Result, Settle};

/// Bytes of one frame.
pub(super) const FRAME_MAX: usize = 64 * 1024;
/// Raised when a frame changes its form.
pub(super) const VERSION: u32 = 4;
const LENGTH_BYTES: usize = 4;

/// From the client. Every call is answered, in any order.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) id: u64,
    pub(super) call: Call,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Call {
    Hello { version: u32 },
    Ping,
    Publish { topic: String, message: Message },
    Subscribe { subscription: u64, topic: String, prefetch: u32, retries: u32 },
    Unsubscribe { subscription: u64 },
    LimitRetries { subscription: u64, places: u32 },
    Settle { subscription: u64, receipt: Receipt, how: Settle },
    Extend { subscription: u64, receipt: Receipt },
    Depth { topic: String },
    Holds { topic: String, keys: Vec<String> },
    Dead { topic: String, after: i64, limit: u32 },
    Replay { topic: String, limit: u32 },
}

/// From the server.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Event {
    Reply {
        id: u64,
        answer: Result<Answer>,
    },
    /// Claimed at that instant of the broker's clock.
    Delivery {
        subscription: u64,
        at_us: Micros,
        delivery: Delivery,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Done,
    /// To a greeting and a ping: the broker's clock, by which leases end.
    Time(Micros),
    Depth(Depth),
    /// Of the keys that were asked for.
    Holds(HashSet<String>),
    /// A page; an empty one is the last.
    Dead(Vec<DeadLetter>),
    Replayed(u64),
}

/// Appends a frame.
pub(super) fn encode(frame: &impl Serialize, out: &mut BytesMut) -> Result<()> {
    let start = out.len();
    out.put_u32(0);
    let written = postcard::to_io(frame, (&mut *out).writer()).map(drop);
    let size = out.len() - start - LENGTH_BYTES;
    if written.is_err() || size > FRAME_MAX {
        out.truncate(start);
        return Err(Error::Invalid(format!("a frame of {size} bytes; at most {FRAME_MAX}")));
    }
    let length = u32::try_from(size).unwrap_or(u32::MAX);
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Reads frames of `T`.
pub(super) struct Frames<T> {
    lengths: LengthDelimitedCodec,
    of: PhantomData<fn() -> T>,
}

impl<T> Frames<T> {
    pub(super) fn new() -> Self {
        let lengths = LengthDelimitedCodec::builder().max_frame_length(FRAME_MAX).new_codec();
        Self { lengths, of: PhantomData }
    }
}

impl<T: DeserializeOwned> Decoder for Frames<T> {
    type Item = T;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<T>> {
        let Some(frame) = self.lengths.decode(bytes)? else { return Ok(None) };
        let wrong = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        postcard::from_bytes(&frame).map(Some).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let message =
            Message { key: "k".to_owned(), payload: vec![7; 300].into(), ..Message::default() };
        let call = Call::Publish { topic: "t".to_owned(), message: message.clone() };
        let mut bytes = BytesMut::new();
        encode(&Request { id: 900, call }, &mut bytes).unwrap();
        let request: Request = Frames::new().decode(&mut bytes).unwrap().unwrap();
        let Call::Publish { topic, message: read } = request.call else { panic!("{request:?}") };
        assert_eq!((request.id, topic.as_str(), read), (900, "t", message));
        assert!(bytes.is_empty());
    }

    #[test]
    fn a_frame_above_the_limit_leaves_no_trace() {
        let mut bytes = BytesMut::from("before".as_bytes());
        let refused = encode(&vec![0_u8; FRAME_MAX + 1], &mut bytes);
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
        assert_eq!(bytes, "before".as_bytes());
    }

    #[test]
    fn a_length_above_the_limit_and_noise_are_refused() {
        let mut long = BytesMut::from("GET / HTTP/1.1\r\n\r\n".as_bytes());
        assert!(Frames::<Request>::new().decode(&mut long).is_err());
        let mut noise = BytesMut::from([0, 0, 0, 3, 255, 255, 255].as_slice());
        assert!(Frames::<Request>::new().decode(&mut noise).is_err());
    }
}
