//! The client: one connection for all publishes and subscriptions of a process.
//!
//! What was asked when the connection broke returns `Unavailable`: its effect is unknown. What is
//! asked while there is none, also before the first, returns `Unavailable` at once. Subscriptions come
//! back by themselves.
//! Receipts from before a break: if only the connection broke, the server gave the leases back and
//! they are `Fenced`; if the broker died, they work until their lease ends.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::calls::Calls;
use super::consumer::Consumer;
use super::link;
use super::wire::{Answer, Call};
use crate::port::MESSAGE_MAX;
use crate::{Broker, DeadLetter, Depth, Error, Message, Result, SubscribeOptions, Subscription};

/// Calls that wait for the link; then their callers wait.
const WAITING_MAX: usize = 1_024;
/// Bytes of keys that are asked for at once, and what each costs besides: it must fit a frame.
const KEYS_BYTES_MAX: usize = MESSAGE_MAX;
const KEY_OVERHEAD: usize = 8;
/// How long whoever needs the broker at once waits for it.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A connection to an embedded broker that mends itself.
pub struct Client {
    calls: Arc<Calls>,
}

impl Client {
    /// A client of the broker at `HOST:PORT`, which need not be there yet.
    #[must_use]
    pub fn new(address: &str) -> Self {
        let (commands, waiting) = mpsc::channel(WAITING_MAX);
        let calls = Arc::new(Calls::new(commands));
        tokio::spawn(link::run(address.to_owned(), Arc::clone(&calls.exchange), waiting));
        Self { calls }
    }

    /// As `new`, but returns when the broker is there.
    ///
    /// # Errors
    /// `Unavailable` or `Protocol` if no broker greets within 5 s.
    pub async fn connect(address: &str) -> Result<Self> {
        let client = Self::new(address);
        let exchange = &client.calls.exchange;
        tokio::select! {
            () = exchange.connected() => {}
            () = exchange.misled() => return Err(exchange.reason()),
            () = sleep(CONNECT_MAX) => return Err(exchange.reason()),
        }
        Ok(client)
    }
}

#[async_trait]
impl Broker for Client {
    async fn publish(&self, topic: &str, message: Message) -> Result<()> {
        message.check()?;
        let topic = topic.to_owned();
        self.calls.ask(Call::Publish { topic, message }).await.map(drop)
    }

    async fn subscribe(
        &self,
        topic: &str,
        options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>> {
        options.check()?;
        let (prefetch, topic) = (options.prefetch, topic.to_owned());
        let subscription = self.calls.next_subscription();
        // Twice the window: what came before a break may still wait here.
        let (deliveries, arriving) = mpsc::channel(prefetch as usize * 2);
        let call = Call::Subscribe { subscription, topic, prefetch, retries: options.retries() };
        self.calls.exchange.register(subscription, call.clone(), deliveries);
        // Made first: if the call fails or is cancelled, dropping it unregisters.
        let consumer = Consumer::new(Arc::clone(&self.calls), subscription, arriving);
        self.calls.ask(call).await?;
        Ok(Box::new(consumer))
    }

    async fn depth(&self, topic: &str) -> Result<Depth> {
        match self.calls.ask(Call::Depth { topic: topic.to_owned() }).await? {
            Answer::Depth(depth) => Ok(depth),
            other => Err(unexpected(&other)),
        }
    }

    async fn holds(&self, topic: &str, keys: &[String]) -> Result<Option<HashSet<String>>> {
        let mut held = HashSet::new();
        for keys in frames(keys) {
            let call = Call::Holds { topic: topic.to_owned(), keys: keys.to_vec() };
            match self.calls.ask(call).await? {
                Answer::Holds(found) => held.extend(found),
                other => return Err(unexpected(&other)),
            }
        }
        Ok(Some(held))
    }

    async fn dead(&self, topic: &str, limit: u32) -> Result<Vec<DeadLetter>> {
        let mut letters: Vec<DeadLetter> = Vec::new();
        while letters.len() < limit as usize {
            let after = letters.last().map_or(0, |letter| letter.id);
            let left = limit - letters.len() as u32;
            let call = Call::Dead { topic: topic.to_owned(), after, limit: left };
            match self.calls.ask(call).await? {
                Answer::Dead(page) if page.is_empty() => break,
                Answer::Dead(page) => letters.extend(page),
                other => return Err(unexpected(&other)),
            }
        }
        Ok(letters)
    }

    async fn replay(&self, topic: &str, limit: u32) -> Result<u64> {
        match self.calls.ask(Call::Replay { topic: topic.to_owned(), limit }).await? {
            Answer::Replayed(count) => Ok(count),
            other => Err(unexpected(&other)),
        }
    }
}

/// Parts of a list of keys that fit a frame each.
fn frames(keys: &[String]) -> impl Iterator<Item = &[String]> {
    let mut rest = keys;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |key: &&String| {
            bytes += key.len() + KEY_OVERHEAD;
            bytes <= KEYS_BYTES_MAX
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (part, behind) = rest.split_at_checked(count)?;
        rest = behind;
        Some(part)
    })
}

fn unexpected(answer: &Answer) -> Error {
    Error::Protocol(format!("an unexpected answer: {answer:?}"))
}
