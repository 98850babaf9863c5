//! A broker's side door for people and scrapers: health, figures, dead letters. It moves no message that is
//! not dead.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_server::{Guard, Handler, Settings, json, not_allowed, problem};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{Broker, DeadLetter, Result};

/// Dead letters that one request lists or replays: replaying a flood at once is a flood.
const LETTERS_MAX: u32 = 1_000;
const READY_MAX: Duration = Duration::from_secs(1);
/// Dead letters that a broker is asked for when some of them are wanted.
const LOOKED_AT_MAX: u32 = 100_000;
/// The topic whose depth tells whether a broker answers; nobody uses it.
const PROBED: &str = "door";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a door is the door of.
#[async_trait]
pub trait Behind: Send + Sync + 'static {
    /// Whether it would store something now.
    async fn check(&self) -> Result<()>;
    /// Its figures, as OpenMetrics.
    async fn metrics(&self) -> Result<String>;
    /// At most `limit` dead letters with numbers above `after`, oldest first.
    async fn dead(&self, topic: &str, after: i64, limit: u32) -> Result<Vec<DeadLetter>>;
    /// Puts at most `limit` dead letters back; returns how many.
    async fn replay(&self, topic: &str, limit: u32) -> Result<u64>;
}

/// A broker that is seen from afar, through its port: it has no figures.
pub struct Afar(Arc<dyn Broker>);

impl Afar {
    /// Of this broker.
    #[must_use]
    pub fn new(broker: Arc<dyn Broker>) -> Self {
        Self(broker)
    }
}

#[async_trait]
impl Behind for Afar {
    async fn check(&self) -> Result<()> {
        self.0.depth(PROBED).await.map(drop)
    }

    async fn metrics(&self) -> Result<String> {
        Ok("# EOF\n".to_owned())
    }

    async fn dead(&self, topic: &str, after: i64, limit: u32) -> Result<Vec<DeadLetter>> {
        let letters = self.0.dead(topic, LOOKED_AT_MAX).await?;
        Ok(letters.into_iter().filter(|l| l.id > after).take(limit as usize).collect())
    }

    async fn replay(&self, topic: &str, limit: u32) -> Result<u64> {
        self.0.replay(topic, limit).await
    }
}

/// Serves `GET /healthz`, `/readyz`, `/metrics`, `/settings`, `/dead/{topic}` and `POST /dead/{topic}/replay`;
/// the last two take `?limit=`, 1,000 by default and at most; the list takes `?after=`, too: letters
/// with numbers above it. Dead letters are not for pages in a browser; only who shows the control
/// token sees their payloads and may replay them.
pub struct Door {
    behind: Arc<dyn Behind>,
    guard: Guard,
    settings: Settings,
    leads: Option<Leads>,
}

/// Whether this node of a cluster leads a topic; may block for a moment.
pub type Leads = Arc<dyn Fn(&str) -> anyhow::Result<bool> + Send + Sync>;

impl Door {
    /// The side door of this broker, who watches it, and what it says of itself.
    #[must_use]
    pub fn new(behind: Arc<dyn Behind>, guard: Guard, settings: Settings) -> Self {
        Self { behind, guard, settings, leads: None }
    }

    /// Of a node of a cluster, which says whether it leads a topic: `GET /leads/{topic}` answers 200 if it does.
    #[must_use]
    pub fn leading(self, leads: Leads) -> Self {
        Self { leads: Some(leads), ..self }
    }

    async fn ready(&self) -> Response<Bytes> {
        match timeout(READY_MAX, self.behind.check()).await {
            Ok(Ok(())) => json(StatusCode::OK, &json!({"status": "ready"})),
            Ok(Err(error)) => unready(&error.to_string()),
            Err(_) => unready("no commit within 1 s"),
        }
    }

    async fn leads(&self, topic: &str) -> Response<Bytes> {
        let Some(leads) = &self.leads else {
            return problem(StatusCode::NOT_FOUND, "not-leading", "it is alone");
        };
        let (leads, asked) = (Arc::clone(leads), topic.to_owned());
        match tokio::task::spawn_blocking(move || leads(&asked)).await {
            Ok(Ok(true)) => json(StatusCode::OK, &json!({"leads": topic})),
            Ok(Ok(false)) => problem(StatusCode::NOT_FOUND, "not-leading", "another node may"),
            Ok(Err(error)) => failed(&format_args!("{error:#}")),
            Err(error) => failed(&error),
        }
    }

    async fn metrics(&self) -> Response<Bytes> {
        match self.behind.metrics().await {
            Ok(text) => open_metrics(text),
            Err(error) => failed(&error),
        }
    }

    async fn dead(&self, topic: &str, page: Page, open: bool) -> Response<Bytes> {
        match self.behind.dead(topic, page.after, page.limit).await {
            Ok(letters) => {
                let letters: Vec<Value> = letters.iter().map(|l| letter_json(l, open)).collect();
                json(StatusCode::OK, &json!({"topic": topic, "dead": letters}))
            }
            Err(error) => failed(&error),
        }
    }

    async fn replay(&self, topic: &str, limit: u32) -> Response<Bytes> {
        match self.behind.replay(topic, limit).await {
            Ok(count) => json(StatusCode::OK, &json!({"topic": topic, "replayed": count})),
            Err(error) => failed(&error),
        }
    }
}

#[async_trait]
impl Handler for Door {
    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let Some(page) = page(request.uri().query()) else {
            let detail = format!("expected ?after=ID&limit=N with N from 1 to {LETTERS_MAX}");
            return problem(StatusCode::BAD_REQUEST, "invalid", &detail);
        };
        let path: Vec<&str> = request.uri().path().split('/').skip(1).collect();
        let refusal = match path.as_slice() {
            ["dead", _] => self.guard.stranger(&request),
            ["dead", ..] => self.guard.refusal(&request),
            _ => None,
        };
        if let Some(refused) = refusal {
            return refused;
        }
        match (request.method(), path.as_slice()) {
            (&Method::GET, ["healthz"]) => json(StatusCode::OK, &json!({"status": "alive"})),
            (&Method::GET, ["readyz"]) => self.ready().await,
            (&Method::GET, ["metrics"]) => self.metrics().await,
            (&Method::GET, ["settings"]) => self.settings.answer(),
            (&Method::GET, ["leads", topic]) => self.leads(topic).await,
            (&Method::GET, ["dead", topic]) => {
                self.dead(topic, page, self.guard.knows(&request)).await
            }
            (&Method::POST, ["dead", topic, "replay"]) => self.replay(topic, page.limit).await,
            (_, ["healthz" | "readyz" | "metrics" | "settings"] | ["dead" | "leads", _]) => {
                not_allowed("GET")
            }
            (_, ["dead", _, "replay"]) => not_allowed("POST"),
            _ => problem(StatusCode::NOT_FOUND, "not-found", "see GET /dead/{topic}, /metrics"),
        }
    }
}

/// A part of the dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Page {
    after: i64,
    limit: u32,
}

fn page(query: Option<&str>) -> Option<Page> {
    let mut page = Page { after: 0, limit: LETTERS_MAX };
    for pair in query.into_iter().flat_map(|query| query.split('&')) {
        match pair.split_once('=')? {
            ("after", after) => page.after = after.parse().ok()?,
            ("limit", limit) => page.limit = limit.parse().ok()?,
            _ => return None,
        }
    }
    (1..=LETTERS_MAX).contains(&page.limit).then_some(page)
}

fn unready(why: &str) -> Response<Bytes> {
    problem(StatusCode::SERVICE_UNAVAILABLE, "not-ready", why)
}

fn failed(error: &impl Display) -> Response<Bytes> {
    problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &error.to_string())
}

fn open_metrics(text: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
    response
}

/// A letter for people, opened if they may see what is in it; a payload that is not text is shown
/// with replacement characters.
fn letter_json(letter: &DeadLetter, open: bool) -> Value {
    let payload = open.then(|| String::from_utf8_lossy(&letter.message.payload));
    json!({
        "id": letter.id,
        "key": letter.message.key,
        "headers": letter.message.headers,
        "payload": payload,
        "attempts": letter.attempts,
        "errors": letter.errors,
        "published_us": letter.published_us,
        "died_us": letter.died_us,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_in_bounds_or_refused() {
        let of = |query| page(Some(query)).map(|page| (page.after, page.limit));
        assert_eq!(page(None), Some(Page { after: 0, limit: 1_000 }));
        assert_eq!(of("limit=7"), Some((0, 7)));
        assert_eq!(of("after=12&limit=7"), Some((12, 7)));
        assert_eq!(of("after=12"), Some((12, 1_000)));
        for bad in ["limit=0", "limit=1001", "max=7", "after=x", "limit"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
