//! Attempts become requests: what became of an order that was asked for more than once, counted from its
//! first intent. It knows no file; who records and who digests add up the same way.

use std::collections::HashMap;

use crate::{Attempt, Outcome, Sample};

/// One attempt, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The request's place in the schedule.
    pub seq: u64,
    /// 0 for the first attempt.
    pub retry: u8,
    /// When this attempt should start, ns.
    pub intended_ns: u64,
    /// When it ended, ns.
    pub done_ns: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether another attempt is to follow.
    pub again: bool,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The first intent, ns.
    pub intended_ns: u64,
    /// The end of its last attempt, ns.
    pub done_ns: u64,
    /// That of its last attempt; unknown instead of failed if any attempt may have had an effect.
    pub outcome: Outcome,
    /// How many attempts it took.
    pub attempts: u32,
}

/// Requests of which another attempt is to follow, by number.
#[derive(Debug, Default)]
pub struct Requests {
    begun: HashMap<u64, Ended>,
}

impl Requests {
    /// Takes the next attempt; what became of its request, if it was the last one.
    pub fn add(&mut self, part: Part) -> Option<Ended> {
        let Part { seq, intended_ns, done_ns, outcome, .. } = part;
        let alone = Ended { intended_ns, done_ns, outcome, attempts: 1 };
        let before = if part.retry > 0 { self.begun.remove(&seq) } else { None };
        let now = before.map_or(alone, |before| before.and(alone));
        if part.again {
            self.begun.insert(seq, now);
            return None;
        }
        Some(now)
    }

    /// Those whose next attempt was never made: the load was stopped before. By number.
    #[must_use]
    pub fn rest(self) -> Vec<(u64, Ended)> {
        let mut rest: Vec<_> = self.begun.into_iter().collect();
        rest.sort_unstable_by_key(|(seq, _)| *seq);
        rest
    }
}

impl Ended {
    /// With a later attempt of the same request.
    fn and(self, later: Self) -> Self {
        let outcome = match (self.outcome, later.outcome) {
            (Outcome::Unknown, Outcome::Failed) => Outcome::Unknown,
            (_, outcome) => outcome,
        };
        let attempts = self.attempts + later.attempts;
        Self { intended_ns: self.intended_ns, done_ns: later.done_ns, outcome, attempts }
    }
}

impl From<&Sample> for Part {
    fn from(s: &Sample) -> Self {
        Self {
            seq: s.seq,
            retry: s.retry,
            intended_ns: s.intended_ns,
            done_ns: s.done_ns,
            outcome: s.outcome,
            again: s.again,
        }
    }
}

impl From<&Attempt> for Part {
    fn from(a: &Attempt) -> Self {
        Self {
            seq: a.seq,
            retry: a.retry,
            intended_ns: a.intended_ns,
            done_ns: a.done_ns,
            outcome: a.outcome,
            again: a.again,
        }
    }
}

#[cfg(test)]
mod tests {
    use Outcome::{Dropped, Failed, Ok, Unfinished, Unknown};

    use super::*;

    /// Attempts of one request, one after the other; the last one is followed by none.
    fn end(outcomes: &[Outcome]) -> Ended {
        let mut requests = Requests::default();
        let last = outcomes.len() - 1;
        let mut ended = None;
        for (n, outcome) in outcomes.iter().enumerate() {
            let (retry, at) = (n as u8, 10 * n as u64);
            let again = n < last;
            let part =
                Part { seq: 3, retry, intended_ns: at, done_ns: at + 5, outcome: *outcome, again };
            ended = requests.add(part);
            assert_eq!(ended.is_some(), n == last);
        }
        assert_eq!(requests.rest(), []);
        ended.unwrap()
    }

    #[test]
    fn a_request_counts_from_its_first_intent_to_its_last_end() {
        assert_eq!(end(&[Ok]), Ended { intended_ns: 0, done_ns: 5, outcome: Ok, attempts: 1 });
        assert_eq!(
            end(&[Unknown, Failed, Ok]),
            Ended { intended_ns: 0, done_ns: 25, outcome: Ok, attempts: 3 }
        );
    }

    #[test]
    fn what_may_have_had_an_effect_stays_unknown_until_it_is_acknowledged() {
        assert_eq!(end(&[Unknown, Failed]).outcome, Unknown);
        assert_eq!(end(&[Unknown, Failed, Failed]).outcome, Unknown);
        assert_eq!(end(&[Failed, Failed]).outcome, Failed);
        assert_eq!(end(&[Failed, Unknown]).outcome, Unknown);
        assert_eq!(end(&[Unknown, Dropped]).outcome, Dropped);
        assert_eq!(end(&[Failed, Unfinished]).outcome, Unfinished);
    }

    #[test]
    fn those_that_were_to_ask_again_are_told_at_the_end() {
        let mut requests = Requests::default();
        for (seq, outcome) in [(9, Unknown), (4, Failed)] {
            let part = Part { seq, retry: 0, intended_ns: 1, done_ns: 2, outcome, again: true };
            assert_eq!(requests.add(part), None);
        }
        let left = |outcome| Ended { intended_ns: 1, done_ns: 2, outcome, attempts: 1 };
        assert_eq!(requests.rest(), [(4, left(Failed)), (9, left(Unknown))]);
    }
}
