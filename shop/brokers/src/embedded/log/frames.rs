//! How a segment of the log is laid out: frames, each with a checksum that begins where that of the frame before it
//! ended. So what is left of older contents, or was written behind a frame that tore, is never taken for a frame.

use std::ops::Range;

/// Bytes before a frame's content: its length and its checksum.
const PREFIX: usize = 2 * size_of::<u32>();

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first of each segment: what must be known of all before it.
    Head,
    Changes,
    /// Nothing follows in this segment; the next one exists or is about to.
    End,
}

/// Bytes that an `End` takes.
pub(super) const END_BYTES: usize = PREFIX + 1;

impl Kind {
    const ALL: [Self; 3] = [Self::Head, Self::Changes, Self::End];

    fn byte(self) -> u8 {
        match self {
            Self::Head => b'H',
            Self::Changes => b'C',
            Self::End => b'E',
        }
    }
}

/// The checksum that a segment begins with: no frame of another one fits behind it.
pub(super) fn seed(epoch: u64, number: u64) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&epoch.to_le_bytes());
    sum.update(&number.to_le_bytes());
    sum.finalize()
}

/// Bytes that a frame of so much content takes.
pub(super) fn size(content: usize) -> usize {
    PREFIX + 1 + content
}

/// Appends a frame; returns the checksum that the next one begins with.
pub(super) fn put(kind: Kind, content: &[u8], sum: u32, bytes: &mut Vec<u8>) -> u32 {
    let length = length(content);
    let sum = self::sum(kind, content, sum);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.push(kind.byte());
    bytes.extend_from_slice(content);
    sum
}

/// The checksum of a frame behind that of the one before.
pub(super) fn sum(kind: Kind, content: &[u8], before: u32) -> u32 {
    let mut sum = crc32fast::Hasher::new_with_initial(before);
    sum.update(&length(content).to_le_bytes());
    sum.update(&[kind.byte()]);
    sum.update(content);
    sum.finalize()
}

/// As it stands before a frame: its kind counts.
fn length(content: &[u8]) -> u32 {
    (content.len() + 1) as u32
}

/// The frames of a segment, up to the first place where none is.
pub(super) struct Frames<'a> {
    bytes: &'a [u8],
    /// Where the next one would begin.
    pub(super) at: usize,
    /// With which checksum.
    pub(super) sum: u32,
}

impl<'a> Frames<'a> {
    pub(super) fn new(bytes: &'a [u8], seed: u32) -> Self {
        Self { bytes, at: 0, sum: seed }
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at + size_of::<u32>())?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    fn content(&self) -> Option<(Range<usize>, u32)> {
        let (length, sum) = (self.word(self.at)?, self.word(self.at + size_of::<u32>())?);
        let from = self.at + PREFIX;
        let until = from.checked_add(usize::try_from(length).ok()?)?;
        (length > 0 && until <= self.bytes.len()).then_some((from..until, sum))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = (Kind, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (range, expected) = self.content()?;
        let until = range.end;
        let (&first, content) = self.bytes.get(range)?.split_first()?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.byte() == first)?;
        let sum = sum(kind, content, self.sum);
        if sum != expected {
            return None;
        }
        (self.at, self.sum) = (until, sum);
        Some((kind, content))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], seed: u32) -> Vec<Vec<u8>> {
        Frames::new(bytes, seed).map(|(_, content)| content.to_vec()).collect()
    }

    /// A segment of 512 bytes with these frames.
    fn written(contents: &[&[u8]], seed: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        contents.iter().fold(seed, |sum, content| put(Kind::Changes, content, sum, &mut bytes));
        bytes.resize(512, 0);
        bytes
    }

    #[test]
    fn what_stands_behind_a_torn_frame_is_not_read_when_another_takes_its_place() {
        let seed = seed(7, 1);
        let mut bytes = written(&[b"kept", b"torn", b"never acknowledged"], seed);
        assert_eq!(read(&bytes, seed).len(), 3);
        // The disk has the third frame, and of the second nothing.
        let second = size(4)..2 * size(4);
        bytes[second.clone()].fill(0);
        assert_eq!(read(&bytes, seed), [b"kept"]);
        let after = {
            let mut frames = Frames::new(&bytes, seed);
            frames.by_ref().count();
            frames.sum
        };
        let mut again = Vec::new();
        put(Kind::Changes, b"next", after, &mut again);
        bytes[second].copy_from_slice(&again);
        assert_eq!(read(&bytes, seed), [b"kept", b"next"]);
    }

    #[test]
    fn frames_of_another_segment_are_none() {
        let bytes = written(&[b"one", b"two"], seed(7, 1));
        for other in [seed(7, 2), seed(8, 1)] {
            assert!(read(&bytes, other).is_empty());
        }
        assert_eq!(read(&bytes, seed(7, 1)), [b"one", b"two"]);
    }

    proptest! {
        #[test]
        fn a_byte_that_is_not_as_written_ends_what_is_read(
            contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6),
            place in any::<prop::sample::Index>(),
            flip in 1..=255_u8,
        ) {
            let seed = seed(1, 1);
            let mut bytes = Vec::new();
            let mut ends = Vec::new();
            let mut sum = seed;
            for content in &contents {
                sum = put(Kind::Changes, content, sum, &mut bytes);
                ends.push(bytes.len());
            }
            prop_assert_eq!(read(&bytes, seed), contents.clone());
            let at = place.index(bytes.len());
            bytes[at] ^= flip;
            let whole = ends.iter().filter(|end| **end <= at).count();
            prop_assert_eq!(read(&bytes, seed), contents[..whole].to_vec());
        }
    }
}
