//! The broker's side door for people and scrapers: health, figures, dead letters. It moves no
//! message that is not dead.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_server::{Guard, Handler, Settings, json, not_allowed, problem};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Counts, Queue, TopicDepth};
use crate::clock::now_us;
use crate::{DeadLetter, Error};

/// Dead letters that one request lists or replays: replaying a flood at once is a flood.
const LETTERS_MAX: u32 = 1_000;
const READY_MAX: Duration = Duration::from_secs(1);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves `GET /healthz`, `/readyz`, `/metrics`, `/settings`, `/dead/{topic}` and `POST /dead/{topic}/replay`;
/// the last two take `?limit=`, 1,000 by default and at most; the list takes `?after=`, too: letters
/// with numbers above it. Dead letters are not for pages in a browser; only who shows the control
/// token sees their payloads and may replay them.
pub struct Control {
    queue: Arc<Queue>,
    guard: Guard,
    settings: Settings,
}

impl Control {
    /// The side door of this queue, who watches it, and what it says of itself.
    #[must_use]
    pub fn new(queue: Arc<Queue>, guard: Guard, settings: Settings) -> Self {
        Self { queue, guard, settings }
    }

    async fn ready(&self) -> Response<Bytes> {
        match timeout(READY_MAX, self.queue.check()).await {
            Ok(Ok(())) => json(StatusCode::OK, &json!({"status": "ready"})),
            Ok(Err(error)) => unready(&error.to_string()),
            Err(_) => unready("no commit within 1 s"),
        }
    }

    async fn metrics(&self) -> Response<Bytes> {
        match self.queue.depths().await {
            Ok(topics) => open_metrics(metrics_text(&topics, self.queue.counts(), now_us())),
            Err(error) => failed(&error),
        }
    }

    async fn dead(&self, topic: &str, page: Page, open: bool) -> Response<Bytes> {
        match self.queue.dead(topic, page.after, page.limit).await {
            Ok(letters) => {
                let letters: Vec<Value> = letters.iter().map(|l| letter_json(l, open)).collect();
                json(StatusCode::OK, &json!({"topic": topic, "dead": letters}))
            }
            Err(error) => failed(&error),
        }
    }

    async fn replay(&self, topic: &str, limit: u32) -> Response<Bytes> {
        match self.queue.replay(topic, limit).await {
            Ok(count) => json(StatusCode::OK, &json!({"topic": topic, "replayed": count})),
            Err(error) => failed(&error),
        }
    }
}

#[async_trait]
impl Handler for Control {
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
            (&Method::GET, ["dead", topic]) => {
                self.dead(topic, page, self.guard.knows(&request)).await
            }
            (&Method::POST, ["dead", topic, "replay"]) => self.replay(topic, page.limit).await,
            (_, ["healthz" | "readyz" | "metrics" | "settings"] | ["dead", _]) => {
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

fn failed(error: &Error) -> Response<Bytes> {
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

fn metrics_text(topics: &[TopicDepth], counts: Counts, now_us: i64) -> String {
    let mut text = String::new();
    gauges(&mut text, topics, now_us);
    let counters = [
        ("publishes", "Messages stored", counts.publishes),
        ("claims", "Deliveries claimed", counts.claims),
        ("acks", "Messages done", counts.acks),
        ("deferrals", "Deliveries put off, uncounted", counts.deferrals),
        ("failures", "Failures reported", counts.failures),
        ("rejections", "Messages given up at once", counts.rejections),
        ("fenced", "Settlements refused because the lease was lost", counts.fenced),
        ("commits", "Commits that reached the disk", counts.commits),
        ("transactions", "Transactions in those commits", counts.transactions),
    ];
    for (name, help, value) in counters {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "# TYPE broker_{name} counter\n# HELP broker_{name} {help}.\nbroker_{name}_total {value}\n"
        );
    }
    text + "# EOF\n"
}

fn gauges(text: &mut String, topics: &[TopicDepth], now_us: i64) {
    *text += "# TYPE broker_messages gauge\n# HELP broker_messages Messages by topic and state.\n";
    for TopicDepth { topic, depth, .. } in topics {
        let states = [
            ("ready", depth.ready),
            ("delayed", depth.delayed),
            ("leased", depth.leased),
            ("dead", depth.dead),
        ];
        for (state, count) in states {
            let labels = format!("topic=\"{topic}\",state=\"{state}\"");
            let _ = writeln!(text, "broker_messages{{{labels}}} {count}");
        }
    }
    *text += "# TYPE broker_oldest_ready_age_seconds gauge\n\
              # UNIT broker_oldest_ready_age_seconds seconds\n\
              # HELP broker_oldest_ready_age_seconds Since the oldest ready message was published.\n";
    for TopicDepth { topic, oldest_ready_us, .. } in topics {
        let age_us = oldest_ready_us.map_or(0, |published_us| (now_us - published_us).max(0));
        let age_s = age_us as f64 / 1e6;
        let _ = writeln!(text, "broker_oldest_ready_age_seconds{{topic=\"{topic}\"}} {age_s}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Depth;

    #[test]
    fn metrics_name_topics_states_and_ages() {
        let depth = Depth { ready: 3, delayed: 0, leased: 2, dead: 1 };
        let topic = "charges".to_owned();
        let topics = [TopicDepth { topic, depth, oldest_ready_us: Some(1_000_000) }];
        let counts = Counts { publishes: 6, commits: 4, ..Counts::default() };
        let text = metrics_text(&topics, counts, 3_500_000);
        for line in [
            "broker_messages{topic=\"charges\",state=\"leased\"} 2\n",
            "broker_oldest_ready_age_seconds{topic=\"charges\"} 2.5\n",
            "broker_publishes_total 6\n",
            "broker_commits_total 4\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

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
