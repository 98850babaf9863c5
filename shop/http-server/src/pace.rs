//! How long a connection has been doing what it does, for the price of one store per change.
//!
//! hyper's own header time-out also ends idle connections and sets a timer for each request; this
//! one tells waiting apart from dribbling and sets one timer per connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::Limits;

/// What a stopping server grants to a connection on which no request has begun.
const STOPPING_IDLE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    Request,
    Answer,
}

/// The phase of a connection in the low two bits, above them a count of changes. Only the
/// connection's own task uses it: it is atomic for being shared, not for racing.
#[derive(Clone, Default)]
pub(crate) struct Pace(Arc<AtomicU64>);

impl Pace {
    pub(crate) fn request(&self) {
        self.enter(Phase::Request);
    }

    pub(crate) fn answer(&self) {
        self.enter(Phase::Answer);
    }

    /// All that there was to write has been taken.
    fn flushed(&self) {
        if self.phase() == Phase::Answer {
            self.enter(Phase::Idle);
        }
    }

    fn bytes(&self) {
        if self.phase() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    fn enter(&self, phase: Phase) {
        let count = self.value() >> 2;
        self.0.store((count + 1) << 2 | phase as u64, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn phase(&self) -> Phase {
        match self.value() & 0b11 {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Request,
            _ => Phase::Answer,
        }
    }
}

/// Looks at a pace from time to time and says when it is too slow.
pub(crate) struct Watch {
    pace: Pace,
    seen: u64,
    since: Instant,
}

impl Watch {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { seen: pace.value(), since: Instant::now(), pace }
    }

    /// How long to wait before looking again.
    pub(crate) fn every(limits: &Limits, stopping: bool) -> Duration {
        if stopping {
            STOPPING_IDLE
        } else {
            limits.header_read.min(limits.idle).min(limits.write) / 2
        }
    }

    /// Whether its client is slow to read an answer.
    pub(crate) fn writes(&self) -> bool {
        self.pace.phase() == Phase::Answer
    }

    /// Whether the connection has exceeded the time that its phase has.
    pub(crate) fn exceeded(&mut self, limits: &Limits, stopping: bool) -> bool {
        let value = self.pace.value();
        if value != self.seen {
            (self.seen, self.since) = (value, Instant::now());
            return false;
        }
        let granted = match self.pace.phase() {
            Phase::Idle if stopping => STOPPING_IDLE,
            Phase::Idle => limits.idle,
            Phase::Head => limits.header_read,
            // Bounded by the request's own time-out.
            Phase::Request => return false,
            Phase::Answer => limits.write,
        };
        self.since.elapsed() >= granted
    }
}

/// A stream that reports to a pace when bytes arrive and when all are gone.
pub(crate) struct Paced {
    pub(crate) stream: TcpStream,
    pub(crate) pace: Pace,
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.pace.bytes();
        }
        result
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes when it has nothing left to write.
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if let Poll::Ready(Ok(())) = flushed {
            self.pace.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
