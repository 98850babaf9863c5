//! Whether a process can do what it is asked: what a request would need is tried, all of it at once. It
//! does not know what that is.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{BoxFuture, FutureExt, Shared, join_all};
use http_server::ReadyCheck;
use tokio::time::timeout;

type Outcome = Result<(), String>;
type Check = Box<dyn Fn() -> BoxFuture<'static, Outcome> + Send + Sync>;

/// Tries what a process needs. Whoever asks while a look is under way gets its result: a need that hangs
/// is not asked again and again.
#[derive(Default)]
pub struct Ready {
    needs: Vec<(&'static str, Duration, Check)>,
    look: Mutex<Option<Shared<BoxFuture<'static, Outcome>>>>,
}

impl Ready {
    /// Nothing is needed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One need more: what people call it, how long it may take, and how to try it.
    #[must_use]
    pub fn needs<F, E>(
        mut self,
        name: &'static str,
        within: Duration,
        check: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        let check = move || {
            let tried = check();
            async move { tried.await.map_err(|error| error.to_string()) }.boxed()
        };
        self.needs.push((name, within, Box::new(check)));
        self
    }

    fn look(&self) -> Shared<BoxFuture<'static, Outcome>> {
        let mut look = self.look.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = look.as_ref().filter(|look| look.peek().is_none()) {
            return running.clone();
        }
        let tries = self.needs.iter().map(|(name, within, check)| tried(name, *within, check()));
        let all = join_all(tries.collect::<Vec<_>>());
        let new = all.map(|outcomes| outcomes.into_iter().collect()).boxed().shared();
        // It comes to its end even if who asked goes away: the next one must not find it stale.
        tokio::spawn(new.clone());
        *look = Some(new.clone());
        new
    }
}

async fn tried(
    name: &'static str,
    within: Duration,
    check: BoxFuture<'static, Outcome>,
) -> Outcome {
    match timeout(within, check).await {
        Ok(outcome) => outcome.map_err(|text| format!("{name}: {text}")),
        Err(_) => Err(format!("{name}: no answer within {within:?}")),
    }
}

#[async_trait]
impl ReadyCheck for Ready {
    async fn ready(&self) -> Outcome {
        self.look().await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use tokio::time::{Instant, sleep};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn ready_when_all_that_is_needed_works_and_told_what_does_not() {
        assert_eq!(Ready::new().ready().await, Ok(()));
        let good = || async { Ok::<(), String>(()) };
        let ready = Ready::new().needs("the store", SECOND, good).needs("the broker", SECOND, good);
        assert_eq!(ready.ready().await, Ok(()));
        let ready = ready.needs("the network", SECOND, || async { Err("refused") });
        assert_eq!(ready.ready().await, Err("the network: refused".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn needs_that_hang_are_tried_at_once_and_given_up() {
        let hang = pending::<Result<(), String>>;
        let ready = Ready::new().needs("the store", SECOND, hang).needs("the broker", SECOND, hang);
        let begun = Instant::now();
        assert_eq!(ready.ready().await, Err("the store: no answer within 1s".to_owned()));
        assert_eq!(begun.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn one_look_answers_all_who_ask_meanwhile() {
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&tries);
        let ready = Ready::new().needs("the store", SECOND, move || {
            counted.fetch_add(1, SeqCst);
            async {
                sleep(SECOND / 2).await;
                Ok::<(), String>(())
            }
        });
        // One who leaves does not hold up the others.
        assert!(timeout(SECOND / 10, ready.ready()).await.is_err());
        sleep(SECOND / 10).await;
        let all = join_all((0..100).map(|_| ready.ready())).await;
        assert!(all.iter().all(|outcome| *outcome == Ok(())));
        assert_eq!(tries.load(SeqCst), 1);
        assert!(timeout(SECOND / 10, ready.ready()).await.is_err());
        sleep(SECOND * 10).await;
        assert_eq!(ready.ready().await, Ok(()));
        assert_eq!(tries.load(SeqCst), 3, "a later look is a new one");
    }
}
