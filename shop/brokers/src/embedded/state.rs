//! The messages in memory, and what each change does to them: the same for one that is made and one that is read. It
//! knows neither files nor clients.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::change::{At, Change, Head, Kept, decode};
use super::log::Content;
use crate::claim::Claim;
use crate::port::micros;
use crate::{DeadLetter, Depth, Failure, Message, Micros};

/// Failures of one message that are kept: the last ones, so that a letter fits a frame.
const FAILURES_MAX: usize = 8;
/// Memory that a message takes beside what it carries, roughly.
const BESIDE_BYTES: u64 = 256;

/// All that the broker holds.
#[derive(Default)]
pub(super) struct State {
    lanes: Vec<Lane>,
    numbers: HashMap<String, u32>,
    messages: HashMap<i64, Held>,
    leases: BTreeSet<(Micros, i64)>,
    last_id: i64,
    bytes: u64,
}

/// A topic's messages, by where they stand.
pub(super) struct Lane {
    pub(super) name: String,
    /// In order of publication.
    pub(super) fresh: BTreeSet<i64>,
    /// By when they are due.
    pub(super) again: BTreeSet<(Micros, i64)>,
    leased: u64,
    dead: BTreeSet<i64>,
}

/// A message that is held.
pub(super) struct Held {
    pub(super) kept: Kept,
    /// Where the log has it whole.
    frame: u64,
}

/// A topic's messages, for those who watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDepth {
    /// Its name.
    pub topic: String,
    /// Messages by state.
    pub depth: Depth,
    /// When the oldest ready message was published, in microseconds since the epoch.
    pub oldest_ready_us: Option<i64>,
}

impl Lane {
    fn new(name: String) -> Self {
        let (fresh, again, dead) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { name, fresh, again, leased: 0, dead }
    }

    /// Messages that are not dead: what the bound of a topic counts.
    pub(super) fn live(&self) -> u64 {
        self.fresh.len() as u64 + self.again.len() as u64 + self.leased
    }

    /// Those that come again and are due, the longest waiting first.
    pub(super) fn due(&self, now_us: Micros) -> impl Iterator<Item = i64> + '_ {
        self.again.range(..=(now_us, i64::MAX)).map(|(_, id)| *id)
    }

    fn depth(&self, now_us: Micros) -> Depth {
        let due = self.due(now_us).count() as u64;
        Depth {
            ready: self.fresh.len() as u64 + due,
            delayed: self.again.len() as u64 - due,
            leased: self.leased,
            dead: self.dead.len() as u64,
        }
    }
}

impl Held {
    /// Where the log has it whole.
    pub(super) fn frame(&self) -> u64 {
        self.frame
    }

    /// What it takes, in memory and in the log.
    pub(super) fn bytes(&self) -> u64 {
        let texts: usize = self.kept.errors.iter().map(|error| error.text.len() + 32).sum();
        self.kept.message.size() as u64 + texts as u64 + BESIDE_BYTES
    }
}

impl State {
    /// The number of a topic that has held something.
    pub(super) fn number(&self, topic: &str) -> Option<u32> {
        self.numbers.get(topic).copied()
    }

    /// The number that a topic which has none would get.
    pub(super) fn next_topic(&self) -> u32 {
        self.lanes.len() as u32
    }

    /// A message number that nobody has had.
    pub(super) fn next_id(&self) -> i64 {
        self.last_id + 1
    }

    pub(super) fn lane(&self, topic: u32) -> Option<&Lane> {
        self.lanes.get(topic as usize)
    }

    pub(super) fn lanes(&self) -> impl Iterator<Item = (u32, &Lane)> {
        (0..).zip(&self.lanes)
    }

    pub(super) fn get(&self, id: i64) -> Option<&Held> {
        self.messages.get(&id)
    }

    /// The message of a claim, if it is still leased by it.
    pub(super) fn leased(&self, claim: Claim) -> Option<&Held> {
        let held = self.messages.get(&claim.id)?;
        let is_leased = matches!(held.kept.at, At::Leased { .. });
        (is_leased && held.kept.claims == claim.number).then_some(held)
    }

    /// Where the log has this message whole.
    pub(super) fn frame(&self, id: i64) -> Option<u64> {
        self.messages.get(&id).map(|held| held.frame)
    }

    /// Bytes of all that is held.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The first leases to end, and when.
    pub(super) fn leases(&self) -> impl Iterator<Item = (Micros, Claim)> + '_ {
        let claim = |id: i64| Some(Claim { id, number: self.messages.get(&id)?.kept.claims });
        self.leases.iter().filter_map(move |(until_us, id)| Some((*until_us, claim(*id)?)))
    }

    /// A lease lasts until then. It is not written: whoever starts lets all leases last anew.
    pub(super) fn extend(&mut self, id: i64, until_us: Micros) {
        self.stand(id, At::Leased { until_us });
    }

    /// What a broker does before it serves: all leases last anew from now, for while it was away nobody could extend or
    /// settle; and nothing waits for longer than it was told to, for the clock may have been set back.
    pub(super) fn resume(&mut self, now_us: Micros, lease: Duration) {
        let until_us = now_us + micros(lease);
        let moved: Vec<(i64, At)> = self
            .messages
            .iter()
            .filter_map(|(id, held)| match held.kept.at {
                At::Leased { .. } => Some((*id, At::Leased { until_us })),
                At::Again { due_us, delay_us } if due_us > now_us + delay_us => {
                    Some((*id, At::Again { due_us: now_us + delay_us, delay_us }))
                }
                At::Fresh | At::Again { .. } | At::Dead { .. } => None,
            })
            .collect();
        moved.into_iter().for_each(|(id, at)| self.stand(id, at));
    }

    /// Makes a change that stands in this frame. One of a message that is not there does nothing: it was let go
    /// further on.
    pub(super) fn apply(&mut self, change: Change, frame: u64) {
        match change {
            Change::Nothing => {}
            Change::Topic { number, name } => {
                if number == self.next_topic() {
                    self.numbers.insert(name.clone(), number);
                    self.lanes.push(Lane::new(name));
                }
            }
            Change::Publish { id, topic, at_us, message } => {
                let kept = Kept {
                    topic,
                    published_us: at_us,
                    claims: 0,
                    failures: 0,
                    errors: Vec::new(),
                    at: At::Fresh,
                    message,
                };
                self.insert(id, Held { kept, frame });
            }
            Change::Lease { id, number, until_us } => {
                if let Some(held) = self.messages.get_mut(&id) {
                    held.kept.claims = number;
                }
                self.stand(id, At::Leased { until_us });
            }
            Change::Defer { id, due_us, delay_us } => {
                self.stand(id, At::Again { due_us, delay_us })
            }
            Change::Fail { id, failure, then } => self.fail(id, failure, then),
            Change::Done { id } => drop(self.remove(id)),
            Change::Replay { dead, id, kept } => {
                self.remove(dead);
                self.insert(id, Held { kept, frame });
            }
            Change::Keep { id, kept } => {
                self.remove(id);
                self.insert(id, Held { kept, frame });
            }
        }
    }

    fn fail(&mut self, id: i64, failure: Failure, then: At) {
        if let Some(held) = self.messages.get_mut(&id) {
            self.bytes -= held.bytes();
            held.kept.failures += 1;
            held.kept.errors.push(failure);
            let more = held.kept.errors.len().saturating_sub(FAILURES_MAX);
            held.kept.errors.drain(..more);
            self.bytes += held.bytes();
        }
        self.stand(id, then);
    }

    /// From now on a message stands there.
    fn stand(&mut self, id: i64, at: At) {
        let Some(held) = self.messages.get_mut(&id) else { return };
        let before = std::mem::replace(&mut held.kept.at, at);
        let topic = held.kept.topic;
        self.unlist(topic, id, before);
        self.list(topic, id, at);
    }

    fn insert(&mut self, id: i64, held: Held) {
        self.last_id = self.last_id.max(id);
        self.bytes += held.bytes();
        self.list(held.kept.topic, id, held.kept.at);
        self.messages.insert(id, held);
    }

    fn remove(&mut self, id: i64) -> Option<Held> {
        let held = self.messages.remove(&id)?;
        self.bytes -= held.bytes();
        self.unlist(held.kept.topic, id, held.kept.at);
        Some(held)
    }

    fn list(&mut self, topic: u32, id: i64, at: At) {
        let Some(lane) = self.lanes.get_mut(topic as usize) else { return };
        match at {
            At::Fresh => drop(lane.fresh.insert(id)),
            At::Again { due_us, .. } => drop(lane.again.insert((due_us, id))),
            At::Leased { until_us } => {
                lane.leased += 1;
                self.leases.insert((until_us, id));
            }
            At::Dead { .. } => drop(lane.dead.insert(id)),
        }
    }

    fn unlist(&mut self, topic: u32, id: i64, at: At) {
        let Some(lane) = self.lanes.get_mut(topic as usize) else { return };
        match at {
            At::Fresh => drop(lane.fresh.remove(&id)),
            At::Again { due_us, .. } => drop(lane.again.remove(&(due_us, id))),
            At::Leased { until_us } => {
                lane.leased -= 1;
                self.leases.remove(&(until_us, id));
            }
            At::Dead { .. } => drop(lane.dead.remove(&id)),
        }
    }

    /// Messages by state.
    pub(super) fn depth(&self, topic: &str, now_us: Micros) -> Depth {
        let lane = self.number(topic).and_then(|number| self.lane(number));
        lane.map_or_else(Depth::default, |lane| lane.depth(now_us))
    }

    /// The same of all topics that ever held a message, by name.
    pub(super) fn depths(&self, now_us: Micros) -> Vec<TopicDepth> {
        let published = |id: &i64| self.get(*id).map(|held| held.kept.published_us);
        let of = |lane: &Lane| {
            let fresh = lane.fresh.first().and_then(published);
            let again = lane.due(now_us).filter_map(|id| published(&id)).min();
            let oldest_ready_us = fresh.into_iter().chain(again).min();
            TopicDepth { topic: lane.name.clone(), depth: lane.depth(now_us), oldest_ready_us }
        };
        let mut depths: Vec<_> = self.lanes.iter().map(of).collect();
        depths.sort_by(|a, b| a.topic.cmp(&b.topic));
        depths
    }

    /// Which of these keys a message carries that is not dead. It looks at all messages: an index of keys would cost
    /// every message, and this is asked seldom.
    pub(super) fn holds(&self, topic: &str, keys: &HashSet<String>) -> HashSet<String> {
        let number = self.number(topic);
        let is_meant =
            |kept: &Kept| Some(kept.topic) == number && !matches!(kept.at, At::Dead { .. });
        let all = self.messages.values().map(|held| &held.kept).filter(|kept| is_meant(kept));
        all.filter_map(|kept| keys.get(&kept.message.key).cloned()).collect()
    }

    /// At most `limit` dead letters with numbers above `after`, oldest first.
    pub(super) fn dead(&self, topic: &str, after: i64, limit: usize) -> Vec<DeadLetter> {
        let letter = |id: i64| {
            let Kept { at, message, failures, errors, published_us, .. } = &self.get(id)?.kept;
            let At::Dead { at_us } = *at else { return None };
            Some(DeadLetter {
                id,
                message: message.clone(),
                attempts: *failures,
                errors: errors.clone(),
                published_us: *published_us,
                died_us: at_us,
            })
        };
        self.dead_ids(topic, after).filter_map(letter).take(limit).collect()
    }

    /// The numbers of dead letters above `after`, oldest first.
    pub(super) fn dead_ids(&self, topic: &str, after: i64) -> impl Iterator<Item = i64> + '_ {
        let lane = self.number(topic).and_then(|number| self.lane(number));
        let from = after.saturating_add(1);
        lane.into_iter().flat_map(move |lane| lane.dead.range(from..)).copied()
    }
}

#[cfg(test)]
impl State {
    /// All messages.
    pub(super) fn all(&self) -> std::collections::BTreeMap<i64, Kept> {
        self.messages.iter().map(|(id, held)| (*id, held.kept.clone())).collect()
    }
}

impl Content for State {
    fn head(&self) -> Vec<u8> {
        let topics = self.lanes.iter().map(|lane| lane.name.clone()).collect();
        // Writing to memory does not fail.
        postcard::to_stdvec(&Head { last_id: self.last_id, topics }).unwrap_or_default()
    }

    fn begin(&mut self, head: &[u8]) -> Result<(), String> {
        let read = postcard::from_bytes::<Head>(head);
        let Head { last_id, topics } = read.map_err(|e| format!("its head cannot be read: {e}"))?;
        self.last_id = self.last_id.max(last_id);
        for (number, name) in (0..).zip(topics) {
            if self.lane(number).is_some_and(|lane| lane.name != name) {
                return Err(format!("its head calls topic {number} {name}"));
            }
            self.apply(Change::Topic { number, name }, 0);
        }
        Ok(())
    }

    fn change(&mut self, changes: &[u8], frame: u64) -> Result<Vec<i64>, String> {
        let mut whole = Vec::new();
        for change in decode(changes) {
            let change: Change<Message> = change?;
            match &change {
                Change::Publish { id, .. }
                | Change::Keep { id, .. }
                | Change::Replay { id, .. } => {
                    whole.push(*id);
                }
                _ => {}
            }
            self.apply(change, frame);
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message that stands there, of one topic.
    fn held(state: &mut State, id: i64, at: At) {
        let number = 0;
        state.apply(Change::Topic { number, name: "t".to_owned() }, 0);
        let message = Message { key: id.to_string(), ..Message::default() };
        let errors = Vec::new();
        let kept = Kept { topic: 0, published_us: id, claims: 1, failures: 0, errors, at, message };
        state.apply(Change::Keep { id, kept }, 0);
    }

    #[test]
    fn a_clock_that_is_set_back_an_hour_before_a_restart_costs_seconds() {
        let (now_us, delay_us, hour_us) = (7_200_000_000, 1_000_000, 3_600_000_000);
        let mut state = State::default();
        held(&mut state, 1, At::Again { due_us: now_us + hour_us, delay_us });
        held(&mut state, 2, At::Leased { until_us: now_us + hour_us });
        held(&mut state, 3, At::Again { due_us: now_us + 7, delay_us });
        state.resume(now_us, Duration::from_secs(2));
        let at = |id| state.get(id).map(|held| held.kept.at).unwrap();
        assert_eq!(at(1), At::Again { due_us: now_us + delay_us, delay_us });
        assert_eq!(at(2), At::Leased { until_us: now_us + 2_000_000 });
        assert_eq!(at(3), At::Again { due_us: now_us + 7, delay_us });
        let depth = Depth { delayed: 2, leased: 1, ..Depth::default() };
        assert_eq!(state.depth("t", now_us), depth);
        assert_eq!(
            state.depth("t", now_us + delay_us),
            Depth { ready: 2, leased: 1, ..Depth::default() }
        );
    }

    #[test]
    fn topics_of_a_head_are_known_whatever_stands_before_it_and_never_renamed() {
        let head = |topics: &[&str]| {
            let topics = topics.iter().map(ToString::to_string).collect();
            postcard::to_stdvec(&Head { last_id: 7, topics }).unwrap()
        };
        let mut state = State::default();
        state.begin(&head(&["a"])).unwrap();
        // A commit that made the topic b was cut off behind the head of its segment.
        state.begin(&head(&["a", "b"])).unwrap();
        assert_eq!((state.number("b"), state.next_topic(), state.next_id()), (Some(1), 2, 8));
        assert!(state.begin(&head(&["a", "c"])).is_err());
    }

    #[test]
    fn of_a_message_that_fails_often_the_last_failures_are_kept() {
        let mut state = State::default();
        held(&mut state, 1, At::Leased { until_us: 9 });
        let before = state.bytes();
        for attempt in 1..=20 {
            let failure = Failure { attempt, at_us: 0, text: "why".to_owned() };
            state.apply(Change::Fail { id: 1, failure, then: At::Dead { at_us: 5 } }, 1);
        }
        let letters = state.dead("t", 0, 10);
        assert_eq!((letters.len(), letters[0].attempts, letters[0].died_us), (1, 20, 5));
        let attempts: Vec<u32> = letters[0].errors.iter().map(|error| error.attempt).collect();
        assert_eq!(attempts, (13..=20).collect::<Vec<_>>());
        assert_eq!(state.bytes(), before + 8 * 35);
        state.apply(Change::Done { id: 1 }, 2);
        assert_eq!((state.bytes(), state.depth("t", 0)), (0, Depth::default()));
        state.apply(Change::Done { id: 1 }, 2);
        assert_eq!(state.next_id(), 2, "no number is given twice");
    }

    #[test]
    fn a_topic_tells_what_waits_longest() {
        let mut state = State::default();
        held(&mut state, 5, At::Fresh);
        held(&mut state, 3, At::Again { due_us: 10, delay_us: 0 });
        held(&mut state, 1, At::Again { due_us: 99, delay_us: 0 });
        let found = state.depths(10);
        assert_eq!((found[0].topic.as_str(), found[0].oldest_ready_us), ("t", Some(3)));
        assert_eq!(found[0].depth, Depth { ready: 2, delayed: 1, ..Depth::default() });
        let keys = ["5", "1", "7"].map(str::to_owned).into();
        assert_eq!(state.holds("t", &keys), ["5", "1"].map(str::to_owned).into());
        assert_eq!(state.holds("other", &keys), HashSet::new());
    }
}
