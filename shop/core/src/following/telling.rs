//! Events that a crash or an outage left owed are told again, until all who follow know them. It knows
//! neither why they were left nor who follows.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{Following, Owed};
use crate::orders::Ages;
use crate::{Error, Number, Result};

/// What a pass takes up after one in which nobody could be told.
const FEW: u32 = 8;

/// Tells events older than `age` again for as long as it is polled, `most` of them at once: a pass, then a
/// pause of `every`, and so on. A pass after one in which nobody could be told takes up a few, one after a
/// success twice as many; each goes on where the last ended, so that those that fail for ever keep no other
/// from its turn. What was owed when it began counts as old. `tell` is given how many could not be told (0
/// if they could not even be read), and the first error.
pub async fn keep_telling(
    following: Following,
    age: Duration,
    every: Duration,
    most: u32,
    tell: impl Fn(usize, &Error),
) {
    let mut telling = Telling::new(following, age, most);
    loop {
        match telling.pass(Instant::now()).await {
            Ok(Pass { failed: Some((count, first)), .. }) => tell(count, &first),
            Err(error) => tell(0, &error),
            Ok(_) => {}
        }
        sleep(every).await;
    }
}

pub(super) struct Telling {
    following: Following,
    ages: Ages,
    /// Events that a pass takes up at most.
    most: u32,
    /// Events that the next pass takes up, and where it begins.
    size: u32,
    next: Number,
}

#[derive(Debug, PartialEq)]
pub(super) struct Pass {
    pub(super) told: usize,
    /// How many could not be told, and why the first could not.
    pub(super) failed: Option<(usize, Error)>,
}

impl Telling {
    pub(super) fn new(following: Following, age: Duration, most: u32) -> Self {
        let most = most.max(1);
        Self { following, ages: Ages::new(age), most, size: most.min(FEW), next: 0 }
    }

    pub(super) async fn pass(&mut self, now: Instant) -> Result<Pass> {
        let old = self.ages.old(now).saturating_add(1);
        let from = if self.next < old { self.next } else { 0 };
        let Owed { events, newest } = self.following.events.owed(from..old, self.size).await?;
        self.ages.note(now, newest);
        let further = events.last().filter(|_| events.len() == self.size as usize);
        self.next = further.map_or(0, |(last, _)| last + 1);
        let told = join_all(events.iter().map(|(_, settled)| self.following.tell(settled))).await;
        let pass = outcome(told);
        self.size = match pass {
            Pass { told: 1.., .. } => self.size.saturating_mul(2).min(self.most),
            Pass { failed: Some(_), .. } => self.most.min(FEW),
            Pass { .. } => self.size,
        };
        Ok(pass)
    }
}

fn outcome(results: Vec<Result<()>>) -> Pass {
    let (mut told, mut failed) = (0, None);
    for result in results {
        match result {
            Ok(()) => told += 1,
            Err(error) => failed.get_or_insert((0, error)).0 += 1,
        }
    }
    Pass { told, failed }
}
