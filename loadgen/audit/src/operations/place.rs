//! `place`: an order is asked for. Whatever comes of it is known of its key, and an acknowledgement is owed an
//! order that is charged once.

use crate::story::{Heard, Story};
use record::{Attempt, Outcome, Trouble};

pub(super) const NAME: &str = "order";

pub(super) fn asks(attempt: &Attempt) -> String {
    let again = if attempt.retry > 0 { " again" } else { "" };
    format!("asks for it{again}, {} cents", attempt.amount_cents)
}

pub(super) fn tell(story: &mut Story, attempt: &Attempt, heard: &Heard) {
    story.placed(attempt, heard);
    story.indeterminate |= attempt.outcome == Outcome::Ok && !heard.proves;
    story.other_order |= heard.proves && attempt.trouble == Trouble::OtherOrder;
}
