//! Kafka as an engine: a queue is a topic of one partition with one share group. A lease is Kafka's lock on a
//! record that a member has acquired; what is done is accepted, one record by itself.
//!
//! The protocol is spoken here: clients of share groups take a batch and settle all of it before the next, and
//! hear of its settlements together (decision 52). Returned means durable, because a broker that does not fsync
//! each batch before it answers is refused.

mod batcher;
mod calls;
mod cluster;
mod line;
mod records;
mod share;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use crate::adapter::{Adapter, Capabilities, Keeper};
use crate::engine::{Bound, Count, Engine, Handle, Source, Taken};
use crate::room::Room;
use crate::supplied::Supplied;
use crate::{Broker, Error, Result, Settings};
use batcher::Batcher;
use calls::{Edge, FETCH_BYTES_MAX};
use cluster::{Cluster, LOOK, Whom};
use line::{ANSWER_MAX, away};
use share::Member;

pub(crate) const ADAPTER: Adapter = Adapter {
    scheme: "kafka",
    form: "kafka://HOST:PORT",
    capabilities: Capabilities { durable: true, lease: true, ..Capabilities::NONE },
    settings: Keeper::Client,
    server: Some("kafka"),
    open,
};

/// The shortest lock that Kafka can be told to keep: a lease may end up to so much later than asked.
const LOCK_MIN: Duration = Duration::from_secs(1);
/// After so many deliveries Kafka forgets a record, and before that it is appended anew.
const DELIVERIES_MAX: i16 = 10;
const DELIVERIES_ANEW: i16 = 5;
/// Bytes of one batch: what a topic takes by default, less what is written around bodies.
const BATCH_BYTES_MAX: usize = 900 * 1024;
/// How long who does not want to wait waits for what is there: a share of a queue begins slowly.
const THERE: Duration = Duration::from_secs(2);

fn open(addresses: &str, settings: Settings) -> Result<Arc<dyn Broker>> {
    if addresses.contains('@') {
        let text = "kafka: a password is not carried; expected kafka://HOST:PORT,HOST:PORT";
        return Err(Error::Invalid(text.to_owned()));
    }
    // What is promised of a lease is what Kafka keeps.
    let settings = Settings { lease: lock(settings.lease), ..settings };
    Ok(Arc::new(Supplied::new(Kafka::new(addresses, settings.durable), settings)))
}

struct Kafka(Arc<Shared>);

struct Shared {
    cluster: Arc<Cluster>,
    addresses: String,
    /// What waits to be appended to which queue.
    appending: Mutex<HashMap<String, Arc<Batcher<Bytes, ()>>>>,
    room: Room,
}

impl Kafka {
    fn new(addresses: &str, durable: bool) -> Self {
        let cluster = Arc::new(Cluster::new(addresses, durable));
        let addresses = addresses.to_owned();
        let (appending, room) = (Mutex::default(), Room::default());
        Self(Arc::new(Shared { cluster, addresses, appending, room }))
    }
}

impl Shared {
    fn appending(&self, queue: &str) -> Arc<Batcher<Bytes, ()>> {
        let mut all = self.appending.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(queue.to_owned()).or_default())
    }

    /// Together with what others append meanwhile; returned means fsynced by all replicas in sync.
    async fn append(&self, queue: &str, body: Bytes) -> Result<()> {
        let appending = self.appending(queue);
        let send = |bodies| self.send(queue, bodies);
        let fit = |waiting: &[(Bytes, _)]| {
            let sum = waiting.iter().scan(0, |sum, (body, _)| {
                *sum += body.len();
                Some(*sum)
            });
            sum.take_while(|sum| *sum <= BATCH_BYTES_MAX).count()
        };
        let appended = timeout(ANSWER_MAX, appending.go(body, fit, send)).await;
        appended.unwrap_or_else(|_| {
            // Another may lead by now.
            self.cluster.doubt(queue);
            Err(away(&self.addresses, "it does not answer"))
        })
    }

    /// What is too large together, or because of one of them, goes by halves.
    async fn send(&self, queue: &str, bodies: Vec<Bytes>) -> Vec<Result<()>> {
        let (mut left, mut outcomes) = (vec![bodies], Vec::new());
        while let Some(mut part) = left.pop() {
            let request = calls::produce(queue, &part);
            let outcome = self.cluster.ask_leader(queue, &request, calls::read_produce).await;
            if matches!(outcome, Err(Error::Invalid(_))) && part.len() > 1 {
                let rest = part.split_off(part.len() / 2);
                left.extend([rest, part]);
            } else {
                outcomes.extend(vec![outcome; part.len()]);
            }
        }
        outcomes
    }

    /// Bodies that are not done, whether somebody has them or not.
    async fn live(&self, queue: &str) -> Result<u64> {
        let asked = calls::lag(queue, queue);
        if let Some(lag) = self.cluster.ask_keeper(queue, &asked, calls::read_lag).await? {
            return Ok(lag);
        }
        let (end, first) =
            (self.edge(queue, Edge::End).await?, self.edge(queue, Edge::First).await?);
        Ok((end - first).unsigned_abs())
    }

    async fn edge(&self, queue: &str, edge: Edge) -> Result<i64> {
        self.cluster.ask_leader(queue, &calls::edge(queue, edge), calls::read_edge).await
    }
}

#[async_trait]
impl Engine for Kafka {
    async fn declare(&self, queue: &str, settings: &Settings) -> Result<()> {
        let asked = calls::set_group(queue, lock(settings.lease), DELIVERIES_MAX);
        calls::read_set_group(&mut self.0.cluster.ask(Whom::Any, &asked).await?)?;
        self.0.cluster.place(queue).await?;
        let end = Instant::now() + ANSWER_MAX;
        loop {
            // It is made first, and served a moment later.
            match self.0.edge(queue, Edge::End).await {
                Err(Error::Unavailable(_)) if Instant::now() < end => sleep(LOOK).await,
                served => return served.map(drop),
            }
        }
    }

    async fn append(&self, queue: &str, body: Bytes, bound: &Bound) -> Result<bool> {
        let live = move || async move {
            let mut live = 0;
            for queue in &bound.queues {
                live += self.0.live(queue).await?;
            }
            Ok(live)
        };
        self.0.room.append(bound, live, self.0.append(queue, body)).await
    }

    async fn source(&self, queue: &str, lease: Duration) -> Result<Box<dyn Source>> {
        let (shared, queue) = (Arc::clone(&self.0), queue.to_owned());
        let member = Member::new(Arc::clone(&shared.cluster), &queue, lock(lease));
        Ok(Box::new(Taker { shared, queue, member }))
    }

    /// Kafka does not tell what somebody has from what nobody has.
    async fn count(&self, queue: &str) -> Result<Count> {
        Ok(Count { waiting: self.0.live(queue).await?, taken: 0 })
    }

    /// Looked at are dead letters: they leave from the front, one after the other.
    async fn look(&self, queue: &str, limit: u32) -> Result<Vec<Bytes>> {
        let live = self.0.live(queue).await?.cast_signed();
        let end = self.0.edge(queue, Edge::End).await?;
        let (mut from, mut bodies) = (end - live, Vec::new());
        while from < end && bodies.len() < limit as usize {
            let asked = calls::fetch(queue, from, FETCH_BYTES_MAX, Duration::ZERO);
            let (_, found) = self.0.cluster.ask_leader(queue, &asked, calls::read_fetch).await?;
            let Some((last, _)) = found.last() else { break };
            let next = last + 1;
            bodies.extend(
                found.into_iter().filter(|(offset, _)| *offset >= from).map(|(_, body)| body),
            );
            from = next;
        }
        bodies.truncate(limit as usize);
        Ok(bodies)
    }
}

/// One consumer of a queue.
struct Taker {
    shared: Arc<Shared>,
    queue: String,
    member: Member,
}

impl Taker {
    /// What Kafka would soon forget is appended anew, to be delivered for the first time.
    async fn anew(&self, offset: i64, times: i16, body: Bytes) {
        // If this is lost, it comes again.
        if self.shared.append(&self.queue, body).await.is_ok() {
            let _ = self.member.done(offset, times).await;
        }
    }
}

#[async_trait]
impl Source for Taker {
    async fn take(&self, most: u32, wait: Duration) -> Result<Vec<Taken>> {
        let wait = match wait.is_zero() {
            true if self.shared.live(&self.queue).await? == 0 => return Ok(Vec::new()),
            true => THERE,
            false => wait,
        };
        let mut all = Vec::new();
        for (offset, times, body) in self.member.take(most, wait).await? {
            if times >= DELIVERIES_ANEW {
                self.anew(offset, times, body).await;
                continue;
            }
            // Kafka does not tell a lease that has ended from a connection that broke just now: a crash must count.
            let silent = (times > 1).then_some(Duration::ZERO);
            all.push(Taken { handle: handle(offset, times), body, silent });
        }
        Ok(all)
    }

    async fn forget(&self, handle: &Handle) -> Result<()> {
        let (offset, times) = named(handle)?;
        self.member.done(offset, times).await
    }

    /// Adds first; its lease is renewed before, so that nobody else has it meanwhile.
    async fn forward(&self, handle: &Handle, queue: &str, body: Bytes) -> Result<()> {
        let (offset, times) = named(handle)?;
        self.member.renew(offset, times).await?;
        self.shared.append(queue, body).await?;
        self.member.done(offset, times).await
    }

    async fn extend(&self, handles: &[Handle]) -> Result<Vec<bool>> {
        let renew = |handle: &Handle| {
            let named = named(handle);
            async move {
                let (offset, times) = named?;
                self.member.renew(offset, times).await
            }
        };
        let outcomes = futures_util::future::join_all(handles.iter().map(renew)).await;
        let held = |outcome| match outcome {
            Ok(()) => Ok(true),
            Err(Error::Fenced) => Ok(false),
            Err(error) => Err(error),
        };
        outcomes.into_iter().map(held).collect()
    }
}

fn lock(lease: Duration) -> Duration {
    lease.max(LOCK_MIN)
}

/// A delivery's name: its place, and how often that was delivered.
fn handle(offset: i64, times: i16) -> Handle {
    Handle::from(format!("{offset} {times}"))
}

fn named(handle: &Handle) -> Result<(i64, i16)> {
    let text = std::str::from_utf8(handle).ok();
    let named = text.and_then(|text| text.split_once(' '));
    let named = named.and_then(|(offset, times)| Some((offset.parse().ok()?, times.parse().ok()?)));
    named.ok_or(Error::Fenced)
}
