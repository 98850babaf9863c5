//! One accepted connection: its upstream, its two ways, and how its sockets end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::link_fault::{Course, LinkFault, State, Way, Who};
use super::pump::{End, Shared, relay};
use super::tally::Tally;

/// On one machine a connection is made or refused at once.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A client that ended its side in a black hole has left by now.
const GONE_AFTER: Duration = Duration::from_secs(10);
const SWALLOW_BYTES: usize = 4 * 1024;

/// A connection that was accepted.
pub(super) struct Connection {
    pub(super) client: TcpStream,
    /// All of its addresses: each is tried.
    pub(super) upstream: Arc<[SocketAddr]>,
    pub(super) who: Who,
    pub(super) tally: Arc<Tally>,
    /// Subscribed when it was accepted: no change is missed.
    pub(super) link: watch::Receiver<State>,
}

impl Connection {
    /// Serves it to its end.
    pub(super) async fn serve(mut self) {
        // Whoever cannot be spared the delay of Nagle's algorithm is served with it.
        let _ = self.client.set_nodelay(true);
        if !self.may_connect().await {
            return self.reset_client();
        }
        let connect = TcpStream::connect(&*self.upstream);
        let Ok(Ok(mut upstream)) = timeout(CONNECT_WITHIN, connect).await else {
            self.tally.refused.add(1);
            return reset(&self.client);
        };
        let _ = upstream.set_nodelay(true);
        let shared = Shared { who: self.who, tally: &self.tally, asked: AtomicBool::new(false) };
        let end = relay(&shared, &self.link, self.client.split(), upstream.split()).await;
        match end {
            End::Closed => {}
            End::Reset => {
                reset(&upstream);
                self.reset_client();
            }
            End::ReplyLost => self.reset_client(),
            End::HalfOpen => {
                drop(upstream);
                self.tally.half_opened.add(1);
                self.stay_silent().await;
                self.reset_client();
            }
        }
    }

    fn reset_client(&self) {
        self.tally.reset.add(1);
        reset(&self.client);
    }

    /// Waits while nothing reaches the upstream. False: what came meanwhile is lost, or the
    /// connection is to be reset.
    async fn may_connect(&mut self) -> bool {
        loop {
            let state = *self.link.borrow_and_update();
            if state.concerns(self.who) == Some(LinkFault::Reset) {
                return false;
            }
            if state.course(self.who, Way::ToUpstream) != Course::Swallow {
                return true;
            }
            if !self.swallow().await {
                return false;
            }
        }
    }

    /// Of a connection without upstream: takes and forgets until the link changes. True: nothing
    /// came.
    async fn swallow(&mut self) -> bool {
        let mut came = false;
        let mut buffer = [0; SWALLOW_BYTES];
        loop {
            tokio::select! {
                biased;
                Ok(()) = self.link.changed() => return !came,
                read = self.client.read(&mut buffer) => match read {
                    Ok(0) => {
                        // It may have ended its side alone, and waits: it is not told either.
                        let _ = timeout(GONE_AFTER, self.link.changed()).await;
                        return false;
                    }
                    Err(_) => return false,
                    Ok(count) => {
                        came = true;
                        self.tally.swallowed_bytes.add(count as u64);
                    }
                },
            }
        }
    }

    /// Half-open: until the link changes or the client leaves.
    async fn stay_silent(&mut self) {
        self.link.mark_unchanged();
        self.swallow().await;
    }
}

/// The peer gets a reset instead of an end when the socket is dropped.
pub(super) fn reset(stream: &TcpStream) {
    // A socket that is gone already needs none.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
