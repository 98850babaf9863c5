//! Which messages a claim takes: those that were never delivered and those that come again, merged by how long they have
//! waited. It changes nothing.

use super::state::{Lane, State};
use crate::Micros;
use crate::claim::Handed;
use crate::window::Share;

/// What was claimed, and what is left.
pub(super) struct Claimed {
    /// When, by the clock that ends leases.
    pub(super) at_us: Micros,
    pub(super) handed: Vec<Handed>,
    pub(super) left: Left,
}

/// What could be delivered beyond a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    /// More than there was room for.
    Some,
    /// Redelivered messages for which this window has no room; another's may have.
    Apart,
}

/// A message to be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Picked {
    pub(super) id: i64,
    /// How often it has failed, if it comes again.
    pub(super) redelivered: Option<u32>,
}

/// What has waited longest and fits the share, and what is left then.
///
/// Takes by time what comes again and what is fresh; of the former nothing behind one that does not fit, so that none is
/// passed over for ever.
pub(super) fn pick(
    state: &State,
    lane: &Lane,
    mut share: Share,
    now_us: Micros,
) -> (Vec<Picked>, Left) {
    let mut picked = Vec::new();
    let mut apart = false;
    let mut again = lane.again.range(..=(now_us, i64::MAX)).peekable();
    let mut fresh = lane.fresh.iter().peekable();
    while share.room > 0 {
        let first = fresh.peek().and_then(|id| state.get(**id));
        let published_us = first.map_or(Micros::MAX, |held| held.kept.published_us);
        if !apart && let Some((_, id)) = again.next_if(|(due_us, _)| *due_us <= published_us) {
            let failures = state.get(*id).map_or(0, |held| held.kept.failures);
            apart = !share.admit(failures);
            if !apart {
                picked.push(Picked { id: *id, redelivered: Some(failures) });
            }
        } else if let Some(id) = fresh.next() {
            share.fresh();
            picked.push(Picked { id: *id, redelivered: None });
        } else {
            break;
        }
    }
    let has_more = fresh.peek().is_some() || again.peek().is_some();
    let left = match (share.room, apart) {
        (0, false) if has_more => Left::Some,
        // The one that did not fit is no more among those that follow.
        (0, true) => Left::Some,
        (0, false) => Left::Nothing,
        (_, true) => Left::Apart,
        (_, false) => Left::Nothing,
    };
    (picked, left)
}
