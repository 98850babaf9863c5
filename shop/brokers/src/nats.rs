//! NATS JetStream as an engine: a queue is a stream whose one consumer takes what is done out of it. A lease is
//! the consumer's time to acknowledge.
//!
//! NATS takes an acknowledgement from anybody, so who consumes fences itself by its own clock, which begins
//! before the server's. Returned means durable where the server has `sync_interval: always`: a client cannot
//! ask for that, so it refuses servers that are too old to have it, unless `durable=no`.

mod line;
mod taker;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout, timeout_at};

use crate::adapter::{Adapter, Capabilities, Keeper};
use crate::engine::{Bound, Count, Engine, Source};
use crate::room::Room;
use crate::supplied::Supplied;
use crate::{Broker, Result, Settings};
use line::{ANSWER_MAX, Line, Refusal};
use taker::Taker;

pub(crate) const ADAPTER: Adapter = Adapter {
    scheme: "nats",
    form: "nats://HOST:PORT",
    capabilities: Capabilities { durable: true, lease: true, ..Capabilities::NONE },
    settings: Keeper::Client,
    server: Some("nats"),
    open,
};

/// The consumer of each stream.
const CONSUMER: &str = "triptych";
/// A body with an identity that came so soon before is not stored again.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);
/// How soon a stream that nobody answers for is asked again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// How long a stream that nobody answers for may take to be there: while nobody leads the servers, nobody
/// answers, and once somebody does, the stream may be there without us.
const DECLARED_WITHIN: Duration = Duration::from_secs(1);
/// NATS keeps a stream on five servers at most.
const REPLICAS_MAX: usize = 5;

fn open(address: &str, settings: Settings) -> Result<Arc<dyn Broker>> {
    let engine = Nats::new(address, &settings)?;
    Ok(Arc::new(Supplied::new(engine, settings)))
}

struct Nats {
    streams: Arc<Streams>,
    room: Room,
}

impl Nats {
    fn new(address: &str, settings: &Settings) -> Result<Self> {
        let line = Line::new(address, settings.durable)?;
        let streams = Streams { line, lease: settings.lease };
        Ok(Self { streams: Arc::new(streams), room: Room::default() })
    }
}

#[async_trait]
impl Engine for Nats {
    async fn declare(&self, queue: &str, _: &Settings) -> Result<()> {
        self.streams.declare(&named(queue)).await
    }

    async fn append(&self, queue: &str, body: Bytes, bound: &Bound) -> Result<bool> {
        let live = move || async move {
            let mut live = 0;
            for queue in &bound.queues {
                live += self.streams.live(&named(queue)).await?;
            }
            Ok(live)
        };
        let id = format!("{:032x}", rand::random::<u128>());
        let append = self.streams.publish(queue, &id, body);
        self.streams.answered(self.room.append(bound, live, append)).await
    }

    async fn source(&self, queue: &str, lease: Duration) -> Result<Box<dyn Source>> {
        Ok(Box::new(Taker::new(Arc::clone(&self.streams), queue, lease)))
    }

    async fn count(&self, queue: &str) -> Result<Count> {
        self.streams.count(&named(queue)).await
    }

    async fn look(&self, queue: &str, limit: u32) -> Result<Vec<Bytes>> {
        self.streams.look(&named(queue), limit as usize).await
    }
}

/// A stream's name, which is its subject, too: no part of it may be empty, so it has one part.
fn named(queue: &str) -> String {
    queue.replace('.', "+")
}

/// The streams of a server.
struct Streams {
    line: Line,
    lease: Duration,
}

impl Streams {
    async fn declare(&self, stream: &str) -> Result<()> {
        let config = json!({
            "name": stream,
            "subjects": [stream],
            "retention": "workqueue",
            "storage": "file",
            "num_replicas": self.line.servers().min(REPLICAS_MAX),
            "allow_direct": true,
            "duplicate_window": nanos(REMEMBERED_FOR),
        });
        self.manage(format!("STREAM.CREATE.{stream}"), &config).await?;
        let consumer = json!({
            "stream_name": stream,
            "config": {
                "name": CONSUMER,
                "durable_name": CONSUMER,
                "ack_policy": "explicit",
                "ack_wait": nanos(self.lease),
                "max_ack_pending": -1,
                "max_deliver": -1,
            },
        });
        self.manage(format!("CONSUMER.CREATE.{stream}.{CONSUMER}"), &consumer).await.map(drop)
    }

    /// A stream that is lost, or that nobody leads: what was asked of it is to be asked again afterwards.
    async fn declare_again(&self, stream: &str) -> Result<()> {
        timeout(DECLARED_WITHIN, self.declare(stream)).await.unwrap_or(Ok(()))
    }

    async fn manage(&self, what: String, body: &Value) -> Result<Value> {
        self.line.manage(what, body).await.map_err(|refusal| self.line.meaning(refusal))
    }

    /// Stores a body, once under this identity; a stream that was lost is declared again.
    async fn publish(&self, queue: &str, id: &str, body: Bytes) -> Result<()> {
        let stream = named(queue);
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        loop {
            let asked = self.line.ask(stream.clone(), headers.clone(), body.clone()).await;
            match asked.and_then(|answer| self.line.read(&answer)) {
                Ok(_) => return Ok(()),
                Err(Refusal::Missing) => self.declare_again(&stream).await?,
                Err(Refusal::Error(error)) => return Err(error),
            }
            sleep(ASKED_AGAIN_AFTER).await;
        }
    }

    async fn count(&self, stream: &str) -> Result<Count> {
        let asked = format!("CONSUMER.INFO.{stream}.{CONSUMER}");
        match self.line.manage(asked, &Value::Null).await {
            Ok(info) => {
                let of = |name: &str| info[name].as_u64().unwrap_or(0);
                Ok(Count { waiting: of("num_pending"), taken: of("num_ack_pending") })
            }
            Err(Refusal::Missing) => Ok(Count::default()),
            Err(Refusal::Error(error)) => Err(error),
        }
    }

    /// How many bodies the stream stores. Its consumer hears of what was stored later than who stored it.
    async fn live(&self, stream: &str) -> Result<u64> {
        match self.line.manage(format!("STREAM.INFO.{stream}"), &Value::Null).await {
            Ok(info) => Ok(info["state"]["messages"].as_u64().unwrap_or(0)),
            Err(Refusal::Missing) => Ok(0),
            Err(Refusal::Error(error)) => Err(error),
        }
    }

    async fn look(&self, stream: &str, limit: usize) -> Result<Vec<Bytes>> {
        let (mut bodies, mut next) = (Vec::new(), 1);
        while bodies.len() < limit {
            let (some, last) = self.look_from(stream, next, limit - bodies.len()).await?;
            if some.is_empty() {
                break;
            }
            bodies.extend(some);
            next = last + 1;
        }
        Ok(bodies)
    }

    /// As many as the server gives at once, and the number of the last of them.
    async fn look_from(&self, stream: &str, from: u64, limit: usize) -> Result<(Vec<Bytes>, u64)> {
        let client = self.line.client().await?;
        self.line.new_enough(&client, "else it hands out one body by a look")?;
        let inbox = client.new_inbox();
        let asked = json!({"seq": from, "next_by_subj": ">", "batch": limit}).to_string();
        let end = tokio::time::Instant::now() + ANSWER_MAX;
        let broken = |error| self.line.unavailable(error);
        let mut answers =
            client.subscribe(inbox.clone()).await.map_err(|error| broken(error.to_string()))?;
        let published =
            client.publish_with_reply(format!("$JS.API.DIRECT.GET.{stream}"), inbox, asked.into());
        published.await.map_err(|error| broken(error.to_string()))?;
        let (mut bodies, mut last) = (Vec::new(), from);
        loop {
            let answer = timeout_at(end, answers.next()).await;
            let answer = answer.ok().flatten().ok_or_else(|| broken("no answer".to_owned()))?;
            if answer.status.is_some() {
                return Ok((bodies, last));
            }
            let number = answer.headers.as_ref().and_then(|headers| headers.get("Nats-Sequence"));
            last = number.and_then(|number| number.as_str().parse().ok()).unwrap_or(last);
            bodies.push(answer.payload);
        }
    }

    /// No longer than anybody waits for an answer.
    async fn answered<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        timeout(ANSWER_MAX, work).await.unwrap_or_else(|_| Err(self.line.unavailable("no answer")))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
