//! What every broker promises, asked of every adapter.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "a test tells what it could not do")]

#[path = "rig/adapters.rs"]
mod adapters;
#[path = "rig/seeing.rs"]
mod seeing;
#[path = "rig/server.rs"]
mod server;
#[path = "rig/waiting.rs"]
mod waiting;

use std::collections::BTreeSet;
use std::time::Duration;

use brokers::{Backoff, Depth, Error, Message, Settings, Settle, SubscribeOptions};
use futures_util::future::join_all;
use tokio::time::{Instant, interval};

use adapters::{Adapter, FOREVER, eager, patient};
use seeing::{key, nothing};
use waiting::{message, next, within};

/// Asks these adapters for each promise.
macro_rules! asked {
    ($($scheme:ident)+) => {
        const ASKED: &[&str] = &[$(stringify!($scheme)),+];
        $(mod $scheme { contract!($scheme); })+
    };
}

macro_rules! promises {
    ($scheme:ident: $($promise:ident)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            if let Some(adapter) = crate::Adapter::of(stringify!($scheme)) {
                crate::$promise(adapter).await;
            }
        }
    )* };
}

macro_rules! contract {
    ($scheme:ident) => {
        promises! { $scheme:
            what_is_published_is_delivered
            first_in_first_out
            a_full_window_waits_and_an_ack_moves_it
            a_settled_message_is_gone
            topics_are_apart
            a_waiting_consumer_is_woken_at_once
            two_consumers_share_without_doubles
            many_are_settled_at_once_in_any_sequence
            a_nack_delays
            a_delayed_message_comes_when_its_backoff_ends_and_blocks_nobody
            a_message_that_always_fails_is_a_dead_letter
            a_last_attempt_that_crashes_is_a_dead_letter
            a_deferral_delays_and_is_not_counted
            what_is_rejected_is_a_dead_letter_at_once
            what_comes_again_goes_behind_what_is_fresh
            what_was_delivered_before_takes_half_of_a_window
            retries_can_be_limited_further_and_let_go_again
            what_failed_often_comes_alone
            keys_are_found_unless_done_or_dead
            a_lease_that_ends_frees_the_message_and_fences_the_zombie
            a_heartbeat_keeps_the_lease
            a_delivery_that_was_forgotten_frees_its_place
            a_dropped_consumer_gives_back_at_once
            a_full_topic_refuses_and_stores_nothing
            a_replayed_letter_begins_anew_under_its_key
            a_replay_keeps_the_bound
            what_breaks_a_limit_is_refused
            the_largest_letters_are_listed_whole
        }
    };
}

asked!(channel embedded kafka lavinmq log memory nats postgres rabbitmq redis sqs);

#[test]
fn every_adapter_is_asked() {
    for adapter in brokers::adapters() {
        assert!(ASKED.contains(&adapter.scheme), "asked! lacks {}", adapter.scheme);
    }
}

fn fail(text: &str) -> Settle {
    Settle::Fail(text.to_owned())
}

const fn depth(ready: u64, delayed: u64, leased: u64, dead: u64) -> Depth {
    Depth { ready, delayed, leased, dead }
}

async fn what_is_published_is_delivered(adapter: Adapter) {
    let rig = adapter.start(patient()).await;
    let headers = [("traceparent".to_owned(), "00-\"quoted\"-ü".to_owned())].into();
    let payload = bytes::Bytes::from_static(&[0, 255, 10, 13, 34]);
    let (key, ordering) = ("k-1".to_owned(), Some("customer-7".to_owned()));
    let sent = Message { key, ordering, payload, headers };
    rig.broker.publish(&rig.topic, sent.clone()).await.unwrap();
    rig.is(depth(1, 0, 0, 0)).await;
    let delivery = next(&*rig.subscribe(1).await).await;
    assert_eq!(delivery.message, sent);
    assert_eq!((delivery.attempt, delivery.redelivered), (Some(1), false));
    assert_eq!(delivery.lease, Some(FOREVER));
    assert!(delivery.published_us > 1_700_000_000_000_000, "microseconds since the epoch");
}

async fn first_in_first_out(adapter: Adapter) {
    let rig = adapter.start(eager()).await;
    for number in 0..100 {
        rig.publish(number).await;
    }
    let consumer = rig.subscribe(7).await;
    for number in 0..100 {
        let delivery = next(&*consumer).await;
        assert_eq!(delivery.message.key, number.to_string());
        consumer.ack(&delivery.receipt).await.unwrap();
    }
    rig.is(depth(0, 0, 0, 0)).await;
}

async fn a_full_window_waits_and_an_ack_moves_it(adapter: Adapter) {
    let rig = adapter.start(patient()).await;
    for number in 0..10 {
        rig.publish(number).await;
    }
    let consumer = rig.subscribe(3).await;
    let first = next(&*consumer).await;
    next(&*consumer).await;
    next(&*consumer).await;
    rig.holds(depth(7, 0, 3, 0)).await;
    nothing(&*consumer).await;
    consumer.ack(&first.receipt).await.unwrap();
    assert_eq!(key(&*consumer).await, ("3".to_owned(), 1));
    rig.holds(depth(6, 0, 3, 0)).await;
}

async fn a_settled_message_is_gone(adapter: Adapter) {
    let rig = adapter.start(eager()).await;
    rig.publish("a").await;
    let consumer = rig.subscribe(1).await;
    let receipt = next(&*consumer).await.receipt;
    consumer.ack(&receipt).await.unwrap();
    rig.is(depth(0, 0, 0, 0)).await;
    assert_eq!(consumer.ack(&receipt).await, Err(Error::Fenced));
    assert_eq!(consumer.settle(&receipt, fail("late")).await, Err(Error::Fenced));
    assert_eq!(consumer.extend(&receipt).await, Err(Error::Fenced));
    rig.is(depth(0, 0, 0, 0)).await;
}

async fn topics_are_apart(adapter: Adapter) {
    let rig = adapter.start(patient()).await;
    let other = format!("{}-other", rig.topic);
    rig.broker.publish(&other, message("x")).await.unwrap();
    let consumer = rig.subscribe(4).await;
    nothing(&*consumer).await;
    rig.publish("y").await;
    assert_eq!(key(&*consumer).await.0, "y");
    assert_eq!(rig.broker.depth(&other).await.unwrap(), depth(1, 0, 0, 0));
    assert_eq!(
        rig.broker.depth(&format!("{}-unheard-of", rig.topic)).await.unwrap(),
        depth(0, 0, 0, 0)
    );
}

async fn a_waiting_consumer_is_woken_at_once(adapter: Adapter) {
    let rig = adapter.start(patient()).await;
    let consumer = rig.subscribe(1).await;
    let mut waits = Vec::new();
    for number in 0..21 {
        let published = async {
            rig.publish(number).await;
            Instant::now()
        };
        let (delivery, published) = tokio::join!(next(&*consumer), published);
        waits.push(published.elapsed());
        consumer.ack(&delivery.receipt).await.unwrap();
    }
    waits.sort();
    assert!(waits[10] < Duration::from_millis(50), "median of {waits:?}");
}

async fn two_consumers_share_without_doubles(adapter: Adapter) {
    let rig = adapter.start(patient()).await;
    let (one, two) = (rig.subscribe(5).await, rig.subscribe(5).await);
    for number in 0..200 {
        rig.publish(number).await;
    }
    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        let (consumer, delivery) = within(async {
            tokio::select! {
                delivery = one.next() => (&one, delivery.unwrap()),
                delivery = two.next() => (&two, delivery.unwrap()),
            }
        })
        .await;
        assert_eq!(delivery.attempt.unwrap(), 1);
        consumer.ack(&delivery.receipt).await.unwrap();
        assert!(seen.insert(delivery.message.key), "delivered twice");
    }
    rig.is(depth(0, 0, 0, 0)).await;
}

/// As consumers do whose work takes different times.
async fn many_are_settled_at_once_in_any_sequence(adapter: Adapter) {
    const MANY: usize = 64;
    let rig = adapter.start(patient()).await;
    let consumer = rig.subscribe(MANY as u32).await;
    for round in 0..3 {
        for number in 0..MANY {
            rig.publish(format!("{round}-{number}")).await;
        }
        let mut receipts = Vec::new();
        while receipts.len() < MANY {
            receipts.push(next(&*consumer).await.receipt);
        }
        // 37 and 64 have no divisor in common: every receipt once, far from its neighbours.
        let scattered = (0..MANY).map(|nth| &receipts[nth * 37 % MANY]);
        let settled = join_all(scattered.map(|receipt| consumer.ack(receipt))).await;
        assert!(settled.iter().all(Result::is_ok), "{settled:?}");
        rig.holds(depth(0, 0, 0, 0)).await;
    }
}

async fn a_nack_delays(adapter: Adapter) {
    let rig = adapter.start(patient()).await;
    rig.publish("a").await;
    let consumer = rig.subscribe(1).await;
    let receipt = next(&*consumer).await.receipt;
    consumer.settle(&receipt, fail("no")).await.unwrap();
    rig.is(depth(0, 1, 0, 0)).await;
    assert_eq!(consumer.ack(&receipt).await, Err(Error::Fenced));
    rig.publish("b").await;
    assert_eq!(key(&*consumer).await, ("b".to_owned(), 1));
}

async fn a_delayed_message_comes_when_its_backoff_ends_and_blocks_nobody(adapter: Adapter) {
    let base = Duration::from_millis(40);
    let settings = Settings { backoff: Backoff { base, max: base }, ..patient() };
    let rig = adapter.start(settings).await;
    let consumer = rig.subscribe(1).await;
    rig.publish("a").await;
    for attempt in 1..=2 {
        let delivery = next(&*consumer).await;
        assert_eq!((delivery.message.key.as_str(), delivery.attempt.unwrap()), ("a", attempt));
        consumer.settle(&delivery.receipt, fail("no")).await.unwrap();
    }
    // Nothing else happens now: only the clock can bring it.
    assert_eq!(key(&*consumer).await, ("a".to_owned(), 3));
}

async fn a_message_that_always_fails_is_a_dead_letter(adapter: Adapter) {
    let rig = adapter.start(eager()).await;
    rig.publish("a").await;
    let consumer = rig.subscribe(1).await;
    for attempt in 1..=3 {
        let delivery = next(&*consumer).await;
        assert_eq!((delivery.message.key.as_str(), delivery.attempt.unwrap()), ("a", attempt));
        consumer.settle(&delivery.receipt, fail(&format!("failure {attempt}"))).await.unwrap();
    }
    rig.is(depth(0, 0, 0, 1)).await;
    nothing(&*consumer).await;
    let letters = rig.broker.dead(&rig.topic, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((&letter.message, letter.attempts), (&message("a"), 3));
    let errors: Vec<_> = letter.errors.iter().map(|e| (e.attempt, e.text.as_str())).collect();
    assert_eq!(errors, [(1, "failure 1"), (2, "failure 2"), (3, "failure 3")]);
    let first = letter.errors[0].at_us;
    assert!(letter.published_us <= first && first <= letter.died_us, "{letter:?}");
}

async fn a_last_attempt_that_crashes_is_a_dead_letter(adapter: Adapter) {
    let lease = adapter.short_lease();
    let rig = adapter.start(Settings { lease, attempts_max: 2, ..eager() }).await;
    rig.publish("a").await;
    let consumer = rig.subscribe(1).await;
    assert_eq!(key(&*consumer).await, ("a".to_owned(), 1));
    assert_eq!(key(&*consumer).await, ("a".to_owned(), 2));
    rig.holds(depth(0, 0, 0, 1)).await;
    let letter = rig.broker.dead(&rig.topic, 1).await.unwrap().remove(0);
    assert_eq!(letter.attempts, 2);
    assert_eq!(letter.errors.len(), 2);
    assert_eq!(letter.errors[1].text, "the lease ended");
}

async fn a_deferral_delays_and_is_not_counted(adapter: Adapter) {
    let rig = adapter.start(Settings { attempts_max: 1, ..patient() }).await;
    rig.publish("a").await;
    let consumer = rig.subscribe(1).await;
    for round in 0..20 {
        let delivery = next(&*consumer).await;
        assert_eq!((delivery.attempt, delivery.redelivered), (Some(1), round > 0));
        consumer.settle(&delivery.receipt, Settle::Defer(Duration::ZERO)).await.unwrap();
        assert_eq!(consumer.ack(&delivery.receipt).await, Err(Error::Fenced));
    }
    let delivery = next(&*consumer).await;
    let begun = Instant::now();
    let delay = Duration::from_millis(40);
    consumer.settle(&delivery.receipt, Settle::Defer(delay)).await.unwrap();
    assert_eq!(next(&*consumer).await.attempt, Some(1));
    assert!(begun.elapsed() >= delay, "came after {:?}", begun.elapsed());
    rig.publish("b").await;
    let other = rig.subscribe(1).await;
    let delivery = next(&*other).await;
    other.settle(&delivery.receipt, Settle::Defer(Duration::MAX)).await.unwrap();
    rig.holds(depth(0, 1, 1, 0)).await;
}

async fn what_is_rejected_is_a_dead_letter_at_once(adapter: Adapter) {
    let rig = adapter.start(patient()).await;
    rig.publish("a").await;
    let consumer = rig.subscribe(1).await;
    let receipt = next(&*consumer).await.receipt;
    consumer.settle(&receipt, Settle::Reject("never".to_owned())).await.unwrap();
    rig.is(depth(0, 0, 0, 1)).await;
    let letter = rig.broker.dead(&rig.topic, 1).await.unwrap().remove(0);
    assert_eq!((letter.attempts, letter.errors[0].text.as_str()), (1, "never"));
    assert_eq!(consumer.ack(&receipt).await, Err(Error::Fenced));
}

async fn what_comes_again_goes_behind_what_is_fresh(adapter: Adapter) {
    let rig = adapter.start(eager()).await;
    if !rig.can.order {
        return;
    }
    for key in ["a", "b", "c"] {
        rig.publish(key).await;
    }
    let consumer = rig.subscribe(1).await;
    let receipt = next(&*consumer).await.receipt;
    consumer.settle(&receipt, fail("no")).await.unwrap();
    for (key, attempt) in [("b", 1), ("c", 1), ("a", 2)] {
        rig.publish(format!("after {key}")).await;
        let delivery = next(&*consumer).await;
        assert_eq!((delivery.message.key.as_str(), delivery.attempt), (key, Some(attempt)));
        consumer.ack(&delivery.receipt).await.unwrap();
    }
    assert_eq!(key(&*consumer).await.0, "after b");
}

async fn what_was_delivered_before_takes_half_of_a_window(adapter: Adapter) {
    let rig = adapter.start(patient()).await;
    let first = rig.subscribe(1).await;
    for number in 0..6 {
        rig.publish(format!("bad {number}")).await;
        let receipt = next(&*first).await.receipt;
        // Soon, but not before the others were put off.
        let soon = Duration::from_secs(1);
        first.settle(&receipt, Settle::Defer(soon)).await.unwrap();
    }
    drop(first);
    rig.holds(depth(6, 0, 0, 0)).await;
    let consumer = rig.subscribe(4).await;
    let held = [next(&*consumer).await, next(&*consumer).await];
    if rig.can.order {
        assert_eq!(held.each_ref().map(|d| &*d.message.key), ["bad 0", "bad 1"]);
    }
    assert!(held.iter().all(|delivery| delivery.message.key.starts_with("bad")));
    nothing(&*consumer).await;
    for number in 0..2 {
        rig.publish(format!("good {number}")).await;
        assert_eq!(key(&*consumer).await.0, format!("good {number}"));
    }
    consumer.ack(&held[0].receipt).await.unwrap();
    let third = key(&*consumer).await.0;
    assert!(third == "bad 2" || (!rig.can.order && third.starts_with("bad")), "{third}");
}

async fn retries_can_be_limited_further_and_let_go_again(adapter: Adapter) {
    let rig = adapter.start(eager()).await;
    let consumer = rig.subscribe(8).await;
    consumer.limit_retries(1).await.unwrap();
    for number in 0..4 {
        rig.publish(number).await;
    }
    // Held first, all of them: what has failed may come again before what never came.
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(next(&*consumer).await.receipt);
    }
    for receipt in &held {
        consumer.settle(receipt, fail("no")).await.unwrap();
    }
    let mut again = vec![key(&*consumer).await];
    nothing(&*consumer).await;
    consumer.limit_retries(3).await.unwrap();
    again.extend([key(&*consumer).await, key(&*consumer).await]);
    nothing(&*consumer).await;
    assert!(again.iter().all(|(_, attempt)| *attempt == 2), "{again:?}");
    if rig.can.order {
        assert!(again.iter().map(|(key, _)| key).eq(["0", "1", "2"]), "{again:?}");
    }
}

async fn what_failed_often_comes_alone(adapter: Adapter) {
    let rig = adapter.start(Settings { attempts_max: 9, ..eager() }).await;
    let consumer = rig.subscribe(64).await;
    for number in 0..3 {
        rig.publish(number).await;
    }
    for _ in 0..12 {
        let receipt = next(&*consumer).await.receipt;
        consumer.settle(&receipt, fail("no")).await.unwrap();
    }
    let alone = next(&*consumer).await;
    assert!(alone.attempt == Some(5) || !rig.can.order, "{alone:?}");
    nothing(&*consumer).await;
    rig.publish("fresh").await;
    assert_eq!(key(&*consumer).await, ("fresh".to_owned(), 1));
    consumer.ack(&alone.receipt).await.unwrap();
    let then = next(&*consumer).await;
    assert!(then.attempt == Some(5) || !rig.can.order, "{then:?}");
}

async fn keys_are_found_unless_done_or_dead(adapter: Adapter) {
    let rig = adapter.start(Settings { attempts_max: 1, ..patient() }).await;
    let consumer = rig.subscribe(3).await;
    for key in ["done", "dead", "leased", "ready"] {
        rig.publish(key).await;
    }
    for _ in 0..3 {
        let delivery = next(&*consumer).await;
        let how = match delivery.message.key.as_str() {
            "done" => Settle::Ack,
            "dead" => fail("no"),
            _ => continue,
        };
        consumer.settle(&delivery.receipt, how).await.unwrap();
    }
    // More than one frame's worth.
    let strangers = (0..200).map(|n| format!("{n}{}", "x".repeat(1_000)));
    let asked = ["done", "dead", "leased", "ready"].map(str::to_owned).into_iter();
    let asked: Vec<String> = asked.chain(strangers).collect();
    let held = rig.broker.holds(&rig.topic, &asked).await.unwrap();
    assert_eq!(held.is_some(), rig.can.lookup);
    let Some(held) = held else { return };
    assert_eq!(held, ["leased", "ready"].map(str::to_owned).into());
    let elsewhere = rig.broker.holds("unheard-of", &asked).await.unwrap().unwrap();
    assert!(elsewhere.is_empty());
}

async fn a_lease_that_ends_frees_the_message_and_fences_the_zombie(adapter: Adapter) {
    for late in [None, Some(fail("late")), Some(Settle::Ack)] {
        fence(adapter, late).await;
    }
}

/// Extends first, or settles so.
async fn fence(adapter: Adapter, late: Option<Settle>) {
    // The second holder extends its lease, so that only the zombie is late. A server that has just begun may take
    // a second to count what it holds.
    let lease = Duration::from_millis(if adapter.is_served() { 3_000 } else { 300 });
    let rig = adapter.start(Settings { lease, attempts_max: 9, ..eager() }).await;
    rig.publish("a").await;
    let zombie = rig.subscribe(1).await;
    let old = next(&*zombie).await;
    let heir = rig.subscribe(1).await;
    let (new, awake) = within(async {
        tokio::select! {
            new = heir.next() => (new.unwrap(), &heir),
            new = zombie.next() => (new.unwrap(), &zombie),
        }
    })
    .await;
    assert_eq!(new.message.key, old.message.key);
    assert_eq!(new.attempt, Some(2));
    awake.extend(&new.receipt).await.unwrap();
    let answer = match &late {
        Some(how) => zombie.settle(&old.receipt, how.clone()).await,
        None => zombie.extend(&old.receipt).await,
    };
    assert_eq!(answer, Err(Error::Fenced), "{late:?}");
    assert_eq!(zombie.ack(&old.receipt).await, Err(Error::Fenced));
    // Where a message moves from one queue to another in two steps, the first may still be counted.
    rig.holds(depth(0, 0, 1, 0)).await;
    awake.ack(&new.receipt).await.unwrap();
    rig.holds(depth(0, 0, 0, 0)).await;
}

async fn a_heartbeat_keeps_the_lease(adapter: Adapter) {
    let lease = Duration::from_millis(600);
    let rig = adapter.start(Settings { lease, ..eager() }).await;
    rig.publish("a").await;
    let (consumer, other) = (rig.subscribe(1).await, rig.subscribe(1).await);
    let (delivery, holder) = within(async {
        tokio::select! {
            delivery = consumer.next() => (delivery.unwrap(), &consumer),
            delivery = other.next() => (delivery.unwrap(), &other),
        }
    })
    .await;
    let (begun, mut beat) = (Instant::now(), interval(lease / 6));
    while begun.elapsed() < lease * 2 {
        beat.tick().await;
        holder.extend(&delivery.receipt).await.unwrap();
    }
    rig.is(depth(0, 0, 1, 0)).await;
    holder.ack(&delivery.receipt).await.unwrap();
}

async fn a_delivery_that_was_forgotten_frees_its_place(adapter: Adapter) {
    let lease = adapter.short_lease();
    let rig = adapter.start(Settings { lease, ..eager() }).await;
    let consumer = rig.subscribe(1).await;
    rig.publish("a").await;
    assert_eq!(key(&*consumer).await, ("a".to_owned(), 1));
    assert_eq!(key(&*consumer).await, ("a".to_owned(), 2));
}

async fn a_dropped_consumer_gives_back_at_once(adapter: Adapter) {
    let rig = adapter.start(Settings { attempts_max: 1, ..patient() }).await;
    for number in 0..3 {
        rig.publish(number).await;
    }
    let consumer = rig.subscribe(2).await;
    let held = [next(&*consumer).await, next(&*consumer).await];
    drop(consumer);
    rig.holds(depth(3, 0, 0, 0)).await;
    let heir = rig.subscribe(4).await;
    let mut keys = Vec::new();
    for _ in 0..3 {
        let delivery = next(&*heir).await;
        assert_eq!(delivery.attempt, Some(1), "uncounted");
        keys.push(delivery.message.key);
    }
    if rig.can.order {
        assert_eq!(keys, ["2", "0", "1"], "behind what is fresh");
    }
    keys.sort();
    assert_eq!(keys, ["0", "1", "2"]);
    assert_eq!(heir.ack(&held[0].receipt).await, Err(Error::Fenced));
}

async fn a_full_topic_refuses_and_stores_nothing(adapter: Adapter) {
    let rig = adapter.start(Settings { depth_max: 3, attempts_max: 1, ..eager() }).await;
    let full = Err(Error::Full { topic: rig.topic.clone(), depth_max: 3 });
    for number in 0..3 {
        rig.publish(number).await;
    }
    assert_eq!(rig.broker.publish(&rig.topic, message("x")).await, full);
    rig.broker.publish(&format!("{}-other", rig.topic), message("y")).await.unwrap();
    let consumer = rig.subscribe(2).await;
    let (one, two) = (next(&*consumer).await, next(&*consumer).await);
    rig.holds(depth(1, 0, 2, 0)).await;
    assert_eq!(rig.broker.publish(&rig.topic, message("x")).await, full, "a lease counts");
    consumer.ack(&one.receipt).await.unwrap();
    rig.publish(3).await;
    assert_eq!(rig.broker.publish(&rig.topic, message("x")).await, full);
    consumer.settle(&two.receipt, fail("no")).await.unwrap();
    rig.publish(4).await;
    assert_eq!(rig.depth().await.dead, 1, "a dead letter does not count");
    assert_eq!(rig.broker.publish(&rig.topic, message("x")).await, full);
}

async fn a_replayed_letter_begins_anew_under_its_key(adapter: Adapter) {
    let rig = adapter.start(Settings { attempts_max: 1, ..eager() }).await;
    let consumer = rig.subscribe(1).await;
    let mut receipts = Vec::new();
    for number in 0..3 {
        rig.publish(number).await;
        let delivery = next(&*consumer).await;
        receipts.push(delivery.receipt.clone());
        consumer.settle(&delivery.receipt, fail("no")).await.unwrap();
    }
    rig.is(depth(0, 0, 0, 3)).await;
    assert_eq!(rig.broker.replay(&rig.topic, 2).await.unwrap(), 2);
    let delivery = next(&*consumer).await;
    assert_eq!(delivery.message, message(0));
    assert_eq!(delivery.attempt.unwrap(), 1, "attempts begin anew");
    for old in receipts {
        assert_eq!(consumer.ack(&old).await, Err(Error::Fenced), "a receipt from before the death");
    }
    consumer.ack(&delivery.receipt).await.unwrap();
    assert_eq!(key(&*consumer).await, ("1".to_owned(), 1));
    let left = rig.broker.dead(&rig.topic, 10).await.unwrap();
    assert_eq!(left.iter().map(|l| l.message.key.as_str()).collect::<Vec<_>>(), ["2"]);
}

async fn a_replay_keeps_the_bound(adapter: Adapter) {
    let rig = adapter.start(Settings { depth_max: 2, attempts_max: 1, ..eager() }).await;
    let consumer = rig.subscribe(1).await;
    for number in 0..3 {
        rig.publish(number).await;
        let delivery = next(&*consumer).await;
        consumer.settle(&delivery.receipt, fail("no")).await.unwrap();
    }
    rig.publish("x").await;
    // In work, so that nobody moves it meanwhile.
    next(&*consumer).await;
    assert_eq!(rig.broker.replay(&rig.topic, 10).await.unwrap(), 1);
    assert_eq!(rig.broker.replay(&rig.topic, 10).await.unwrap(), 0);
    rig.holds(depth(1, 0, 1, 2)).await;
}

async fn what_breaks_a_limit_is_refused(adapter: Adapter) {
    let rig = adapter.start(patient()).await;
    let invalid = |outcome: Result<(), Error>| match outcome {
        Err(Error::Invalid(text)) => text,
        other => panic!("expected Invalid, found {other:?}"),
    };
    let payload = bytes::Bytes::from(vec![7; 48 * 1024 + 1]);
    let large = Message { payload, ..Message::default() };
    let text = invalid(rig.broker.publish(&rig.topic, large).await);
    assert!(text.contains("49153") && text.contains("49152"), "{text}");
    for name in ["", "white space", "slash/ed", &"x".repeat(129)] {
        invalid(rig.broker.publish(name, message("k")).await);
    }
    for prefetch in [0, 4_097] {
        let outcome = rig.broker.subscribe(&rig.topic, SubscribeOptions { prefetch }).await;
        invalid(outcome.map(drop));
    }
}

async fn the_largest_letters_are_listed_whole(adapter: Adapter) {
    let rig = adapter.start(Settings { attempts_max: 8, ..eager() }).await;
    let payload = bytes::Bytes::from(vec![7; 48 * 1024]);
    let largest = Message { payload, ..Message::default() };
    let consumer = rig.subscribe(1).await;
    for _ in 0..3 {
        rig.broker.publish(&rig.topic, largest.clone()).await.unwrap();
        for attempt in 1..=8 {
            let delivery = next(&*consumer).await;
            assert_eq!(delivery.message, largest);
            let text = format!("{attempt}{}", "ü".repeat(5_000));
            consumer.settle(&delivery.receipt, fail(&text)).await.unwrap();
        }
    }
    let letters = rig.broker.dead(&rig.topic, 10).await.unwrap();
    assert_eq!(letters.len(), 3);
    for letter in letters {
        assert_eq!(letter.message, largest);
        assert_eq!(letter.errors.len(), 8);
        assert!(letter.errors.iter().all(|e| (1_000..=1_024).contains(&e.text.len())));
    }
    assert_eq!(rig.broker.dead(&rig.topic, 2).await.unwrap().len(), 2);
}
