//! Why an audit does not judge, or not all of it: a kind with its numbers. The sentence of a kind is all that
//! `audit.json` keeps; it is parsed where that is read. It judges nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sentence::{Part, Sentence, captured, general, number, spoken};

/// One doubt. Its `Display` is the sentence of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Doubt {
    /// No order of the load was acknowledged.
    NothingToJudge {
        /// How many were asked for.
        asked: u64,
    },
    /// Orders were pending and had less time than the scenario grants.
    NotWaitedFor {
        /// How many.
        orders: u64,
    },
    /// Final orders whose customers were not notified, and had less time than the scenario grants.
    NotNotifiedYet {
        /// How many.
        orders: u64,
    },
    /// Final orders whose stock was held still, and had less time than the scenario grants.
    StockNotYet {
        /// How many.
        orders: u64,
    },
    /// Customers who read after the drain had no answer.
    Unread {
        /// How many reads.
        reads: u64,
    },
    /// Lines of the network's journal are not as the network writes them.
    Journal {
        /// What is wrong with them.
        flaw: JournalFlaw,
        /// How many.
        lines: u64,
        /// The first one's place, from 1.
        first: u64,
    },
    /// The network's journal lacks its last lines.
    JournalShort {
        /// The number of the last line that is there.
        last: u64,
        /// How many lines the network says that it wrote.
        written: u64,
    },
    /// The network's journal repeats decisions that it does not hold.
    Unfounded {
        /// Of how many keys.
        keys: u64,
    },
    /// What a reader or a seal says of a file, or a sentence of another version.
    Other {
        /// As it stands in the record.
        sentence: String,
    },
}

/// What is wrong with lines of the network's journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalFlaw {
    /// They are torn.
    Unreadable,
    /// They bear no seal of the network's.
    Forged,
    /// Their event is none that the network knows.
    Unknown,
    /// Their number is not the next.
    Displaced,
    /// They are older than one before them.
    Backwards,
    /// They capture under a charge id that is taken.
    Twice,
}

impl JournalFlaw {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Unreadable,
        Self::Forged,
        Self::Unknown,
        Self::Displaced,
        Self::Backwards,
        Self::Twice,
    ];

    /// What the lines do, in the sentence.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "cannot be read",
            Self::Forged => "do not bear the network's seal: somebody else wrote them",
            Self::Unknown => "are of no kind that the network writes",
            Self::Displaced => "do not follow the one before: lines are missing or were moved",
            Self::Backwards => "are more than 1 s older than one before them",
            Self::Twice => "capture under a charge id that was used before",
        }
    }
}

/// With these words begins the sentence of a load without an accepted order.
pub(crate) const NOTHING: &str = "there is nothing to judge";
const NOTHING_TO_JUDGE: &str =
    "there is nothing to judge: none of the {} orders that were asked for was acknowledged";
const NOT_WAITED_FOR: &str = "{} orders were still pending and were not waited for";
const NOT_NOTIFIED_YET: &str =
    "the notifications of {} orders were not there and were not waited for";
const STOCK_NOT_YET: &str = "the stock of {} orders was held still and was not waited for";
const UNREAD: &str = "{} reads of customers after the drain were not answered";
const JOURNAL: &str = "the provider's journal: {} lines {}, first line {}";
const JOURNAL_SHORT: &str =
    "the provider's journal: its last line is number {}, but the network wrote {}";
const UNFOUNDED: &str = "the provider's journal repeats the decision of {} keys, but holds none";
const OTHER: &str = "{}";

impl Doubt {
    /// The doubt of a sentence, whose `Display` it is.
    #[must_use]
    pub fn parse(sentence: &str) -> Self {
        let read = |(template, read): &(&str, Reader)| read(&captured(template, sentence)?);
        let found = READERS.iter().find_map(read).filter(|doubt| doubt.to_string() == sentence);
        found.unwrap_or_else(|| Self::Other { sentence: sentence.to_owned() })
    }

    /// The sentence without its figures: the same for all of a kind.
    #[must_use]
    pub fn general(&self) -> String {
        general(self.sentence())
    }

    /// Whether nothing was accepted that could have been judged.
    #[must_use]
    pub fn is_nothing_to_judge(&self) -> bool {
        matches!(self, Self::NothingToJudge { .. })
    }

    fn sentence(&self) -> Sentence {
        match self {
            Self::NothingToJudge { asked } => (NOTHING_TO_JUDGE, vec![number(asked)]),
            Self::NotWaitedFor { orders } => (NOT_WAITED_FOR, vec![number(orders)]),
            Self::NotNotifiedYet { orders } => (NOT_NOTIFIED_YET, vec![number(orders)]),
            Self::StockNotYet { orders } => (STOCK_NOT_YET, vec![number(orders)]),
            Self::Unread { reads } => (UNREAD, vec![number(reads)]),
            Self::Journal { flaw, lines, first } => {
                let flaw = Part::Name(flaw.as_str().to_owned());
                (JOURNAL, vec![number(lines), flaw, number(first)])
            }
            Self::JournalShort { last, written } => {
                (JOURNAL_SHORT, vec![number(last), number(written)])
            }
            Self::Unfounded { keys } => (UNFOUNDED, vec![number(keys)]),
            Self::Other { sentence } => (OTHER, vec![Part::Name(sentence.clone())]),
        }
    }
}

/// Makes a doubt of what stood in the place of each `{}`.
type Reader = fn(&[&str]) -> Option<Doubt>;

const READERS: [(&str, Reader); 8] = [
    (NOTHING_TO_JUDGE, |at| Some(Doubt::NothingToJudge { asked: at[0].parse().ok()? })),
    (NOT_WAITED_FOR, |at| Some(Doubt::NotWaitedFor { orders: at[0].parse().ok()? })),
    (NOT_NOTIFIED_YET, |at| Some(Doubt::NotNotifiedYet { orders: at[0].parse().ok()? })),
    (STOCK_NOT_YET, |at| Some(Doubt::StockNotYet { orders: at[0].parse().ok()? })),
    (UNREAD, |at| Some(Doubt::Unread { reads: at[0].parse().ok()? })),
    (JOURNAL, |at| {
        let flaw = JournalFlaw::ALL.into_iter().find(|flaw| flaw.as_str() == at[1])?;
        Some(Doubt::Journal { flaw, lines: at[0].parse().ok()?, first: at[2].parse().ok()? })
    }),
    (JOURNAL_SHORT, |at| {
        Some(Doubt::JournalShort { last: at[0].parse().ok()?, written: at[1].parse().ok()? })
    }),
    (UNFOUNDED, |at| Some(Doubt::Unfounded { keys: at[0].parse().ok()? })),
];

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&spoken(self.sentence()))
    }
}

impl From<String> for Doubt {
    fn from(sentence: String) -> Self {
        Self::parse(&sentence)
    }
}

impl From<Doubt> for String {
    fn from(doubt: Doubt) -> Self {
        doubt.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each kind.
    fn every_kind() -> Vec<Doubt> {
        let journal = |flaw| Doubt::Journal { flaw, lines: 2, first: 7 };
        let mut all = vec![
            Doubt::NothingToJudge { asked: 5 },
            Doubt::NotWaitedFor { orders: 3 },
            Doubt::NotNotifiedYet { orders: 6 },
            Doubt::StockNotYet { orders: 7 },
            Doubt::Unread { reads: 4 },
            Doubt::JournalShort { last: 8, written: 9 },
            Doubt::Unfounded { keys: 1 },
            Doubt::Other { sentence: "dead.csv.zst is missing".to_owned() },
        ];
        all.extend(JournalFlaw::ALL.map(journal));
        all
    }

    #[test]
    fn a_doubt_is_its_sentence_and_nothing_else_in_a_record() {
        for doubt in every_kind() {
            let sentence = doubt.to_string();
            assert_eq!(Doubt::parse(&sentence), doubt, "{sentence}");
            let json = serde_json::to_value(&doubt).unwrap();
            assert_eq!(json, sentence);
            assert_eq!(serde_json::from_value::<Doubt>(json).unwrap(), doubt);
        }
    }

    #[test]
    fn what_no_kind_says_stays_as_it_is() {
        assert!(NOTHING_TO_JUDGE.starts_with(NOTHING));
        for sentence in [
            "",
            "there is nothing to judge: none was acknowledged",
            "007 orders were still pending and were not waited for",
            "the provider's journal: 2 lines sing, first line 7",
            "the ledger cannot be read: no such file",
        ] {
            let other = Doubt::Other { sentence: sentence.to_owned() };
            assert_eq!(Doubt::parse(sentence), other);
        }
    }

    #[test]
    fn doubts_of_a_kind_are_one_whatever_their_figures() {
        let of = |lines| Doubt::Journal { flaw: JournalFlaw::Twice, lines, first: lines };
        let general = "the provider's journal: … lines capture under a charge id that was used \
                       before, first line …";
        assert_eq!([of(1).general(), of(9).general()], [general, general]);
    }
}
