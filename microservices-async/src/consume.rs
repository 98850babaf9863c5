//! The ends of the queues: payments consumes charges, orders consumes settlements, followers consume events.

mod charges;
mod followers;
mod reservations;
mod settlements;

use brokers::{Received, SubscribeOptions};
use http_server::Settings;
use service::bounds;

pub(crate) use charges::{Wish, charges};
pub(crate) use followers::settled;
pub(crate) use reservations::{Answered, reservations};
pub(crate) use settlements::settlements;

/// Charges (or settlements) that are in work at once, as many as in the other systems. Half of them may
/// have been delivered before, as a recovery takes half of them there.
const OPTIONS: SubscribeOptions = options(bounds::IN_WORK);

/// To have so many in work at once.
pub(crate) const fn options(at_once: u32) -> SubscribeOptions {
    SubscribeOptions { prefetch: at_once }
}

/// What a process says of how many it has in work at once: nothing if it is as many as elsewhere.
pub(crate) fn settings(at_once: u32) -> Settings {
    let same = Settings::default();
    if at_once == bounds::IN_WORK { same } else { same.with("charges in work at once", at_once) }
}

fn values<M>(batch: Vec<Received<M>>) -> Vec<M> {
    batch.into_iter().map(|received| received.value).collect()
}
