//! Kafka's encoding: what a request is made of, and what an answer is read from. It knows no request.

use bytes::{Buf, BufMut, Bytes};

use crate::{Error, Result};

/// Who says nothing of its client is told apart by this.
const CLIENT: &str = "triptych";
/// Elements of a list that are believed; more would be a torn answer.
const LIST_MAX: usize = 1_000_000;

/// Names a topic to a broker.
pub(super) type Uuid = [u8; 16];

/// A request under construction; the versions that are used here all have tagged fields.
pub(super) struct Request(Vec<u8>);

impl Request {
    pub(super) fn new(api: i16, version: i16) -> Self {
        let mut head = Self(Vec::with_capacity(256));
        // The size comes in front when it is known; the number of an exchange is the connection's.
        head.0.put_i32(0);
        head.0.put_i16(api);
        head.0.put_i16(version);
        head.0.put_i32(0);
        head.0.put_i16(CLIENT.len() as i16);
        head.0.put_slice(CLIENT.as_bytes());
        head.tags()
    }

    /// As it is sent, under this number.
    pub(super) fn frame(&self, number: i32) -> Vec<u8> {
        let mut frame = self.0.clone();
        let size = frame.len() as i32 - 4;
        frame[..4].copy_from_slice(&size.to_be_bytes());
        frame[8..12].copy_from_slice(&number.to_be_bytes());
        frame
    }

    pub(super) fn i8(mut self, value: i8) -> Self {
        self.0.put_i8(value);
        self
    }

    pub(super) fn i16(mut self, value: i16) -> Self {
        self.0.put_i16(value);
        self
    }

    pub(super) fn i32(mut self, value: i32) -> Self {
        self.0.put_i32(value);
        self
    }

    pub(super) fn i64(mut self, value: i64) -> Self {
        self.0.put_i64(value);
        self
    }

    pub(super) fn bool(self, value: bool) -> Self {
        self.i8(i8::from(value))
    }

    pub(super) fn uuid(mut self, value: Uuid) -> Self {
        self.0.put_slice(&value);
        self
    }

    pub(super) fn text(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    pub(super) fn bytes(mut self, value: &[u8]) -> Self {
        put_unsigned(&mut self.0, value.len() as u64 + 1);
        self.0.put_slice(value);
        self
    }

    /// No text, no bytes, no list.
    pub(super) fn null(mut self) -> Self {
        self.0.put_u8(0);
        self
    }

    /// So many elements follow.
    pub(super) fn list(mut self, elements: usize) -> Self {
        put_unsigned(&mut self.0, elements as u64 + 1);
        self
    }

    /// The end of a structure: nothing optional.
    pub(super) fn tags(mut self) -> Self {
        self.0.put_u8(0);
        self
    }
}

/// What is left of an answer.
pub(super) struct Answer(Bytes);

impl Answer {
    /// What stands behind the number of the exchange; only the first answer of all has no optional fields.
    pub(super) fn new(body: Bytes, tagged: bool) -> Result<Self> {
        let mut answer = Self(body);
        if tagged {
            answer.tags()?;
        }
        Ok(answer)
    }

    fn need(&self, bytes: usize) -> Result<()> {
        if self.0.remaining() >= bytes { Ok(()) } else { Err(torn()) }
    }

    pub(super) fn i8(&mut self) -> Result<i8> {
        self.need(1)?;
        Ok(self.0.get_i8())
    }

    pub(super) fn i16(&mut self) -> Result<i16> {
        self.need(2)?;
        Ok(self.0.get_i16())
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        self.need(4)?;
        Ok(self.0.get_i32())
    }

    pub(super) fn i64(&mut self) -> Result<i64> {
        self.need(8)?;
        Ok(self.0.get_i64())
    }

    pub(super) fn uuid(&mut self) -> Result<Uuid> {
        self.need(16)?;
        let mut uuid = [0; 16];
        self.0.copy_to_slice(&mut uuid);
        Ok(uuid)
    }

    /// Bytes, or none.
    pub(super) fn bytes(&mut self) -> Result<Option<Bytes>> {
        let Some(length) = unsigned(&mut self.0)?.checked_sub(1) else { return Ok(None) };
        self.need(length as usize)?;
        Ok(Some(self.0.split_to(length as usize)))
    }

    /// A text; what is none is empty.
    pub(super) fn text(&mut self) -> Result<String> {
        let bytes = self.bytes()?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A list, each element read so.
    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let elements = unsigned(&mut self.0)?.saturating_sub(1) as usize;
        if elements > LIST_MAX {
            return Err(torn());
        }
        (0..elements).map(|_| read(self)).collect()
    }

    /// Skips what is optional at the end of a structure.
    pub(super) fn tags(&mut self) -> Result<()> {
        for _ in 0..unsigned(&mut self.0)? {
            unsigned(&mut self.0)?;
            let size = unsigned(&mut self.0)? as usize;
            self.need(size)?;
            self.0.advance(size);
        }
        Ok(())
    }
}

pub(super) fn torn() -> Error {
    Error::Protocol("kafka: an answer is not as its version says".to_owned())
}

pub(super) fn put_unsigned(to: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        to.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    to.put_u8(value as u8);
}

/// A number of either sign, small if it is near zero.
pub(super) fn put_signed(to: &mut impl BufMut, value: i64) {
    put_unsigned(to, (value << 1 ^ value >> 63).cast_unsigned());
}

pub(super) fn unsigned(from: &mut Bytes) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = if from.has_remaining() { from.get_u8() } else { return Err(torn()) };
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(torn())
}

pub(super) fn signed(from: &mut Bytes) -> Result<i64> {
    let value = unsigned(from)?;
    Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let request = Request::new(3, 12).text("ü").null().list(2).i32(-7).i32(7).bytes(&[0; 300]);
        let body = Bytes::from(request.uuid([9; 16]).i64(1 << 40).tags().frame(5));
        // Size, api, version, number, client, tags.
        let mut answer = Answer::new(body.slice(4 + 2 + 2 + 4 + 2 + CLIENT.len()..), true).unwrap();
        assert_eq!(answer.text().unwrap(), "ü");
        assert_eq!(answer.bytes().unwrap(), None);
        assert_eq!(answer.list(Answer::i32).unwrap(), [-7, 7]);
        assert_eq!(answer.bytes().unwrap().unwrap().len(), 300);
        assert_eq!((answer.uuid().unwrap(), answer.i64().unwrap()), ([9; 16], 1 << 40));
        answer.tags().unwrap();
        assert_eq!(answer.i8(), Err(torn()));
    }

    #[test]
    fn signed_numbers_are_as_long_as_they_are_large() {
        for (value, length) in [(0, 1), (-1, 1), (63, 1), (-64, 1), (64, 2), (i64::MIN, 10)] {
            let mut written = Vec::new();
            put_signed(&mut written, value);
            assert_eq!(written.len(), length, "{value}");
            assert_eq!(signed(&mut Bytes::from(written)), Ok(value));
        }
    }

    #[test]
    fn what_is_cut_or_absurd_is_an_error() {
        for torn_answer in [&[][..], &[0xff; 11], &[5, 1]] {
            let mut answer = Answer::new(Bytes::copy_from_slice(torn_answer), false).unwrap();
            assert_eq!(answer.bytes(), Err(torn()), "{torn_answer:?}");
        }
        let mut answer =
            Answer::new(Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x7f]), false).unwrap();
        assert_eq!(answer.list(Answer::i8), Err(torn()));
    }
}
