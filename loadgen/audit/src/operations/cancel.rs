//! `cancel`: a customer takes an order back that he knows. What he is told of it must stay, as of a look-up: what is
//! told to be declined is never charged, what is told to be paid is paid. Who knows no cancellations answers "not found",
//! which says nothing of the order.

use super::get;
use crate::story::{Heard, Story};
use record::{Attempt, Outcome};

pub(super) const NAME: &str = "cancellation";
pub(super) const ASKS: &str = "cancels it";

/// The order that was to be cancelled: that it was asked for is known, whatever was heard.
pub(super) fn about(attempt: &Attempt) -> Option<&str> {
    Some(attempt.about.as_str()).filter(|about| !about.is_empty())
}

pub(super) fn tell(story: &mut Story, attempt: &Attempt, heard: &Heard) {
    story.taken_back |= attempt.outcome != Outcome::Dropped;
    if heard.proves && !matches!(attempt.status, 404 | 410) {
        get::tell(story, attempt, heard);
    }
}
