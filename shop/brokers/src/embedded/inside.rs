//! The queue in the process that uses it: no socket, no second process. A thread of its own writes the log.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use group_commit::Synchronous;
use tokio::runtime;
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::batch::Operation;
use super::delivering::{Delivering, Taking};
use super::queue::{Leaving, Options, Queue};
use super::wire::Event;
use crate::clock::now_us;
use crate::window::Window;
use crate::{
    Broker, DeadLetter, Delivery, Depth, Error, Message, Micros, Receipt, Result, Settings, Settle,
    SubscribeOptions, Subscription,
};

/// Lists of deliveries that wait to be handed out; the window bounds what is in them.
const ARRIVING_MAX: usize = 64;

/// A queue of this process.
pub(super) struct Inside {
    queue: Arc<Queue>,
    works: Works,
}

/// Held by whoever needs the queue; when the last one lets go, its thread ends.
type Works = Arc<DropGuard>;

impl Inside {
    /// Opens or creates the log, and works on it.
    ///
    /// # Errors
    /// `Invalid` if it cannot be opened or is no log of a queue.
    pub(super) fn open(path: &Path, settings: Settings) -> Result<Self> {
        let invalid = |error: String| Error::Invalid(format!("log:{}: {error}", path.display()));
        let synchronous = if settings.durable { Synchronous::Full } else { Synchronous::Off };
        let options = Options { settings, synchronous, alone: true, ..Options::default() };
        let queue = Queue::open(path, options).map_err(|error| invalid(error.to_string()))?;
        let (queue, ended) = (Arc::new(queue), CancellationToken::new());
        work(Arc::clone(&queue), ended.clone()).map_err(|error| invalid(error.to_string()))?;
        Ok(Self { queue, works: Arc::new(ended.drop_guard()) })
    }
}

/// Does the queue's work until nobody needs it any more: apart, for it blocks while the disk works.
fn work(queue: Arc<Queue>, ended: CancellationToken) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
    let work = async move {
        if let Some(never) = ended.run_until_cancelled(queue.work()).await {
            match never {}
        }
    };
    let work = move || {
        // Without it everybody would wait for ever for a process that looks well.
        if catch_unwind(AssertUnwindSafe(|| runtime.block_on(work))).is_err() {
            std::process::abort();
        }
    };
    thread::Builder::new().name("queue".to_owned()).spawn(work).map(drop)
}

#[async_trait]
impl Broker for Inside {
    async fn publish(&self, topic: &str, message: Message) -> Result<()> {
        message.check()?;
        let topic = self.queue.topic(topic)?;
        change(&self.queue, Operation::Publish { topic, message }).await
    }

    async fn subscribe(
        &self,
        topic: &str,
        options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>> {
        options.check()?;
        let (queue, topic) = (Arc::clone(&self.queue), self.queue.topic(topic)?);
        let taking = Taking::new(Window::new(options.prefetch, options.retries()));
        let (outbound, arriving) = mpsc::channel(ARRIVING_MAX);
        let delivering =
            Delivering { queue, topic, subscription: 0, taking: taking.clone(), outbound };
        let works = Arc::clone(&self.works);
        tokio::spawn(async move {
            delivering.run().await;
            drop(works);
        });
        let (queue, works) = (Arc::clone(&self.queue), Arc::clone(&self.works));
        let arrivals = Mutex::new(Arrivals { arriving, waiting: VecDeque::new() });
        Ok(Box::new(Consumer { queue, taking, arrivals, _works: works }))
    }

    async fn depth(&self, topic: &str) -> Result<Depth> {
        self.queue.depth(topic).await
    }

    async fn holds(&self, topic: &str, keys: &[String]) -> Result<Option<HashSet<String>>> {
        self.queue.holds(topic, keys.iter().cloned().collect()).await.map(Some)
    }

    async fn dead(&self, topic: &str, limit: u32) -> Result<Vec<DeadLetter>> {
        self.queue.dead(topic, 0, limit).await
    }

    async fn replay(&self, topic: &str, limit: u32) -> Result<u64> {
        self.queue.replay(topic, limit).await
    }
}

async fn change(queue: &Queue, operation: Operation) -> Result<()> {
    let outcome = queue.apply(vec![operation]).await?.pop();
    outcome.unwrap_or_else(|| Err(Error::Unavailable("the queue is closed".to_owned())))
}

struct Arrivals {
    arriving: mpsc::Receiver<Vec<Event>>,
    /// What is next stays here until it is handed out, in case `next` is cancelled.
    waiting: VecDeque<Delivery>,
}

struct Consumer {
    queue: Arc<Queue>,
    taking: Taking,
    arrivals: Mutex<Arrivals>,
    _works: Works,
}

#[async_trait]
impl Subscription for Consumer {
    async fn next(&self) -> Result<Delivery> {
        // Callers that wait at once are served in turn.
        let mut arrivals = self.arrivals.lock().await;
        loop {
            while let Some(Delivery { receipt, .. }) =
                arrivals.waiting.front().filter(|delivery| delivery.is_stale())
            {
                let (receipt, asked) = (receipt.clone(), Instant::now());
                let is_ours = self.extend(&receipt).await.is_ok();
                if let Some(delivery) = arrivals.waiting.pop_front().filter(|_| is_ours) {
                    return Ok(Delivery { since: asked, ..delivery });
                }
                // It is somebody else's, or comes again: its place is free.
                if let Ok(claim) = self.queue.named(&receipt) {
                    self.taking.window.settled(claim);
                }
            }
            if let Some(delivery) = arrivals.waiting.pop_front() {
                return Ok(delivery);
            }
            let Some(events) = arrivals.arriving.recv().await else {
                return Err(Error::Unavailable("the queue is closed".to_owned()));
            };
            arrivals.waiting.extend(events.into_iter().filter_map(delivery));
        }
    }

    async fn settle(&self, receipt: &Receipt, how: Settle) -> Result<()> {
        let claim = self.queue.named(receipt)?;
        // It makes room at once: the claim that fills it is queued behind.
        self.taking.window.settled(claim);
        change(&self.queue, Operation::Settle(claim, how)).await
    }

    async fn extend(&self, receipt: &Receipt) -> Result<()> {
        let claim = self.queue.named(receipt)?;
        self.taking.window.extended(claim, self.queue.settings().lease);
        change(&self.queue, Operation::Extend(claim)).await
    }

    async fn limit_retries(&self, places: u32) -> Result<()> {
        self.taking.window.limit_retries(places);
        Ok(())
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.taking.ends(Leaving::InOrder);
    }
}

fn delivery(event: Event) -> Option<Delivery> {
    let Event::Delivery { at_us, delivery, .. } = event else { return None };
    Some(Delivery { since: since(at_us), ..delivery })
}

/// The queue's clock is this process's own.
fn since(at_us: Micros) -> Instant {
    let (now, now_us) = (Instant::now(), now_us());
    let ago = Duration::from_micros(u64::try_from(now_us - at_us).unwrap_or(0));
    now.checked_sub(ago).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_kept_is_there_when_its_process_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.log");
        let message = Message { key: "kept".to_owned(), ..Message::default() };
        let first = Inside::open(&path, Settings::default()).unwrap();
        first.publish("t", message.clone()).await.unwrap();
        assert!(Inside::open(&path, Settings::default()).is_err(), "a log is one process's");
        let queue = Arc::downgrade(&first.queue);
        drop(first);
        while queue.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
        let again = Inside::open(&path, Settings::default()).unwrap();
        let consumer = again.subscribe("t", SubscribeOptions::default()).await.unwrap();
        let delivery = consumer.next().await.unwrap();
        assert_eq!(delivery.message, message);
        assert!(delivery.since.elapsed() < Duration::from_secs(10), "{:?}", delivery.since);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_its_process_had_in_work_comes_again_at_once_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue.log");
        let copy = folder.path().join("copy");
        std::fs::create_dir(&copy).unwrap();
        let first = Inside::open(&path, Settings::default()).unwrap();
        first.publish("t", Message::default()).await.unwrap();
        let consumer = first.subscribe("t", SubscribeOptions::default()).await.unwrap();
        assert_eq!(consumer.next().await.unwrap().attempt, Some(1));
        // As a kill would leave it.
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
            }
        }
        let again = Inside::open(&copy.join("queue.log"), Settings::default()).unwrap();
        let consumer = again.subscribe("t", SubscribeOptions::default()).await.unwrap();
        let delivery = timeout(Duration::from_secs(5), consumer.next()).await.unwrap().unwrap();
        assert_eq!((delivery.attempt, delivery.redelivered), (Some(2), true));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_waited_long_is_asked_about_before_it_is_handed_out() {
        let folder = tempfile::tempdir().unwrap();
        let lease = Duration::from_secs(3);
        let settings = Settings { lease, ..Settings::default() };
        let queue = Inside::open(&folder.path().join("queue.log"), settings).unwrap();
        queue.publish("t", Message::default()).await.unwrap();
        let consumer = queue.subscribe("t", SubscribeOptions { prefetch: 1 }).await.unwrap();
        let leased = async || queue.depth("t").await.unwrap().leased == 1;
        while !leased().await {
            tokio::task::yield_now().await;
        }
        // Beyond a heartbeat of its lease it waits unasked for.
        let claimed_before = Instant::now();
        tokio::time::sleep_until(claimed_before + lease / 2).await;
        let delivery = consumer.next().await.unwrap();
        assert_eq!(delivery.attempt, Some(1));
        assert!(delivery.since >= claimed_before + lease / 2, "it was not asked about");
    }

    #[test]
    fn what_is_no_log_is_refused_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let error = Inside::open(&folder.path().join("none/queue.log"), Settings::default());
        let Err(Error::Invalid(text)) = error.map(drop) else { panic!("opened") };
        assert!(text.contains("none/queue.log"), "{text}");
    }
}
