//! Mutations of a valid file: the smallest changes find the readers' blind spots. It knows no format,
//! only bytes, lines, numbers and brackets.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Numbers that a careless reader casts, adds or multiplies.
const NUMBERS: [&str; 22] = [
    "",
    "-1",
    "0",
    "-0",
    "00",
    "1.5",
    "NaN",
    "nan",
    "inf",
    "-inf",
    "1e308",
    "-1e308",
    "1e-320",
    "1e999",
    "0x10",
    "255",
    "65536",
    "4294967295",
    "4294967296",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
];
/// What stands between values somewhere.
const MARKS: [&str; 20] = [
    "\"",
    "'",
    ",",
    ";",
    "\n",
    "\r\n",
    "\r",
    "\0",
    "\u{feff}",
    "{",
    "}",
    "[",
    "]",
    "=",
    "#",
    "\\",
    "\"\"\"",
    "\u{fffd}",
    "é",
    "[[process]]\n",
];
const EDITS_MAX: usize = 5;
const DEPTH: usize = 3_000;
const LONG: usize = 200_000;

/// One change; places are relative, so that they fit a file of any length.
#[derive(Clone, Debug)]
enum Edit {
    Flip(Index, u8),
    Truncate(Index),
    Remove(Index, Index),
    /// A part repeated elsewhere.
    Splice(Index, Index, Index),
    Insert(Index, Vec<u8>),
    Mark(Index, &'static str),
    RemoveLine(Index),
    RepeatLine(Index, usize),
    SwapLines(Index, Index),
    Number(Index, &'static str),
    Nest(Index, &'static str),
    Lengthen(Index, u8),
}

/// `valid` with one to five changes.
pub fn of(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    vec(edit(), 1..=EDITS_MAX).prop_map(move |edits| {
        let mut bytes = valid.clone();
        edits.iter().for_each(|edit| edit.apply(&mut bytes));
        bytes
    })
}

/// As [`of`], but never larger by more than a few bytes: for readers whose bounds are known to differ.
pub fn small(valid: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let most = valid.len() * 2 + 500;
    of(valid).prop_map(move |mut bytes| {
        bytes.truncate(most);
        bytes
    })
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        6 => (at(), 1_u8..).prop_map(|(a, bits)| Edit::Flip(a, bits)),
        2 => at().prop_map(Edit::Truncate),
        3 => (at(), at()).prop_map(|(a, b)| Edit::Remove(a, b)),
        3 => (at(), at(), at()).prop_map(|(a, b, c)| Edit::Splice(a, b, c)),
        2 => (at(), vec(any::<u8>(), 1..9)).prop_map(|(a, bytes)| Edit::Insert(a, bytes)),
        4 => (at(), select(&MARKS[..])).prop_map(|(a, mark)| Edit::Mark(a, mark)),
        4 => at().prop_map(Edit::RemoveLine),
        3 => (at(), 1_usize..4).prop_map(|(a, times)| Edit::RepeatLine(a, times)),
        3 => (at(), at()).prop_map(|(a, b)| Edit::SwapLines(a, b)),
        14 => (at(), select(&NUMBERS[..])).prop_map(|(a, number)| Edit::Number(a, number)),
        1 => (at(), select(&["[", "{\"a\":", "(", "{ a = "][..])).prop_map(|(a, open)| Edit::Nest(a, open)),
        1 => (at(), any::<u8>()).prop_map(|(a, byte)| Edit::Lengthen(a, byte)),
    ]
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let place = |at: &Index, bytes: &[u8]| at.index(bytes.len());
        match self {
            Self::Flip(at, bits) => {
                let at = place(at, bytes);
                bytes[at] ^= bits;
            }
            Self::Truncate(at) => bytes.truncate(place(at, bytes)),
            Self::Remove(a, b) => drop(bytes.drain(range(a, b, bytes))),
            Self::Splice(a, b, to) => {
                let part = bytes[range(a, b, bytes)].to_vec();
                insert(bytes, place(to, bytes), &part);
            }
            Self::Insert(at, more) => insert(bytes, place(at, bytes), more),
            Self::Mark(at, mark) => insert(bytes, place(at, bytes), mark.as_bytes()),
            Self::Number(at, number) => replace_number(bytes, at, number.as_bytes()),
            Self::Nest(at, open) => insert(bytes, place(at, bytes), open.repeat(DEPTH).as_bytes()),
            Self::Lengthen(at, byte) => insert(bytes, place(at, bytes), &vec![*byte; LONG]),
            Self::RemoveLine(_) | Self::RepeatLine(..) | Self::SwapLines(..) => self.shuffle(bytes),
        }
    }

    fn shuffle(&self, bytes: &mut Vec<u8>) {
        let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        match self {
            Self::RemoveLine(at) => drop(lines.remove(at.index(lines.len()))),
            Self::RepeatLine(at, times) => {
                let at = at.index(lines.len());
                let line = lines[at];
                lines.splice(at..at, std::iter::repeat_n(line, *times));
            }
            Self::SwapLines(a, b) => {
                let (a, b) = (a.index(lines.len()), b.index(lines.len()));
                lines.swap(a, b);
            }
            _ => {}
        }
        *bytes = lines.concat();
    }
}

fn range(a: &Index, b: &Index, bytes: &[u8]) -> std::ops::Range<usize> {
    let (a, b) = (a.index(bytes.len()), b.index(bytes.len()));
    // Short parts are the likelier mistakes, and leave more of the file to be read.
    a.min(b)..a.max(b).min(a.min(b) + 400)
}

fn insert(bytes: &mut Vec<u8>, at: usize, more: &[u8]) {
    bytes.splice(at..at, more.iter().copied());
}

fn replace_number(bytes: &mut Vec<u8>, at: &Index, number: &[u8]) {
    let digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let starts: Vec<usize> = (0..bytes.len())
        .filter(|i| bytes[*i].is_ascii_digit() && (*i == 0 || !digit(&bytes[i - 1])))
        .collect();
    if starts.is_empty() {
        return;
    }
    let start = starts[at.index(starts.len())];
    let length = bytes[start..].iter().take_while(|byte| digit(byte)).count();
    bytes.splice(start..start + length, number.iter().copied());
}
