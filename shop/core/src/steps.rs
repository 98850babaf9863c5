//! Durable execution: what a workflow has done stands in a journal, so that whoever goes on with it after a crash does
//! nothing again that is known to be done. It knows neither who begins workflows nor what keeps the journal.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Fuse, FusedFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::{Charge, Charged, Error, Orders, Outbox, Payments, Result, Settlement};

/// Workflows that are taken up together.
const BATCH: u32 = 256;
/// How often it is looked for workflows of which nobody told.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a workflow is one executor's of several: longer than it tries. What a last try outlives is done twice, which
/// the keys make harmless.
const CLAIMED_FOR: Duration = Duration::from_secs(30);
/// How long one executor tries before others may.
const TRIES_FOR: Duration = Duration::from_secs(15);
/// The pause after a step that failed, which doubles (Temporal: 1 s, up to 100 s).
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// What a stopping executor grants to workflows under way.
const FINISH_MAX: Duration = Duration::from_secs(2);

/// The journal: what steps came to.
#[async_trait]
pub trait StepStore: Send + Sync {
    /// The result of this step of this workflow; none if it is not known to be done.
    async fn result(&self, workflow: &str, step: &str) -> Result<Option<String>>;
    /// Records a result and returns the one that stands: the first.
    async fn record(&self, workflow: &str, step: &str, result: String) -> Result<String>;
}

/// Who runs workflows. It knows what each has done, from before a crash as well.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Begins the workflow of an order, or goes on with it, until it has ended. Asked again for one that has ended, it
    /// does nothing.
    async fn finish(&self, charge: Charge) -> Result<()>;
}

/// What keeps the steps of one workflow.
#[async_trait]
pub trait Steps: Sync {
    /// What a step came to: as it is known, or as the work says, which is durable before anybody hears of it.
    async fn step<T: Serialize + DeserializeOwned + Send + 'static>(
        &self,
        step: &'static str,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T>;
}

/// The workflow of an order: it is charged, and settled with what came of that.
///
/// # Errors
/// Of a step; it is not done then, and those before it are.
pub async fn order_workflow(
    steps: &impl Steps,
    payments: Arc<dyn Payments>,
    orders: Arc<dyn Orders>,
    charge: Charge,
) -> Result<()> {
    let charged = steps.step("charge", async move {
        match payments.charge(charge).await? {
            Charged::Now(settlement) => Ok(settlement),
            Charged::Later => Err(Error::Internal("the charge was not decided".to_owned())),
        }
    });
    let settlement: Settlement = charged.await?;
    steps.step("settle", async move { orders.settle(settlement).await.map(drop) }).await
}

/// An executor of our own: steps are kept in a journal, and workflows begin where those left off who died.
pub struct Journaled {
    /// What they have done.
    pub journal: Arc<dyn StepStore>,
    /// Who charges.
    pub payments: Arc<dyn Payments>,
    /// Who settles.
    pub orders: Arc<dyn Orders>,
}

#[async_trait]
impl Executor for Journaled {
    async fn finish(&self, charge: Charge) -> Result<()> {
        let (payments, orders) = (Arc::clone(&self.payments), Arc::clone(&self.orders));
        let steps = InJournal { journal: Arc::clone(&self.journal), workflow: charge.key.clone() };
        order_workflow(&steps, payments, orders, charge).await
    }
}

struct InJournal {
    journal: Arc<dyn StepStore>,
    workflow: String,
}

#[async_trait]
impl Steps for InJournal {
    async fn step<T: Serialize + DeserializeOwned + Send + 'static>(
        &self,
        step: &'static str,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let workflow = &self.workflow;
        let strange = |error| Error::Internal(format!("step {step} of {workflow}: {error}"));
        let result = match self.journal.result(workflow, step).await? {
            Some(result) => result,
            None => {
                let done = serde_json::to_string(&work.await?).map_err(strange)?;
                self.journal.record(workflow, step, done).await?
            }
        };
        serde_json::from_str(&result).map_err(strange)
    }
}

/// Workflows of orders, which begin with the commit of their order.
pub struct Workflows {
    /// Those that have not ended.
    pub begun: Arc<dyn Outbox>,
    /// Who runs them.
    pub executor: Arc<dyn Executor>,
    /// Workflows under way at once.
    pub most: usize,
}

/// What an executor has taken up.
#[derive(Default)]
struct Taken {
    rows: HashSet<i64>,
    /// Rows up to this one were looked at: what fails for ever keeps nobody behind it from his turn.
    behind: i64,
    /// The last look came to the end.
    at_end: bool,
}

impl Taken {
    /// Those of these rows that are not taken up yet: who has a store alone is shown again what is under way.
    fn fresh(&mut self, found: Vec<(i64, Charge)>, most: u32) -> Vec<(i64, Charge)> {
        self.at_end = found.len() < most as usize;
        self.behind = found.last().map_or(self.behind, |(row, _)| *row);
        found.into_iter().filter(|(row, _)| self.rows.insert(*row)).collect()
    }

    /// Looks from the first row again, when all have been looked at.
    fn begin_anew(&mut self) {
        if self.at_end {
            self.behind = 0;
        }
    }
}

impl Workflows {
    /// Brings every workflow to its end until `stop`, then those under way, for a while. `wake` says that one has begun.
    /// One that fails is tried again, by this process or another. `tell` is given each error.
    pub async fn keep_going(
        &self,
        wake: &Notify,
        stop: impl Future<Output = ()>,
        tell: impl Fn(&Error) + Sync,
    ) {
        tokio::pin!(stop);
        let looking = Fuse::terminated();
        tokio::pin!(looking);
        let (mut taken, mut under_way) = (Taken::default(), FuturesUnordered::new());
        let mut tick = interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = true;
        loop {
            let room = self.most.saturating_sub(taken.rows.len());
            if look && room > 0 && looking.is_terminated() {
                look = false;
                let most = BATCH.min(u32::try_from(room).unwrap_or(BATCH));
                let found = self.begun.claim(taken.behind, most, CLAIMED_FOR);
                looking.set(found.map(move |found| (found, most)).fuse());
            }
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(row) = under_way.next() => {
                    taken.rows.remove(&row);
                }
                (found, most) = &mut looking => match found {
                    Ok(found) => {
                        look |= found.len() >= most as usize;
                        let new = taken.fresh(found, most).into_iter();
                        under_way.extend(new.map(|(row, charge)| self.go(row, charge, &tell)));
                    }
                    Err(error) => tell(&error),
                },
                () = wake.notified() => look = true,
                _ = tick.tick() => {
                    taken.begin_anew();
                    look = true;
                }
            }
        }
        let ended = async {
            while let Some(row) = under_way.next().await {
                taken.rows.remove(&row);
            }
        };
        let _ = timeout(FINISH_MAX, ended).await;
        drop(under_way);
        if !looking.is_terminated()
            && let Ok((Ok(found), _)) = timeout(FINISH_MAX, &mut looking).await
        {
            taken.rows.extend(found.into_iter().map(|(row, _)| row));
        }
        self.let_go(taken.rows.into_iter().collect()).await;
    }

    /// Others may have these now. If this fails, they are free when their time is over.
    async fn let_go(&self, rows: Vec<i64>) {
        if !rows.is_empty() {
            let _ = self.begun.let_go(rows).await;
        }
    }

    /// Goes on with a workflow until it has ended, or others may.
    async fn go(&self, row: i64, charge: Charge, tell: &(impl Fn(&Error) + Sync)) -> i64 {
        let (end, mut pause) = (Instant::now() + TRIES_FOR, PAUSE_MIN);
        loop {
            match self.end(row, charge.clone()).await {
                Ok(()) => return row,
                Err(error) => tell(&error),
            }
            if Instant::now() + pause >= end {
                self.let_go(vec![row]).await;
                return row;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn end(&self, row: i64, charge: Charge) -> Result<()> {
        self.executor.finish(charge).await?;
        self.begun.sent(vec![row]).await
    }
}

#[cfg(test)]
mod tests;
