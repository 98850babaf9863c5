//! Amazon's SQS as an engine, and what speaks its language: a queue is a standard queue, a lease is the time
//! for which a message is not visible. No SDK: six operations, signed here.
//!
//! SQS cannot look at messages without taking them, counts roughly, and keeps what nobody takes for two weeks.

mod line;
mod sign;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::adapter::{Adapter, Capabilities, Keeper};
use crate::engine::{Bound, Count, Engine, Handle, Source, Taken};
use crate::room::Room;
use crate::supplied::Supplied;
use crate::{Broker, Error, Result, Settings};
use line::{Line, Refusal};

pub(crate) const ADAPTER: Adapter = Adapter {
    scheme: "sqs",
    form: "sqs://HOST:PORT",
    // The servers that speak SQS on one machine forget everything when they end; Amazon's does not.
    capabilities: Capabilities { lease: true, ..Capabilities::NONE },
    settings: Keeper::Client,
    server: Some("sqs"),
    open,
};

/// SQS counts time in whole seconds, and hides nothing for longer than half a day.
const LEASE_S: std::ops::RangeInclusive<u64> = 1..=43_200;
/// Messages of one answer, and seconds for which it may wait for the first of them.
const BATCH: u32 = 10;
const WAIT_S_MAX: u64 = 20;
/// For how long what is looked at is hidden, unless it is given back before.
const LOOK_S: u64 = 10;

const SECOND: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

fn open(address: &str, settings: Settings) -> Result<Arc<dyn Broker>> {
    // What is promised of a lease is what SQS keeps.
    let settings = Settings { lease: Duration::from_secs(seconds(settings.lease)), ..settings };
    let queues = Mutex::default();
    let sqs = Sqs(Arc::new(Shared { line: Line::new(address), queues }), Room::default());
    Ok(Arc::new(Supplied::new(sqs, settings)))
}

struct Sqs(Arc<Shared>, Room);

struct Shared {
    line: Line,
    /// How the server calls the queues that were declared.
    queues: Mutex<BTreeMap<String, String>>,
}

impl Shared {
    fn queues(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the server calls a queue; it is made if it is not there.
    async fn url(&self, queue: &str) -> Result<String> {
        let known = self.queues().get(queue).cloned();
        if let Some(url) = known {
            return Ok(url);
        }
        const TWO_WEEKS_S: &str = "1209600";
        let attributes = json!({ "MessageRetentionPeriod": TWO_WEEKS_S });
        let asked = json!({ "QueueName": name(queue), "Attributes": attributes });
        let made = self.line.ask("CreateQueue", &asked, Duration::ZERO).await;
        let made = made.map_err(Refusal::meaning)?;
        let url = made["QueueUrl"].as_str().unwrap_or_default().to_owned();
        self.queues().insert(queue.to_owned(), url.clone());
        Ok(url)
    }

    /// Asks for an operation on a queue.
    async fn ask(
        &self,
        operation: &str,
        queue: &str,
        mut asked: Value,
        waits: Duration,
    ) -> Result<Value> {
        asked["QueueUrl"] = self.url(queue).await?.into();
        let answer = self.line.ask(operation, &asked, waits).await;
        if answer.as_ref().is_err_and(|refusal| refusal.is("QueueDoesNotExist")) {
            // Whoever lost all data has lost the queue, too.
            self.queues().remove(queue);
        }
        answer.map_err(Refusal::meaning)
    }

    async fn send(&self, queue: &str, body: &[u8]) -> Result<()> {
        let asked = json!({ "MessageBody": BASE64_STANDARD.encode(body) });
        self.ask("SendMessage", queue, asked, Duration::ZERO).await.map(drop)
    }

    async fn receive(
        &self,
        queue: &str,
        most: u32,
        hidden_s: u64,
        wait: Duration,
    ) -> Result<Vec<Message>> {
        let wait_s = wait.as_secs().min(WAIT_S_MAX);
        let asked = json!({
            "MaxNumberOfMessages": most.min(BATCH),
            "VisibilityTimeout": hidden_s,
            "WaitTimeSeconds": wait_s,
            "AttributeNames": ["ApproximateReceiveCount", "SentTimestamp"],
        });
        let waits = Duration::from_secs(wait_s);
        let answer = self.ask("ReceiveMessage", queue, asked, waits).await?;
        let all = answer["Messages"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(all.iter().filter_map(Message::of).collect())
    }

    async fn hide(&self, queue: &str, receipt: &str, seconds: u64) -> Result<()> {
        let asked = json!({ "ReceiptHandle": receipt, "VisibilityTimeout": seconds });
        self.ask("ChangeMessageVisibility", queue, asked, Duration::ZERO).await.map(drop)
    }

    async fn count(&self, queue: &str) -> Result<Count> {
        let names =
            ["", "NotVisible", "Delayed"].map(|n| format!("ApproximateNumberOfMessages{n}"));
        let asked = json!({ "AttributeNames": names });
        let answer = self.ask("GetQueueAttributes", queue, asked, Duration::ZERO).await?;
        let attributes = &answer["Attributes"];
        let [visible, taken, delayed] = names.map(|name| number(&attributes[name]));
        Ok(Count { waiting: visible + delayed, taken })
    }
}

/// What was received.
struct Message {
    receipt: String,
    body: Bytes,
    times: u64,
    sent_ms: u64,
}

impl Message {
    /// What another program put there is no base64, and comes as it is.
    fn of(value: &Value) -> Option<Self> {
        let (receipt, body) = (value["ReceiptHandle"].as_str()?, value["Body"].as_str()?);
        let decoded = BASE64_STANDARD.decode(body).unwrap_or_else(|_| body.as_bytes().to_vec());
        let attributes = &value["Attributes"];
        Some(Self {
            receipt: receipt.to_owned(),
            body: Bytes::from(decoded),
            times: number(&attributes["ApproximateReceiveCount"]),
            sent_ms: number(&attributes["SentTimestamp"]),
        })
    }
}

/// Numbers are texts here.
fn number(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Letters, digits, `-` and `_` are what a name may have: after a `_` here stands which sign was meant.
fn name(queue: &str) -> String {
    queue.replace('_', "__").replace('.', "_-")
}

fn seconds(lease: Duration) -> u64 {
    (lease.as_millis().div_ceil(1_000) as u64).clamp(*LEASE_S.start(), *LEASE_S.end())
}

#[async_trait]
impl Engine for Sqs {
    async fn declare(&self, queue: &str, _: &Settings) -> Result<()> {
        self.0.url(queue).await.map(drop)
    }

    async fn append(&self, queue: &str, body: Bytes, bound: &Bound) -> Result<bool> {
        let live = move || async move {
            let mut live = 0;
            for queue in &bound.queues {
                let count = self.0.count(queue).await?;
                live += count.waiting + count.taken;
            }
            Ok(live)
        };
        self.1.append(bound, live, self.0.send(queue, &body)).await
    }

    async fn source(&self, queue: &str, lease: Duration) -> Result<Box<dyn Source>> {
        let (shared, queue, hidden_s) = (Arc::clone(&self.0), queue.to_owned(), seconds(lease));
        Ok(Box::new(Taker { shared, queue, hidden_s, held: Mutex::default() }))
    }

    async fn count(&self, queue: &str) -> Result<Count> {
        self.0.count(queue).await
    }

    /// They are taken for a moment, and given back: meanwhile nobody else finds them.
    async fn look(&self, queue: &str, limit: u32) -> Result<Vec<Bytes>> {
        let mut all = Vec::new();
        while (all.len() as u32) < limit {
            let most = limit - all.len() as u32;
            let found = self.0.receive(queue, most, LOOK_S, Duration::ZERO).await?;
            if found.is_empty() {
                break;
            }
            all.extend(found);
        }
        let given_back = all.iter().map(|message| self.0.hide(queue, &message.receipt, 0));
        // What is not given back is seen again after a moment.
        futures_util::future::join_all(given_back).await;
        all.sort_by_key(|message| message.sent_ms);
        Ok(all.into_iter().map(|message| message.body).collect())
    }
}

/// One consumer of a queue.
struct Taker {
    shared: Arc<Shared>,
    queue: String,
    hidden_s: u64,
    /// Until when what was taken is surely ours, from when it was asked for: SQS itself may take any receipt
    /// that it ever gave.
    held: Mutex<HashMap<Handle, Instant>>,
}

impl Taker {
    fn held(&self) -> MutexGuard<'_, HashMap<Handle, Instant>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lease(&self) -> Duration {
        Duration::from_secs(self.hidden_s)
    }

    /// The receipt of a delivery, if that is still ours.
    fn receipt<'a>(&self, handle: &'a Handle) -> Result<&'a str> {
        let ours = self.held().get(handle).is_some_and(|until| *until > Instant::now());
        let receipt = std::str::from_utf8(handle).ok().filter(|_| ours);
        receipt.ok_or(Error::Fenced)
    }

    /// What was found, and when it was asked for. SQS waits for whole seconds: who waits for less looks again
    /// and again.
    async fn found(&self, most: u32, wait: Duration) -> Result<(Instant, Vec<Message>)> {
        let (end, waits) = (Instant::now() + wait, wait >= SECOND);
        let wait = if waits { wait } else { Duration::ZERO };
        loop {
            let asked = Instant::now();
            let found = self.shared.receive(&self.queue, most, self.hidden_s, wait).await?;
            if waits || !found.is_empty() || Instant::now() >= end {
                return Ok((asked, found));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn renew(&self, handle: &Handle) -> Result<()> {
        let until = Instant::now() + self.lease();
        self.shared.hide(&self.queue, self.receipt(handle)?, self.hidden_s).await?;
        self.held().insert(handle.clone(), until);
        Ok(())
    }
}

#[async_trait]
impl Source for Taker {
    async fn take(&self, most: u32, wait: Duration) -> Result<Vec<Taken>> {
        let (asked, found) = self.found(most, wait).await?;
        let mut held = self.held();
        held.retain(|_, until| *until > asked);
        let taken = |message: Message| {
            let silent = (message.times > 1).then(|| self.lease());
            let handle = Handle::from(message.receipt);
            held.insert(handle.clone(), asked + self.lease());
            Taken { handle, body: message.body, silent }
        };
        Ok(found.into_iter().map(taken).collect())
    }

    async fn forget(&self, handle: &Handle) -> Result<()> {
        let asked = json!({ "ReceiptHandle": self.receipt(handle)? });
        let done = self.shared.ask("DeleteMessage", &self.queue, asked, Duration::ZERO).await;
        if matches!(done, Ok(_) | Err(Error::Fenced)) {
            self.held().remove(handle);
        }
        done.map(drop)
    }

    /// Adds first; its lease is renewed before, so that nobody else has it meanwhile.
    async fn forward(&self, handle: &Handle, queue: &str, body: Bytes) -> Result<()> {
        self.renew(handle).await?;
        self.shared.send(queue, &body).await?;
        self.forget(handle).await
    }

    async fn extend(&self, handles: &[Handle]) -> Result<Vec<bool>> {
        let renewed = handles.iter().map(|handle| self.renew(handle));
        let outcomes = futures_util::future::join_all(renewed).await;
        let held = |outcome| match outcome {
            Ok(()) => Ok(true),
            Err(Error::Fenced) => Ok(false),
            Err(error) => Err(error),
        };
        outcomes.into_iter().map(held).collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn names_are_what_sqs_takes_and_none_is_two_queues() {
        assert_eq!(name("charges.again"), "charges_-again");
        let names = ["a.b", "a_b", "a-b", "a_-b", "a._b", "a_.b"].map(name);
        let apart: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(apart.len(), names.len());
    }

    #[test]
    fn a_lease_is_whole_seconds_within_what_sqs_takes() {
        let s = |ms| seconds(Duration::from_millis(ms));
        assert_eq!((s(50), s(1_000), s(1_001), s(90_000_000)), (1, 1, 2, 43_200));
    }

    /// Answers each request, a received message after this delay.
    async fn server(slow: Duration) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut asked, mut part) = (String::new(), [0; 4_096]);
                while !asked.contains("QueueUrl") && !asked.contains("QueueName") {
                    let read = stream.read(&mut part).await.unwrap();
                    asked += std::str::from_utf8(&part[..read]).unwrap();
                }
                let body = if asked.contains("ReceiveMessage") {
                    sleep(slow).await;
                    r#"{"Messages": [{"ReceiptHandle": "r", "Body": "YQ=="}]}"#
                } else {
                    r#"{"QueueUrl": "q"}"#
                };
                let size = body.len();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n");
                let answer = format!("{head}connection: close\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    /// The server's clock of a lease began before its answer came.
    #[tokio::test]
    async fn a_lease_counts_from_when_it_was_asked_for() {
        let slow = Duration::from_millis(700);
        let line = Line::new(&server(slow).await);
        let shared = Arc::new(Shared { line, queues: Mutex::default() });
        let (queue, held) = ("q".to_owned(), Mutex::default());
        let taker = Taker { shared, queue, hidden_s: 1, held };
        let taken = taker.take(1, Duration::ZERO).await.unwrap().remove(0);
        let until = taker.held()[&taken.handle];
        assert!(until < Instant::now() + taker.lease() - slow / 2);
    }
}
