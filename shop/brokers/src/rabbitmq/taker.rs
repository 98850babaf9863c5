//! One consumer of a queue: what the server has sent it, what of this is in work and until when. It knows no
//! bound.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::{self, Future};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt};
use lapin::message::{Delivery, DeliveryResult};
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions,
    BasicQosOptions, ChannelFlowOptions,
};
use lapin::types::FieldTable;
use lapin::{Consumer, ConsumerDelegate};
use tokio::runtime::Handle as Runtime;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::line::{Line, Open};
use crate::engine::{Handle, Source, Taken};
use crate::window::wait;
use crate::{Error, Result};

/// How long a look waits for what the server said it has.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// How much one consumer may be sent at once, by the protocol.
const CREDIT_MAX: u32 = u16::MAX as u32;

/// What one consumer has. Deliveries are put into the inbox by the connection's own thread, in the sequence of
/// its frames: who has an answer to something later finds them there.
pub(super) struct Desk {
    pub(super) queue: String,
    line: Arc<Line>,
    lease: Duration,
    state: Mutex<State>,
    /// Nobody has asked for them yet. The connection's thread waits for this lock while it has its own: who
    /// holds it calls nothing of the client.
    inbox: Mutex<Inbox>,
    /// How many deliveries have come, ever.
    came: AtomicU64,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Which channel this is of: the numbers of another's deliveries mean nothing to it.
    channel: u32,
    open: Option<Open>,
    consumers: Vec<Consumer>,
    /// How many deliveries the server may send that are not settled.
    credit: u32,
    held: HashMap<u64, Held>,
}

#[derive(Default)]
struct Inbox {
    channel: u32,
    arrived: VecDeque<Delivery>,
}

/// A delivery that was taken.
struct Held {
    until: Instant,
    /// The server was told that it is done.
    done: bool,
}

impl State {
    fn hold(&mut self, delivery: Delivery, until: Instant) -> Taken {
        let Delivery { delivery_tag: tag, redelivered, data, .. } = delivery;
        self.held.insert(tag, Held { until, done: false });
        // Since when is not known. The server gives it to the next as soon as it learns of the end of the last.
        let silent = redelivered.then_some(Duration::ZERO);
        Taken { handle: named(self.channel, tag), body: data.into(), silent }
    }

    /// The number of a delivery that is held; of one that is done, too, if it was not heard that the server
    /// knows.
    fn held(&mut self, handle: &Handle) -> Result<(u64, &mut Held)> {
        let (channel, tag) = parts(handle).ok_or(Error::Fenced)?;
        let now = Instant::now();
        let ours = channel == self.channel && self.open.as_ref().is_some_and(Open::is_good);
        let held = self.held.get_mut(&tag).filter(|held| ours && (held.done || held.until > now));
        held.map(|held| (tag, held)).ok_or(Error::Fenced)
    }

    /// What nobody settled or extended in time.
    fn expired(&mut self) -> HashSet<u64> {
        let now = Instant::now();
        let expired = self.held.iter().filter(|(_, held)| !held.done && held.until <= now);
        let expired: HashSet<u64> = expired.map(|(tag, _)| *tag).collect();
        self.held.retain(|tag, _| !expired.contains(tag));
        expired
    }

    fn next_expiry(&self) -> Option<Instant> {
        self.held.values().filter(|held| !held.done).map(|held| held.until).min()
    }

    fn has(&self) -> usize {
        self.held.values().filter(|held| !held.done).count()
    }
}

impl Desk {
    pub(super) fn new(line: Arc<Line>, queue: &str, lease: Duration) -> Self {
        let (state, inbox, came, changed) = Default::default();
        Self { queue: queue.to_owned(), line, lease, state, inbox, came, changed }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new channel has nothing of the old one.
    fn opened(&self, open: Open) {
        let mut state = self.state();
        let channel = state.channel + 1;
        let left = std::mem::replace(&mut *self.inbox(), Inbox { channel, ..Inbox::default() });
        *state = State { channel, open: Some(open), ..State::default() };
        drop((state, left));
    }

    fn hand_out(&self, most: u32) -> Vec<Taken> {
        let mut state = self.state();
        let arrived: Vec<Delivery> = {
            let arrived = &mut self.inbox().arrived;
            let most = arrived.len().min(most as usize);
            arrived.drain(..most).collect()
        };
        let until = Instant::now() + self.lease;
        arrived.into_iter().map(|delivery| state.hold(delivery, until)).collect()
    }

    /// How many deliveries have come, ever: if no other came between two answers of the server, both speak of
    /// the same.
    pub(super) fn came(&self) -> u64 {
        self.came.load(Relaxed)
    }

    /// How much it has of what the server sent before it was asked.
    pub(super) async fn has(&self) -> u64 {
        let open = self.state().open.clone();
        if let Some(open) = open.filter(Open::is_good) {
            // If it does not answer, it has nothing for much longer.
            let _ = self.heard(&open).await;
        }
        let state = self.state();
        let has = state.has() + self.inbox().arrived.len();
        if state.open.as_ref().is_some_and(Open::is_good) { has as u64 } else { 0 }
    }

    /// That the server has done what this channel asked for before.
    async fn heard(&self, open: &Open) -> Result<()> {
        let asked = open.channel.channel_flow(ChannelFlowOptions { active: true });
        self.line.answered(asked).await.map(drop)
    }

    fn arrived(&self, channel: u32, delivery: DeliveryResult) {
        let mut inbox = self.inbox();
        if let Ok(Some(delivery)) = delivery
            && inbox.channel == channel
        {
            inbox.arrived.push_back(delivery);
            self.came.fetch_add(1, Relaxed);
        }
        drop(inbox);
        self.changed.notify_waiters();
    }

    /// Says that a delivery is done; it is nobody else's while this is under way.
    async fn done(&self, handle: &Handle) -> Result<()> {
        let (open, tag, first) = {
            let mut state = self.state();
            let open = state.open.clone().ok_or(Error::Fenced)?;
            let (tag, held) = state.held(handle)?;
            (open, tag, !std::mem::replace(&mut held.done, true))
        };
        if first {
            self.line.answered(open.channel.basic_ack(tag, BasicAckOptions::default())).await?;
        }
        self.heard(&open).await?;
        self.state().held.remove(&tag);
        Ok(())
    }
}

/// Hands what the server sends to a desk that is still there.
struct Bell {
    desk: Weak<Desk>,
    channel: u32,
}

impl ConsumerDelegate for Bell {
    fn on_new_delivery(
        &self,
        delivery: DeliveryResult,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        if let Some(desk) = self.desk.upgrade() {
            desk.arrived(self.channel, delivery);
        }
        Box::pin(future::ready(()))
    }
}

/// A source, whose end gives back what it has.
pub(super) struct Taker {
    desk: Arc<Desk>,
    /// One call at a time opens a channel or asks for more.
    taking: tokio::sync::Mutex<()>,
}

impl Taker {
    pub(super) fn new(desk: Arc<Desk>) -> Self {
        Self { desk, taking: tokio::sync::Mutex::default() }
    }

    /// The channel, opened anew if it broke.
    async fn open(&self) -> Result<Open> {
        let open = self.desk.state().open.clone();
        if let Some(open) = open.filter(Open::is_good) {
            return Ok(open);
        }
        let open = self.desk.line.open().await?;
        self.desk.opened(open.clone());
        Ok(open)
    }

    /// Lets the server send so many more than what is held: a consumer more on the same channel.
    async fn consume(&self, open: &Open, most: u32) -> Result<()> {
        let (channel, more) = {
            let state = self.desk.state();
            let wanted = state.held.len() as u32 + most;
            (state.channel, wanted.saturating_sub(state.credit).min(CREDIT_MAX))
        };
        if more > 0 {
            let consumer = self.begin(open, channel, more as u16).await?;
            let mut state = self.desk.state();
            state.credit += more;
            state.consumers.push(consumer);
        }
        self.collect(channel);
        Ok(())
    }

    async fn begin(&self, open: &Open, channel: u32, credit: u16) -> Result<Consumer> {
        let (desk, line) = (&self.desk, &self.desk.line);
        line.answered(open.channel.basic_qos(credit, BasicQosOptions::default())).await?;
        let consumer = line.answered(open.channel.basic_consume(
            desk.queue.as_str().into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        ));
        let consumer = consumer.await?;
        consumer.set_delegate(Bell { desk: Arc::downgrade(desk), channel });
        Ok(consumer)
    }

    /// What arrived while a consumer had not been told where to put it.
    fn collect(&self, channel: u32) {
        let mut consumers = self.desk.state().consumers.clone();
        for consumer in &mut consumers {
            while let Some(Some(Ok(delivery))) = consumer.next().now_or_never() {
                self.desk.arrived(channel, Ok(Some(delivery)));
            }
        }
    }

    /// Lets others have what nobody spoke of for a lease.
    async fn let_go(&self, open: &Open) -> Result<()> {
        let expired = self.desk.state().expired();
        for tag in expired {
            let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            self.desk.line.answered(open.channel.basic_nack(tag, options)).await?;
        }
        Ok(())
    }

    async fn wait(&self, open: &Open, most: u32, end: Instant) -> Result<Vec<Taken>> {
        loop {
            let changed = self.desk.changed.notified();
            self.let_go(open).await?;
            let taken = self.desk.hand_out(most);
            if !taken.is_empty() || Instant::now() >= end {
                return Ok(taken);
            }
            if !open.is_good() {
                return Err(self.desk.line.unavailable("the connection ended"));
            }
            let expiry = self.desk.state().next_expiry();
            wait(changed, Some(expiry.map_or(end, |expiry| expiry.min(end)))).await;
        }
    }

    /// Asks for one after the other, until there is none.
    async fn get(&self, open: &Open, most: u32) -> Result<Vec<Taken>> {
        let mut all = Vec::new();
        while all.len() < most as usize {
            let asked =
                open.channel.basic_get(self.desk.queue.as_str().into(), BasicGetOptions::default());
            let Some(got) = self.desk.line.answered(asked).await? else { break };
            let until = Instant::now() + self.desk.lease;
            self.desk.came.fetch_add(1, Relaxed);
            all.push(self.desk.state().hold(got.delivery, until));
        }
        Ok(all)
    }
}

#[async_trait]
impl Source for Taker {
    async fn take(&self, most: u32, longest: Duration) -> Result<Vec<Taken>> {
        let end = Instant::now() + longest;
        let _alone = self.taking.lock().await;
        let open = self.open().await?;
        if longest.is_zero() {
            return self.get(&open, most).await;
        }
        self.consume(&open, most).await?;
        self.wait(&open, most, end).await
    }

    async fn forget(&self, handle: &Handle) -> Result<()> {
        self.desk.done(handle).await
    }

    async fn forward(&self, handle: &Handle, to: &str, body: Bytes) -> Result<()> {
        let done = self.desk.state().held(handle)?.1.done;
        // Else it was forwarded, and it was not heard that the server knows.
        if !done {
            self.desk.line.publish(to, &body).await?;
        }
        self.desk.done(handle).await
    }

    async fn extend(&self, handles: &[Handle]) -> Result<Vec<bool>> {
        let until = Instant::now() + self.desk.lease;
        let open = self.desk.state().open.clone();
        if let Some(open) = open.filter(Open::is_good) {
            self.desk.heard(&open).await?;
        }
        let mut state = self.desk.state();
        let mut extend = |handle| match state.held(handle) {
            Ok((_, held)) => {
                held.until = until;
                true
            }
            Err(_) => false,
        };
        Ok(handles.iter().map(&mut extend).collect())
    }
}

/// What has arrived and nobody had is put back as it was, which closing the channel would not do: it would count
/// as delivered.
impl Drop for Taker {
    fn drop(&mut self) {
        let desk = Arc::clone(&self.desk);
        let open = desk.state().open.clone().filter(Open::is_good);
        if let (Some(open), Ok(runtime)) = (open, Runtime::try_current()) {
            runtime.spawn(async move {
                // If it is not heard, the end of the connection does the same.
                let _ = close(&desk, &open).await;
            });
        }
    }
}

async fn close(desk: &Desk, open: &Open) -> Result<()> {
    let consumers = std::mem::take(&mut desk.state().consumers);
    for consumer in &consumers {
        let cancelled = open.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
        desk.line.answered(cancelled).await?;
    }
    for taken in desk.hand_out(u32::MAX) {
        desk.line.publish(&desk.queue, &taken.body).await?;
        desk.done(&taken.handle).await?;
    }
    desk.line.answered(open.channel.close(200, "done".into())).await
}

/// The oldest bodies, so many at most: takes them, and lets go of all.
pub(super) async fn look(line: Arc<Line>, queue: &str, limit: u32) -> Result<Vec<Bytes>> {
    let taker = Taker::new(Arc::new(Desk::new(line, queue, LOOK_MAX * 2)));
    let open = taker.open().await?;
    let (mut bodies, end) = (Vec::new(), Instant::now() + LOOK_MAX);
    while bodies.len() < limit as usize && Instant::now() < end {
        let more = (limit - bodies.len() as u32).min(CREDIT_MAX);
        taker.consume(&open, more).await?;
        bodies.extend(taker.wait(&open, more, end).await?.into_iter().map(|taken| taken.body));
    }
    let closed = open.channel.close(200, "looked".into());
    taker.desk.line.answered(closed).await?;
    Ok(bodies)
}

/// A delivery's name: its channel, and its number there.
fn named(channel: u32, tag: u64) -> Handle {
    let mut bytes = BytesMut::with_capacity(size_of::<u32>() + size_of::<u64>());
    bytes.put_u32_le(channel);
    bytes.put_u64_le(tag);
    bytes.freeze()
}

fn parts(handle: &Handle) -> Option<(u32, u64)> {
    let (channel, tag) = handle.split_first_chunk()?;
    let tag = <[u8; 8]>::try_from(tag).ok()?;
    Some((u32::from_le_bytes(*channel), u64::from_le_bytes(tag)))
}
