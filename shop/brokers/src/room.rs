//! Whether there is room below a bound, for engines that cannot count and append in one step. One client keeps
//! the bound; several may pass it together, by what they append between two looks.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

use crate::Result;
use crate::engine::Bound;

/// A look at the queues is believed for so long, and for half of the room that it found.
const BELIEVED_FOR: Duration = Duration::from_millis(100);
/// How long who finds no room waits for the appends under way, which a look may have counted, too.
const ENDED_WITHIN: Duration = Duration::from_secs(1);

/// What one client knows of the room in its topics.
#[derive(Default)]
pub(crate) struct Room {
    known: Mutex<BTreeMap<String, Known>>,
}

#[derive(Default)]
struct Known {
    looked: Option<Instant>,
    /// What may be appended before the next look.
    free: u64,
    /// Appends that were begun and have not ended.
    under_way: watch::Sender<u64>,
}

impl Room {
    /// Appends if there is room; `live` tells how many bodies the bounded queues have.
    pub(crate) async fn append<L: Future<Output = Result<u64>>>(
        &self,
        bound: &Bound,
        live: impl Fn() -> L,
        append: impl Future<Output = Result<()>>,
    ) -> Result<bool> {
        let Some(_under_way) = self.place(bound, live).await? else { return Ok(false) };
        append.await.map(|()| true)
    }

    /// Who waits here while another looks finds what that one saw.
    async fn place<L: Future<Output = Result<u64>>>(
        &self,
        bound: &Bound,
        live: impl Fn() -> L,
    ) -> Result<Option<UnderWay>> {
        let mut known = self.known.lock().await;
        let known = known.entry(bound.queues.concat()).or_default();
        let believed = known.looked.is_some_and(|looked| looked.elapsed() < BELIEVED_FOR);
        if !believed || known.free == 0 {
            let mut left = known.left(bound, &live).await?;
            if left == 0 && known.all_end().await {
                left = known.left(bound, &live).await?;
            }
            if left == 0 {
                return Ok(None);
            }
            (known.looked, known.free) = (Some(Instant::now()), left.div_ceil(2));
        }
        known.free -= 1;
        Ok(Some(UnderWay::begin(&known.under_way)))
    }
}

impl Known {
    /// The room that is surely there: what is under way may be counted already, or not yet.
    async fn left<L: Future<Output = Result<u64>>>(
        &self,
        bound: &Bound,
        live: &impl Fn() -> L,
    ) -> Result<u64> {
        let before = *self.under_way.borrow();
        Ok(bound.most.saturating_sub(live().await? + before))
    }

    /// Waits until nothing is under way, and nothing begins meanwhile; tells whether something was, and is not now.
    async fn all_end(&self) -> bool {
        let mut counts = self.under_way.subscribe();
        if *counts.borrow_and_update() == 0 {
            return false;
        }
        timeout(ENDED_WITHIN, counts.wait_for(|count| *count == 0)).await.is_ok()
    }
}

/// One append, until it ends.
struct UnderWay(watch::Sender<u64>);

impl UnderWay {
    fn begin(count: &watch::Sender<u64>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;

    use super::*;

    /// A queue that counts, and how often it was asked.
    struct Queue {
        room: Room,
        bound: Bound,
        live: Cell<u64>,
        looks: Cell<u32>,
        answered_after: u32,
    }

    impl Queue {
        fn of(most: u64) -> Self {
            let bound = Bound { most, queues: vec!["q".to_owned()] };
            let (live, looks) = (Cell::new(0), Cell::new(0));
            Self { room: Room::default(), bound, live, looks, answered_after: 0 }
        }

        /// It is counted before its append ends, as by a server whose answer is still on the way.
        async fn append(&self) -> bool {
            let live = || async {
                self.looks.set(self.looks.get() + 1);
                Ok(self.live.get())
            };
            let append = async {
                tokio::task::yield_now().await;
                self.live.set(self.live.get() + 1);
                for _ in 0..self.answered_after {
                    tokio::task::yield_now().await;
                }
                Ok(())
            };
            self.room.append(&self.bound, live, append).await.unwrap()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_client_keeps_the_bound_also_with_many_appends_at_once() {
        let queue = Queue::of(10);
        let appended = join_all((0..50).map(|_| queue.append())).await;
        assert_eq!(appended.into_iter().filter(|appended| *appended).count(), 10);
        assert!(!queue.append().await);
        queue.live.set(9);
        assert!(queue.append().await);
        assert!(!queue.append().await);
    }

    #[tokio::test(start_paused = true)]
    async fn appends_that_are_counted_before_they_end_take_no_room_twice() {
        let queue = Queue { answered_after: 100, ..Queue::of(10) };
        let counted = async {
            while queue.live.get() < 6 {
                tokio::task::yield_now().await;
            }
            join_all((0..50).map(|_| queue.append())).await
        };
        let (first, then) = tokio::join!(join_all((0..6).map(|_| queue.append())), counted);
        let appended = first.into_iter().chain(then).filter(|appended| *appended).count();
        assert_eq!(appended, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn where_there_is_much_room_it_looks_rarely_and_yet_again() {
        let queue = Queue::of(100_000);
        for _ in 0..1_000 {
            assert!(queue.append().await);
        }
        assert_eq!(queue.looks.get(), 1);
        queue.live.set(100_000);
        tokio::time::advance(BELIEVED_FOR).await;
        assert!(!queue.append().await);
        assert_eq!(queue.looks.get(), 2);
    }
}
