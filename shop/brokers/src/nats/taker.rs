//! One consumer of a stream: pulls, and fences itself. It knows no bound.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::line::{ANSWER_MAX, Refusal};
use super::{CONSUMER, Streams, named, nanos};
use crate::engine::{Handle, Source, Taken};
use crate::{Error, Result};

/// How much later than it should the end of a pull may be told.
const LATE_MAX: Duration = Duration::from_secs(1);
/// Leases that are renewed at once.
const RENEWED_AT_ONCE: usize = 64;

/// What becomes of a delivery, as NATS has it said.
const DONE: Bytes = Bytes::from_static(b"+ACK");
const GOES_ON: Bytes = Bytes::from_static(b"+WPI");

pub(super) struct Taker {
    streams: Arc<Streams>,
    stream: String,
    lease: Duration,
    /// Where what was pulled comes; what comes too late for one call is there for the next.
    inbox: tokio::sync::Mutex<Option<Inbox>>,
    pulls: AtomicU64,
    /// Until when it surely has what it took.
    held: Mutex<HashMap<Handle, Instant>>,
}

struct Inbox {
    subject: String,
    arriving: Subscriber,
}

impl Taker {
    pub(super) fn new(streams: Arc<Streams>, queue: &str, lease: Duration) -> Self {
        let (inbox, pulls, held) = Default::default();
        Self { streams, stream: named(queue), lease, inbox, pulls, held }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Handle, Instant>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That nobody else can have it by now.
    fn fence(&self, handle: &Handle) -> Result<()> {
        let held = self.held().get(handle).is_some_and(|until| Instant::now() < *until);
        if held { Ok(()) } else { Err(Error::Fenced) }
    }

    /// Asks for so many bodies, which come as soon as there is one; returns what the end of it is told to.
    async fn pull(&self, inbox: &mut Option<Inbox>, most: u32, wait: Duration) -> Result<String> {
        let client = self.streams.line.client().await?;
        let broken = |error: String| self.streams.line.unavailable(error);
        if inbox.is_none() {
            let subject = client.new_inbox();
            let arriving = client.subscribe(format!("{subject}.*")).await;
            let arriving = arriving.map_err(|error| broken(error.to_string()))?;
            *inbox = Some(Inbox { subject, arriving });
        }
        let subject = inbox.as_ref().map_or("", |inbox| &inbox.subject);
        let answered = format!("{subject}.{}", self.pulls.fetch_add(1, Ordering::Relaxed));
        let mut asked = json!({"batch": most, "no_wait": true});
        if !wait.is_zero() {
            asked["expires"] = nanos(wait).into();
        }
        let pull = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{CONSUMER}", self.stream);
        let asked = client.publish_with_reply(pull, answered.clone(), asked.to_string().into());
        asked.await.map_err(|error| broken(error.to_string()))?;
        Ok(answered)
    }

    /// What was delivered; it is held from now on.
    fn taken(&self, message: Message, until: Instant) -> Option<Taken> {
        let handle = Handle::copy_from_slice(message.reply.as_ref()?.as_bytes());
        let again = deliveries(&handle)? > 1;
        self.held().insert(handle.clone(), until);
        // Not known, but it was silent for so long at least.
        Some(Taken { handle, body: message.payload, silent: again.then_some(self.lease) })
    }

    /// What the end of a pull means.
    async fn ended(&self, message: &Message) -> Result<()> {
        match message.status {
            // The consumer is gone, as are its stream and all data, or nobody leads it.
            Some(StatusCode::NO_RESPONDERS) => self.streams.declare_again(&self.stream).await,
            Some(StatusCode::REQUEST_TERMINATED) => {
                let why = message.description.clone().unwrap_or_default();
                Err(self.streams.line.unavailable(why))
            }
            _ => Ok(()),
        }
    }

    /// Says what becomes of a delivery, and hears that it was understood.
    async fn tell(&self, handle: &Handle, what: Bytes) -> Result<()> {
        let subject = std::str::from_utf8(handle).map_err(|_| Error::Fenced)?;
        let told = self.streams.line.ask(subject.to_owned(), HeaderMap::new(), what).await;
        match told {
            Ok(_) => Ok(()),
            // Without its consumer nobody has it.
            Err(Refusal::Missing) => Err(self.streams.line.unavailable("no consumer")),
            Err(Refusal::Error(error)) => Err(error),
        }
    }

    async fn renew(&self, handle: Handle) -> Result<bool> {
        if self.fence(&handle).is_err() {
            return Ok(false);
        }
        let asked = Instant::now();
        self.tell(&handle, GOES_ON).await?;
        let mut held = self.held();
        let until = held.get_mut(&handle).filter(|until| Instant::now() < **until);
        Ok(until.is_some_and(|until| {
            *until = asked + self.lease;
            true
        }))
    }
}

#[async_trait]
impl Source for Taker {
    async fn take(&self, most: u32, wait: Duration) -> Result<Vec<Taken>> {
        let mut inbox = self.inbox.lock().await;
        let asked = Instant::now();
        self.held().retain(|_, until| *until > asked);
        let answered = self.pull(&mut inbox, most, wait).await?;
        let Some(inbox) = inbox.as_mut() else { return Ok(Vec::new()) };
        let late = if wait.is_zero() { ANSWER_MAX } else { LATE_MAX };
        let mut all = Vec::new();
        while all.len() < most as usize {
            let Ok(Some(message)) = timeout_at(asked + wait + late, inbox.arriving.next()).await
            else {
                break;
            };
            if message.status.is_none() {
                all.extend(self.taken(message, asked + self.lease));
            } else if message.subject.as_str() == answered {
                if all.is_empty() {
                    self.ended(&message).await?;
                }
                break;
            }
        }
        Ok(all)
    }

    async fn forget(&self, handle: &Handle) -> Result<()> {
        self.fence(handle)?;
        self.streams.answered(self.tell(handle, DONE)).await?;
        self.held().remove(handle);
        Ok(())
    }

    /// The delivery is the identity of what is added: who tries again adds nothing more.
    async fn forward(&self, handle: &Handle, to: &str, body: Bytes) -> Result<()> {
        self.fence(handle)?;
        let id = String::from_utf8_lossy(handle).into_owned();
        let moved = async {
            self.streams.publish(to, &id, body).await?;
            self.tell(handle, DONE).await
        };
        self.streams.answered(moved).await?;
        self.held().remove(handle);
        Ok(())
    }

    async fn extend(&self, handles: &[Handle]) -> Result<Vec<bool>> {
        let renewed = stream::iter(handles.to_vec()).map(|handle| self.renew(handle));
        renewed.buffered(RENEWED_AT_ONCE).try_collect().await
    }
}

/// How often it was delivered, as its name tells: `$JS.ACK.STREAM.CONSUMER.TIMES…`, or with a domain and an
/// account between the second and the third part.
pub(super) fn deliveries(handle: &Handle) -> Option<u64> {
    let parts: Vec<&str> = std::str::from_utf8(handle).ok()?.split('.').collect();
    let times = if parts.len() == 9 { parts.get(4) } else { parts.get(6) };
    times?.parse().ok()
}
