//! What is peculiar to a broker over an engine; what all brokers promise is asked by the contract suite.

use std::time::Duration;

use super::*;
use crate::engine::{Source, Taken};
use crate::memory::Memory;
use crate::{Delivery, Settle};

const LEASE: Duration = Duration::from_millis(100);
const TOPIC: &str = "topic";
const DEADLINE: Duration = Duration::from_secs(20);

fn rig() -> (Memory, Supplied<Memory>) {
    let engine = Memory::default();
    let settings = Settings { lease: LEASE, ..Settings::default() };
    (engine.clone(), Supplied::new(engine, settings))
}

/// A message that was delivered once, and put off for so long.
async fn deferred(broker: &Supplied<Memory>, delay: Duration) {
    let message = Message { key: "k".to_owned(), ..Message::default() };
    broker.publish(TOPIC, message).await.unwrap();
    let consumer = broker.subscribe(TOPIC, SubscribeOptions::default()).await.unwrap();
    let delivery = consumer.next().await.unwrap();
    consumer.settle(&delivery.receipt, Settle::Defer(delay)).await.unwrap();
}

/// Takes what comes again as a client does that then ends without a word.
async fn taken_by_a_dead_client(engine: &Memory) -> Taken {
    let source: Box<dyn Source> = engine.source("topic.again", LEASE).await.unwrap();
    let taken = source.take(1, DEADLINE).await.unwrap();
    taken.into_iter().next().unwrap()
}

async fn next(broker: &Supplied<Memory>) -> Delivery {
    let consumer = broker.subscribe(TOPIC, SubscribeOptions::default()).await.unwrap();
    tokio::time::timeout(DEADLINE, consumer.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_client_that_dies_with_what_is_not_due_costs_it_no_attempt() {
    let (engine, broker) = rig();
    deferred(&broker, LEASE * 10).await;
    taken_by_a_dead_client(&engine).await;
    let delivery = next(&broker).await;
    assert_eq!((delivery.attempt, delivery.redelivered), (Some(1), true));
}

#[tokio::test]
async fn a_client_that_dies_with_what_is_due_costs_it_one() {
    let (engine, broker) = rig();
    deferred(&broker, Duration::ZERO).await;
    taken_by_a_dead_client(&engine).await;
    let delivery = next(&broker).await;
    assert_eq!((delivery.attempt, delivery.redelivered), (Some(2), true));
}

#[tokio::test]
async fn what_another_program_put_there_is_delivered_as_it_is() {
    let (engine, broker) = rig();
    broker.depth(TOPIC).await.unwrap();
    let body = bytes::Bytes::from_static(b"plain");
    let bound = crate::engine::Bound { most: 1, queues: Vec::new() };
    assert!(engine.append(TOPIC, body.clone(), &bound).await.unwrap());
    let delivery = next(&broker).await;
    assert_eq!((delivery.message.payload, delivery.attempt), (body, Some(1)));
}
