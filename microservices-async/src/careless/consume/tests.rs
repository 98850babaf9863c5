//! What each manner does with a message whose work fails, and when it lets go of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use brokers::channel::Channel;
use brokers::{Broker, Depth, Settings};
use tokio::time::timeout;

use super::*;

const TOPIC: &str = "topic";
const ATTEMPTS: u32 = 3;
const LONG: Duration = Duration::from_secs(60);

/// One message whose work says this so many times, then that it is done: how often it was worked on, how many
/// messages somebody had at the first time, and what is left.
async fn worked(mode: ConsumeMode, trouble: Trouble, times: u32) -> (u32, u64, Depth) {
    let at_once = Backoff { base: Duration::ZERO, max: Duration::ZERO };
    let settings = Settings { attempts_max: ATTEMPTS, backoff: at_once, ..Settings::default() };
    let broker: Arc<dyn Broker> = Arc::new(Channel::new(settings));
    let topic: Topic<String> = Topic::new(Arc::clone(&broker), TOPIC);
    topic.publish("k", BTreeMap::new(), &"value".to_owned()).await.unwrap();
    let (count, held, stop) = (AtomicU32::new(0), AtomicU32::new(0), CancellationToken::new());
    let handle = |_: Received<String>| async {
        let before = count.fetch_add(1, Ordering::SeqCst);
        if before == 0 {
            let leased = broker.depth(TOPIC).await.unwrap().leased;
            held.store(leased as u32, Ordering::SeqCst);
        }
        if before < times { Err(trouble.clone()) } else { Ok(()) }
    };
    let options = SubscribeOptions { prefetch: 1 };
    // Time stands still until nobody can go on: then all that can be done is done.
    let consumed = timeout(LONG, consume(mode, &topic, options, &stop, handle)).await;
    assert!(consumed.is_err(), "it goes on");
    let left = broker.depth(TOPIC).await.unwrap();
    (count.into_inner(), held.into_inner().into(), left)
}

#[tokio::test(start_paused = true)]
async fn early_lets_go_before_the_work_and_forgets_what_failed() {
    for trouble in [Trouble::NotNow("x".into()), Trouble::Failed("x".into())] {
        assert_eq!(worked(ConsumeMode::Early, trouble, 9).await, (1, 0, Depth::default()));
    }
}

#[tokio::test(start_paused = true)]
async fn late_gives_back_what_failed_for_whatever_reason_and_counts_it() {
    let dead = Depth { dead: 1, ..Depth::default() };
    for trouble in [Trouble::NotNow("x".into()), Trouble::Failed("x".into())] {
        let (late, some) = (ConsumeMode::Late, ATTEMPTS - 1);
        assert_eq!(worked(late, trouble.clone(), some).await, (ATTEMPTS, 1, Depth::default()));
        assert_eq!(worked(late, trouble, 9).await, (ATTEMPTS, 1, dead));
    }
    let never = worked(ConsumeMode::Late, Trouble::Never("x".into()), 9).await;
    assert_eq!(never, (1, 1, dead));
}

#[tokio::test(start_paused = true)]
async fn without_a_fence_what_cannot_be_done_now_is_waited_for_in_hand() {
    let trouble = Trouble::NotNow("x".into());
    assert_eq!(worked(ConsumeMode::NoFence, trouble, 9).await, (10, 1, Depth::default()));
}
