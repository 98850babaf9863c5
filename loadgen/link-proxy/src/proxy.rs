//! One link: its listener, what it suffers, what it has seen.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::time::sleep;

use super::connection::{Connection, reset};
use super::link_fault::{LinkFault, State, Who};
use super::tally::{Counts, Tally};

/// More are reset when they come, and counted.
const CONNECTIONS_MAX: u64 = 8_192;
/// Without descriptors: until the next try.
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);

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
    pub(super) fn suffer(&self, fault: Option<(LinkFault, f64)>) -> Counts {
        self.state.send_modify(|state| {
            *state = State { generation: state.generation + 1, fault };
        });
        self.counts()
    }

    pub(super) fn counts(&self) -> Counts {
        self.tally.counts()
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
        if tally.live() >= CONNECTIONS_MAX {
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
