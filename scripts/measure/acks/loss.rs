//! What is left of acknowledged messages after a crash: of the process, or of the machine's power.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use brokers::{Broker, Message, SubscribeOptions};
use bytes::Bytes;
use scenario::DiskSpec;
use servers::Running;
use supervise::disk::{Disk, lacks};
use supervise::undo::UndoLog;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::contestant::{Contestant, LEASE};

const PUBLISHERS: u64 = 8;
/// Messages, and acknowledgements of a consumer beside them, before each crash.
const BEFORE: usize = 300;
const BEFORE_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(1);
/// After this silence nothing more comes: leases have ended, three times over.
const SILENCE: Duration = Duration::from_secs(6);
const DISK_MIB: u64 = 768;
const TOPIC: &str = "kept";

/// What crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The processes are killed: what they gave to the kernel is there.
    Kill,
    /// Then the disk's power is cut: what was not fsynced is gone.
    Power,
}

impl Crash {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::Power => "power cut",
        }
    }
}

/// What was promised and what was kept.
pub(crate) struct Loss {
    pub(crate) contestant: Contestant,
    pub(crate) crash: Crash,
    pub(crate) crashes: usize,
    /// Messages that a publisher was told are kept, and those of them that were gone.
    pub(crate) acknowledged: usize,
    pub(crate) lost: usize,
    /// Messages that a consumer was told are done, and those of them that came again.
    pub(crate) done: usize,
    pub(crate) undone: usize,
}

/// Both crashes, or the first where this machine cannot have the other.
pub(crate) async fn counted(
    contestant: &Contestant,
    dir: &Path,
    crashes: usize,
) -> Result<Vec<Loss>> {
    let mut all = vec![crashed(contestant, Crash::Kill, dir, crashes).await?];
    if lacks(dir).await?.is_none() {
        all.push(crashed(contestant, Crash::Power, dir, crashes).await?);
    }
    Ok(all)
}

async fn crashed(
    contestant: &Contestant,
    crash: Crash,
    dir: &Path,
    crashes: usize,
) -> Result<Loss> {
    let contestant = contestant.clone();
    let mut loss =
        Loss { contestant, crash, crashes, acknowledged: 0, lost: 0, done: 0, undone: 0 };
    for _ in 0..crashes {
        let temporary = tempfile::Builder::new().prefix("acks-").tempdir_in(dir)?;
        let undo = UndoLog::begin(temporary.path())?;
        let outcome = once(&mut loss, temporary.path(), &undo).await;
        let left = undo.sweep();
        outcome
            .with_context(|| format!("{}, {}; left: {left:?}", loss.contestant, crash.name()))?;
    }
    Ok(loss)
}

/// One crash of a new instance.
async fn once(loss: &mut Loss, folder: &Path, undo: &UndoLog) -> Result<()> {
    let mounted = folder.join("disk");
    std::fs::create_dir(&mounted)?;
    let mut disk = match loss.crash {
        Crash::Kill => None,
        Crash::Power => {
            let spec = DiskSpec { size_mib: DISK_MIB };
            Some(Disk::make(folder, &mounted, spec, undo).await?)
        }
    };
    let data = mounted.canonicalize()?.join("data");
    std::fs::create_dir(&data)?;
    if let Some(disk) = &disk {
        disk.plant_synced()?;
    }
    let (running, broker) = loss.contestant.start(&data).await?;
    settle(&*broker, &data).await?;
    let told = crash_under_load(running, broker).await?;
    if let Some(disk) = &mut disk {
        disk.cut()?;
        disk.unmount(undo).await?;
        disk.mount(undo).await?;
        disk.read_canaries()?;
    }
    std::fs::create_dir_all(&data)?;
    let (mut running, broker) = loss.contestant.start(&data).await?;
    let found = drained(&*broker, &told).await?;
    running.kill().await?;
    if let Some(disk) = &mut disk {
        disk.unmount(undo).await?;
    }
    loss.acknowledged += told.kept.len();
    loss.lost += told.kept.difference(&told.taken).filter(|key| !found.contains(*key)).count();
    loss.done += told.done.len();
    loss.undone += told.done.intersection(&found).count();
    Ok(())
}

/// What it wrote of itself when it was new is on the disk: RabbitMQ leaves files for some seconds that it does not
/// start from again. Queues are there for longer than messages, too.
async fn settle(broker: &dyn Broker, data: &Path) -> Result<()> {
    broker.depth(TOPIC).await?;
    Ok(rustix::fs::syncfs(std::fs::File::open(data)?)?)
}

/// What was told to those outside.
#[derive(Default)]
struct Told {
    /// Published.
    kept: BTreeSet<String>,
    /// Acknowledged by the consumer, or on the way to that: they may be gone.
    taken: BTreeSet<String>,
    /// Acknowledged by the consumer, and that returned.
    done: BTreeSet<String>,
}

type Shared = Arc<Mutex<Told>>;

fn tell(told: &Shared, what: impl FnOnce(&mut Told)) {
    what(&mut told.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Publishes and consumes, kills the server meanwhile, and returns what was told until then.
async fn crash_under_load(mut running: Running, broker: Arc<dyn Broker>) -> Result<Told> {
    let told = Shared::default();
    let mut clients = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        clients.spawn(publish(Arc::clone(&broker), publisher, Arc::clone(&told)));
    }
    clients.spawn(consume(broker, Arc::clone(&told)));
    let enough = async {
        let is_enough = |told: &Told| told.kept.len() >= BEFORE && told.done.len() >= BEFORE / 4;
        while !is_enough(&told.lock().unwrap_or_else(PoisonError::into_inner)) {
            sleep(POLL).await;
        }
    };
    timeout(BEFORE_WITHIN, enough).await.context("too few messages within a minute")?;
    running.kill().await?;
    clients.shutdown().await;
    Ok(std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Publishes until that fails.
async fn publish(broker: Arc<dyn Broker>, publisher: u64, told: Shared) {
    for number in 0_u64.. {
        let key = format!("{publisher}-{number}");
        let payload = Bytes::from(vec![b'x'; 256]);
        let message = Message { key: key.clone(), payload, ..Message::default() };
        if broker.publish(TOPIC, message).await.is_err() {
            return;
        }
        tell(&told, |told| {
            told.kept.insert(key);
        });
    }
}

/// Acknowledges every other message, until that fails.
async fn consume(broker: Arc<dyn Broker>, told: Shared) {
    let Ok(consumer) = broker.subscribe(TOPIC, SubscribeOptions { prefetch: 1 }).await else {
        return;
    };
    while let Ok(delivery) = consumer.next().await {
        let key = delivery.message.key;
        tell(&told, |told| {
            told.taken.insert(key.clone());
        });
        if consumer.ack(&delivery.receipt).await.is_err() {
            return;
        }
        tell(&told, |told| {
            told.done.insert(key);
        });
    }
}

/// The keys of all messages that still come.
async fn drained(broker: &dyn Broker, told: &Told) -> Result<BTreeSet<String>> {
    let consumer = broker.subscribe(TOPIC, SubscribeOptions { prefetch: 64 }).await?;
    let owed: BTreeSet<&String> = told.kept.difference(&told.taken).collect();
    let (mut found, mut heard) = (BTreeSet::new(), Instant::now());
    loop {
        // What is owed may be there at once; what was taken comes again when its lease ends.
        let all = owed.iter().all(|key| found.contains(*key));
        let wait = if all { LEASE + LEASE / 2 } else { SILENCE };
        let Ok(delivery) = tokio::time::timeout_at(heard + wait, consumer.next()).await else {
            return Ok(found);
        };
        let delivery = delivery?;
        heard = Instant::now();
        if consumer.ack(&delivery.receipt).await.is_ok() {
            found.insert(delivery.message.key);
        }
    }
}
