//! A connection to one broker: one exchange at a time, each with an end. It knows no request.

use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::wire::{Answer, Request, torn};
use crate::{Error, Result};

/// How long a broker may take to let us in.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// After this an answer is not expected any more.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A connection. Whoever gives up an exchange before its answer must give up the connection, too.
pub(super) struct Line {
    address: String,
    stream: TcpStream,
    number: i32,
}

impl Line {
    pub(super) async fn connect(address: &str) -> Result<Self> {
        let connected = timeout(CONNECT_MAX, TcpStream::connect(address)).await;
        let connected = connected.map_err(|_| away(address, "it does not let us in"))?;
        let stream = connected.map_err(|error| away(address, &error.to_string()))?;
        // Else an answer may wait for the acknowledgement of the one before.
        stream.set_nodelay(true).map_err(|error| away(address, &error.to_string()))?;
        Ok(Self { address: address.to_owned(), stream, number: 0 })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Whether the other side has closed it, as far as one can see.
    pub(super) fn is_closed(&self) -> bool {
        let mut byte = [0];
        let read = self.stream.try_read(&mut byte);
        !matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&mut self, request: &Request) -> Result<Answer> {
        self.send(request).await?;
        self.answer(Duration::ZERO).await
    }

    pub(super) async fn send(&mut self, request: &Request) -> Result<()> {
        self.number = self.number.wrapping_add(1);
        let frame = request.frame(self.number);
        let sent = timeout(ANSWER_MAX, self.stream.write_all(&frame)).await;
        let sent = sent.map_err(|_| away(&self.address, "it takes no request"))?;
        sent.map_err(|error| away(&self.address, &error.to_string()))
    }

    /// The answer to what was sent, which may wait for so long on purpose.
    pub(super) async fn answer(&mut self, waits: Duration) -> Result<Answer> {
        let read = timeout(waits + ANSWER_MAX, self.read()).await;
        let body = read.map_err(|_| away(&self.address, "it does not answer"))??;
        Answer::new(body, true)
    }

    async fn read(&mut self) -> Result<Bytes> {
        let lost = |address: &str, error: &std::io::Error| away(address, &error.to_string());
        let size = self.stream.read_u32().await.map_err(|error| lost(&self.address, &error))?;
        if !(4..=ANSWER_BYTES_MAX).contains(&(size as usize)) {
            return Err(torn());
        }
        let mut body = vec![0; size as usize];
        let read = self.stream.read_exact(&mut body).await;
        read.map_err(|error| lost(&self.address, &error))?;
        let mut body = Bytes::from(body);
        if body.get_i32() == self.number { Ok(body) } else { Err(torn()) }
    }
}

pub(super) fn away(address: &str, why: &str) -> Error {
    Error::Unavailable(format!("kafka at {address}: {why}"))
}
