//! `get`: a customer looks up an order that he knows. He is owed an answer, and what he is shown must stay.

use crate::story::{Heard, Story};
use record::{Attempt, Outcome, Trouble};

pub(super) const NAME: &str = "look-up";
pub(super) const ASKS: &str = "looks it up";

/// The order that was looked up, if the answer proves something of it.
pub(super) fn about<'a>(attempt: &'a Attempt, heard: &Heard) -> Option<&'a str> {
    Some(attempt.about.as_str()).filter(|about| heard.proves && !about.is_empty())
}

pub(super) fn tell(story: &mut Story, attempt: &Attempt, heard: &Heard) {
    story.other_order |= attempt.trouble == Trouble::OtherOrder;
    let is_good = |until| attempt.done_ns < until;
    match (attempt.outcome, attempt.status) {
        (Outcome::Ok, _) if attempt.receipt.is_told() => story.shown(attempt, heard),
        (_, 404 | 410) => story.absent(attempt.sent_ns),
        (_, 403) => story.refused = true,
        (_, 401) => story.refused |= heard.tokens_until_ns.is_some_and(is_good),
        _ => {}
    }
}
