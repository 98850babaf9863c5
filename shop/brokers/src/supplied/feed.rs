//! What runs beside a subscription: takes messages from both queues as far as there is room, renews what
//! waits, and gives all back at the end. It decides nothing about a message.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::{Instant, sleep};

use super::pool::{Held, Origin};
use super::queues::TAKE_MAX;
use super::shared::Shared;
use crate::clock::now_us;
use crate::window::wait;
use crate::{Backoff, Micros};

/// How fast a queue that could not be read is tried again.
const RETRY: Backoff = Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };
/// How long one look for messages waits: what others lost is looked for as often.
const LOOK_MIN: Duration = Duration::from_millis(10);
const LOOK_MAX: Duration = Duration::from_secs(1);
/// What waits is renewed every third of a lease: two may be missed.
const BEATS_PER_LEASE: u32 = 3;
/// Messages that are given back at once.
const GIVEN_BACK_AT_ONCE: usize = 64;

/// Runs until the subscription is dropped; then gives back what it holds.
pub(super) async fn run(shared: Arc<Shared>) {
    tokio::join!(take(&shared, Origin::Fresh), take(&shared, Origin::Again), async {
        let _ = shared.closing.run_until_cancelled(renew(&shared)).await;
    });
    let held = shared.pool().take();
    at_once(held, |held| shared.give_back(held)).await;
}

/// Never cancelled while it takes: what nobody waits for would be lost for a lease.
async fn take(shared: &Shared, origin: Origin) {
    let look = look(shared);
    let mut failures = 0;
    while let Some(room) = shared.closing.run_until_cancelled(room(shared, origin)).await {
        if room == 0 {
            let_go(shared).await;
            continue;
        }
        let asked = Instant::now();
        match shared.source(origin).take(room.min(TAKE_MAX), look).await {
            Ok(all) => {
                failures = 0;
                for taken in all {
                    shared.arrived(origin, taken, asked).await;
                }
            }
            Err(_) => {
                // Publishers and who looks for readiness tell why.
                failures += 1;
                let pause = sleep(RETRY.delay(failures));
                let _ = shared.closing.run_until_cancelled(pause).await;
            }
        }
    }
}

fn look(shared: &Shared) -> Duration {
    (shared.settings.lease / BEATS_PER_LEASE).clamp(LOOK_MIN, LOOK_MAX)
}

/// Waits until something may be taken, and returns how much; nothing, if something fresh is to be let go.
async fn room(shared: &Shared, origin: Origin) -> u32 {
    loop {
        let changed = shared.changed.notified();
        let (room, stuck_at) = {
            let pool = shared.pool();
            (pool.room(origin), pool.stuck_at(look(shared)).filter(|_| origin == Origin::Fresh))
        };
        if room > 0 || stuck_at.is_some_and(|at| at <= Instant::now()) {
            return room;
        }
        wait(changed, stuck_at).await;
    }
}

/// A take that was asked when there was room may come when what comes again has filled the window.
async fn let_go(shared: &Shared) {
    let stuck = shared.pool().take_stuck(look(shared), Instant::now());
    at_once(stuck, |held| shared.let_go(held)).await;
}

async fn at_once<F: Future<Output = ()>>(all: Vec<Held>, work: impl Fn(Held) -> F) {
    let works = stream::iter(all).map(work);
    works.buffer_unordered(GIVEN_BACK_AT_ONCE).for_each(|()| async {}).await;
}

/// Renews all that waits every third of a lease, and what becomes due at that moment.
async fn renew(shared: &Shared) {
    let every = shared.settings.lease / BEATS_PER_LEASE;
    let mut beat = Instant::now() + every;
    loop {
        let changed = shared.changed.notified();
        let due = shared.pool().next_due().map(at);
        wait(changed, Some(due.map_or(beat, |due| due.min(beat)))).await;
        let all = Instant::now() >= beat;
        for origin in [Origin::Fresh, Origin::Again] {
            renew_queue(shared, origin, all).await;
        }
        if all {
            beat = Instant::now() + every;
            shared.pool().forget_lost(Instant::now());
            shared.changed.notify_waiters();
        }
    }
}

async fn renew_queue(shared: &Shared, origin: Origin, all: bool) {
    let (asked, asked_us) = (Instant::now(), now_us());
    let (places, handles): (Vec<_>, Vec<_>) =
        shared.pool().to_renew(origin, all, asked_us).into_iter().unzip();
    if handles.is_empty() {
        return;
    }
    let Ok(renewed) = shared.source(origin).extend(&handles).await else {
        // What is due and could not be renewed is tried soon again; a lease has two beats more.
        sleep(LOOK_MIN).await;
        return;
    };
    let mut pool = shared.pool();
    for (place, renewed) in places.into_iter().zip(renewed) {
        let until = renewed.then(|| asked + shared.settings.lease);
        pool.renewed(origin, place, until, asked_us);
    }
    drop(pool);
    shared.changed.notify_waiters();
}

/// When this instant of the wall clock will be.
fn at(due_us: Micros) -> Instant {
    let left_us = u64::try_from(due_us - now_us()).unwrap_or(0);
    Instant::now() + Duration::from_micros(left_us)
}
