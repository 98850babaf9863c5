//! Customers who ask again, against servers that refuse at first.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

use super::*;
use crate::engine::{Customer, Policy, ShopTraffic, Source, Think, Users};
use crate::workload::Job;
use record::{Known, Trouble};
use scenario::config::Span;
use scenario::{After, Retries};

const BUSY: &str = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(10);

fn order(request: &str) -> String {
    let key = request.split("Idempotency-Key: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let body = format!("{{\"id\":\"o\",\"key\":\"{key}\",\"status\":\"paid\"}}");
    format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn retries() -> Retries {
    Retries { backoff: Span(Duration::from_millis(20)), jitter: 0.0, ..Retries::default() }
}

fn jobs() -> impl Iterator<Item = Job> + Send {
    Workload::new(Mix { place: 1.0, ..Mix::default() }, 1, 1)
}

fn pacing(drain: Duration) -> Pacing {
    let start = Instant::now() + Duration::from_millis(50);
    Pacing {
        start,
        in_flight: 100,
        timeout: PATIENCE,
        drain,
        alone: false,
        real_time: false,
        flaw: Flaw::None,
    }
}

/// Orders of this source, asked for by a customer who asks again.
fn run(source: impl Source, address: SocketAddr, retries: Retries, drain: Duration) -> Vec<Sample> {
    let orders = [("o".into(), Known::Prepared)].into();
    let customer = Customer { token: "t".to_owned(), orders, ..Customer::default() };
    let hosts = ["auth:1", "orders:1"].map(|host| vec![host.to_owned()]);
    let traffic = ShopTraffic::new(vec![customer], hosts, "1".to_owned());
    let targets = vec![address.into(), address.into()];
    let (samples, recorded) = sync_channel(1_000);
    let gauges = Arc::new(Gauges::default());
    let engine = Engine::new(traffic, source, targets, pacing(drain), gauges, samples).unwrap();
    engine.with_retries(Some(Policy { retries, seed: 1 })).run().unwrap();
    recorded.iter().flatten().collect()
}

/// Counts attempts by request, and answers the n-th with what `answer` says.
fn counting(
    answer: impl Fn(&str, usize) -> Option<String> + Send + Sync + 'static,
) -> (SocketAddr, Arc<Mutex<HashMap<String, usize>>>) {
    let seen = Arc::new(Mutex::new(HashMap::<String, usize>::new()));
    let counts = Arc::clone(&seen);
    let address = serve(move |request| {
        let mut counts = counts.lock().unwrap();
        let count = counts.entry(request.to_owned()).or_default();
        *count += 1;
        answer(request, *count)
    });
    (address, seen)
}

#[test]
fn the_same_request_is_sent_again_until_it_is_acknowledged() {
    let (address, seen) = counting(|request, n| match n {
        1 => None,
        2 => Some(BUSY.to_owned()),
        _ => Some(order(request)),
    });
    let at_ns = |n: u64| n * 7_000_000;
    let source = Schedule::new((0..20).map(at_ns).zip(jobs()));
    let samples = run(source, address, retries(), PATIENCE);
    assert_eq!(samples.len(), 60);
    for seq in 0..20 {
        let mine: Vec<&Sample> = samples.iter().filter(|s| s.seq == seq).collect();
        let found: Vec<_> = mine.iter().map(|s| (s.retry, s.again, s.outcome, s.trouble)).collect();
        let expected = [
            (0, true, Outcome::Unknown, Trouble::Reset),
            (1, true, Outcome::Unknown, Trouble::None),
            (2, false, Outcome::Ok, Trouble::None),
        ];
        assert_eq!(found, expected);
        assert_eq!(mine[0].intended_ns, at_ns(seq), "an arrival keeps its instant");
        let paused = |n: usize| mine[n].intended_ns - mine[n - 1].done_ns;
        assert!(paused(1) >= 20_000_000 && paused(2) >= 40_000_000, "{mine:?}");
        assert!(mine.iter().all(|s| s.sent_ns >= s.intended_ns));
    }
    // Key and body are parts of the text: each was sent three times, to the byte.
    let seen = seen.lock().unwrap();
    assert!(seen.len() == 20 && seen.values().all(|count| *count == 3), "{seen:?}");
}

#[test]
fn a_customer_comes_when_told_to_and_leaves_when_that_is_too_late() {
    let told = |wait: &str| {
        let refusal = BUSY.replace("\r\n\r\n", &format!("\r\nretry-after: {wait}\r\n\r\n"));
        let (address, _) = counting(move |request, n| match n {
            1 => Some(refusal.clone()),
            _ => Some(order(request)),
        });
        run(Schedule::new([0].into_iter().zip(jobs())), address, retries(), PATIENCE)
    };
    let once_more = told("1");
    assert_eq!(once_more.len(), 2);
    assert!(once_more[1].intended_ns - once_more[0].done_ns >= 1_000_000_000);
    let left = told("6");
    assert_eq!((left.len(), left[0].again), (1, false), "the longest pause is 5 s");
}

#[test]
fn who_still_waits_when_the_drain_ends_is_not_awaited() {
    let (address, _) = counting(|_, _| Some(BUSY.to_owned()));
    let patient = Retries { backoff: Span::secs(5), ..retries() };
    let source = Schedule::new([0].into_iter().zip(jobs()));
    let samples = run(source, address, patient, Duration::from_millis(100));
    assert_eq!(samples.iter().map(|s| (s.retry, s.again)).collect::<Vec<_>>(), [(0, true)]);
}

#[test]
fn a_refused_connection_may_be_tried_again_and_other_refusals_are_final() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let one = || Schedule::new([0].into_iter().zip(jobs()));
    let refused = run(one(), nobody, retries(), PATIENCE);
    assert!(refused.len() == 3 && refused.iter().all(|s| s.trouble == Trouble::Refused));
    let only_unknown = Retries { after: vec![After::Unknown], ..retries() };
    assert_eq!(run(one(), nobody, only_unknown, PATIENCE).len(), 1);
    let (address, _) = counting(|_, _| Some(BUSY.replace("503", "422")));
    assert_eq!(run(one(), address, retries(), PATIENCE).len(), 1);
}

/// A user of a closed loop has one order at a time, however often he asks for it.
#[test]
fn a_user_who_asks_again_waits_for_the_last_answer() {
    let (address, _) = counting(|request, n| match n {
        1 => Some(BUSY.to_owned()),
        _ => Some(order(request)),
    });
    let users = Users::new(1, Think::new(0, 1), 150_000_000, jobs());
    let samples = run(users, address, retries(), PATIENCE);
    assert!(samples.len() >= 4, "{samples:?}");
    let order: Vec<_> = samples.iter().map(|s| (s.seq, s.retry)).collect();
    let expected = (0..).flat_map(|seq| [(seq, 0), (seq, 1)]).take(order.len());
    assert!(order.iter().copied().eq(expected), "{order:?}");
}
