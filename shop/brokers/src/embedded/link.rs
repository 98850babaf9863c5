//! The task that owns a client's connection: makes it, writes calls, hands what it reads to the
//! exchange, and makes it again.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::codec::FramedRead;

use super::exchange::{Command, Exchange};
use super::seen::Seen;
use super::wire::{Answer, Call, Event, FRAME_MAX, Frames, Request, VERSION, encode};
use crate::{Backoff, Error, Result};

/// Calls that are written at once.
const BATCH_MAX: usize = 256;
const GREETING_MAX: Duration = Duration::from_secs(2);
/// A client says this often that it is there, and hears that the broker is.
const PING_EVERY: Duration = Duration::from_secs(1);
/// A broker that says nothing for this long, pings notwithstanding, is as good as gone.
const SILENCE_MAX: Duration = Duration::from_secs(5);
const RECONNECT: Backoff = Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };

type Events = FramedRead<OwnedReadHalf, Frames<Event>>;
type Commands = mpsc::Receiver<Command>;

/// A connection whose broker has greeted.
struct Greeted {
    events: Events,
    write: OwnedWriteHalf,
    clock: Seen,
}

/// Keeps a connection to this address until all users of the exchange are gone.
pub(super) async fn run(address: String, exchange: Arc<Exchange>, mut commands: Commands) {
    let mut attempt = 0;
    loop {
        let greeting = greet(&address);
        let Some(greeted) = refusing(greeting, &exchange, &mut commands).await else { return };
        match greeted {
            Ok(greeted) => {
                attempt = 0;
                let Some(why) = converse(greeted, &exchange, &mut commands).await else {
                    return;
                };
                exchange.end(&format!("{address}: {why}"));
            }
            Err(error) => exchange.refuse_for(error),
        }
        attempt += 1;
        let pause = sleep(RECONNECT.delay(attempt));
        if refusing(pause, &exchange, &mut commands).await.is_none() {
            return;
        }
    }
}

/// Waits for something while there is no connection; none if there are no users any more.
async fn refusing<T>(
    awaited: impl Future<Output = T>,
    exchange: &Exchange,
    commands: &mut Commands,
) -> Option<T> {
    tokio::pin!(awaited);
    loop {
        tokio::select! {
            done = &mut awaited => return Some(done),
            command = commands.recv() => exchange.refuse(command?),
        }
    }
}

async fn greet(address: &str) -> Result<Greeted> {
    let asked = Instant::now();
    let unavailable = |error: io::Error| Error::Unavailable(format!("{address}: {error}"));
    let greeted = timeout(GREETING_MAX, async {
        let socket = TcpStream::connect(address).await.map_err(unavailable)?;
        // Without it small calls wait for the peer's delayed ACK; nothing else depends on it.
        let _ = socket.set_nodelay(true);
        let (read, mut write) = socket.into_split();
        let mut bytes = BytesMut::new();
        encode(&Request { id: 0, call: Call::Hello { version: VERSION } }, &mut bytes)?;
        write.write_all(&bytes).await.map_err(unavailable)?;
        let mut events: Events = FramedRead::with_capacity(read, Frames::new(), FRAME_MAX);
        match events.next().await {
            Some(Ok(Event::Reply { answer: Ok(Answer::Time(at_us)), .. })) => {
                Ok(Greeted { events, write, clock: Seen { asked, at_us } })
            }
            Some(Ok(Event::Reply { answer: Err(error), .. })) => Err(error),
            None => Err(Error::Unavailable(format!("{address}: closed the connection"))),
            Some(Err(error)) if error.kind() != io::ErrorKind::InvalidData => {
                Err(unavailable(error))
            }
            _ => Err(Error::Protocol(format!("{address}: expected a broker's greeting"))),
        }
    });
    let late = || Error::Unavailable(format!("{address}: no greeting within 2 s"));
    greeted.await.unwrap_or_else(|_| Err(late()))
}

/// Reads and writes at once, so that neither waits for the other; returns why it ended, or none
/// if there are no users any more.
async fn converse(
    greeted: Greeted,
    exchange: &Exchange,
    commands: &mut Commands,
) -> Option<String> {
    let Greeted { events, write, clock } = greeted;
    let subscriptions = exchange.begin(clock);
    tokio::select! {
        why = read_all(events, exchange) => Some(why),
        outcome = write_all(write, subscriptions, exchange, commands) => match outcome {
            Ok(()) => None,
            Err(error) => Some(error.to_string()),
        },
    }
}

async fn read_all(mut events: Events, exchange: &Exchange) -> String {
    let session = exchange.session();
    loop {
        match timeout(SILENCE_MAX, events.next()).await {
            Ok(Some(Ok(event))) => exchange.take(event, session),
            Ok(Some(Err(error))) => return error.to_string(),
            Ok(None) => return "the broker closed the connection".to_owned(),
            Err(_) => return format!("no word for {} s", SILENCE_MAX.as_secs()),
        }
    }
}

/// Writes what waits in as few calls as may be.
async fn write_all(
    mut socket: OwnedWriteHalf,
    first: Vec<Request>,
    exchange: &Exchange,
    commands: &mut Commands,
) -> io::Result<()> {
    let mut bytes = BytesMut::with_capacity(FRAME_MAX);
    for request in first {
        put(request, &mut bytes, exchange);
    }
    let mut ping = interval(PING_EVERY);
    let mut batch = Vec::with_capacity(BATCH_MAX);
    loop {
        tokio::select! {
            count = commands.recv_many(&mut batch, BATCH_MAX) => if count == 0 {
                return Ok(());
            },
            _ = ping.tick() => batch.push(Command { call: Call::Ping, reply: None }),
        }
        for command in batch.drain(..) {
            if let Some(request) = exchange.request(command) {
                put(request, &mut bytes, exchange);
            }
        }
        socket.write_all(&bytes).await?;
        bytes.clear();
    }
}

fn put(request: Request, bytes: &mut BytesMut, exchange: &Exchange) {
    if let Err(error) = encode(&request, bytes) {
        exchange.answered(request.id, Err(error));
    }
}
