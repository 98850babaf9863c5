//! What the closed sets of words of a record have in common: each is shown, read and sorted by the words that
//! stand in the files. It knows no table.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::{Operation, Outcome, Receipt, Trouble};

macro_rules! by_word {
    ($($name:ident: $what:literal),+ $(,)?) => {$(
        impl $name {
            /// The one of a word; `None` if it is none of ours.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|one| one.as_str() == word)
            }
        }

        impl FromStr for $name {
            type Err = anyhow::Error;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::parse(word).ok_or_else(|| {
                    let all = Self::ALL.map(Self::as_str).join(", ");
                    anyhow::anyhow!("the {} is {word:?}, expected one of {all}", $what)
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Ord for $name {
            /// As files sort them.
            fn cmp(&self, other: &Self) -> Ordering {
                self.as_str().cmp(other.as_str())
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
    )+};
}

by_word! {
    Operation: "operation",
    Outcome: "outcome",
    Trouble: "trouble",
    Receipt: "receipt",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::latency::Tag;
    use crate::read::table;
    use crate::{Attempt, TimelineRow, files, history, write_csv, write_table};

    /// Each is written and read as its word, in JSON and CSV, as a value and as a key.
    #[track_caller]
    fn check<T, const N: usize>(all: [T; N], word: fn(T) -> &'static str)
    where
        T: Copy + Ord + fmt::Debug + Serialize + DeserializeOwned + FromStr<Err = anyhow::Error>,
    {
        for one in all {
            assert_eq!(serde_json::to_value(one).unwrap(), word(one));
            assert_eq!(serde_json::from_value::<T>(word(one).into()).unwrap(), one);
            assert_eq!(word(one).parse::<T>().unwrap(), one);
            let mut table = csv::Writer::from_writer(Vec::new());
            table.serialize((one, 7)).unwrap();
            let row = String::from_utf8(table.into_inner().unwrap()).unwrap();
            assert_eq!(row, format!("{},7\n", word(one)));
            let mut reader =
                csv::ReaderBuilder::new().has_headers(false).from_reader(row.as_bytes());
            assert_eq!(reader.deserialize::<(T, u8)>().next().unwrap().unwrap(), (one, 7));
        }
        let map: BTreeMap<T, u8> = all.into_iter().map(|one| (one, 1)).collect();
        let mut words = all.map(word);
        words.sort_unstable();
        assert_eq!(map.keys().map(|one| word(*one)).collect::<Vec<_>>(), words);
        let json = serde_json::to_string(&map).unwrap();
        assert_eq!(serde_json::from_str::<BTreeMap<T, u8>>(&json).unwrap(), map);
        let error = "lent".parse::<T>().unwrap_err().to_string();
        assert!(error.contains("is \"lent\", expected one of "), "{error}");
        assert!(serde_json::from_str::<T>("\"lent\"").is_err());
    }

    /// A later version may ask for what this one cannot count: then it says so, and where.
    #[test]
    fn a_word_that_is_none_of_ours_is_refused_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let other = |text: &str| text.replace("request", "refund");
        let path = folder.path().join(files::TIMELINE);
        write_csv(&path, &[TimelineRow::default()]).unwrap();
        std::fs::write(&path, other(&std::fs::read_to_string(&path).unwrap())).unwrap();
        let row = table::rows::<TimelineRow>(&path, false).unwrap_err().to_string();
        let path = folder.path().join(files::HISTORY);
        write_table(&path, &[Attempt::default()]).unwrap();
        let rows = zstd::decode_all(std::fs::read(&path).unwrap().as_slice()).unwrap();
        let rows = other(std::str::from_utf8(&rows).unwrap());
        let attempt = |rows: &str| {
            std::fs::write(&path, zstd::encode_all(rows.as_bytes(), 1).unwrap()).unwrap();
            history::read(folder.path()).unwrap().next().unwrap().unwrap_err()
        };
        // A word of any length is no message of any length.
        let long = attempt(&rows.replace("refund", &"refund".repeat(1_000)));
        assert!(format!("{long:#}").len() < 1_000, "{long:#}");
        let attempt = attempt(&rows);
        for (error, place) in [(row, "timeline.csv:2"), (format!("{attempt:#}"), "line 2")] {
            let found = "unknown variant `refund`, expected one of `signup`, `login`, `place`";
            assert!(error.contains(place) && error.contains(found), "{error}");
        }
        let tag = "refund.ok.response".parse::<Tag>().unwrap_err().to_string();
        assert!(tag.starts_with("the operation is \"refund\", expected one of place,"), "{tag}");
        let tag = "place.lost.response".parse::<Tag>().unwrap_err().to_string();
        assert!(tag.starts_with("the outcome is \"lost\", expected one of ok, failed"), "{tag}");
    }

    #[test]
    fn every_word_is_written_read_and_sorted_as_it_stands_in_the_files() {
        check(Operation::ALL, Operation::as_str);
        check(Outcome::ALL, Outcome::as_str);
        check(Trouble::ALL, Trouble::as_str);
        check(Receipt::ALL, Receipt::as_str);
    }
}
