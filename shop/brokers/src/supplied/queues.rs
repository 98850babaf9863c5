//! The queues that a topic is made of.

use tokio::sync::OnceCell;

use crate::engine::Bound;

/// Bodies that are taken at once.
pub(super) const TAKE_MAX: u32 = 256;

/// The queues of a topic.
pub(super) struct Queues {
    pub(super) fresh: String,
    pub(super) again: String,
    pub(super) dead: String,
    pub(super) bound: Bound,
    pub(super) declared: OnceCell<()>,
}

impl Queues {
    pub(super) fn of(topic: &str, depth_max: u64) -> Self {
        let (fresh, again) = (topic.to_owned(), format!("{topic}.again"));
        let bound = Bound { most: depth_max, queues: vec![fresh.clone(), again.clone()] };
        Self { fresh, again, dead: format!("{topic}.dead"), bound, declared: OnceCell::new() }
    }
}
