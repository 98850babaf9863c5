//! One way of a connection: reads, holds, writes, and follows what the link suffers meanwhile.
//!
//! It works on any byte streams; closing sockets is left to the connection.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::line::Line;
use super::link_fault::{Course, LinkFault, Shape, State, Way, Who};
use super::tally::Tally;

/// One read.
const READ_BYTES: usize = 16 * 1024;

/// How one way ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The stream's end was passed on.
    Closed,
    /// A peer reset, or a fault does.
    Reset,
    /// The client alone is reset: the upstream has answered.
    ReplyLost,
    /// The upstream's side is to be closed, and the client not told.
    HalfOpen,
}

/// What both ways of a connection know.
pub(super) struct Shared<'a> {
    pub(super) who: Who,
    pub(super) tally: &'a Tally,
    /// Bytes went to the upstream since the last reply began.
    pub(super) asked: AtomicBool,
}

/// One way.
pub(super) struct Pump<'a> {
    way: Way,
    shared: &'a Shared<'a>,
    link: watch::Receiver<State>,
    state: State,
    swallows: bool,
    /// Bytes of this stream are missing: it must never go on.
    holed: bool,
    line: Line,
    random: ChaCha8Rng,
}

impl<'a> Pump<'a> {
    pub(super) fn new(way: Way, shared: &'a Shared<'a>, link: watch::Receiver<State>) -> Self {
        let (of_line, of_replies) = (way as u64 + 1_000_000_001, 1_000_000_000);
        let line = Line::new(Shape::default(), shared.who.random(of_line), Instant::now());
        let random = shared.who.random(of_replies);
        let state = State::default();
        Self { way, shared, link, state, swallows: false, holed: false, line, random }
    }

    /// Passes bytes until the stream ends or is cut.
    pub(super) async fn run<R, W>(&mut self, mut reader: R, mut writer: W) -> End
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        self.pump(&mut reader, &mut writer).await.unwrap_or(End::Reset)
    }

    async fn pump(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<End> {
        let mut buffer = vec![0; READ_BYTES];
        let mut link = self.link.clone();
        if let Some(end) = self.begin(*link.borrow_and_update()) {
            return Ok(end);
        }
        loop {
            let now = Instant::now();
            if !self.swallows && self.line.is_over(now) {
                // The peer may be gone already.
                let _ = writer.shutdown().await;
                return Ok(End::Closed);
            }
            let room = self.line.room().min(READ_BYTES);
            let (is_due, next) = (!self.line.due(now).is_empty(), self.line.next(now));
            tokio::select! {
                biased;
                Ok(()) = link.changed() => {
                    let state = *link.borrow_and_update();
                    if let Some(end) = self.follow(state) {
                        return Ok(end);
                    }
                }
                written = writer.write(self.line.due(now)), if is_due => self.wrote(written?)?,
                read = reader.read(&mut buffer[..room]), if room > 0 => {
                    if let Some(end) = self.got(&buffer[..read?]) {
                        return Ok(end);
                    }
                }
                () = sleep_until(next.unwrap_or(now)), if !is_due && next.is_some() => {}
            }
        }
    }

    /// The connection is new: what is true of the link now holds for it from its first byte.
    fn begin(&mut self, state: State) -> Option<End> {
        self.state = state;
        self.steer();
        (state.concerns(self.shared.who) == Some(LinkFault::Reset)).then_some(End::Reset)
    }

    /// The link suffers something else from now on.
    fn follow(&mut self, state: State) -> Option<End> {
        self.state = state;
        if self.holed {
            return Some(End::Reset);
        }
        self.steer();
        match state.concerns(self.shared.who) {
            Some(LinkFault::Reset) => Some(End::Reset),
            Some(LinkFault::HalfOpen) => Some(End::HalfOpen),
            _ => None,
        }
    }

    fn steer(&mut self) {
        let course = self.state.course(self.shared.who, self.way);
        self.swallows = course == Course::Swallow;
        match course {
            Course::Pass(shape) => self.line.reshape(shape, Instant::now()),
            Course::Swallow => {
                let lost = self.line.swallow();
                self.lose(lost);
                self.holed |= lost > 0 || self.line.has_ended();
            }
        }
    }

    fn lose(&mut self, count: usize) {
        self.holed |= count > 0;
        self.shared.tally.swallowed_bytes.add(count as u64);
    }

    fn wrote(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        if self.way == Way::ToUpstream {
            self.shared.asked.store(true, Ordering::Relaxed);
        }
        self.line.advance(count, Instant::now());
        self.shared.tally.of(self.way).add(count as u64);
        Ok(())
    }

    /// Takes what was read; no bytes are the stream's end.
    fn got(&mut self, bytes: &[u8]) -> Option<End> {
        let now = Instant::now();
        if self.swallows {
            self.lose(bytes.len());
            if bytes.is_empty() {
                self.holed = true;
                self.line.push_end(now);
            }
            return None;
        }
        if bytes.is_empty() {
            self.line.push_end(now);
        } else if self.way == Way::ToClient && self.loses_reply() {
            self.shared.tally.replies_lost.add(1);
            return Some(End::ReplyLost);
        } else {
            self.line.push(bytes, now);
        }
        if self.line.holds(now) {
            self.shared.tally.held.add(1);
        }
        None
    }

    /// Whether a reply begins here, and is one of those that are lost.
    fn loses_reply(&mut self) -> bool {
        let begins = self.shared.asked.swap(false, Ordering::Relaxed);
        let share = self.state.replies_lost().filter(|_| begins);
        share.is_some_and(|share| share >= 1.0 || self.random.random::<f64>() < share)
    }
}

/// Both ways of a connection, until both have ended or one is cut.
pub(super) async fn relay<CR, CW, UR, UW>(
    shared: &Shared<'_>,
    link: &watch::Receiver<State>,
    (from_client, to_client): (CR, CW),
    (from_upstream, to_upstream): (UR, UW),
) -> End
where
    CR: AsyncRead + Unpin,
    CW: AsyncWrite + Unpin,
    UR: AsyncRead + Unpin,
    UW: AsyncWrite + Unpin,
{
    let mut requests = Pump::new(Way::ToUpstream, shared, link.clone());
    let mut replies = Pump::new(Way::ToClient, shared, link.clone());
    let requests = requests.run(from_client, to_upstream);
    let replies = replies.run(from_upstream, to_client);
    tokio::pin!(requests, replies);
    tokio::select! {
        end = &mut requests => if end == End::Closed { replies.await } else { end },
        end = &mut replies => if end == End::Closed { requests.await } else { end },
    }
}
