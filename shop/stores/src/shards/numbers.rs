//! One sequence of numbers for the orders of several databases.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shop::{Error, Number, Result};
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long who asks for all waits for what is being inserted.
const PATIENCE: Duration = Duration::from_secs(2);

/// Gives numbers, and knows which are under way: given, and their orders neither durable nor given up.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    all: Arc<Sequence>,
    /// The database that they are given to.
    database: usize,
}

#[derive(Debug)]
struct Sequence {
    given: Mutex<Given>,
    over: Notify,
}

#[derive(Debug)]
struct Given {
    last: Number,
    /// With the databases that have them.
    under_way: BTreeMap<Number, usize>,
}

impl Numbers {
    /// Those behind this one.
    pub(super) fn after(last: Number) -> Self {
        let given = Mutex::new(Given { last, under_way: BTreeMap::new() });
        Self { all: Arc::new(Sequence { given, over: Notify::new() }), database: 0 }
    }

    /// Of the same sequence, for this database.
    pub(super) fn of(&self, database: usize) -> Self {
        Self { all: Arc::clone(&self.all), database }
    }

    /// The next. To be drawn where the order is written: then what one database has is in the sequence of its commits.
    pub(crate) fn draw(&self) -> Drawn {
        let mut given = self.all.given();
        given.last += 1;
        let number = given.last;
        given.under_way.insert(number, self.database);
        Drawn { number, of: self.clone() }
    }

    /// The last that was given, once no lower one is under way: whoever looks then misses none up to it. Errors:
    /// `TimedOut`.
    pub(super) async fn settled(&self) -> Result<Number> {
        self.once_over(|_| true).await
    }

    /// The same, of what this database has alone.
    #[cfg(feature = "postgres")]
    pub(crate) async fn settled_here(&self) -> Result<Number> {
        self.once_over(|database| database == self.database).await
    }

    async fn once_over(&self, counts: impl Fn(usize) -> bool) -> Result<Number> {
        let last = self.all.given().last;
        let settled = async {
            loop {
                let over = self.all.over.notified();
                tokio::pin!(over);
                over.as_mut().enable();
                let is_under_way = |(_, database): (&Number, &usize)| counts(*database);
                if !self.all.given().under_way.range(..=last).any(is_under_way) {
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
        self.of.all.given().under_way.remove(&self.number);
        self.of.all.over.notify_waiters();
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

    #[cfg(feature = "postgres")]
    #[tokio::test(start_paused = true)]
    async fn who_looks_at_one_database_waits_for_none_of_another() {
        let numbers = Numbers::after(0);
        let (here, there) = (numbers.of(1), numbers.of(2));
        let drawn = there.draw();
        assert_eq!(here.settled_here().await, Ok(1));
        assert!(matches!(there.settled_here().await, Err(Error::TimedOut(_))));
        drop(drawn);
        assert_eq!(there.settled_here().await, Ok(1));
    }
}
