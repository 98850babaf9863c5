//! What one subscription may still be sent: its prefetch less what it holds, and of that a share for
//! what was delivered before. It knows no queue.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, sleep_until};

use crate::claim::{Claim, Handed};

/// With each failure beyond the first, what failed so often shares the window with an eighth as many.
const APART_SHIFT: u32 = 3;

/// What one subscription holds unsettled.
pub(crate) struct Window {
    prefetch: u32,
    state: Mutex<State>,
    freed: Notify,
    eased: Notify,
}

struct State {
    held: HashMap<i64, Held>,
    /// Places that redelivered messages may take.
    retries: u32,
}

/// What is known of a delivery that is held.
struct Held {
    number: u32,
    until: Instant,
    redelivered: Option<Failures>,
}

/// How often a redelivered message has failed, deferred times apart.
type Failures = u32;

/// A window's room at an instant: what a claim may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// Deliveries of any kind.
    pub(crate) room: u32,
    /// Places that redelivered messages may take.
    retries: u32,
    /// Redelivered messages that are held.
    held: u32,
    /// The most failures of one of these.
    worst: Failures,
}

impl Window {
    pub(crate) fn new(prefetch: u32, retries: u32) -> Self {
        let state = State { held: HashMap::new(), retries: retries.max(1) };
        Self { prefetch, state: Mutex::new(state), freed: Notify::new(), eased: Notify::new() }
    }

    /// Waits until something may be sent; returns how much. A delivery whose lease ended without a
    /// word frees its place: the consumer has forgotten it.
    pub(crate) async fn room(&self) -> Share {
        loop {
            match self.share() {
                Ok(share) => return share,
                Err(lease_end) => tokio::select! {
                    () = self.freed.notified() => {}
                    () = sleep_until(lease_end) => {}
                },
            }
        }
    }

    /// Waits until a redelivered message may have room that had none before.
    pub(crate) async fn eased(&self) {
        self.eased.notified().await;
    }

    pub(crate) fn hold(&self, handed: &Handed, lease: Duration) {
        let Handed { claim, redelivered, .. } = *handed;
        let held = Held { number: claim.number, until: Instant::now() + lease, redelivered };
        self.state().held.insert(claim.id, held);
    }

    /// The consumer settles this one, whatever comes of it.
    pub(crate) fn settled(&self, claim: Claim) {
        let mut state = self.state();
        if state.held.get(&claim.id).is_some_and(|held| held.number == claim.number)
            && let Some(held) = state.held.remove(&claim.id)
        {
            self.freed.notify_one();
            if held.redelivered.is_some() {
                self.eased.notify_one();
            }
        }
    }

    /// The consumer asks for a further lease of what it holds; of what is over it gets none.
    pub(crate) fn extended(&self, claim: Claim, lease: Duration) {
        let now = Instant::now();
        if let Some(held) = self.state().held.get_mut(&claim.id)
            && held.number == claim.number
            && held.until > now
        {
            held.until = now + lease;
        }
    }

    pub(crate) fn limit_retries(&self, places: u32) {
        self.state().retries = places.max(1);
        self.eased.notify_one();
    }

    /// All that is held, to be given back.
    pub(crate) fn take(&self) -> Vec<Claim> {
        let all = self.state().held.drain().collect::<Vec<_>>();
        all.into_iter().map(|(id, held)| Claim { id, number: held.number }).collect()
    }

    /// What may be sent, or when the first lease ends.
    pub(crate) fn share(&self) -> Result<Share, Instant> {
        let mut state = self.state();
        let now = Instant::now();
        if state.held.len() >= self.prefetch as usize {
            state.held.retain(|_, held| held.until > now);
        }
        if state.held.len() >= self.prefetch as usize {
            return Err(state.held.values().map(|held| held.until).min().unwrap_or(now));
        }
        let again = state.held.values().filter(|held| held.until > now);
        let failures = again.filter_map(|held| held.redelivered);
        let (held, worst) =
            failures.fold((0, 0), |(count, worst), failures| (count + 1, worst.max(failures)));
        let room = self.prefetch - state.held.len() as u32;
        Ok(Share { room, retries: state.retries, held, worst })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Of this share no more than so many.
    pub(crate) fn at_most(self, deliveries: u32) -> Self {
        Self { room: self.room.min(deliveries), ..self }
    }

    /// Takes a place for a message that was never delivered.
    pub(crate) fn fresh(&mut self) {
        self.room -= 1;
    }

    /// Takes a place for a redelivered message, if it may have one: what has failed more than once
    /// may be what ends its consumer, so few others are in work beside it.
    pub(crate) fn admit(&mut self, failures: u32) -> bool {
        let worst = self.worst.max(failures);
        let apart = APART_SHIFT.saturating_mul(worst.saturating_sub(1));
        let most = self.retries.checked_shr(apart).unwrap_or(0).max(1);
        let admitted = self.room > 0 && self.held < most;
        if admitted {
            (self.room, self.held, self.worst) = (self.room - 1, self.held + 1, worst);
        }
        admitted
    }
}

/// Waits for a change, or until a place may be free. `notify_waiters` reaches a `Notified` from the moment
/// it is made, so no change is missed.
pub(crate) async fn wait(changed: Notified<'_>, until: Option<Instant>) {
    match until {
        None => changed.await,
        Some(until) => tokio::select! {
            () = changed => {}
            () = sleep_until(until) => {}
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Delivery, Message};

    const LEASE: Duration = Duration::from_secs(10);

    fn claim(id: i64) -> Claim {
        Claim { id, number: 1 }
    }

    /// How many of these failures are admitted, one after the other.
    #[track_caller]
    fn check(prefetch: u32, failures: &[u32], expected: usize) {
        let window = Window::new(prefetch, (prefetch / 2).max(1));
        let mut share = window.share().unwrap();
        let admitted = failures.iter().take_while(|failures| share.admit(**failures)).count();
        assert_eq!(admitted, expected, "{failures:?}");
    }

    fn handed(id: i64, redelivered: Option<u32>) -> Handed {
        let delivery = Delivery {
            receipt: claim(id).receipt(0),
            message: Message::default(),
            attempt: None,
            redelivered: redelivered.is_some(),
            published_us: 0,
            lease: Some(LEASE),
            since: Instant::now(),
        };
        Handed { claim: claim(id), delivery, redelivered }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_delivered_before_takes_half_and_less_the_more_often_it_failed() {
        check(8, &[0; 20], 4);
        check(8, &[1; 20], 4);
        check(256, &[1; 200], 128);
        check(256, &[2; 200], 16);
        check(256, &[3; 200], 2);
        check(256, &[4; 200], 1);
        check(256, &[u32::MAX; 2], 1);
        check(256, &[0, 0, 0, 3], 3);
        check(256, &[3, 0, 0], 2);
        check(1, &[0; 2], 1);
        check(1, &[9], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_settled_or_forgotten_delivery_frees_its_place() {
        let window = Window::new(2, 1);
        window.hold(&handed(1, Some(0)), LEASE);
        assert!(!window.share().unwrap().admit(0), "half is taken");
        window.settled(Claim { id: 1, number: 2 });
        assert!(!window.share().unwrap().admit(0), "another claim was settled");
        window.settled(claim(1));
        assert!(window.share().unwrap().admit(0));
        window.hold(&handed(1, None), LEASE);
        window.hold(&handed(2, Some(0)), LEASE * 2);
        assert_eq!(window.share(), Err(Instant::now() + LEASE));
        window.extended(claim(1), LEASE * 3);
        assert_eq!(window.room().await.room, 1);
        assert_eq!(window.take(), [claim(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_is_lifted_wakes_who_waits() {
        let window = Window::new(8, 1);
        window.hold(&handed(1, Some(0)), LEASE);
        assert!(!window.share().unwrap().admit(0));
        window.limit_retries(2);
        window.eased().await;
        assert!(window.share().unwrap().admit(0));
    }
}
