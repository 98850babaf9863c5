//! Who tells consumers that something has come: a notification after the commit, never in it, since the server
//! lets one notifying commit through at a time, with its fsync. It is a hint: who missed it looks by himself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use postgres_pool::{Ear, Pool, Target};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio_util::task::AbortOnDropHandle;

const CHANNEL: &str = "triptych";
const TELL: &str = "select pg_notify('triptych', queue) from unnest($1::text[]) as new (queue)";

pub(super) struct Bell {
    target: Target,
    /// Queues whose consumers are to be told.
    owed: Arc<Owed>,
    rings: OnceLock<AbortOnDropHandle<()>>,
    hears: OnceLock<Ear>,
    waiting: Arc<Waiting>,
}

#[derive(Default)]
struct Owed {
    queues: Mutex<BTreeSet<String>>,
    more: Notify,
}

/// By queue, who waits here.
#[derive(Default)]
struct Waiting(Mutex<BTreeMap<String, Arc<Notify>>>);

impl Bell {
    pub(super) fn new(target: Target) -> Self {
        let (rings, hears) = (OnceLock::new(), OnceLock::new());
        Self { target, owed: Arc::default(), rings, hears, waiting: Arc::default() }
    }

    /// Something has come to these queues, durably.
    pub(super) fn ring(&self, queues: impl IntoIterator<Item = String>) {
        self.owed.queues.lock().unwrap_or_else(PoisonError::into_inner).extend(queues);
        self.owed.more.notify_one();
        self.rings.get_or_init(|| {
            let pool = Pool::new(self.target.clone().connections(1), None);
            AbortOnDropHandle::new(tokio::spawn(tell(pool, Arc::clone(&self.owed))))
        });
    }

    /// From now on what others ring is heard here.
    pub(super) fn listen(&self) {
        self.hears.get_or_init(|| {
            let waiting = Arc::clone(&self.waiting);
            Ear::new(self.target.clone(), CHANNEL, move |queue| waiting.wake(queue))
        });
    }

    /// Ends when somebody rings for this queue.
    pub(super) fn rung(&self, queue: &str) -> OwnedNotified {
        self.waiting.at(queue).notified_owned()
    }
}

impl Waiting {
    fn at(&self, queue: &str) -> Arc<Notify> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(queue.to_owned()).or_default())
    }

    /// All of them, if what was rung is not known.
    fn wake(&self, queue: &str) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let meant = all.iter().filter(|(name, _)| queue.is_empty() || *name == queue);
        meant.for_each(|(_, waiting)| waiting.notify_waiters());
    }
}

/// Tells what is owed, all at once: what is owed meanwhile is told by the next.
async fn tell(pool: Pool, owed: Arc<Owed>) {
    loop {
        owed.more.notified().await;
        let queues =
            std::mem::take(&mut *owed.queues.lock().unwrap_or_else(PoisonError::into_inner));
        let queues: Vec<String> = queues.into_iter().collect();
        // Who is not told looks by himself.
        let _ = pool.ask(TELL, &[&queues]).await;
    }
}
