//! Work that several ask for at once and that is done for all of them in one step: one way there and back, one
//! commit. It does not know what the work is.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use postgres_pool::ANSWER_MAX;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::{Error, Result};

/// What is done in one step at most.
const TOGETHER_MAX: usize = 256;
/// Steps under way at once: while one waits for its fsync another is on its way.
const STEPS: usize = 4;

type Asked<I, O> = (I, oneshot::Sender<Result<O>>);

/// Who asks for work of one kind.
pub(super) struct Group<I, O> {
    ask: mpsc::UnboundedSender<Asked<I, O>>,
    _steps: Arc<Vec<AbortOnDropHandle<()>>>,
}

impl<I, O> Clone for Group<I, O> {
    fn clone(&self) -> Self {
        Self { ask: self.ask.clone(), _steps: Arc::clone(&self._steps) }
    }
}

impl<I: Send + 'static, O: Send + 'static> Group<I, O> {
    /// `work` does it for all that it is given, and gives an outcome for each.
    pub(super) fn new<F>(work: impl Fn(Vec<I>) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<O>>> + Send + 'static,
    {
        // As many as ask, of whom each waits.
        let (ask, asked) = mpsc::unbounded_channel();
        let asked = Arc::new(Mutex::new(asked));
        let step = |_| {
            let (work, asked) = (work.clone(), Arc::clone(&asked));
            AbortOnDropHandle::new(tokio::spawn(steps(asked, move |all| Box::pin(work(all)))))
        };
        Self { ask, _steps: Arc::new((0..STEPS).map(step).collect()) }
    }

    /// What became of it. Who goes away may find it done.
    pub(super) async fn run(&self, item: I) -> Result<O> {
        let gone = || Error::Unavailable("nobody works here any more".to_owned());
        let (tell, told) = oneshot::channel();
        self.ask.send((item, tell)).map_err(|_| gone())?;
        match timeout(ANSWER_MAX, told).await {
            Ok(told) => told.unwrap_or_else(|_| Err(gone())),
            Err(_) => Err(Error::Unavailable("postgres: no answer within 5 s".to_owned())),
        }
    }
}

async fn steps<I, O>(
    asked: Arc<Mutex<mpsc::UnboundedReceiver<Asked<I, O>>>>,
    work: impl Fn(Vec<I>) -> BoxFuture<'static, Result<Vec<O>>>,
) {
    loop {
        let mut all = Vec::new();
        if asked.lock().await.recv_many(&mut all, TOGETHER_MAX).await == 0 {
            return;
        }
        // Whoever waits no longer was told that it may be done, or not.
        all.retain(|(_, tell)| !tell.is_closed());
        let (items, tells): (Vec<I>, Vec<_>) = all.into_iter().unzip();
        match work(items).await {
            Ok(outcomes) => {
                for (tell, outcome) in tells.into_iter().zip(outcomes) {
                    let _ = tell.send(Ok(outcome));
                }
            }
            Err(error) => {
                for tell in tells {
                    let _ = tell.send(Err(error.clone()));
                }
            }
        }
    }
}
