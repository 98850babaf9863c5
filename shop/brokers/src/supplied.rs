//! A broker made of an engine: what the engine lacks is supplied here, the same for all of them. A topic is
//! three queues: what is fresh, what comes again (`.again`), what is given up (`.dead`).
//!
//! The settings are the client's: two clients of one topic should have the same. Between two queues a
//! message moves in one step if the engine can do that; else it may be there twice, never not at all.

mod consumer;
mod envelope;
mod feed;
mod pool;
mod queues;
mod shared;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::now_us;
use crate::engine::Engine;
use crate::port::check_topic;
use crate::{
    Broker, DeadLetter, Depth, Error, Message, Result, Settings, SubscribeOptions, Subscription,
};
use consumer::Consumer;
use envelope::Envelope;
use queues::{Queues, TAKE_MAX};
use shared::Shared;

/// Topics of one broker.
const TOPICS_MAX: usize = 1_024;

/// A broker over an engine.
pub(crate) struct Supplied<E> {
    engine: Arc<E>,
    settings: Settings,
    topics: Mutex<BTreeMap<String, Arc<Queues>>>,
}

impl<E: Engine> Supplied<E> {
    pub(crate) fn new(engine: E, settings: Settings) -> Self {
        Self { engine: Arc::new(engine), settings, topics: Mutex::default() }
    }

    /// The queues of a topic, declared if they were not.
    async fn queues(&self, topic: &str) -> Result<Arc<Queues>> {
        let queues = self.known(topic)?;
        let declare = async {
            for queue in [&queues.fresh, &queues.again, &queues.dead] {
                self.engine.declare(queue, &self.settings).await?;
            }
            Ok::<(), Error>(())
        };
        queues.declared.get_or_try_init(|| declare).await?;
        Ok(queues)
    }

    fn known(&self, topic: &str) -> Result<Arc<Queues>> {
        check_topic(topic)?;
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queues) = topics.get(topic) {
            return Ok(Arc::clone(queues));
        }
        if topics.len() >= TOPICS_MAX {
            return Err(Error::Invalid(format!("more than {TOPICS_MAX} topics")));
        }
        let queues = Arc::new(Queues::of(topic, self.settings.depth_max));
        topics.insert(topic.to_owned(), Arc::clone(&queues));
        Ok(queues)
    }

    /// How many messages the topic may still take.
    async fn room(&self, queues: &Queues) -> Result<u64> {
        let mut live = 0;
        for queue in [&queues.fresh, &queues.again] {
            let count = self.engine.count(queue).await?;
            live += count.waiting + count.taken;
        }
        Ok(self.settings.depth_max.saturating_sub(live))
    }
}

#[async_trait]
impl<E: Engine + 'static> Broker for Supplied<E> {
    async fn publish(&self, topic: &str, message: Message) -> Result<()> {
        message.check()?;
        let queues = self.queues(topic).await?;
        let body = Envelope::new(message, now_us()).encode()?;
        if self.engine.append(&queues.fresh, body, &queues.bound).await? {
            return Ok(());
        }
        Err(Error::Full { topic: topic.to_owned(), depth_max: self.settings.depth_max })
    }

    async fn subscribe(
        &self,
        topic: &str,
        options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>> {
        options.check()?;
        let queues = self.queues(topic).await?;
        let fresh = self.engine.source(&queues.fresh, self.settings.lease).await?;
        let again = self.engine.source(&queues.again, self.settings.lease).await?;
        let shared = Shared::new([fresh, again], queues, self.settings.clone(), options);
        Ok(Box::new(Consumer::begin(shared)))
    }

    /// What comes again counts as delayed, also while a consumer has it.
    async fn depth(&self, topic: &str) -> Result<Depth> {
        let queues = self.queues(topic).await?;
        let fresh = self.engine.count(&queues.fresh).await?;
        let again = self.engine.count(&queues.again).await?;
        let dead = self.engine.count(&queues.dead).await?;
        Ok(Depth {
            ready: fresh.waiting,
            delayed: again.waiting + again.taken,
            leased: fresh.taken,
            dead: dead.waiting + dead.taken,
        })
    }

    async fn holds(&self, _: &str, _: &[String]) -> Result<Option<HashSet<String>>> {
        Ok(None)
    }

    async fn dead(&self, topic: &str, limit: u32) -> Result<Vec<DeadLetter>> {
        let queues = self.queues(topic).await?;
        let bodies = self.engine.look(&queues.dead, limit).await?;
        let letter = |(id, body)| Envelope::decode(body, now_us()).letter(id);
        Ok((1..).zip(bodies).map(letter).collect())
    }

    async fn replay(&self, topic: &str, limit: u32) -> Result<u64> {
        let queues = self.queues(topic).await?;
        let most = self.room(&queues).await?.min(u64::from(limit)) as u32;
        let source = self.engine.source(&queues.dead, self.settings.lease).await?;
        let mut replayed = 0;
        while replayed < most {
            let letters = source.take((most - replayed).min(TAKE_MAX), Duration::ZERO).await?;
            if letters.is_empty() {
                break;
            }
            for letter in letters {
                let envelope = Envelope::decode(letter.body, now_us()).anew(now_us());
                source.forward(&letter.handle, &queues.fresh, envelope.encode()?).await?;
                replayed += 1;
            }
        }
        Ok(u64::from(replayed))
    }
}
