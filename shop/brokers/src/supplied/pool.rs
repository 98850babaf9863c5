//! What one subscription has taken from its engine: what waits to be handed out, and what is handed out.
//! Pure, as a function of the time that it is given; it knows no engine.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::envelope::Envelope;
use crate::Micros;
use crate::engine::Handle;
use crate::window::Share;

/// Messages that one subscription takes before they are due; more wait with the engine.
const EARLY_MAX: u32 = 1_024;

/// From which queue of a topic something was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Never delivered.
    Fresh,
    /// To come again when it is due.
    Again,
}

/// A message that was taken and is not settled.
pub(super) struct Held {
    pub(super) origin: Origin,
    pub(super) handle: Handle,
    pub(super) envelope: Envelope,
}

/// One that waits, and until when it is surely ours.
struct Waiting {
    held: Held,
    until: Instant,
    /// Whether its lease was renewed after it was due: from then on it counts if nobody settles it.
    ripe: bool,
}

/// One that is in work, and until when it is surely ours.
struct Handed {
    held: Arc<Held>,
    until: Instant,
}

/// In the sequence in which it was taken, or by its due time.
type Place = (Micros, i64);

pub(super) struct Pool {
    prefetch: u32,
    last: i64,
    fresh: BTreeMap<Place, Waiting>,
    again: BTreeMap<Place, Waiting>,
    handed: HashMap<i64, Handed>,
    /// Since when it has as much in work as it may.
    full_since: Option<Instant>,
}

impl Pool {
    pub(super) fn new(prefetch: u32) -> Self {
        let (fresh, again, handed) = (BTreeMap::new(), BTreeMap::new(), HashMap::new());
        Self { prefetch, last: 0, fresh, again, handed, full_since: None }
    }

    /// How many more may be taken. What is in work has a place of the window, whatever its queue.
    pub(super) fn room(&self, origin: Origin) -> u32 {
        let (most, waiting) = match origin {
            Origin::Fresh => (self.prefetch, &self.fresh),
            Origin::Again => (EARLY_MAX.max(self.prefetch), &self.again),
        };
        most.saturating_sub((waiting.len() + self.handed.len()) as u32)
    }

    /// When what is fresh will have waited for so long behind a full window.
    pub(super) fn stuck_at(&self, patience: Duration) -> Option<Instant> {
        self.full_since.filter(|_| !self.fresh.is_empty()).map(|since| since + patience)
    }

    /// What is fresh and has waited for so long behind a full window: others may have room.
    pub(super) fn take_stuck(&mut self, patience: Duration, now: Instant) -> Vec<Held> {
        if self.stuck_at(patience).is_none_or(|at| at > now) {
            return Vec::new();
        }
        std::mem::take(&mut self.fresh).into_values().map(|waiting| waiting.held).collect()
    }

    pub(super) fn add(&mut self, held: Held, until: Instant, now_us: Micros) {
        self.last += 1;
        let due_us = held.envelope.due_us;
        let (waiting, place) = match held.origin {
            Origin::Fresh => (&mut self.fresh, (0, self.last)),
            Origin::Again => (&mut self.again, (due_us, self.last)),
        };
        waiting.insert(place, Waiting { held, until, ripe: due_us <= now_us });
    }

    /// Hands out what has waited longest and fits the share, by a number of its own.
    pub(super) fn hand_out(&mut self, share: &mut Share, now: Instant) -> Option<(i64, Arc<Held>)> {
        shed(&mut self.fresh, now);
        shed(&mut self.again, now);
        let fresh = self.fresh.first_key_value().map(|(_, w)| w.held.envelope.published_us);
        let again = self.again.first_key_value().filter(|(_, waiting)| waiting.ripe);
        let failures = again
            .filter(|((due_us, _), _)| fresh.is_none_or(|published_us| *due_us <= published_us))
            .map(|(_, waiting)| waiting.held.envelope.failures());
        let (_, Waiting { held, until, .. }) = match failures {
            Some(failures) if share.admit(failures) => self.again.pop_first()?,
            _ if fresh.is_some() => {
                share.fresh();
                self.fresh.pop_first()?
            }
            _ => return None,
        };
        self.last += 1;
        let held = Arc::new(held);
        self.handed.insert(self.last, Handed { held: Arc::clone(&held), until });
        if self.handed.len() >= self.prefetch as usize {
            self.full_since.get_or_insert(now);
        }
        Some((self.last, held))
    }

    pub(super) fn handed(&self, number: i64) -> Option<Arc<Held>> {
        self.handed.get(&number).map(|handed| Arc::clone(&handed.held))
    }

    /// It is settled, or lost.
    pub(super) fn ended(&mut self, number: i64) {
        self.handed.remove(&number);
        self.eased();
    }

    fn eased(&mut self) {
        if self.handed.len() < self.prefetch as usize {
            self.full_since = None;
        }
    }

    pub(super) fn extended(&mut self, number: i64, until: Instant) {
        if let Some(handed) = self.handed.get_mut(&number) {
            handed.until = until;
        }
    }

    /// When something that waits for its time is due.
    pub(super) fn next_due(&self) -> Option<Micros> {
        let unripe = self.again.iter().find(|(_, waiting)| !waiting.ripe);
        unripe.map(|((due_us, _), _)| *due_us)
    }

    /// What is to be renewed of one queue: all that waits, or what has become due alone.
    pub(super) fn to_renew(
        &self,
        origin: Origin,
        all: bool,
        now_us: Micros,
    ) -> Vec<(Place, Handle)> {
        let named = |(place, waiting): (&Place, &Waiting)| (*place, waiting.held.handle.clone());
        match (origin, all) {
            (Origin::Fresh, false) => Vec::new(),
            (Origin::Again, false) => {
                let due = self.again.range(..=(now_us, i64::MAX));
                due.filter(|(_, waiting)| !waiting.ripe).map(named).collect()
            }
            (Origin::Fresh, true) => self.fresh.iter().map(named).collect(),
            (Origin::Again, true) => self.again.iter().map(named).collect(),
        }
    }

    /// What was asked at `now_us` came of it: ours until then, or lost.
    pub(super) fn renewed(
        &mut self,
        origin: Origin,
        place: Place,
        until: Option<Instant>,
        now_us: Micros,
    ) {
        let waiting = match origin {
            Origin::Fresh => &mut self.fresh,
            Origin::Again => &mut self.again,
        };
        match (until, waiting.get_mut(&place)) {
            (Some(until), Some(found)) => {
                found.until = until;
                found.ripe |= found.held.envelope.due_us <= now_us;
            }
            (None, Some(_)) => drop(waiting.remove(&place)),
            (_, None) => {}
        }
    }

    /// Forgets what is surely ours no longer.
    pub(super) fn forget_lost(&mut self, now: Instant) {
        self.fresh.retain(|_, waiting| waiting.until > now);
        self.again.retain(|_, waiting| waiting.until > now);
        self.handed.retain(|_, handed| handed.until > now);
        self.eased();
    }

    /// All that is held, to be given back.
    pub(super) fn take(&mut self) -> Vec<Held> {
        let waiting = std::mem::take(&mut self.fresh).into_values();
        let waiting = waiting.chain(std::mem::take(&mut self.again).into_values());
        let handed = std::mem::take(&mut self.handed).into_values();
        let waiting = waiting.map(|waiting| waiting.held);
        self.full_since = None;
        // One that is being settled at this moment is not given back.
        waiting.chain(handed.filter_map(|handed| Arc::into_inner(handed.held))).collect()
    }
}

/// A process that was stopped and wakes holds what is others' by now.
fn shed(waiting: &mut BTreeMap<Place, Waiting>, now: Instant) {
    while waiting.first_key_value().is_some_and(|(_, first)| first.until <= now) {
        waiting.pop_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use crate::window::Window;

    fn held(origin: Origin, key: &str, at_us: Micros) -> Held {
        let message = Message { key: key.to_owned(), ..Message::default() };
        let envelope = Envelope::new(message, at_us);
        Held { origin, handle: Handle::new(), envelope }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    /// The keys that are handed out, one after the other.
    fn keys(pool: &mut Pool) -> Vec<String> {
        let mut share = Window::new(100, 50).share().unwrap();
        let mut next = || pool.hand_out(&mut share, Instant::now());
        let key = || next().map(|(_, held)| held.envelope.message.key.clone());
        std::iter::from_fn(key).collect()
    }

    #[tokio::test]
    async fn what_comes_again_has_its_place_by_time_among_what_was_taken() {
        let mut pool = Pool::new(10);
        for (key, at_us) in [("a", 10), ("b", 30)] {
            pool.add(held(Origin::Fresh, key, at_us), soon(), 100);
        }
        for (key, at_us) in [("y", 40), ("x", 20), ("early", 500)] {
            pool.add(held(Origin::Again, key, at_us), soon(), 100);
        }
        assert_eq!(keys(&mut pool), ["a", "x", "b", "y"]);
        assert_eq!(pool.next_due(), Some(500));
    }

    #[tokio::test]
    async fn what_is_due_is_handed_out_once_it_is_renewed() {
        let mut pool = Pool::new(10);
        pool.add(held(Origin::Again, "x", 200), soon(), 100);
        assert!(pool.to_renew(Origin::Again, false, 199).is_empty());
        let due = pool.to_renew(Origin::Again, false, 200);
        assert!(keys(&mut pool).is_empty(), "not yet");
        pool.renewed(Origin::Again, due[0].0, Some(soon()), 200);
        assert_eq!(keys(&mut pool), ["x"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_lost_while_the_process_stood_still_is_not_handed_out() {
        let mut pool = Pool::new(10);
        pool.add(held(Origin::Fresh, "lost", 0), soon(), 100);
        tokio::time::advance(Duration::from_secs(11)).await;
        pool.add(held(Origin::Fresh, "ours", 0), soon(), 100);
        assert_eq!(keys(&mut pool), ["ours"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_fresh_is_let_go_once_it_has_waited_behind_a_full_window() {
        let (mut pool, patience) = (Pool::new(1), Duration::from_secs(1));
        pool.add(held(Origin::Again, "x", 20), soon(), 100);
        assert_eq!(pool.room(Origin::Fresh), 1, "a take may be under way");
        assert_eq!(keys(&mut pool), ["x"]);
        assert_eq!(pool.room(Origin::Fresh), 0, "what comes again has the place");
        pool.add(held(Origin::Fresh, "y", 30), soon(), 100);
        let end = Instant::now() + patience;
        assert_eq!(pool.stuck_at(patience), Some(end));
        assert!(pool.take_stuck(patience, end - Duration::from_millis(1)).is_empty());
        let stuck = pool.take_stuck(patience, end);
        assert_eq!(stuck[0].envelope.message.key, "y");
        pool.add(held(Origin::Fresh, "z", 40), soon(), 100);
        pool.ended(2);
        assert_eq!(pool.stuck_at(patience), None, "it can be handed out");
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_bounded_and_come_back_when_a_lease_is_lost() {
        let mut pool = Pool::new(2);
        for key in ["a", "b"] {
            pool.add(held(Origin::Fresh, key, 0), soon(), 100);
        }
        assert_eq!((pool.room(Origin::Fresh), pool.room(Origin::Again)), (0, EARLY_MAX));
        let (number, _) =
            pool.hand_out(&mut Window::new(2, 1).share().unwrap(), Instant::now()).unwrap();
        assert_eq!(pool.room(Origin::Fresh), 0, "it is in work");
        pool.extended(number, Instant::now() + Duration::from_secs(20));
        pool.forget_lost(Instant::now() + Duration::from_secs(11));
        assert_eq!(pool.room(Origin::Fresh), 1, "the one that waited is lost");
        pool.ended(number);
        assert_eq!(pool.room(Origin::Fresh), 2);
        assert!(pool.handed(number).is_none());
    }
}
