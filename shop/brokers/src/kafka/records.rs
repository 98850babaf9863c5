//! Batches of records, as they are sent and as they lie in a partition (magic 2). Nothing is compressed: the
//! queues are set so.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::wire::{put_signed, signed, torn};
use crate::Result;

const MAGIC: i8 = 2;
/// Bytes before those that the length counts, and before those that the checksum covers.
const BEFORE_LENGTH: usize = 12;
const BEFORE_CHECKED: usize = 21;
/// Bytes of a batch before its records.
const HEAD: usize = 61;
/// Bits of the attributes: how it is compressed, and that it is a mark of a transaction.
const COMPRESSED: i16 = 0b111;
const MARK: i16 = 0b10_0000;
/// No idempotent producer: whoever sends anew decides that by itself.
const NOBODY: i64 = -1;

/// One batch of these bodies, made at this time.
pub(super) fn encode(bodies: &[Bytes], now_ms: i64) -> Bytes {
    let mut checked = BytesMut::new();
    checked.put_i16(0);
    checked.put_i32(bodies.len() as i32 - 1);
    checked.put_i64(now_ms);
    checked.put_i64(now_ms);
    checked.put_i64(NOBODY);
    checked.put_i16(-1);
    checked.put_i32(-1);
    checked.put_i32(bodies.len() as i32);
    let mut record = BytesMut::new();
    for (delta, body) in (0..).zip(bodies) {
        record.clear();
        record.put_u8(0);
        put_signed(&mut record, 0);
        put_signed(&mut record, delta);
        put_signed(&mut record, -1);
        put_signed(&mut record, body.len() as i64);
        record.put_slice(body);
        put_signed(&mut record, 0);
        put_signed(&mut checked, record.len() as i64);
        checked.put_slice(&record);
    }
    let mut batch = BytesMut::with_capacity(BEFORE_CHECKED + checked.len());
    batch.put_i64(0);
    batch.put_i32((BEFORE_CHECKED - BEFORE_LENGTH + checked.len()) as i32);
    batch.put_i32(-1);
    batch.put_i8(MAGIC);
    batch.put_u32(checksum(&checked));
    batch.put_slice(&checked);
    batch.freeze()
}

/// The bodies of batches with their places; a batch that is cut at the end is left out.
pub(super) fn decode(mut batches: Bytes) -> Result<Vec<(i64, Bytes)>> {
    let mut all = Vec::new();
    while batches.len() > HEAD {
        let length = i32::from_be_bytes([batches[8], batches[9], batches[10], batches[11]]);
        let size = BEFORE_LENGTH + usize::try_from(length).map_err(|_| torn())?;
        if batches.len() < size {
            break;
        }
        decode_batch(batches.split_to(size), &mut all)?;
    }
    Ok(all)
}

fn decode_batch(mut batch: Bytes, all: &mut Vec<(i64, Bytes)>) -> Result<()> {
    if batch.len() < HEAD {
        return Err(torn());
    }
    let first = batch.get_i64();
    batch.advance(8);
    let (magic, expected) = (batch.get_i8(), batch.get_u32());
    if magic != MAGIC || checksum(&batch) != expected {
        return Err(torn());
    }
    let attributes = batch.get_i16();
    batch.advance(HEAD - BEFORE_CHECKED - 2 - 4);
    let count = batch.get_i32();
    if attributes & MARK != 0 {
        return Ok(());
    }
    if attributes & COMPRESSED != 0 {
        return Err(torn());
    }
    for _ in 0..count {
        let size = length(&mut batch)?;
        let mut record =
            if batch.len() >= size { batch.split_to(size) } else { return Err(torn()) };
        all.push(decode_record(&mut record, first)?);
    }
    Ok(())
}

/// What another program wrote may have a key and headers: they are not ours to read.
fn decode_record(record: &mut Bytes, first: i64) -> Result<(i64, Bytes)> {
    if !record.has_remaining() {
        return Err(torn());
    }
    record.advance(1);
    signed(record)?;
    let offset = first + signed(record)?;
    let key = length(record)?;
    if record.len() < key {
        return Err(torn());
    }
    record.advance(key);
    let value = length(record)?;
    if record.len() < value {
        return Err(torn());
    }
    Ok((offset, record.split_to(value)))
}

/// A length; of what is none it is zero.
fn length(from: &mut Bytes) -> Result<usize> {
    Ok(usize::try_from(signed(from)?).unwrap_or(0))
}

/// CRC-32C (Castagnoli).
fn checksum(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes.iter().fold(u32::MAX, |sum, byte| (sum >> 8) ^ TABLE[usize::from(sum as u8 ^ byte)])
}

const fn table() -> [u32; 256] {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = (sum >> 1) ^ (POLYNOMIAL * (sum & 1));
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies() -> Vec<Bytes> {
        vec![Bytes::from_static(b"one"), Bytes::new(), Bytes::from(vec![7; 60_000])]
    }

    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(checksum(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn what_is_encoded_is_decoded_and_a_cut_end_is_left_out() {
        let batch = encode(&bodies(), 1);
        let two = Bytes::from([&batch[..], &batch[..batch.len() - 1]].concat());
        let expected: Vec<_> = (0..).zip(bodies()).collect();
        assert_eq!(decode(two), Ok(expected));
    }

    #[test]
    fn what_was_changed_on_its_way_is_noticed() {
        let mut batch = encode(&bodies(), 1).to_vec();
        *batch.last_mut().unwrap() ^= 1;
        assert_eq!(decode(Bytes::from(batch)), Err(torn()));
    }
}
