//! Many callers, one request at a time: who comes while one is under way goes with the next. It knows neither
//! what is asked nor of whom.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as Turn, oneshot};

use crate::{Error, Result};

/// What waits to go, and whose turn it is.
pub(super) struct Batcher<T, A> {
    waiting: Mutex<Vec<(T, oneshot::Sender<Result<A>>)>>,
    turn: Turn<()>,
}

impl<T, A> Default for Batcher<T, A> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), turn: Turn::default() }
    }
}

impl<T, A> Batcher<T, A> {
    fn waiting(&self) -> MutexGuard<'_, Vec<(T, oneshot::Sender<Result<A>>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes with others: whoever has the turn sends a batch, which is the first that fit of those that wait,
    /// and gets an answer for each.
    pub(super) async fn go<F: Future<Output = Vec<Result<A>>>>(
        &self,
        one: T,
        fit: impl FnOnce(&[(T, oneshot::Sender<Result<A>>)]) -> usize + Copy,
        send: impl FnOnce(Vec<T>) -> F + Copy,
    ) -> Result<A> {
        let (tell, mut told) = oneshot::channel();
        self.waiting().push((one, tell));
        loop {
            let turn = tokio::select! {
                biased;
                answer = &mut told => return answer.unwrap_or_else(|_| Err(given_up())),
                turn = self.turn.lock() => turn,
            };
            if let Ok(answer) = told.try_recv() {
                return answer;
            }
            let batch: Vec<_> = {
                let mut waiting = self.waiting();
                let fits = fit(&waiting).clamp(1, waiting.len().max(1)).min(waiting.len());
                waiting.drain(..fits).collect()
            };
            let (all, tells): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            if all.is_empty() {
                // Whoever took it along has gone.
                return Err(given_up());
            }
            for (answer, tell) in send(all).await.into_iter().zip(tells) {
                let _ = tell.send(answer);
            }
            drop(turn);
        }
    }
}

fn given_up() -> Error {
    Error::Unavailable("kafka: who sent it along with others gave up".to_owned())
}
