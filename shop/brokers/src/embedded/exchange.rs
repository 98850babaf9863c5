//! Who waits for what on a client's connection: answers to calls, deliveries to subscriptions. It
//! outlives connections and knows no socket.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::seen::Seen;
use super::wire::{Answer, Call, Event, Request};
use crate::{Delivery, Error, Micros, Result};

/// Calls that wait for answers; further ones are refused.
const UNANSWERED_MAX: usize = 8_192;
/// The number of a call whose answer nobody waits for.
const UNASKED: u64 = 0;

pub(super) type Reply = oneshot::Sender<Result<Answer>>;

/// A call, and who waits for its answer.
pub(super) struct Command {
    pub(super) call: Call,
    pub(super) reply: Option<Reply>,
}

/// A delivery as it came from the socket.
pub(super) struct Arrived {
    /// The connection it came over.
    pub(super) session: u64,
    /// When its lease is over at the latest, by this process's clock; none if it has none.
    pub(super) until: Option<Instant>,
    pub(super) delivery: Delivery,
}

/// What the link and its users see of each other.
pub(super) struct Exchange {
    /// Odd while connected; moves on when a connection is made and when it ends.
    session: watch::Sender<u64>,
    /// Why there is no connection.
    reason: watch::Sender<Error>,
    subscriptions: Mutex<HashMap<u64, Registered>>,
    unanswered: Mutex<Unanswered>,
    /// The last word about this connection's clock.
    clock: Mutex<Option<Seen>>,
    commands: mpsc::WeakSender<Command>,
}

struct Registered {
    call: Call,
    deliveries: mpsc::Sender<Arrived>,
}

#[derive(Default)]
struct Unanswered {
    last_id: u64,
    waiting: HashMap<u64, Waiting>,
}

enum Waiting {
    Caller(Reply),
    /// After a break; the consumer must learn if it is refused.
    Resubscription(u64),
    /// A ping: when it was asked.
    Time(Instant),
}

impl Exchange {
    pub(super) fn new(commands: mpsc::WeakSender<Command>) -> Self {
        let reason = Error::Unavailable("not connected yet".to_owned());
        Self {
            session: watch::Sender::new(0),
            reason: watch::Sender::new(reason),
            subscriptions: Mutex::default(),
            unanswered: Mutex::default(),
            clock: Mutex::default(),
            commands,
        }
    }

    pub(super) fn session(&self) -> u64 {
        *self.session.borrow()
    }

    /// Waits until there is a connection.
    pub(super) async fn connected(&self) {
        // It cannot be closed: the sender is ours.
        let _ = self.session.subscribe().wait_for(|session| session % 2 == 1).await;
    }

    /// Waits until it is clear that the other side is no broker.
    pub(super) async fn misled(&self) {
        let protocol = |reason: &Error| matches!(reason, Error::Protocol(_));
        // It cannot be closed: the sender is ours.
        let _ = self.reason.subscribe().wait_for(protocol).await;
    }

    pub(super) fn reason(&self) -> Error {
        self.reason.borrow().clone()
    }

    pub(super) fn register(&self, id: u64, call: Call, deliveries: mpsc::Sender<Arrived>) {
        lock(&self.subscriptions).insert(id, Registered { call, deliveries });
    }

    pub(super) fn unregister(&self, id: u64) {
        lock(&self.subscriptions).remove(&id);
    }

    /// From the next connection on.
    pub(super) fn limit_retries(&self, id: u64, places: u32) {
        if let Some(Registered { call: Call::Subscribe { retries, .. }, .. }) =
            lock(&self.subscriptions).get_mut(&id)
        {
            *retries = places;
        }
    }

    /// A connection is there, whose greeting said this of its clock; returns what to say first.
    pub(super) fn begin(&self, clock: Seen) -> Vec<Request> {
        *lock(&self.clock) = Some(clock);
        self.session.send_modify(|session| *session += 1);
        let mut unanswered = lock(&self.unanswered);
        let subscriptions = lock(&self.subscriptions);
        let again = subscriptions.iter().map(|(id, registered)| Request {
            id: unanswered.expect(Waiting::Resubscription(*id)),
            call: registered.call.clone(),
        });
        again.collect()
    }

    /// The connection broke: nobody knows what became of what was asked.
    pub(super) fn end(&self, why: &str) {
        self.session.send_modify(|session| *session += 1);
        self.refuse_for(Error::Unavailable(format!("{why}; not connected")));
        let error = Error::Unavailable(format!("{why}; the effect is unknown"));
        for (_, waiting) in lock(&self.unanswered).waiting.drain() {
            if let Waiting::Caller(reply) = waiting {
                let _ = reply.send(Err(error.clone()));
            }
        }
    }

    /// From now on this is why there is no connection.
    pub(super) fn refuse_for(&self, reason: Error) {
        self.reason.send_replace(reason);
    }

    /// Answers a call that cannot be sent.
    pub(super) fn refuse(&self, command: Command) {
        if let Some(reply) = command.reply {
            let _ = reply.send(Err(self.reason()));
        }
    }

    /// The request that this command becomes; none if too much is unanswered.
    pub(super) fn request(&self, command: Command) -> Option<Request> {
        let Command { call, reply } = command;
        let mut unanswered = lock(&self.unanswered);
        let Some(reply) = reply else {
            let is_ping = matches!(call, Call::Ping);
            let asked = || Waiting::Time(Instant::now());
            let id = if is_ping { unanswered.expect(asked()) } else { UNASKED };
            return Some(Request { id, call });
        };
        if unanswered.waiting.len() >= UNANSWERED_MAX {
            let text = format!("{UNANSWERED_MAX} calls are unanswered; nothing was sent");
            let _ = reply.send(Err(Error::Unavailable(text)));
            return None;
        }
        Some(Request { id: unanswered.expect(Waiting::Caller(reply)), call })
    }

    pub(super) fn take(&self, event: Event, session: u64) {
        match event {
            Event::Reply { id: UNASKED, .. } => {}
            Event::Reply { id, answer } => self.answered(id, answer),
            Event::Delivery { subscription, at_us, delivery } => {
                self.delivered(subscription, at_us, delivery, session);
            }
        }
    }

    pub(super) fn answered(&self, id: u64, answer: Result<Answer>) {
        let waiting = lock(&self.unanswered).waiting.remove(&id);
        match waiting {
            // A caller that has gone away wants no answer.
            Some(Waiting::Caller(reply)) => drop(reply.send(answer)),
            Some(Waiting::Resubscription(subscription)) if answer.is_err() => {
                self.unregister(subscription);
            }
            Some(Waiting::Time(asked)) => {
                if let Ok(Answer::Time(at_us)) = answer {
                    *lock(&self.clock) = Some(Seen { asked, at_us });
                }
            }
            Some(Waiting::Resubscription(_)) | None => {}
        }
    }

    fn delivered(&self, subscription: u64, at_us: Micros, delivery: Delivery, session: u64) {
        let now = Instant::now();
        let since = lock(&self.clock).map_or(now, |clock| clock.here(at_us).min(now));
        let until = delivery.lease.map(|lease| now + lease);
        let arrived = Arrived { session, until, delivery: Delivery { since, ..delivery } };
        if let Some(registered) = lock(&self.subscriptions).get(&subscription) {
            // The window bounds what waits here. If it is full all the same, the lease ends.
            let _ = registered.deliveries.try_send(arrived);
            return;
        }
        if let Some(commands) = self.commands.upgrade() {
            let call = Call::Unsubscribe { subscription };
            let _ = commands.try_send(Command { call, reply: None });
        }
    }
}

impl Unanswered {
    fn expect(&mut self, waiting: Waiting) -> u64 {
        self.last_id += 1;
        self.waiting.insert(self.last_id, waiting);
        self.last_id
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
