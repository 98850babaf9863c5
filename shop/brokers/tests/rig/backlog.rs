//! A backlog that is much longer than what a client may have at once.

use brokers::{Broker, SubscribeOptions};
use futures_util::{StreamExt, stream};

use crate::waiting::{TOPIC, message, next};

/// Messages that are under way at once.
const AT_ONCE: usize = 256;

/// Publishes so many, and then takes and settles each of them once; the topic was empty.
pub(crate) async fn carry(broker: &dyn Broker, length: usize) {
    let publish = |number: usize| broker.publish(TOPIC, message(number));
    let published = stream::iter(0..length).map(publish).buffer_unordered(AT_ONCE);
    published.for_each(|outcome| async { outcome.unwrap() }).await;
    let depth = broker.depth(TOPIC).await.unwrap();
    assert_eq!((depth.ready, depth.dead), (length as u64, 0));
    let options = SubscribeOptions { prefetch: AT_ONCE as u32 };
    let consumer = broker.subscribe(TOPIC, options).await.unwrap();
    let done = stream::iter(0..length).then(|_| next(&*consumer)).map(async |delivery| {
        consumer.ack(&delivery.receipt).await.unwrap();
        delivery.message.key.parse::<usize>().unwrap()
    });
    let mut all: Vec<_> = done.buffer_unordered(AT_ONCE).collect().await;
    all.sort_unstable();
    assert!(all.into_iter().eq(0..length), "each came once");
    let depth = broker.depth(TOPIC).await.unwrap();
    assert_eq!(depth.ready + depth.leased + depth.dead, 0, "{depth:?}");
}
