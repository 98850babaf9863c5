//! Waiting for something, with a deadline.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use brokers::{Delivery, Message, Subscription};
use tokio::time::timeout;

/// What no condition of these tests takes, even on a busy machine: some servers need seconds of it to start.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
pub(crate) const TOPIC: &str = "topic";

pub(crate) fn message(key: impl ToString) -> Message {
    let key = key.to_string();
    Message { payload: format!("payload of {key}").into(), key, ..Message::default() }
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
