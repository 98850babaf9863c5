//! The durable queue: jobs that wait are done together, and share a commit.
//!
//! It owns the log; it knows no socket. `work` must run beside it: it does the jobs, and ends backoffs and leases.

use std::collections::HashSet;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use group_commit::{Commit, Synchronous};
use process_log::tell;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::sleep;

use super::alarm::Alarm;
use super::batch::{Batch, Operation, Outcome};
use super::claiming::{Claimed, Left};
use super::log::{Log, OpenError};
use super::offers::Offer;
use super::state::{State, TopicDepth};
use super::topics::{Counters, Counts, Topic, Topics, count};
use crate::claim::Claim;
use crate::clock::now_us;
use crate::port::micros;
use crate::window::Share;
use crate::{DeadLetter, Depth, Error, Receipt, Result, Settings, Settle};

/// Changes that share one job, where jobs share commits too.
const BATCH_MAX: usize = 256;
/// Jobs that share a commit.
const JOBS_MAX: usize = 256;
/// Jobs that may wait; then the callers wait.
const WAITING_MAX: usize = 4_096;
/// How soon a sweep that failed is tried again.
const SWEEP_AGAIN_US: i64 = 1_000_000;
/// How long what is done may stay in the log, about; and how soon is gone on with that.
const FORGET_AFTER: Duration = Duration::from_secs(5);
const FORGET_ON: Duration = Duration::from_millis(10);
/// Bytes that one commit writes: jobs beyond them wait for the next.
const WRITTEN_BYTES: usize = 4 << 20;
/// Bytes of messages that are moved with one commit, or as many as it writes, to make the log shorter; and messages that
/// are looked at for it.
const MOVED_BYTES: u64 = 64 << 10;
const LOOKED_AT_MAX: usize = 4_096;

/// How to open a queue.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is promised for every topic.
    pub settings: Settings,
    /// `Each` gives every change its own fsync: for comparison only.
    pub commit: Commit,
    /// Whether a publish reaches the disk before it is answered; less than `Full` is for controls.
    pub synchronous: Synchronous,
    /// Whether its consumers end with it: then nobody has what was leased, and it comes again at once. Else leases
    /// last anew, for consumers that are still there.
    pub alone: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            commit: Commit::Group,
            synchronous: Synchronous::Full,
            alone: false,
        }
    }
}

/// Durable queues by topic, in one log.
pub struct Queue {
    jobs: mpsc::Sender<Job>,
    engine: Mutex<Engine>,
    shared: Arc<Shared>,
}

/// What the jobs need too.
struct Shared {
    settings: Settings,
    commit: Commit,
    topics: Topics,
    alarm: Alarm,
    counters: Counters,
    commits: AtomicU64,
    transactions: AtomicU64,
    /// Tells this log from all others.
    epoch: u64,
}

/// Something to be done: it is given the messages, or why it is not done; what it returns is told how the commit ended.
struct Job {
    work: Work,
    /// Whether it needs no commit: it only looks.
    looks: bool,
}

type Work = Box<dyn FnOnce(Result<&mut Batch<'_>>) -> Told + Send>;
type Told = Box<dyn FnOnce(&Result<()>) + Send>;

/// Who owns messages and log, and does the jobs.
struct Engine {
    waiting: mpsc::Receiver<Job>,
    /// Jobs that are done together. They stay if who does them stops.
    taken: Vec<Job>,
    state: State,
    log: Log,
}

/// A job that is done, and waits for its commit.
struct Done {
    told: Told,
    served: Served,
    claimed: Vec<Claim>,
}

type Served = Vec<(oneshot::Sender<Claimed>, Claimed)>;

impl Queue {
    /// Opens or creates the log.
    ///
    /// # Errors
    /// If it cannot be opened, is not this queue's, or is not as it was written.
    pub fn open(path: &Path, options: Options) -> std::result::Result<Self, OpenError> {
        let Options { settings, commit, synchronous, alone } = options;
        let mut state = State::default();
        let mut log = Log::open(path, synchronous, &mut state)?;
        let now_us = now_us();
        state.resume(now_us, settings.lease);
        if alone {
            let leased: Vec<Claim> = state.leases().map(|(_, claim)| claim).collect();
            // Written with the first commit; until then whoever starts again comes to the same.
            Batch::new(&mut state, &mut log, &settings).take_back(&leased);
        }
        let (topics, alarm, counters) = (Topics::default(), Alarm::new(), Counters::default());
        alarm.arm(now_us);
        let (commits, transactions) = (AtomicU64::new(0), AtomicU64::new(0));
        let epoch = log.epoch();
        let shared =
            Shared { settings, commit, topics, alarm, counters, commits, transactions, epoch };
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let engine = Engine { waiting, taken: Vec::new(), state, log };
        Ok(Self { jobs, engine: Mutex::new(engine), shared: Arc::new(shared) })
    }

    /// Does the jobs, and ends backoffs and leases as they come due. Blocks while the disk works: what comes meanwhile
    /// shares the next commit.
    pub async fn work(&self) -> Infallible {
        // What an earlier one was told by the alarm may not have been done.
        self.shared.alarm.arm(now_us());
        tokio::select! {
            never = self.keep_time() => never,
            never = self.keep_forgetting() => never,
            never = self.do_jobs() => never,
        }
    }

    async fn do_jobs(&self) -> Infallible {
        let mut engine = self.engine.lock().await;
        let most = if self.shared.commit == Commit::Each { 1 } else { JOBS_MAX };
        loop {
            engine.take(most).await;
            engine.turn(&self.shared);
        }
    }

    async fn keep_time(&self) -> Infallible {
        loop {
            self.shared.alarm.ring().await;
            match self.change(|batch| batch.expire()).await {
                Ok(next) => self.shared.alarm.arm(next.unwrap_or(i64::MAX)),
                Err(error) => {
                    tell("leases-not-swept", || [("error", error.to_string().into())]);
                    self.shared.alarm.arm(now_us() + SWEEP_AGAIN_US);
                }
            }
        }
    }

    /// Has what is done overwritten, a little at a time.
    async fn keep_forgetting(&self) -> Infallible {
        loop {
            sleep(FORGET_AFTER).await;
            // What cannot be done now, the next time does.
            while let Ok(true) = self.change(|batch| batch.forget()).await {
                sleep(FORGET_ON).await;
            }
        }
    }

    /// Messages by state.
    ///
    /// # Errors
    /// `Unavailable` if the queue is closed.
    pub async fn depth(&self, topic: &str) -> Result<Depth> {
        let topic = topic.to_owned();
        self.look(move |state| state.depth(&topic, now_us())).await
    }

    /// Messages by topic and state.
    ///
    /// # Errors
    /// `Unavailable` if the queue is closed.
    pub async fn depths(&self) -> Result<Vec<TopicDepth>> {
        self.look(|state| state.depths(now_us())).await
    }

    /// Which of these keys a message carries that is not dead.
    ///
    /// # Errors
    /// `Unavailable` if the queue is closed.
    pub async fn holds(&self, topic: &str, keys: HashSet<String>) -> Result<HashSet<String>> {
        let topic = topic.to_owned();
        self.look(move |state| state.holds(&topic, &keys)).await
    }

    /// At most `limit` dead letters with numbers above `after`, oldest first.
    ///
    /// # Errors
    /// `Unavailable` if the queue is closed.
    pub async fn dead(&self, topic: &str, after: i64, limit: u32) -> Result<Vec<DeadLetter>> {
        let topic = topic.to_owned();
        self.look(move |state| state.dead(&topic, after, limit as usize)).await
    }

    /// Puts at most `limit` dead letters back, 1,000 at once; returns how many.
    ///
    /// # Errors
    /// `Unavailable` if the log cannot be written.
    pub async fn replay(&self, topic: &str, limit: u32) -> Result<u64> {
        let topic = topic.to_owned();
        self.change(move |batch| batch.replay(&topic, limit)).await
    }

    /// Whether a commit is durable now.
    ///
    /// # Errors
    /// `Unavailable` if not.
    pub async fn check(&self) -> Result<()> {
        self.change(|batch| batch.touch()).await
    }

    /// What happened since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Shared { commits, transactions, counters, .. } = &*self.shared;
        Counts { commits: of(commits), transactions: of(transactions), ..counters.read() }
    }

    /// What this queue promises.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// How many operations `apply` takes best at once.
    pub(crate) fn batch_max(&self) -> usize {
        if self.shared.commit == Commit::Each { 1 } else { BATCH_MAX }
    }

    pub(crate) fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        self.shared.topics.get(name)
    }

    /// Makes these changes in order; returns when they are durable.
    pub(crate) async fn apply(&self, operations: Vec<Operation>) -> Result<Vec<Outcome>> {
        let shared = Arc::clone(&self.shared);
        let run = move |batch: &mut Batch<'_>| {
            let one = |operation: Operation| {
                let counter = shared.counter(&operation);
                let outcome = batch.run(operation);
                match &outcome {
                    Ok(()) => counter.into_iter().for_each(|counter| count(counter, 1)),
                    Err(Error::Fenced) => count(&shared.counters.fenced, 1),
                    Err(_) => {}
                }
                outcome
            };
            operations.into_iter().map(one).collect()
        };
        self.change(run).await
    }

    /// Leases what has waited longest and fits the share. It may be delivered: its claims are durable.
    pub(super) async fn claim(&self, topic: &Arc<Topic>, share: Share) -> Result<Claimed> {
        let topic = Arc::clone(topic);
        let claim = move |batch: &mut Batch<'_>| {
            let number = batch.state().number(&topic.name);
            number.and_then(|number| batch.claim(number, share))
        };
        let claimed = self.change(claim).await?;
        let nothing = Claimed { at_us: 0, handed: Vec::new(), left: Left::Nothing };
        let claimed = claimed.unwrap_or(nothing);
        count(&self.shared.counters.claims, claimed.handed.len());
        Ok(claimed)
    }

    /// Ends the claims of a consumer that left in order, or went away.
    pub(crate) async fn release(&self, claims: Vec<Claim>, how: Leaving) -> Result<()> {
        self.change(move |batch| match how {
            Leaving::InOrder => batch.give_back(&claims),
            Leaving::Gone => batch.take_back(&claims),
        })
        .await
    }

    /// What a receipt names.
    pub(crate) fn named(&self, receipt: &Receipt) -> Result<Claim> {
        Claim::of(receipt, self.shared.epoch).ok_or(Error::Fenced)
    }

    /// Changes messages; returns when that is durable. It is done even if the caller goes away. After an error it may
    /// have been.
    async fn change<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Batch<'_>) -> T + Send + 'static,
    {
        self.submit(false, job).await
    }

    /// Looks at the messages: also at changes that a disk which fails has not taken.
    async fn look<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&State) -> T + Send + 'static,
    {
        self.submit(true, |batch| job(batch.state())).await
    }

    async fn submit<T, F>(&self, looks: bool, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Batch<'_>) -> T + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(move |batch: Result<&mut Batch<'_>>| -> Told {
            let value = batch.map(job);
            Box::new(move |ended| {
                let value = if looks { value } else { ended.clone().and(value) };
                // A caller that has gone away wants no answer.
                let _ = reply.send(value);
            })
        });
        let closed = || Error::Unavailable("the queue is closed".to_owned());
        self.jobs.send(Job { work, looks }).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

impl Engine {
    /// Waits for a job and takes it with all that are there, and with what comes from those who are ready to run.
    async fn take(&mut self, most: usize) {
        if self.taken.is_empty() {
            // The channel is open: the queue has the other end.
            self.waiting.recv_many(&mut self.taken, most).await;
        }
        yield_now().await;
        while self.taken.len() < most
            && let Ok(job) = self.waiting.try_recv()
        {
            self.taken.push(job);
        }
    }

    /// Does all that was taken, in order, and commits once. What becomes ready is claimed for the consumers that wait:
    /// they get it when it is durable.
    fn turn(&mut self, shared: &Shared) {
        let mended = self.log.mend(&self.state).map_err(unavailable);
        if mended.is_ok()
            && let Err(error) = self.log.let_go()
        {
            tell("log-not-shortened", || [("error", error.to_string().into())]);
        }
        let mut done = Vec::with_capacity(self.taken.len());
        let mut transactions = 0;
        let begun_us = now_us();
        let mut taken = std::mem::take(&mut self.taken).into_iter();
        // The rest has its turn when there is a segment for it.
        while (mended.is_err() || self.log.waiting_bytes() < WRITTEN_BYTES)
            && let Some(Job { work, looks }) = taken.next()
        {
            if let Err(error) = &mended
                && !looks
            {
                work(Err(error.clone()))(&Ok(()));
                continue;
            }
            let mut batch = Batch::new(&mut self.state, &mut self.log, &shared.settings);
            let told = work(Ok(&mut batch));
            let served = shared.serve(&mut batch);
            if let Some(due_us) = batch.due_us {
                shared.alarm.arm(due_us);
            }
            transactions += u64::from(!looks);
            done.push(Done { told, served, claimed: batch.claimed });
        }
        self.taken.extend(taken);
        if mended.is_ok() {
            self.shorten(shared);
        }
        let is_written = mended.is_ok() && self.log.is_waiting();
        let ended =
            if is_written { self.log.commit(&self.state).map_err(unavailable) } else { Ok(()) };
        if is_written && ended.is_ok() {
            shared.commits.fetch_add(1, Ordering::Relaxed);
            shared.transactions.fetch_add(transactions, Ordering::Relaxed);
        }
        let now_us = now_us();
        if now_us - begun_us > micros(shared.settings.lease) / 3 {
            // While the disk hung nobody could extend or settle.
            self.state.resume(now_us, shared.settings.lease);
        }
        for Done { told, served, claimed } in done {
            told(&ended);
            if ended.is_ok() {
                // A taker waits until it is answered, so none is sent in vain.
                served.into_iter().for_each(|(taker, claimed)| drop(taker.send(claimed)));
            } else {
                // Nobody has them. Their takers are told by being dropped, and meet the error themselves.
                let mut batch = Batch::new(&mut self.state, &mut self.log, &shared.settings);
                batch.give_back(&claimed);
            }
        }
    }

    /// Repeats messages of the oldest segment further on, if that is to go.
    fn shorten(&mut self, shared: &Shared) {
        let is_to_go = self.log.is_to_go(self.state.bytes());
        let most = MOVED_BYTES.max(self.log.waiting_bytes() as u64);
        let (mut moved, mut looked_at) = (0, 0);
        while looked_at < LOOKED_AT_MAX
            && let Some((id, next_frame)) = self.log.oldest()
        {
            if self.state.frame(id).is_some_and(|frame| frame < next_frame) {
                if !is_to_go || moved >= most {
                    return;
                }
                let mut batch = Batch::new(&mut self.state, &mut self.log, &shared.settings);
                moved += batch.keep(id);
            }
            self.log.pass();
            looked_at += 1;
        }
    }
}

/// How a consumer leaves its deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    InOrder,
    /// Perhaps because of one of them.
    Gone,
}

impl Shared {
    /// Claims what became ready for those who wait, and wakes one more if that leaves some.
    fn serve(&self, batch: &mut Batch<'_>) -> Served {
        let mut served = Vec::new();
        for number in std::mem::take(&mut batch.woken) {
            let lane = batch.state().lane(number);
            let Some(topic) = lane.and_then(|lane| self.topics.met(&lane.name)) else { continue };
            let mut left = Left::Some;
            while left != Left::Nothing
                && self.commit == Commit::Group
                && let Some(Offer { share, taker, .. }) = topic.offers.take()
            {
                let Some(claimed) = batch.claim(number, share) else { break };
                count(&self.counters.claims, claimed.handed.len());
                left = claimed.left;
                served.push((taker, claimed));
            }
            if left == Left::Some {
                topic.ready.notify_one();
            }
        }
        served
    }

    /// What counts an operation that succeeds.
    fn counter(&self, operation: &Operation) -> Option<&AtomicU64> {
        let Counters { publishes, acks, deferrals, failures, rejections, .. } = &self.counters;
        match operation {
            Operation::Publish { .. } => Some(publishes),
            Operation::Settle(_, Settle::Ack) => Some(acks),
            Operation::Settle(_, Settle::Defer(_)) => Some(deferrals),
            Operation::Settle(_, Settle::Fail(_)) => Some(failures),
            Operation::Settle(_, Settle::Reject(_)) => Some(rejections),
            Operation::Extend(_) => None,
        }
    }
}

fn unavailable(why: String) -> Error {
    Error::Unavailable(format!("the broker's log: {why}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Message;
    use crate::window::Window;

    const TOPIC: &str = "topic";

    fn publish(queue: &Queue, key: &str, bytes: usize) -> Operation {
        let message =
            Message { key: key.to_owned(), payload: vec![7; bytes].into(), ..Message::default() };
        Operation::Publish { topic: queue.topic(TOPIC).unwrap(), message }
    }

    async fn claim(queue: &Queue) -> Vec<Claim> {
        let share = Window::new(64, 64).share().unwrap();
        let claimed = queue.claim(&queue.topic(TOPIC).unwrap(), share).await.unwrap();
        claimed.handed.into_iter().map(|handed| handed.claim).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_is_overwritten_and_what_waits_is_kept() {
        const CARD: &str = "4929123456789012";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let holds_card = || {
            let all = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
            let holds = |bytes: Vec<u8>| bytes.windows(CARD.len()).any(|w| w == CARD.as_bytes());
            all.filter_map(|path| fs::read(path).ok()).any(holds)
        };
        let queue = Queue::open(&path, Options::default()).unwrap();
        let forgotten = async {
            queue.apply(vec![publish(&queue, CARD, 10)]).await.unwrap();
            let claims = claim(&queue).await;
            queue.apply(vec![publish(&queue, "waits", 10)]).await.unwrap();
            assert!(holds_card());
            let acks = claims.into_iter().map(|claim| Operation::Settle(claim, Settle::Ack));
            queue.apply(acks.collect()).await.unwrap();
            // The thread that overwrites needs real time, which no sleep here takes.
            let end = now_us() + 20_000_000;
            while holds_card() {
                assert!(now_us() < end, "it is there still");
                sleep(Duration::from_millis(100)).await;
            }
            queue.counts().commits
        };
        let commits = tokio::select! {
            commits = forgotten => commits,
            never = queue.work() => match never {},
        };
        assert!(commits >= 4, "{commits}");
        drop(queue);
        let queue = Queue::open(&path, Options::default()).unwrap();
        let depth = tokio::select! {
            depth = queue.depth(TOPIC) => depth.unwrap(),
            never = queue.work() => match never {},
        };
        assert_eq!(depth, Depth { ready: 1, ..Depth::default() });
    }

    #[tokio::test]
    async fn a_log_of_little_stays_short_whatever_has_gone_through_it() {
        const LARGE: usize = 40_000;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let options = || Options { synchronous: Synchronous::Off, ..Options::default() };
        let through = async |queue: &Queue| {
            queue.apply(vec![publish(queue, "dead", 10)]).await.unwrap();
            for claim in claim(queue).await {
                let reject = Operation::Settle(claim, Settle::Reject("never".to_owned()));
                queue.apply(vec![reject]).await.unwrap();
            }
            for _ in 0..100 {
                let many = (0..30).map(|_| publish(queue, "large", LARGE)).collect();
                queue.apply(many).await.unwrap();
                let claims = claim(queue).await.into_iter();
                let acks = claims.map(|claim| Operation::Settle(claim, Settle::Ack)).collect();
                queue.apply(acks).await.unwrap();
            }
        };
        let queue = Queue::open(&path, options()).unwrap();
        tokio::select! {
            () = through(&queue) => {}
            never = queue.work() => match never {},
        }
        drop(queue);
        let size = |entry: fs::DirEntry| entry.metadata().unwrap().len();
        let bytes: u64 = fs::read_dir(folder.path()).unwrap().map(|e| size(e.unwrap())).sum();
        let went_through = 100 * 30 * LARGE as u64;
        assert!(bytes < went_through / 2, "{bytes} bytes for one dead letter, of {went_through}");
        let queue = Queue::open(&path, options()).unwrap();
        let letters = tokio::select! {
            letters = queue.dead(TOPIC, 0, 10) => letters.unwrap(),
            never = queue.work() => match never {},
        };
        assert_eq!((letters.len(), letters[0].message.key.as_str()), (1, "dead"));
    }
}
