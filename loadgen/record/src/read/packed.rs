//! One interval's histogram: base64 of HdrHistogram's V2 encoding, deflated or not. Whatever the bytes
//! say, it unpacks no more than a record's histogram could need, and adds values without a table.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

/// A record's histogram has 23,552 bins, each at most 9 bytes long.
const PAYLOAD_BYTES_MAX: usize = 512 * 1024;
/// More in one interval would be no measurement; 2²⁴ lines of so many still add up in 64 bits.
const COUNT_MAX: u64 = 1 << 40;
const PLAIN: u32 = 0x1c84_9313;
const DEFLATED: u32 = 0x1c84_9314;
const HEADER_BYTES: usize = 40;
/// As all implementations.
const DIGITS_MAX: u32 = 5;

/// Tells each value and its count; `text` is the last field of an interval's line.
pub(super) fn unpack(
    text: &str,
    each: impl FnMut(u64, u64) -> Result<(), String>,
) -> Result<(), String> {
    let bytes = base64(text).ok_or("a histogram not in base64")?;
    unpack_bytes(&bytes, each).map_err(|why| format!("a histogram that does not unpack ({why})"))
}

fn unpack_bytes(
    bytes: &[u8],
    each: impl FnMut(u64, u64) -> Result<(), String>,
) -> Result<(), String> {
    match u32_at(bytes, 0) {
        Some(PLAIN) => counts(bytes, each),
        Some(DEFLATED) => {
            let mut plain = Vec::new();
            let most = PAYLOAD_BYTES_MAX + HEADER_BYTES;
            let packed = bytes.get(8..).unwrap_or_default();
            let read = ZlibDecoder::new(packed).take(most as u64 + 1).read_to_end(&mut plain);
            read.map_err(|error| error.to_string())?;
            if plain.len() > most {
                return Err(format!("more than {most} bytes"));
            }
            counts(&plain, each)
        }
        _ => Err("its first bytes are not those of a histogram, version 2".to_owned()),
    }
}

/// Bins from the lowest up: a positive number is a count, a negative one that many empty bins.
fn counts(
    plain: &[u8],
    mut each: impl FnMut(u64, u64) -> Result<(), String>,
) -> Result<(), String> {
    let layout = Layout::read(plain)?;
    let mut rest = plain.get(HEADER_BYTES..).unwrap_or_default();
    let length = u32_at(plain, 4).unwrap_or(0) as usize;
    rest = rest.get(..length).ok_or("it is shorter than it says")?;
    let mut bin = 0_u64;
    let mut left = COUNT_MAX;
    while !rest.is_empty() {
        let number = zigzag(&mut rest).ok_or("it ends within a count")?;
        let Ok(count) = u64::try_from(number) else {
            bin = bin.saturating_add(number.unsigned_abs());
            continue;
        };
        if count > 0 {
            left = left.checked_sub(count).ok_or("it counts more than any interval holds")?;
            each(layout.value(bin).ok_or("a bin above all values")?, count)?;
        }
        bin = bin.saturating_add(1);
    }
    Ok(())
}

/// How bins become values.
struct Layout {
    /// Values are multiples of 2 to this.
    unit: u32,
    /// Bins come in halves of 2 to this.
    half: u32,
}

impl Layout {
    fn read(plain: &[u8]) -> Result<Self, String> {
        let (Some(PLAIN), Some(0), Some(digits)) =
            (u32_at(plain, 0), u32_at(plain, 8), u32_at(plain, 12))
        else {
            return Err("its header is not one that is known".to_owned());
        };
        let low = plain.get(16..24).and_then(|b| b.try_into().ok()).map_or(0, u64::from_be_bytes);
        if plain.len() < HEADER_BYTES || digits > DIGITS_MAX || low == 0 {
            return Err("its header is not one that is known".to_owned());
        }
        // The smallest power of two that tells 2·10^digits values apart.
        let half = (2 * 10_u64.pow(digits)).next_power_of_two().ilog2() - 1;
        Ok(Self { unit: low.ilog2(), half })
    }

    /// The lowest value of a bin; `None` if 63 bits do not hold it.
    fn value(&self, bin: u64) -> Option<u64> {
        let half = 1_u64 << self.half;
        let (bucket, within) = match (bin >> self.half).checked_sub(1) {
            None => (0, bin),
            Some(bucket) => (u32::try_from(bucket).ok()?, (bin & (half - 1)) + half),
        };
        let shift = bucket.checked_add(self.unit).filter(|s| *s < within.leading_zeros())?;
        Some(within << shift)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The next number: seven bits a byte, the lowest first; a ninth byte has eight.
fn zigzag(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for place in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let last = place == 8 || byte & 0x80 == 0;
        let bits = if place == 8 { *byte } else { byte & 0x7f };
        number |= u64::from(bits) << (7 * place);
        if last {
            break;
        }
    }
    Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
}

/// Decodes base64 with or without padding; `None` if it is none.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for letter in group {
            bits = bits << 6 | u32::from(sextet(*letter)?);
        }
        bits <<= 6 * (4 - group.len());
        let whole = group.len() * 6 / 8;
        bytes.extend_from_slice(bits.to_be_bytes().get(1..=whole)?);
    }
    Some(bytes)
}

fn sextet(letter: u8) -> Option<u8> {
    match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write as _;

    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::{
        Deserializer, Serializer as _, V2DeflateSerializer, V2Serializer,
    };
    use proptest::prelude::*;

    use super::*;
    use hostile_input::mutation;

    fn unpacked(bytes: &[u8]) -> Result<BTreeMap<u64, u64>, String> {
        let mut found = BTreeMap::new();
        unpack_bytes(bytes, |value, count| {
            *found.entry(value).or_default() += count;
            Ok(())
        })?;
        Ok(found)
    }

    /// What HdrHistogram's own reader sees.
    fn theirs(bytes: &[u8]) -> Option<BTreeMap<u64, u64>> {
        let read: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).ok()?;
        let bins = read
            .iter_recorded()
            .map(|bin| (read.lowest_equivalent(bin.value_iterated_to()), bin.count_at_value()));
        Some(bins.collect())
    }

    fn packed(values: &[u64], digits: u8, low: u64, deflated: bool) -> Vec<u8> {
        let mut all = Histogram::<u64>::new_with_bounds(low, 1 << 41, digits).unwrap();
        values.iter().for_each(|value| all.record(*value).unwrap());
        let mut bytes = Vec::new();
        if deflated {
            V2DeflateSerializer::new().serialize(&all, &mut bytes).unwrap();
        } else {
            V2Serializer::new().serialize(&all, &mut bytes).unwrap();
        }
        bytes
    }

    fn deflated(plain: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(plain).unwrap();
        let inner = packer.finish().unwrap();
        [&DEFLATED.to_be_bytes()[..], &(inner.len() as u32).to_be_bytes(), &inner].concat()
    }

    proptest! {
        #[test]
        fn a_histogram_reads_as_its_own_library_reads_it(
            values in proptest::collection::vec(0_u64..1 << 40, 0..60),
            small in proptest::collection::vec(0_u64..5_000, 0..60),
            digits in 0_u8..=3, low in 1_u64..5_000, deflated: bool,
        ) {
            let bytes = packed(&[values, small].concat(), digits, low, deflated);
            prop_assert_eq!(unpacked(&bytes).ok(), theirs(&bytes));
        }

        #[test]
        fn no_change_of_one_makes_it_panic(
            plain in mutation::of(packed(&[1, 5, 5, 70_000, 1 << 40], 3, 1, false)),
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = (unpacked(&plain), unpacked(&deflated(&plain)), unpacked(&bytes));
            let header = packed(&[], 3, 1, false);
            let _ = unpacked(&[&header[..HEADER_BYTES], &bytes].concat());
        }
    }

    #[test]
    fn a_bomb_does_not_unpack() {
        let error = unpacked(&deflated(&vec![0; 64 << 20])).unwrap_err();
        assert!(error.contains("more than 524328 bytes"), "{error}");
    }

    #[test]
    fn absurd_counts_and_bins_are_refused() {
        let with = |payload: &[u8]| {
            let mut bytes = packed(&[], 3, 1, false);
            bytes.truncate(HEADER_BYTES);
            bytes[4..8].copy_from_slice(&(payload.len() as u32).to_be_bytes());
            unpacked(&[&bytes, payload].concat())
        };
        assert_eq!(with(&[2]).unwrap(), BTreeMap::from([(0, 1)]));
        // the most negative number, which a reader that negates it trips over
        assert_eq!(with(&[0xff; 9]).unwrap(), BTreeMap::new());
        assert!(with(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).is_err());
        assert!(
            with(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])
                .unwrap_err()
                .contains("counts more")
        );
    }
}
