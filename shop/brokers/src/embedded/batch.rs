//! What a job does to the messages: which changes it makes of them, and who may make them. It knows no task and no client.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::change::{At, Change, Kept};
use super::claiming::{Claimed, pick};
use super::log::Log;
use super::state::{Held, State};
use super::topics::Topic;
use crate::claim::{Claim, Handed};
use crate::clock::now_us;
use crate::port::{error_text, micros};
use crate::window::Share;
use crate::{Delivery, Error, Failure, Message, Micros, Result, Settings, Settle};

/// A year: nothing waits for longer.
const DELAY_MAX_US: Micros = 365 * 24 * 3_600 * 1_000_000;

/// Messages that one job may expire or replay.
const SWEEP_MAX: usize = 1_000;

/// Bytes of all messages that are held: they are kept in memory.
const HELD_BYTES_MAX: u64 = 4 << 30;

/// A change that a client asks for.
pub(crate) enum Operation {
    Publish { topic: Arc<Topic>, message: Message },
    Settle(Claim, Settle),
    Extend(Claim),
}

/// What became of one.
pub(crate) type Outcome = Result<()>;

/// The changes of one job: made in memory at once, and durable when the log is committed.
pub(super) struct Batch<'a> {
    state: &'a mut State,
    log: &'a mut Log,
    settings: &'a Settings,
    now_us: Micros,
    /// Topics with messages that became ready.
    pub(super) woken: BTreeSet<u32>,
    /// The earliest instant at which something that was changed here is due.
    pub(super) due_us: Option<Micros>,
    /// What was claimed: to be given back if nobody can have it.
    pub(super) claimed: Vec<Claim>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(state: &'a mut State, log: &'a mut Log, settings: &'a Settings) -> Self {
        let (woken, claimed) = (BTreeSet::new(), Vec::new());
        Self { state, log, settings, now_us: now_us(), woken, due_us: None, claimed }
    }

    pub(super) fn state(&self) -> &State {
        self.state
    }

    pub(super) fn run(&mut self, operation: Operation) -> Outcome {
        match operation {
            Operation::Publish { topic, message } => self.publish(&topic.name, message),
            Operation::Settle(claim, how) => self.settle(claim, how),
            Operation::Extend(claim) => self.extend(claim),
        }
    }

    /// Goes on with forgetting what is done; whether there is more of that to do.
    pub(super) fn forget(&mut self) -> bool {
        let more = self.log.forget();
        if more {
            self.touch();
        }
        more
    }

    /// Writes that nothing changed.
    pub(super) fn touch(&mut self) {
        self.make(Change::Nothing);
    }

    /// What has waited longest and fits the share, leased from now.
    pub(super) fn claim(&mut self, topic: u32, share: Share) -> Option<Claimed> {
        let lane = self.state.lane(topic)?;
        let (picked, left) = pick(self.state, lane, share, self.now_us);
        let (lease, epoch) = (self.settings.lease, self.log.epoch());
        let until_us = self.now_us + micros(lease);
        let mut handed = Vec::with_capacity(picked.len());
        // Whose clock counts is the consumer's; it says so itself.
        let since = Instant::now();
        for one in picked {
            let Some(Held { kept, .. }) = self.state.get(one.id) else { continue };
            let claim = Claim { id: one.id, number: kept.claims + 1 };
            let delivery = Delivery {
                receipt: claim.receipt(epoch),
                message: kept.message.clone(),
                attempt: Some(kept.failures + 1),
                redelivered: one.redelivered.is_some(),
                published_us: kept.published_us,
                lease: Some(lease),
                since,
            };
            self.make(Change::Lease { id: claim.id, number: claim.number, until_us });
            self.claimed.push(claim);
            handed.push(Handed { claim, delivery, redelivered: one.redelivered });
        }
        if !handed.is_empty() {
            self.due(until_us);
        }
        Some(Claimed { at_us: self.now_us, handed, left })
    }

    /// Gives deliveries back of a consumer that left in order: uncounted.
    pub(super) fn give_back(&mut self, claims: &[Claim]) {
        for &claim in claims {
            self.defer(claim, 0);
        }
    }

    /// Takes deliveries back from a consumer that went away: counted, for one of them may have ended
    /// it. They come again at once after a first failure; then the backoff parts them from others.
    pub(super) fn take_back(&mut self, claims: &[Claim]) {
        for &claim in claims {
            let Some(held) = self.state.leased(claim) else { continue };
            let failures = held.kept.failures;
            let backoff = self.settings.backoff;
            let wait = if failures == 0 { 0 } else { micros(backoff.delay(failures + 1)) };
            self.fail(claim, "the consumer went away", Some(wait));
        }
    }

    /// Ends leases that are over and wakes what comes again; returns when to look next.
    pub(super) fn expire(&mut self) -> Option<Micros> {
        let now_us = self.now_us;
        let over = self.state.leases().take_while(|(until_us, _)| *until_us <= now_us);
        let over: Vec<Claim> = over.map(|(_, claim)| claim).take(SWEEP_MAX).collect();
        for claim in over {
            self.fail(claim, "the lease ended", Some(0));
        }
        let mut next = self.state.leases().next().map(|(until_us, _)| until_us);
        let mut due = Vec::new();
        for (number, lane) in self.state.lanes() {
            due.extend(lane.due(now_us).next().map(|_| number));
            let later = lane.again.range((now_us + 1, i64::MIN)..).next();
            next = next.into_iter().chain(later.map(|(due_us, _)| *due_us)).min();
        }
        self.woken.extend(due);
        next
    }

    /// Dead letters become new messages at the end of the queue, as far as there is room.
    pub(super) fn replay(&mut self, topic: &str, limit: u32) -> u64 {
        let Some(number) = self.state.number(topic) else { return 0 };
        let most = self.room(number).min(u64::from(limit)).min(SWEEP_MAX as u64);
        let ids = self.state.dead_ids(topic, i64::MIN).take(most as usize);
        let ids: Vec<i64> = ids.collect();
        let mut replayed = 0;
        for &dead in &ids {
            if self.log.full().is_some() {
                break;
            }
            let Some(held) = self.state.get(dead) else { continue };
            self.log.outdated(held.frame());
            let kept = &held.kept;
            let (id, errors) = (self.state.next_id(), Vec::new());
            let kept = Kept { claims: 0, failures: 0, errors, at: At::Fresh, ..kept.clone() };
            self.make_whole(id, |kept| Change::Replay { dead, id, kept }, kept);
            replayed += 1;
        }
        if replayed > 0 {
            self.woken.insert(number);
        }
        replayed
    }

    /// Repeats a message at the end of the log; returns its bytes.
    pub(super) fn keep(&mut self, id: i64) -> u64 {
        let Some(held) = self.state.get(id) else { return 0 };
        let (bytes, kept) = (held.bytes(), held.kept.clone());
        self.make_whole(id, |kept| Change::Keep { id, kept }, kept);
        bytes
    }

    fn publish(&mut self, topic: &str, message: Message) -> Outcome {
        if let Some(why) = self.log.full() {
            return Err(Error::Unavailable(why));
        }
        if self.state.bytes() >= HELD_BYTES_MAX {
            let held = HELD_BYTES_MAX >> 30;
            return Err(Error::Unavailable(format!("it holds {held} GiB, as much as it may")));
        }
        let number = self.topic(topic);
        if self.room(number) == 0 {
            let (topic, depth_max) = (topic.to_owned(), self.settings.depth_max);
            return Err(Error::Full { topic, depth_max });
        }
        let (id, at_us) = (self.state.next_id(), self.now_us);
        let frame = self.log.push(Some(id), |bytes| {
            Change::Publish { id, topic: number, at_us, message: &message }.encode(bytes);
        });
        self.state.apply(Change::Publish { id, topic: number, at_us, message }, frame);
        self.woken.insert(number);
        Ok(())
    }

    /// The number of a topic, which is one from now on.
    fn topic(&mut self, name: &str) -> u32 {
        self.state.number(name).unwrap_or_else(|| {
            let number = self.state.next_topic();
            self.make(Change::Topic { number, name: name.to_owned() });
            number
        })
    }

    /// How many messages the topic may still take.
    fn room(&self, topic: u32) -> u64 {
        let live = self.state.lane(topic).map_or(0, super::state::Lane::live);
        self.settings.depth_max.saturating_sub(live)
    }

    fn settle(&mut self, claim: Claim, how: Settle) -> Outcome {
        let Some(held) = self.state.leased(claim) else { return Err(Error::Fenced) };
        match how {
            Settle::Ack => {
                self.log.outdated(held.frame());
                self.make(Change::Done { id: claim.id });
            }
            Settle::Defer(delay) => self.defer(claim, micros(delay)),
            Settle::Fail(text) => {
                let delay = self.settings.backoff.delay(held.kept.failures + 1);
                self.fail(claim, &text, Some(micros(delay)));
            }
            Settle::Reject(text) => self.fail(claim, &text, None),
        }
        Ok(())
    }

    fn defer(&mut self, claim: Claim, delay_us: Micros) {
        if self.state.leased(claim).is_some() {
            let delay_us = delay_us.min(DELAY_MAX_US);
            let (id, due_us) = (claim.id, self.now_us + delay_us);
            self.make(Change::Defer { id, due_us, delay_us });
            self.comes_again(id, due_us);
        }
    }

    fn extend(&mut self, claim: Claim) -> Outcome {
        let held = self.state.leased(claim).ok_or(Error::Fenced)?;
        // What is over is not extended, also before the sweep comes by: who asks has let go of it.
        if matches!(held.kept.at, At::Leased { until_us } if until_us <= self.now_us) {
            return Err(Error::Fenced);
        }
        self.state.extend(claim.id, self.now_us + micros(self.settings.lease));
        Ok(())
    }

    /// Counts an attempt that failed: the message comes again after this wait, or it is a dead letter.
    fn fail(&mut self, claim: Claim, text: &str, wait_us: Option<Micros>) {
        let Some(held) = self.state.leased(claim) else { return };
        let (id, attempt) = (claim.id, held.kept.failures + 1);
        let wait_us = wait_us.filter(|_| attempt < self.settings.attempts_max);
        let at_us = self.now_us;
        let then = wait_us.map_or(At::Dead { at_us }, |wait_us| {
            let delay_us = wait_us.min(DELAY_MAX_US);
            At::Again { due_us: at_us + delay_us, delay_us }
        });
        let failure = Failure { attempt, at_us, text: error_text(text).to_owned() };
        self.make(Change::Fail { id, failure, then });
        if let At::Again { due_us, .. } = then {
            self.comes_again(id, due_us);
        }
    }

    fn comes_again(&mut self, id: i64, due_us: Micros) {
        if due_us > self.now_us {
            self.due(due_us);
        } else if let Some(held) = self.state.get(id) {
            self.woken.insert(held.kept.topic);
        }
    }

    fn due(&mut self, due_us: Micros) {
        self.due_us = Some(self.due_us.map_or(due_us, |due| due.min(due_us)));
    }

    /// Makes a change that holds no message whole.
    fn make(&mut self, change: Change) {
        let frame = self.log.push(None, |bytes| change.encode(bytes));
        self.state.apply(change, frame);
    }

    /// Makes a change that holds this message whole.
    fn make_whole(&mut self, id: i64, change: impl FnOnce(Kept) -> Change, kept: Kept) {
        let change = change(kept);
        let frame = self.log.push(Some(id), |bytes| change.encode(bytes));
        self.state.apply(change, frame);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::time::Duration;

    use group_commit::Synchronous;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::Backoff;
    use crate::window::Window;

    /// What clients and time may do.
    #[derive(Clone, Debug)]
    enum Step {
        Publish(usize, u16),
        Claim(usize, u32),
        Settle(Index, Settle),
        Release(Index, bool),
        Expire,
        Replay(usize, u32),
        /// A message is moved on, so that the log may be made shorter.
        Keep(Index),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let any_settle = prop_oneof![
            4 => Just(Settle::Ack),
            1 => (0..50_u64).prop_map(|ms| Settle::Defer(Duration::from_millis(ms))),
            2 => Just(Settle::Fail("it failed".to_owned())),
            1 => Just(Settle::Reject("never".to_owned())),
        ];
        let step = prop_oneof![
            4 => (0..2_usize, 0..300_u16).prop_map(|(topic, size)| Step::Publish(topic, size)),
            3 => (0..2_usize, 1..5_u32).prop_map(|(topic, room)| Step::Claim(topic, room)),
            5 => (any::<Index>(), any_settle).prop_map(|(which, how)| Step::Settle(which, how)),
            1 => (any::<Index>(), any::<bool>()).prop_map(|(which, gone)| Step::Release(which, gone)),
            1 => Just(Step::Expire),
            1 => (0..2_usize, 1..4_u32).prop_map(|(topic, most)| Step::Replay(topic, most)),
            1 => any::<Index>().prop_map(Step::Keep),
        ];
        prop::collection::vec(step, 1..120)
    }

    const TOPICS: [&str; 2] = ["a", "b"];

    fn settings() -> Settings {
        let backoff = Backoff { base: Duration::ZERO, max: Duration::ZERO };
        let lease = Duration::from_secs(3_600);
        Settings { lease, attempts_max: 3, backoff, depth_max: 20, durable: true }
    }

    fn open(path: &Path) -> (State, Log) {
        let mut state = State::default();
        let log = Log::open(path, Synchronous::Off, &mut state).unwrap();
        (state, log)
    }

    /// All that is known of all messages; when leases end apart, which is not written.
    fn all(state: &State) -> BTreeMap<i64, Kept> {
        let mut all = state.all();
        for kept in all.values_mut() {
            if let At::Leased { until_us } = &mut kept.at {
                *until_us = 0;
            }
        }
        all
    }

    fn make(batch: &mut Batch<'_>, step: Step, claims: &mut Vec<Claim>) {
        match step {
            Step::Publish(topic, size) => {
                let payload = vec![b'x'; usize::from(size)].into();
                let message = Message { key: size.to_string(), payload, ..Message::default() };
                let published = batch.publish(TOPICS[topic], message);
                assert!(matches!(published, Ok(()) | Err(Error::Full { .. })), "{published:?}");
            }
            Step::Claim(topic, room) => {
                let share = Window::new(room, room).share().unwrap();
                let number = batch.state.number(TOPICS[topic]);
                if let Some(claimed) = number.and_then(|number| batch.claim(number, share)) {
                    claims.extend(claimed.handed.iter().map(|handed| handed.claim));
                }
            }
            Step::Settle(which, how) if !claims.is_empty() => {
                // An old one may be settled again: it is fenced.
                let _ = batch.settle(claims[which.index(claims.len())], how);
            }
            Step::Release(which, gone) if !claims.is_empty() => {
                let claim = claims.remove(which.index(claims.len()));
                if gone { batch.take_back(&[claim]) } else { batch.give_back(&[claim]) }
            }
            Step::Expire => drop(batch.expire()),
            Step::Replay(topic, most) => drop(batch.replay(TOPICS[topic], most)),
            Step::Keep(which) => {
                let ids: Vec<i64> = batch.state.all().into_keys().collect();
                if !ids.is_empty() {
                    batch.keep(ids[which.index(ids.len())]);
                }
            }
            Step::Settle(..) | Step::Release(..) => {}
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_read_is_what_was_made(steps in steps()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.log");
            let (mut state, mut log) = open(&path);
            let (settings, mut claims) = (settings(), Vec::new());
            for (number, step) in steps.into_iter().enumerate() {
                let mut batch = Batch::new(&mut state, &mut log, &settings);
                make(&mut batch, step, &mut claims);
                // Several jobs share a commit.
                if number % 3 == 0 {
                    log.commit(&state).unwrap();
                }
            }
            log.commit(&state).unwrap();
            let (expected, next_id) = (all(&state), state.next_id());
            let dead = TOPICS.map(|topic| state.dead(topic, 0, 100));
            let bytes = state.bytes();
            drop(log);
            let (state, _log) = open(&path);
            prop_assert_eq!(all(&state), expected);
            prop_assert_eq!(state.bytes(), bytes);
            prop_assert!(state.next_id() == next_id, "{} {}", state.next_id(), next_id);
            prop_assert_eq!(TOPICS.map(|topic| state.dead(topic, 0, 100)), dead);
        }
    }
}
