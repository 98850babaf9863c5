//! So many messages under way, for a while.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use brokers::{Broker, Message, SubscribeOptions, Subscription};
use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::contestant::Started;
use crate::used::Used;

const PAYLOAD_BYTES: usize = 256;
/// Nothing may take longer than this.
const STALL_MAX: Duration = Duration::from_secs(15);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the call until the broker has it.
    Publish,
    /// From the call until its consumer's acknowledgement has returned.
    EndToEnd,
    /// The same, where many consumers of the topic have one message each in work, and four are under way for each.
    Shared,
}

/// Messages under way for each of those who share a topic, and at least.
const FOR_EACH: u32 = 4;
const SHARED_MIN: u32 = 64;

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::EndToEnd => "end to end",
            Self::Shared => "shared",
        }
    }
}

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) messages: u64,
    pub(crate) per_second: f64,
    /// Microseconds.
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) most: u64,
    /// CPU of a message, in microseconds.
    pub(crate) server_cpu: f64,
    pub(crate) client_cpu: f64,
}

/// When measuring begins and ends.
#[derive(Clone, Copy)]
struct Window {
    from: Instant,
    to: Instant,
}

impl Window {
    fn holds(self, instant: Instant) -> bool {
        self.from <= instant && instant < self.to
    }
}

/// Measures for `span`, after a quarter of it, with this many messages under way, or this many consumers that share.
pub(crate) async fn measure(
    started: &Started,
    way: Way,
    many: u32,
    span: Duration,
) -> Result<Figures> {
    let topic = format!("{}-{many}", way.name().replace(' ', "-"));
    started.open(&topic).await.with_context(|| format!("topic {topic}"))?;
    let from = Instant::now() + span / 4;
    let window = Window { from, to: from + span };
    let used = async {
        sleep_until(window.from).await;
        let before = Used::now(&started.running)?;
        sleep_until(window.to).await;
        Ok::<Used, anyhow::Error>(Used::now(&started.running)?.since(before))
    };
    let worked = async {
        match way {
            Way::Publish => publish(&started.broker, &topic, many, window).await,
            Way::EndToEnd => end_to_end(&started.broker, &topic, many, &[many], window).await,
            Way::Shared => {
                let outstanding = (many * FOR_EACH).max(SHARED_MIN);
                let windows = vec![1; many as usize];
                end_to_end(&started.broker, &topic, outstanding, &windows, window).await
            }
        }
    };
    let (used, times) = tokio::try_join!(used, worked)?;
    let messages = times.len();
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / messages.max(1) as f64;
    Ok(Figures {
        messages,
        per_second: messages as f64 / span.as_secs_f64(),
        p50: times.value_at_quantile(0.5),
        p99: times.value_at_quantile(0.99),
        most: times.max(),
        server_cpu: each(used.server),
        client_cpu: each(used.client),
    })
}

fn times() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

/// Each of so many publishers has one message under way. A message counts if it ended in the window.
async fn publish(
    broker: &Arc<dyn Broker>,
    topic: &str,
    outstanding: u32,
    window: Window,
) -> Result<Histogram<u64>> {
    let mut publishers = JoinSet::new();
    for publisher in 0..outstanding {
        let (broker, topic) = (Arc::clone(broker), topic.to_owned());
        publishers.spawn(async move {
            let (mut times, mut number) = (times()?, 0_u64);
            while Instant::now() < window.to {
                let begun = Instant::now();
                broker.publish(&topic, message(format!("{publisher}-{number}"), begun)).await?;
                record(&mut times, begun, window);
                number += 1;
            }
            Ok::<_, anyhow::Error>(times)
        });
    }
    let mut all = times()?;
    while let Some(times) = publishers.join_next().await {
        all.add(times??)?;
    }
    Ok(all)
}

/// A message of our size that carries when it was begun: nanoseconds of this process' clock.
fn message(key: String, begun: Instant) -> Message {
    let mut payload = vec![b'x'; PAYLOAD_BYTES];
    let at = begun.duration_since(*START).as_nanos() as u64;
    payload[..8].copy_from_slice(&at.to_le_bytes());
    Message { key, payload: Bytes::from(payload), ..Message::default() }
}

static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);

fn begun(message: &Message) -> Result<Instant> {
    let at = message.payload.first_chunk().context("a payload of ours")?;
    Ok(*START + Duration::from_nanos(u64::from_le_bytes(*at)))
}

fn record(times: &mut Histogram<u64>, begun: Instant, window: Window) {
    let now = Instant::now();
    if window.holds(now) {
        times.saturating_record((now - begun).as_micros() as u64);
    }
}

/// A place is free again when its message is acknowledged by its consumer. Each consumer has a window of its own.
async fn end_to_end(
    broker: &Arc<dyn Broker>,
    topic: &str,
    outstanding: u32,
    windows: &[u32],
    window: Window,
) -> Result<Histogram<u64>> {
    let places = Arc::new(Semaphore::new(outstanding as usize));
    let mut consumers = JoinSet::new();
    for &prefetch in windows {
        let subscription = broker.subscribe(topic, SubscribeOptions { prefetch }).await?.into();
        consumers.spawn(consume(subscription, Arc::clone(&places), window));
    }
    let mut publishing =
        tokio::spawn(produce(Arc::clone(broker), topic.to_owned(), Arc::clone(&places)));
    let consumed = async {
        let mut all = times()?;
        while let Some(times) = consumers.join_next().await {
            all.add(times??)?;
        }
        Ok(all)
    };
    let consumed = tokio::select! {
        consumed = consumed => consumed,
        failed = &mut publishing => failed?.and(Err(anyhow::anyhow!("publishing has ended"))),
    };
    publishing.abort();
    consumed
}

/// Publishes whenever there is a place.
async fn produce(broker: Arc<dyn Broker>, topic: String, places: Arc<Semaphore>) -> Result<()> {
    let mut publishing = JoinSet::new();
    for number in 0_u64.. {
        places.acquire().await?.forget();
        while let Some(published) = publishing.try_join_next() {
            published??;
        }
        let (broker, topic) = (Arc::clone(&broker), topic.clone());
        publishing.spawn(async move {
            broker.publish(&topic, message(number.to_string(), Instant::now())).await
        });
    }
    Ok(())
}

async fn consume(
    subscription: Arc<dyn Subscription>,
    places: Arc<Semaphore>,
    window: Window,
) -> Result<Histogram<u64>> {
    let mut times = times()?;
    let mut acking: JoinSet<Result<Instant>> = JoinSet::new();
    while Instant::now() < window.to {
        tokio::select! {
            acked = acking.join_next(), if !acking.is_empty() => {
                record(&mut times, acked.context("an ack")???, window);
                places.add_permits(1);
            }
            () = sleep_until(window.to) => break,
            delivery = timeout(STALL_MAX, subscription.next()) => {
                let delivery = delivery.context("deliveries have stopped")??;
                let subscription = Arc::clone(&subscription);
                acking.spawn(async move {
                    subscription.ack(&delivery.receipt).await?;
                    begun(&delivery.message)
                });
            }
        }
    }
    while let Some(acked) = acking.join_next().await {
        acked??;
    }
    Ok(times)
}
