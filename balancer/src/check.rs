//! Whether replicas can work: each is asked over HTTP, again and again. A connection alone tells nothing: the kernel of
//! a process that was stopped still takes it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::backend::Backend;

/// Bytes of an answer that are read.
const ANSWER_MAX: usize = 1_024;

/// How replicas are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is asked for; 200 is good.
    pub path: String,
    /// How often, while it answers.
    pub every: Duration,
    /// How long an answer may take.
    pub within: Duration,
    /// It is down after so many failures in a row; the second comes at once after the first, and so on.
    pub down_after: u32,
    /// It is up again after so many successes in a row; at the beginning, after the first.
    pub up_after: u32,
}

/// What checks have found of one replica.
#[derive(Debug, Default)]
struct Found {
    known: bool,
    is_up: bool,
    /// Results in a row that say otherwise.
    against: u32,
}

impl Found {
    /// Whether it is up, with this result.
    fn with(&mut self, is_good: bool, check: &Check) -> bool {
        self.against = if is_good == self.is_up { 0 } else { self.against + 1 };
        let enough = match (self.known, is_good) {
            (false, _) => 1,
            (true, true) => check.up_after,
            (true, false) => check.down_after,
        };
        if self.against >= enough {
            (self.is_up, self.against) = (is_good, 0);
        }
        self.known |= is_good;
        self.is_up
    }

    /// How long until the next check: none while it is in doubt whether it is still up.
    fn pause(&self, check: &Check) -> Duration {
        if self.is_up && self.against > 0 { Duration::ZERO } else { check.every }
    }
}

/// Checks a replica for ever.
pub async fn watch(backend: Arc<Backend>, check: Check) {
    let mut found = Found::default();
    loop {
        let asked = timeout(check.within, ask(backend.address(), &check.path)).await;
        let (is_good, why) = match asked {
            Ok(Ok(200)) => (true, "200".to_owned()),
            Ok(Ok(status)) => (false, status.to_string()),
            Ok(Err(error)) => (false, error.to_string()),
            Err(_) => (false, format!("no answer within {} s", check.within.as_secs_f64())),
        };
        backend.found(found.with(is_good, &check), &why);
        sleep(found.pause(&check)).await;
    }
}

/// The status of an answer.
async fn ask(address: SocketAddr, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(ANSWER_MAX);
    loop {
        let status = answer.strip_prefix(b"HTTP/1.1 ").and_then(|rest: &[u8]| rest.get(..3));
        if let Some(status) = status.and_then(|text| str::from_utf8(text).ok()?.parse().ok()) {
            return Ok(status);
        }
        if answer.len() >= ANSWER_MAX || stream.read_buf(&mut answer).await? == 0 {
            return Err(std::io::Error::other("no HTTP answer"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_up_after_one_success_down_after_some_failures_and_up_after_some_successes() {
        let check = Check {
            path: "/readyz".to_owned(),
            every: Duration::from_secs(1),
            within: Duration::from_millis(500),
            down_after: 2,
            up_after: 3,
        };
        let mut found = Found::default();
        let results = [
            false, true, true, false, true, false, false, false, true, true, false, true, true,
            true,
        ];
        let up: Vec<bool> = results.iter().map(|is_good| found.with(*is_good, &check)).collect();
        let expected = [
            false, true, true, true, true, true, false, false, false, false, false, false, false,
            true,
        ];
        assert_eq!(up, expected);
        let mut one = Found::default();
        one.with(true, &check);
        assert_eq!(one.pause(&check), check.every);
        one.with(false, &check);
        assert_eq!(one.pause(&check), Duration::ZERO, "whether it is down is asked at once");
        one.with(false, &check);
        assert_eq!(one.pause(&check), check.every);
    }
}
