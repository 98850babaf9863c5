//! What the attempts of a trial were answered, in words: by status, or why there was no answer.

use super::{Attempts, Outcome, Trouble};

/// So many kinds fit into a line of the terminal; the report has all.
const KINDS: usize = 6;

impl Attempts {
    /// The status with its usual name, or why there was no answer, or none that was understood.
    #[must_use]
    pub fn answer(&self) -> String {
        let why = trouble(self.trouble);
        match (self.status, why) {
            (0, "") if self.outcome == Outcome::Unfinished => "still open at the end".to_owned(),
            (0, "") => "no answer".to_owned(),
            (0, why) => why.to_owned(),
            (status, "") => named(status),
            (status, why) => format!("{}, {why}", named(status)),
        }
    }
}

fn named(status: u16) -> String {
    let known = reqwest::StatusCode::from_u16(status).ok();
    let name = known.and_then(|status| status.canonical_reason());
    name.map_or_else(|| status.to_string(), |name| format!("{status} {name}"))
}

/// Each for people.
fn trouble(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::None => "",
        Trouble::Refused => "connection refused",
        Trouble::Connect => "no connection",
        Trouble::ConnectTimeout => "no connection in time",
        Trouble::Timeout => "no answer in time",
        Trouble::Reset => "connection lost",
        Trouble::Garbled => "not HTTP",
        Trouble::HeadTooLong => "head too long",
        Trouble::BodyTooLong => "body too long",
        Trouble::AnswerTooLong => "answer too long for an order",
        Trouble::NotJson => "not JSON",
        Trouble::FieldMissing => "id, key or status missing",
        Trouble::OtherOrder => "tells of another order",
        Trouble::StateUnknown => "state unknown",
        Trouble::InFlight => "not sent, too many open",
    }
}

/// One line of what was not answered as asked, the most frequent first; nothing if all was.
#[must_use]
pub fn not_ok(attempts: &[Attempts]) -> Option<String> {
    let mut kinds: Vec<&Attempts> =
        attempts.iter().filter(|kind| kind.outcome != Outcome::Ok && kind.count > 0).collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
    let named = kinds.iter().take(KINDS).map(|kind| {
        format!("{} {} × {} ({})", kind.operation, kind.count, kind.answer(), kind.outcome)
    });
    let more = kinds.len().saturating_sub(KINDS);
    let more = (more > 0).then(|| format!("{more} other kinds"));
    let named: Vec<String> = named.chain(more).collect();
    (!named.is_empty()).then(|| named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Operation;

    fn kind(outcome: &str, status: u16, trouble: &str, count: u64) -> Attempts {
        let (outcome, trouble) = (outcome.parse().unwrap(), trouble.parse().unwrap());
        Attempts { operation: Operation::Place, outcome, status, trouble, count }
    }

    #[test]
    fn an_answer_is_its_status_or_its_reason() {
        let answer = |outcome, status, trouble| kind(outcome, status, trouble, 1).answer();
        assert_eq!(answer("ok", 201, ""), "201 Created");
        assert_eq!(answer("failed", 413, ""), "413 Payload Too Large");
        assert_eq!(answer("unknown", 599, ""), "599");
        assert_eq!(answer("unknown", 201, "not-json"), "201 Created, not JSON");
        assert_eq!(answer("unknown", 0, "timeout"), "no answer in time");
        assert_eq!(answer("unfinished", 0, ""), "still open at the end");
    }

    #[test]
    fn every_reason_has_words() {
        for reason in Trouble::ALL {
            let words = trouble(reason);
            assert!(reason == Trouble::None || words.contains(' '), "{words}");
        }
    }

    #[test]
    fn the_most_frequent_come_first_and_what_is_ok_is_no_reason() {
        let kinds =
            [kind("ok", 201, "", 90), kind("failed", 0, "refused", 3), kind("unknown", 503, "", 7)];
        let expected =
            "place 7 × 503 Service Unavailable (unknown), place 3 × connection refused (failed)";
        assert_eq!(not_ok(&kinds).as_deref(), Some(expected));
        assert_eq!(not_ok(&kinds[..1]), None);
        let many: Vec<Attempts> = (400..410).map(|status| kind("failed", status, "", 1)).collect();
        assert!(not_ok(&many).unwrap().ends_with(", 4 other kinds"));
    }
}
