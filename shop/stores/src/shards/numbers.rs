//! One sequence of numbers for the orders of several databases.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shop::{Error, Number, Result};
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long who asks for all waits for what is being inserted.
const PATIENCE: Duration = Duration::from_secs(2);

/// Gives numbers, and knows which are under way: given, and their orders neither durable nor given up.
#[derive(Clone, Debug)]
pub(crate) struct Numbers(Arc<Sequence>);

#[derive(Debug)]
struct Sequence {
    given: Mutex<Given>,
    over: Notify,
}

#[derive(Debug)]
struct Given {
    last: Number,
    under_way: BTreeSet<Number>,
}

impl Numbers {
    /// Those behind this one.
    pub(super) fn after(last: Number) -> Self {
        let given = Mutex::new(Given { last, under_way: BTreeSet::new() });
        Self(Arc::new(Sequence { given, over: Notify::new() }))
    }

    /// The next. To be drawn where the order is written: then what one database has is in the sequence of its commits.
    pub(crate) fn draw(&self) -> Drawn {
        let mut given = self.0.given();
        given.last += 1;
        let number = given.last;
        given.under_way.insert(number);
        Drawn { number, of: self.clone() }
    }

    /// The last that was given, once no lower one is under way: whoever looks then misses none up to it. Errors:
    /// `TimedOut`.
    pub(super) async fn settled(&self) -> Result<Number> {
        let last = self.0.given().last;
        let settled = async {
            loop {
                let over = self.0.over.notified();
                tokio::pin!(over);
                over.as_mut().enable();
                if self.0.given().under_way.first().is_none_or(|first| *first > last) {
                    return last;
                }
                over.await;
            }
        };
        let text = || "an insertion into one of the databases takes too long".to_owned();
        timeout(PATIENCE, settled).await.map_err(|_| Error::TimedOut(text()))
    }
}

impl Sequence {
    fn given(&self) -> MutexGuard<'_, Given> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number that is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub(crate) number: Number,
    of: Numbers,
}

impl Drop for Drawn {
    fn drop(&mut self) {
        self.of.0.given().under_way.remove(&self.number);
        self.of.0.over.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_looks_waits_for_those_that_were_given_before() {
        let numbers = Numbers::after(6);
        assert_eq!(numbers.settled().await, Ok(6));
        let (first, second) = (numbers.draw(), numbers.draw());
        assert_eq!((first.number, second.number), (7, 8));
        drop(second);
        let looking = tokio::spawn({
            let numbers = numbers.clone();
            async move { numbers.settled().await }
        });
        tokio::task::yield_now().await;
        assert!(!looking.is_finished());
        let later = numbers.draw();
        drop(first);
        assert_eq!(looking.await.unwrap(), Ok(8), "nobody waits for what is given later");
        assert!(matches!(numbers.settled().await, Err(Error::TimedOut(_))));
        drop(later);
        assert_eq!(numbers.settled().await, Ok(9));
    }
}
