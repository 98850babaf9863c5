//! One link: its listener, what it suffers, what it has seen.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::time::sleep;

use super::connection::{Connection, reset};
use super::harm::{Harm, State, Way, Who};

/// More are reset when they come, and counted.
const CONNECTIONS_MAX: u64 = 8_192;
/// Without descriptors: until the next try.
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);

/// A number that only grows, or a gauge.
#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a link's connections count.
#[derive(Default)]
pub(super) struct Tally {
    accepted: Count,
    ended: Count,
    over_limit: Count,
    pub(super) refused: Count,
    pub(super) reset: Count,
    pub(super) replies_lost: Count,
    pub(super) half_opened: Count,
    pub(super) held: Count,
    pub(super) swallowed_bytes: Count,
    to_upstream_bytes: Count,
    to_client_bytes: Count,
}

impl Tally {
    pub(super) fn of(&self, way: Way) -> &Count {
        match way {
            Way::ToUpstream => &self.to_upstream_bytes,
            Way::ToClient => &self.to_client_bytes,
        }
    }
}

/// What a link has seen since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Connections that are open now.
    pub live: u64,
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections that were reset because too many were open.
    pub over_limit: u64,
    /// Connections whose upstream could not be reached.
    pub refused: u64,
    /// Clients that were reset: by a harm, or because the upstream did.
    pub reset: u64,
    /// Replies that were lost.
    pub replies_lost: u64,
    /// Connections whose upstream's side alone was closed.
    pub half_opened: u64,
    /// Arrivals of bytes, or of an end, that had to wait.
    pub held: u64,
    /// Bytes that were swallowed.
    pub swallowed_bytes: u64,
    /// Bytes that were passed to the upstream.
    pub to_upstream_bytes: u64,
    /// Bytes that were passed to clients.
    pub to_client_bytes: u64,
}

/// A link that is open.
pub(super) struct Link {
    /// Where clients connect.
    pub(super) address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    tally: Arc<Tally>,
}

impl Link {
    /// Listens on a free port of the loopback and serves until the process ends.
    pub(super) async fn open(upstream: &str, seed: u64) -> anyhow::Result<Self> {
        let found = lookup_host(upstream).await.ok().map(|all| all.collect::<Arc<[SocketAddr]>>());
        let upstream = found
            .filter(|all| !all.is_empty())
            .with_context(|| format!("the upstream {upstream:?} is not a host:port"))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(watch::Sender::new(State::default()));
        let tally = Arc::new(Tally::default());
        tokio::spawn(accept(listener, upstream, seed, Arc::clone(&state), Arc::clone(&tally)));
        Ok(Self { address, state, tally })
    }

    /// From now on every live and every new connection suffers this. Waits for nobody.
    pub(super) fn suffer(&self, harm: Option<(Harm, f64)>) -> Counts {
        self.state.send_modify(|state| {
            *state = State { generation: state.generation + 1, harm };
        });
        self.counts()
    }

    pub(super) fn counts(&self) -> Counts {
        let t = &self.tally;
        Counts {
            live: t.accepted.get() - t.ended.get(),
            accepted: t.accepted.get(),
            over_limit: t.over_limit.get(),
            refused: t.refused.get(),
            reset: t.reset.get(),
            replies_lost: t.replies_lost.get(),
            half_opened: t.half_opened.get(),
            held: t.held.get(),
            swallowed_bytes: t.swallowed_bytes.get(),
            to_upstream_bytes: t.to_upstream_bytes.get(),
            to_client_bytes: t.to_client_bytes.get(),
        }
    }
}

async fn accept(
    listener: TcpListener,
    upstream: Arc<[SocketAddr]>,
    seed: u64,
    state: Arc<watch::Sender<State>>,
    tally: Arc<Tally>,
) {
    loop {
        let Some(client) = next(&listener).await else { continue };
        if tally.accepted.get() - tally.ended.get() >= CONNECTIONS_MAX {
            tally.over_limit.add(1);
            reset(&client);
            continue;
        }
        let who = Who { seed, connection: tally.accepted.get() };
        tally.accepted.add(1);
        let tally = Arc::clone(&tally);
        let upstream = Arc::clone(&upstream);
        let link = state.subscribe();
        tokio::spawn(async move {
            let connection = Connection { client, upstream, who, tally: Arc::clone(&tally), link };
            connection.serve().await;
            tally.ended.add(1);
        });
    }
}

async fn next(listener: &TcpListener) -> Option<TcpStream> {
    let accepted: io::Result<_> = listener.accept().await;
    match accepted {
        Ok((client, _)) => Some(client),
        Err(_) => {
            sleep(ACCEPT_AGAIN).await;
            None
        }
    }
}
