//! Waiting for a condition, with a deadline.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use brokers::{Broker, Delivery, Depth, Message, Subscription};
use tokio::time::{Instant, timeout};

/// What no condition of these tests takes, even on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);
pub(crate) const TOPIC: &str = "topic";

pub(crate) fn message(key: impl ToString) -> Message {
    let key = key.to_string();
    Message { payload: format!("payload of {key}").into(), key, ..Message::default() }
}

/// Waits until the topic holds this.
#[track_caller]
pub(crate) fn holds(broker: &Arc<dyn Broker>, depth: Depth) -> impl Future<Output = ()> {
    let place = Location::caller();
    async move {
        let end = Instant::now() + DEADLINE;
        loop {
            let found = broker.depth(TOPIC).await.unwrap();
            if found == depth {
                return;
            }
            assert!(Instant::now() < end, "{place}: expected {depth:?}, found {found:?}");
            tokio::task::yield_now().await;
        }
    }
}

#[track_caller]
pub(crate) fn within<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = Location::caller();
    async move {
        match timeout(DEADLINE, future).await {
            Ok(value) => value,
            Err(_) => panic!("{place}: not within {DEADLINE:?}"),
        }
    }
}

#[track_caller]
pub(crate) fn next(subscription: &dyn Subscription) -> impl Future<Output = Delivery> {
    let next = within(subscription.next());
    async { next.await.unwrap() }
}

/// The next delivery's key and attempt.
#[track_caller]
pub(crate) fn key(subscription: &dyn Subscription) -> impl Future<Output = (String, u32)> {
    let next = next(subscription);
    async {
        let delivery = next.await;
        (delivery.message.key, delivery.attempt.unwrap())
    }
}

/// That nothing more is delivered now.
pub(crate) async fn nothing(subscription: &dyn Subscription) {
    let next = timeout(Duration::from_millis(60), subscription.next()).await;
    assert!(next.is_err(), "unexpected: {next:?}");
}
