//! One client's connection: requests in, answers and deliveries out.
//!
//! Requests that arrive together share a transaction; many transactions may be under way.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::future::{BoxFuture, ready};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::codec::FramedRead;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::batch::{Operation, Outcome};
use super::delivering::{Delivering, Taking};
use super::queue::{Leaving, Queue};
use super::wire::{Answer, Call, Event, FRAME_MAX, Frames, Request, VERSION, encode};
use crate::clock::now_us;
use crate::window::Window;
use crate::{DeadLetter, Error, Result, SubscribeOptions};

/// Requests that are taken from the socket at once.
const REQUESTS_MAX: usize = 256;
/// Transactions of one connection that may be under way; then its requests wait in the socket.
const UNDER_WAY_MAX: usize = 256;
/// Lists of answers and deliveries that wait for the socket.
const OUTBOUND_MAX: usize = 64;
const SUBSCRIPTIONS_MAX: usize = 64;
/// Dead letters of one answer, and their bytes: it must fit a frame.
const PAGE_MAX: u32 = 64;
const PAGE_BYTES_MAX: usize = 60 * 1024;
/// Bytes that are written at once.
const WRITE_BYTES: usize = 128 * 1024;
/// A client that takes nothing for this long is gone.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// A client says something every second; after this silence it is gone.
const SILENCE_MAX: Duration = Duration::from_secs(30);

type Answers = BoxFuture<'static, Vec<Event>>;

/// Serves a client until it leaves, errs or is silent, or until `closing`; then finishes what is
/// under way and gives its leases back.
pub(super) async fn serve(socket: TcpStream, queue: Arc<Queue>, closing: CancellationToken) {
    // Without it small answers wait for the peer's delayed ACK; nothing else depends on it.
    let _ = socket.set_nodelay(true);
    let (read, write) = socket.into_split();
    let (outbound, events) = mpsc::channel(OUTBOUND_MAX);
    let closed = closing.child_token();
    let tasks = TaskTracker::new();
    let gone = closed.clone();
    let writing = tokio::spawn(async move {
        // A client that cannot be written to is treated as one that left.
        let _ = write_all(write, events).await;
        gone.cancel();
    });
    let requests = FramedRead::with_capacity(read, Frames::new(), FRAME_MAX);
    let mut connection =
        Connection { queue, outbound, closed, tasks, taking: HashMap::new(), greeted: false };
    connection.answer_all(requests).await;
    connection.close(&closing).await;
    let _ = writing.await;
}

struct Connection {
    queue: Arc<Queue>,
    outbound: mpsc::Sender<Vec<Event>>,
    closed: CancellationToken,
    tasks: TaskTracker,
    taking: HashMap<u64, Taking>,
    greeted: bool,
}

impl Connection {
    async fn answer_all<R>(&mut self, requests: FramedRead<R, Frames<Request>>)
    where
        R: tokio::io::AsyncRead + Unpin,
    {
        let mut requests = requests.ready_chunks(REQUESTS_MAX);
        let mut under_way = FuturesUnordered::<Answers>::new();
        loop {
            let room = under_way.len() < UNDER_WAY_MAX;
            tokio::select! {
                biased;
                () = self.closed.cancelled() => break,
                Some(answers) = under_way.next() => self.send(answers).await,
                chunk = timeout(SILENCE_MAX, requests.next()), if room => {
                    let Ok(Some(chunk)) = chunk else { break };
                    if self.begin(chunk, &mut under_way).is_err() {
                        break;
                    }
                }
            }
        }
        // What was begun is finished: its effect is on the disk, so its answer should be told.
        while let Some(answers) = under_way.next().await {
            self.send(answers).await;
        }
    }

    /// Starts on requests, in order; those that change messages go together.
    fn begin(
        &mut self,
        chunk: Vec<io::Result<Request>>,
        under_way: &mut FuturesUnordered<Answers>,
    ) -> io::Result<()> {
        let mut changes = Vec::with_capacity(chunk.len());
        for request in chunk {
            let Request { id, call } = request?;
            if !self.greeted && !matches!(call, Call::Hello { .. }) {
                return Err(io::Error::other("no greeting"));
            }
            match self.change(call) {
                Ok(operation) => changes.push((id, operation)),
                Err(Refused::Because(error)) => {
                    under_way.push(ready(vec![reply(id, Err(error))]).boxed());
                }
                Err(Refused::Other(call)) => {
                    let answer = self.other(*call);
                    under_way.push(async move { vec![reply(id, answer.await)] }.boxed());
                }
            }
            if changes.len() >= self.queue.batch_max() {
                under_way
                    .push(apply(Arc::clone(&self.queue), std::mem::take(&mut changes)).boxed());
            }
        }
        if !changes.is_empty() {
            under_way.push(apply(Arc::clone(&self.queue), changes).boxed());
        }
        Ok(())
    }

    /// The change of messages that this call asks for, or else the call.
    fn change(&mut self, call: Call) -> std::result::Result<Operation, Refused> {
        Ok(match call {
            Call::Publish { topic, message } => {
                message.check()?;
                Operation::Publish { topic: self.queue.topic(&topic)?, message }
            }
            Call::Settle { subscription, receipt, how } => {
                let claim = self.queue.named(&receipt)?;
                // A settled delivery makes room at once: the claim that fills it is queued behind.
                if let Some(taking) = self.taking.get(&subscription) {
                    taking.window.settled(claim);
                }
                Operation::Settle(claim, how)
            }
            Call::Extend { subscription, receipt } => {
                let claim = self.queue.named(&receipt)?;
                if let Some(taking) = self.taking.get(&subscription) {
                    taking.window.extended(claim, self.queue.settings().lease);
                }
                Operation::Extend(claim)
            }
            other => return Err(Refused::Other(Box::new(other))),
        })
    }

    /// Answers a call that changes no message.
    fn other(&mut self, call: Call) -> BoxFuture<'static, Result<Answer>> {
        let queue = Arc::clone(&self.queue);
        match call {
            Call::Hello { version } => ready(self.greet(version)).boxed(),
            Call::Subscribe { subscription, topic, prefetch, retries } => {
                ready(self.subscribe(subscription, &topic, prefetch, retries)).boxed()
            }
            Call::Unsubscribe { subscription } => {
                if let Some(taking) = self.taking.remove(&subscription) {
                    taking.ends(Leaving::InOrder);
                }
                ready(Ok(Answer::Done)).boxed()
            }
            Call::LimitRetries { subscription, places } => {
                if let Some(taking) = self.taking.get(&subscription) {
                    taking.window.limit_retries(places);
                }
                ready(Ok(Answer::Done)).boxed()
            }
            Call::Depth { topic } => {
                async move { queue.depth(&topic).await.map(Answer::Depth) }.boxed()
            }
            Call::Holds { topic, keys } => {
                let keys = keys.into_iter().collect();
                async move { queue.holds(&topic, keys).await.map(Answer::Holds) }.boxed()
            }
            Call::Dead { topic, after, limit } => {
                let limit = limit.min(PAGE_MAX);
                let page = async move { queue.dead(&topic, after, limit).await.map(page) };
                page.boxed()
            }
            Call::Replay { topic, limit } => {
                async move { queue.replay(&topic, limit).await.map(Answer::Replayed) }.boxed()
            }
            _ => ready(Ok(Answer::Time(now_us()))).boxed(),
        }
    }

    fn greet(&mut self, version: u32) -> Result<Answer> {
        if version != VERSION {
            let text = format!("the client speaks version {version}, this broker {VERSION}");
            return Err(Error::Protocol(text));
        }
        self.greeted = true;
        Ok(Answer::Time(now_us()))
    }

    fn subscribe(
        &mut self,
        subscription: u64,
        topic: &str,
        prefetch: u32,
        retries: u32,
    ) -> Result<Answer> {
        SubscribeOptions { prefetch }.check()?;
        let topic = self.queue.topic(topic)?;
        if self.taking.contains_key(&subscription) {
            return Ok(Answer::Done);
        }
        if self.taking.len() >= SUBSCRIPTIONS_MAX {
            let text = format!("more than {SUBSCRIPTIONS_MAX} subscriptions of one connection");
            return Err(Error::Invalid(text));
        }
        let taking = Taking::new(Window::new(prefetch, retries));
        self.taking.insert(subscription, taking.clone());
        let (queue, outbound) = (Arc::clone(&self.queue), self.outbound.clone());
        let delivering = Delivering { queue, topic, subscription, taking, outbound };
        self.tasks.spawn(delivering.run());
        Ok(Answer::Done)
    }

    async fn send(&self, answers: Vec<Event>) {
        // If the writer is gone, so is the client.
        let _ = self.outbound.send(answers).await;
    }

    /// A broker that stops takes nothing back from a consumer that went away.
    async fn close(self, closing: &CancellationToken) {
        let how = if closing.is_cancelled() { Leaving::InOrder } else { Leaving::Gone };
        self.closed.cancel();
        self.taking.values().for_each(|taking| taking.ends(how));
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Why a call is not a change of messages that can be made.
enum Refused {
    Other(Box<Call>),
    Because(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Because(error)
    }
}

async fn apply(queue: Arc<Queue>, changes: Vec<(u64, Operation)>) -> Vec<Event> {
    let (ids, operations): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
    let outcomes: Vec<Outcome> = match queue.apply(operations).await {
        Ok(outcomes) => outcomes,
        Err(error) => vec![Err(error); ids.len()],
    };
    let answer = |(id, outcome): (u64, Outcome)| reply(id, outcome.map(|()| Answer::Done));
    ids.into_iter().zip(outcomes).map(answer).collect()
}

fn reply(id: u64, answer: Result<Answer>) -> Event {
    Event::Reply { id, answer }
}

/// As many letters as fit a frame, at least one.
fn page(mut letters: Vec<DeadLetter>) -> Answer {
    let mut bytes = 0;
    let fits = |letter: &DeadLetter| {
        bytes +=
            letter.message.size() + letter.errors.iter().map(|e| e.text.len() + 32).sum::<usize>();
        bytes <= PAGE_BYTES_MAX
    };
    let count = letters.iter().map(fits).take_while(|fits| *fits).count();
    letters.truncate(count.max(1));
    Answer::Dead(letters)
}

/// Writes what waits in as few calls as may be, until all senders are gone.
async fn write_all(
    mut socket: OwnedWriteHalf,
    mut events: mpsc::Receiver<Vec<Event>>,
) -> io::Result<()> {
    let mut lists = Vec::with_capacity(OUTBOUND_MAX);
    let mut bytes = BytesMut::with_capacity(WRITE_BYTES);
    while events.recv_many(&mut lists, OUTBOUND_MAX).await > 0 {
        for event in lists.drain(..).flatten() {
            put(&event, &mut bytes)?;
            if bytes.len() >= WRITE_BYTES {
                flush(&mut socket, &mut bytes).await?;
            }
        }
        flush(&mut socket, &mut bytes).await?;
    }
    socket.shutdown().await
}

fn put(event: &Event, bytes: &mut BytesMut) -> io::Result<()> {
    match (encode(event, bytes), event) {
        (Ok(()), _) => Ok(()),
        (Err(error), Event::Reply { id, .. }) => {
            encode(&reply(*id, Err(error)), bytes).map_err(io::Error::other)
        }
        (Err(error), Event::Delivery { .. }) => Err(io::Error::other(error)),
    }
}

async fn flush(socket: &mut OwnedWriteHalf, bytes: &mut BytesMut) -> io::Result<()> {
    if !bytes.is_empty() {
        timeout(WRITE_MAX, socket.write_all(bytes)).await??;
        bytes.clear();
    }
    Ok(())
}
