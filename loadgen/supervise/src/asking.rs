//! Reads of a contestant, bounded in bytes and in time, and ended by an interrupt: whoever is measured
//! must not be able to fill the memory of who measures, or to keep him for ever. It knows no format.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// Of an answer that is refused so much is shown.
const SHOWN_BYTES: usize = 300;

/// How long somebody is waited for.
#[derive(Clone, Debug)]
pub struct Patience {
    deadline: Instant,
    within: Duration,
    interrupt: Option<watch::Receiver<bool>>,
    /// So much longer after an interrupt.
    grace: Duration,
}

impl Patience {
    /// So long, whatever happens.
    pub fn of(within: Duration) -> Self {
        Self { deadline: Instant::now() + within, within, interrupt: None, grace: within }
    }

    /// So long; after an interrupt only `grace` more.
    pub fn until(within: Duration, interrupt: watch::Receiver<bool>, grace: Duration) -> Self {
        Self { interrupt: Some(interrupt), grace, ..Self::of(within) }
    }

    /// Returns when it has an end.
    async fn ends(&self) {
        let interrupted = async {
            if let Some(mut stop) = self.interrupt.clone()
                && stop.wait_for(|stop| *stop).await.is_ok()
            {
                return sleep(self.grace).await;
            }
            // Nobody can interrupt, or nobody will any more.
            std::future::pending().await
        };
        tokio::select! {
            () = sleep_until(self.deadline) => {}
            () = interrupted => {}
        }
    }

    /// What comes of `work`; `None` if it takes longer.
    pub async fn bear<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.ends() => None,
        }
    }

    /// What comes of `work`.
    ///
    /// # Errors
    /// Its own, and if it takes longer; `what` says what was done.
    pub async fn hold<T>(
        &self,
        what: &str,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let late = || {
            format!("{what}: not done within {:.0} s, or interrupted", self.within.as_secs_f64())
        };
        self.bear(work).await.with_context(late)?
    }
}

/// The answer goes beyond a bound: to ask again would not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Beyond(pub String);

/// A URL with parameters behind it.
///
/// # Errors
/// If it is none.
pub fn url(base: &str, parameters: &[(&str, &str)]) -> anyhow::Result<reqwest::Url> {
    let url = reqwest::Url::parse_with_params(base, parameters);
    url.with_context(|| format!("{base:?} is not a URL"))
}

/// Sends a request; the status, and the body if it has no more bytes than this.
///
/// # Errors
/// If there is no answer, or a longer one.
pub async fn ask(
    request: RequestBuilder,
    bytes_max: usize,
) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let mut answer = request.send().await?;
    let (status, mut body) = (answer.status(), Vec::new());
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > bytes_max {
            let text =
                format!("{} answered {status} with more than {bytes_max} bytes", answer.url());
            return Err(Beyond(text).into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, body))
}

/// Sends a request that is to be answered with JSON.
///
/// # Errors
/// As [`ask`], and if the answer is no success, or not this JSON.
pub async fn ask_json<T: DeserializeOwned>(
    request: RequestBuilder,
    bytes_max: usize,
    what: &str,
) -> anyhow::Result<T> {
    let (status, body) = ask(request, bytes_max).await.with_context(|| what.to_owned())?;
    json(status, &body, what)
}

/// The JSON of an answer to `what`.
///
/// # Errors
/// If it is no success, or not this JSON.
pub fn json<T: DeserializeOwned>(status: StatusCode, body: &[u8], what: &str) -> anyhow::Result<T> {
    if !status.is_success() {
        let start = &body[..body.len().min(SHOWN_BYTES)];
        bail!("{what} was answered {status}: {}", String::from_utf8_lossy(start));
    }
    serde_json::from_slice(body).with_context(|| format!("{what}: the answer is not as expected"))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that goes on with its answer for ever.
    async fn endless() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    stream.read_u8().await?;
                    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
                    stream.write_all(head).await?;
                    loop {
                        stream.write_all(&[b' '; 4_096]).await?;
                    }
                    #[expect(unreachable_code, reason = "the type of the errors above")]
                    std::io::Result::Ok(())
                });
            }
        });
        url
    }

    #[tokio::test]
    async fn an_answer_without_end_is_refused() {
        let url = endless().await;
        let http = crate::http::client(Duration::from_secs(20)).unwrap();
        let error = ask(http.get(&url), 100_000).await.unwrap_err().to_string();
        assert!(error.contains("with more than 100000 bytes"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn patience_has_an_end_and_an_interrupt_shortens_it() {
        let never = || std::future::pending::<anyhow::Result<()>>();
        let (tell, told) = watch::channel(false);
        let second = Duration::from_secs(1);
        let begun = Instant::now();
        let error = Patience::of(5 * second).hold("reading", never()).await.unwrap_err();
        assert!(error.to_string().contains("reading: not done within 5 s"), "{error}");
        assert_eq!(begun.elapsed(), 5 * second);
        let begun = Instant::now();
        let patience = Patience::until(60 * second, told, 2 * second);
        let stop = async {
            sleep(3 * second).await;
            tell.send(true).unwrap();
            never().await
        };
        assert!(patience.bear(stop).await.is_none());
        assert_eq!(begun.elapsed(), 5 * second, "two after the interrupt");
        assert!(patience.bear(never()).await.is_none());
        assert_eq!(begun.elapsed(), 7 * second, "an older interrupt counts from now on");
        assert_eq!(patience.bear(async { 7 }).await, Some(7));
    }
}
