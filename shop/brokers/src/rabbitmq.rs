//! RabbitMQ as an engine, and any server of AMQP 0-9-1: durable queues, confirmed publishes. It has no lease: what
//! a consumer has is its own until its connection ends. Whoever takes a body lets go of it when a lease has passed
//! without a word; heartbeats end the connection of a client that stands still.
//!
//! The server tells how many messages nobody has. What this process has of them is counted here; what others have
//! is not, so a topic may pass its bound by that much.

mod line;
mod taker;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::{Instant, sleep};

use crate::adapter::{Adapter, Capabilities, Keeper};
use crate::engine::{Bound, Count, Engine, Source};
use crate::room::Room;
use crate::supplied::Supplied;
use crate::{Broker, Result, Settings};
use line::Line;
use taker::{Desk, Taker};

pub(crate) const ADAPTER: Adapter = Adapter {
    scheme: "rabbitmq",
    form: "rabbitmq://HOST:PORT",
    capabilities: Capabilities { durable: true, ..Capabilities::NONE },
    settings: Keeper::Client,
    server: Some("rabbitmq"),
    open: |address, settings| open(Kind::Quorum, address, settings),
};
/// Another server of the same protocol, which has no quorum queues.
pub(crate) const LAVINMQ: Adapter = Adapter {
    scheme: "lavinmq",
    form: "lavinmq://HOST:PORT",
    server: Some("lavinmq"),
    open: |address, settings| open(Kind::Classic, address, settings),
    ..ADAPTER
};

/// What was looked at is back after a commit of the server.
const GIVEN_BACK_MAX: Duration = Duration::from_secs(1);
/// Where deliveries come all the time, no count is exact, and one that is a little too high will do.
const COUNTED_MAX: u32 = 5;
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(5);

fn open(kind: Kind, address: &str, settings: Settings) -> Result<Arc<dyn Broker>> {
    Ok(Arc::new(Supplied::new(Rabbit::new(kind, address, settings.lease), settings)))
}

/// What kind of queues a server has that fsync before they confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Quorum,
    Classic,
}

impl Kind {
    fn scheme(self) -> &'static str {
        match self {
            Self::Quorum => "rabbitmq",
            Self::Classic => "lavinmq",
        }
    }
}

struct Rabbit {
    line: Arc<Line>,
    room: Room,
    /// The consumers of this process.
    desks: Mutex<Vec<Weak<Desk>>>,
    /// Who looks has what it looks at: one at a time.
    looking: tokio::sync::Mutex<()>,
}

impl Rabbit {
    fn new(kind: Kind, address: &str, lease: Duration) -> Self {
        let line = Arc::new(Line::new(kind, address, lease));
        let (room, desks, looking) = Default::default();
        Self { line, room, desks, looking }
    }

    /// The consumers of a queue that there still are.
    fn desks(&self, queue: &str) -> Vec<Arc<Desk>> {
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        desks.retain(|desk| desk.strong_count() > 0);
        desks.iter().filter_map(Weak::upgrade).filter(|desk| desk.queue == queue).collect()
    }
}

#[async_trait]
impl Engine for Rabbit {
    async fn declare(&self, queue: &str, _: &Settings) -> Result<()> {
        self.line.declare(queue).await.map(drop)
    }

    async fn append(&self, queue: &str, body: Bytes, bound: &Bound) -> Result<bool> {
        let live = move || async move {
            let mut live = 0;
            for queue in &bound.queues {
                let count = self.count(queue).await?;
                live += count.waiting + count.taken;
            }
            Ok(live)
        };
        let append = self.room.append(bound, live, self.line.publish(queue, &body));
        self.line.within(append).await
    }

    async fn source(&self, queue: &str, lease: Duration) -> Result<Box<dyn Source>> {
        let desk = Arc::new(Desk::new(Arc::clone(&self.line), queue, lease));
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        desks.push(Arc::downgrade(&desk));
        Ok(Box::new(Taker::new(desk)))
    }

    /// What was on its way to a consumer of this process when the server counted is with it when that is
    /// counted. What came meanwhile may be counted twice: then it is counted again.
    async fn count(&self, queue: &str) -> Result<Count> {
        let came = || self.desks(queue).iter().map(|desk| desk.came()).sum::<u64>();
        let mut tries = COUNTED_MAX;
        loop {
            let before = came();
            let waiting = self.line.declare(queue).await?;
            let mut taken = 0;
            for desk in self.desks(queue) {
                taken += desk.has().await;
            }
            tries -= 1;
            if came() == before || tries == 0 {
                return Ok(Count { waiting, taken });
            }
        }
    }

    async fn look(&self, queue: &str, limit: u32) -> Result<Vec<Bytes>> {
        let _alone = self.looking.lock().await;
        let waiting = self.line.declare(queue).await?;
        let limit = u32::try_from(waiting).unwrap_or(u32::MAX).min(limit);
        let bodies = taker::look(Arc::clone(&self.line), queue, limit).await?;
        self.given_back(queue, waiting).await?;
        Ok(bodies)
    }
}

impl Rabbit {
    /// Waits until a queue has again what was looked at, unless others have taken of it meanwhile.
    async fn given_back(&self, queue: &str, waiting: u64) -> Result<()> {
        let end = Instant::now() + GIVEN_BACK_MAX;
        while self.line.declare(queue).await? < waiting && Instant::now() < end {
            sleep(ASKED_AGAIN_AFTER).await;
        }
        Ok(())
    }
}
