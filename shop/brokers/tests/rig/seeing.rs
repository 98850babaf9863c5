//! What is delivered, and that nothing is.

use std::future::Future;
use std::time::Duration;

use brokers::Subscription;
use tokio::time::timeout;

use crate::waiting::next;

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
