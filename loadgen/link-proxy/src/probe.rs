//! One look through a link from the client's side: does an answer come, and how soon?

use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// What a probe met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// A good answer, or the end where only that was asked for, after this time.
    Well(Duration),
    /// An answer, but not the expected one.
    Otherwise,
    /// A reset, or an end before any answer.
    Cut,
    /// Nothing within the time.
    Not,
}

/// A connection through a link that has asked nothing yet.
pub struct Probe(TcpStream);

impl Probe {
    /// Connects.
    ///
    /// # Errors
    /// If that is refused.
    pub async fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Asks for a path over HTTP; any answer is good, as the link is asked and not the server.
    pub async fn get(self, host: &str, path: &str, within: Duration) -> Answered {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        self.exchange(request.as_bytes(), within, |answer| answer.starts_with(b"HTTP/1.")).await
    }

    /// Says nothing and ends its side; the other side's end is good. Works with any protocol.
    pub async fn hang_up(self, within: Duration) -> Answered {
        self.exchange(b"", within, |_| true).await
    }

    async fn exchange(
        mut self,
        request: &[u8],
        within: Duration,
        is_good: impl Fn(&[u8]) -> bool,
    ) -> Answered {
        let began = Instant::now();
        let answer = timeout(within, self.read_all(request)).await;
        match answer {
            Err(_) => Answered::Not,
            Ok(Err(_)) => Answered::Cut,
            Ok(Ok(answer)) if answer.is_empty() && !request.is_empty() => Answered::Cut,
            Ok(Ok(answer)) if is_good(&answer) => Answered::Well(began.elapsed()),
            Ok(Ok(_)) => Answered::Otherwise,
        }
    }

    async fn read_all(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        if request.is_empty() {
            self.0.shutdown().await?;
        } else {
            self.0.write_all(request).await?;
        }
        let mut answer = Vec::new();
        let mut rest = (&mut self.0).take(ANSWER_MAX_BYTES as u64);
        match rest.read_to_end(&mut answer).await {
            // The answer was whole; how the connection ended after it is no matter here.
            Err(error) if answer.is_empty() || error.kind() != ErrorKind::ConnectionReset => {
                Err(error)
            }
            _ => Ok(answer),
        }
    }
}
