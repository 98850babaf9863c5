//! Subscriptions that wait with room: a transaction that makes messages ready claims for them too,
//! so that publishing and claiming share a commit.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::claiming::Claimed;
use crate::window::Share;

/// A subscription's offer to take so many.
pub(super) struct Offer {
    number: u64,
    pub(super) share: Share,
    pub(super) taker: oneshot::Sender<Claimed>,
}

/// The offers of one topic: at most one of each subscription.
#[derive(Default)]
pub(super) struct Offers(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    last: u64,
    offers: VecDeque<Offer>,
}

impl Offers {
    /// Offers to take a share. The answer comes when the claim is durable; it is an error if that
    /// failed. Who gives up waiting must withdraw, and wait on if that comes too late.
    pub(super) fn make(&self, share: Share) -> (u64, oneshot::Receiver<Claimed>) {
        let (taker, claimed) = oneshot::channel();
        let mut waiting = self.waiting();
        waiting.last += 1;
        let number = waiting.last;
        waiting.offers.push_back(Offer { number, share, taker });
        (number, claimed)
    }

    /// Takes an offer back; false if something is being claimed for it.
    pub(super) fn withdraw(&self, number: u64) -> bool {
        let mut waiting = self.waiting();
        let before = waiting.offers.len();
        waiting.offers.retain(|offer| offer.number != number);
        waiting.offers.len() < before
    }

    /// The oldest offer, to be served.
    pub(super) fn take(&self) -> Option<Offer> {
        self.waiting().offers.pop_front()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    #[tokio::test]
    async fn the_oldest_offer_is_served_first_and_a_withdrawn_one_never() {
        let offers = Offers::default();
        let share = |room| Window::new(room, 1).share().unwrap();
        let (first, _first) = offers.make(share(1));
        let (second, _second) = offers.make(share(2));
        let (third, _third) = offers.make(share(3));
        assert!(offers.withdraw(second));
        assert_eq!(offers.take().map(|offer| offer.share.room), Some(1));
        assert!(!offers.withdraw(first), "it is being served");
        assert!(offers.withdraw(third));
        assert!(offers.take().is_none());
    }
}
