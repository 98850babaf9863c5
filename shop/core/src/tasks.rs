//! Work that is finished once it has begun, even if nobody waits for it any more: a customer who hangs
//! up, or whose deadline passes, must not leave a card charged and nobody told. It does not know what
//! the work is.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use crate::{Error, Result};

/// What is run.
pub type Work = BoxFuture<'static, ()>;

/// Runs work in tasks of their own, so many at once.
pub struct Tasks {
    places: Arc<Semaphore>,
    most: u32,
    carry: fn(Work) -> Work,
}

impl Tasks {
    /// At most so many at once. Each piece of work goes through `carry` where it is asked for: what the
    /// caller has with him, such as a trace, can be given to it there.
    #[must_use]
    pub fn new(most: u32, carry: fn(Work) -> Work) -> Self {
        Self { places: Arc::new(Semaphore::new(most as usize)), most, carry }
    }

    /// Runs this work to its end and returns its result, if the caller still waits for it.
    ///
    /// # Errors
    /// `Busy` if there is no place; `Internal` if the work panicked; the work's own.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (tell, told) = tokio::sync::oneshot::channel();
        self.begin(async move {
            // A caller that has gone away wants no answer.
            let _ = tell.send(work.await);
        })?;
        told.await.unwrap_or_else(|_| Err(Error::Internal("the work panicked".to_owned())))
    }

    /// Runs this work to its end; nobody waits for it.
    ///
    /// # Errors
    /// `Busy` if there is no place.
    pub fn begin(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let busy = |_| Error::Busy(format!("{} are in work already", self.most));
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(busy)?;
        tokio::spawn((self.carry)(Box::pin(async move {
            let _place = place;
            work.await;
        })));
        Ok(())
    }

    /// Takes no more work and returns when all that has begun is done.
    pub async fn drain(&self) {
        if let Ok(all) = self.places.acquire_many(self.most).await {
            all.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep, timeout};

    use super::*;

    fn tasks(most: u32) -> Arc<Tasks> {
        Arc::new(Tasks::new(most, |work| work))
    }

    async fn a_second() -> Result<u32> {
        sleep(Duration::from_secs(1)).await;
        Ok(7)
    }

    #[tokio::test(start_paused = true)]
    async fn work_goes_on_without_its_caller_and_keeps_its_place() {
        let tasks = tasks(1);
        let (done, hears) = tokio::sync::oneshot::channel();
        let work = tasks.run(async move {
            a_second().await?;
            done.send(()).map_err(|()| Error::NotFound)
        });
        assert!(timeout(Duration::from_millis(100), work).await.is_err());
        let refused = tasks.run(a_second()).await;
        assert!(matches!(refused, Err(Error::Busy(_))), "{refused:?}");
        assert_eq!(hears.await, Ok(()));
        assert_eq!(tasks.run(a_second()).await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_for_what_has_begun_and_takes_no_more() {
        let tasks = tasks(3);
        let begun = Instant::now();
        for _ in 0..3 {
            assert!(timeout(Duration::from_millis(100), tasks.run(a_second())).await.is_err());
        }
        tasks.drain().await;
        assert_eq!(begun.elapsed(), Duration::from_millis(1_200));
        assert!(matches!(tasks.run(a_second()).await, Err(Error::Busy(_))));
    }

    #[tokio::test]
    async fn work_that_panics_fails_and_gives_its_place_back() {
        let tasks = tasks(1);
        for _ in 0..2 {
            let result = tasks.run::<()>(async { panic!("poison") }).await;
            assert_eq!(result, Err(Error::Internal("the work panicked".to_owned())));
        }
    }

    #[tokio::test]
    async fn what_the_caller_has_with_him_goes_along() {
        tokio::task_local! { static TRACE: u32; }
        let carrying = Tasks::new(1, |work| match TRACE.try_with(|trace| *trace) {
            Ok(trace) => Box::pin(TRACE.scope(trace, work)),
            Err(_) => work,
        });
        let work = async { TRACE.try_with(|trace| *trace).map_err(|_| Error::NotFound) };
        assert_eq!(TRACE.scope(7, carrying.run(work)).await, Ok(7));
    }
}
