//! Customers who ask again while payments is down.

use std::collections::BTreeMap;

use record::history;
use record::read::Trial;
use record::{Answer, Attempt, Operation, Outcome};

use crate::bench::Bench;

/// Orders of the last second before the restart come again after it.
const DOWN: &str = r#"about = "Payments is down for two seconds, and customers ask again."
start = 30
stages = [{ duration = "8s", rate = 30 }]
warm_up = "0s"
drain = "30s"
customers = 2
mix = { place = 80, get = 20 }
provider = { latency = "constant:5ms" }
retries = { attempts = 4, longest = "2s" }

[[fault]]
at = "2s"
for = "2s"
harm = "payments"
kind = "kill"
"#;

#[tokio::test]
async fn an_order_that_is_asked_for_again_is_one_order() {
    let bench = Bench::new();
    let scenario = bench.file("down.toml", DOWN);
    let output = bench.call(&["run", &scenario, "-s", "microservices-sync"]).await;
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    bench.is_deserted();
    let folder = bench.latest().join("down/microservices-sync/1");
    let trial = Trial::read(&folder).unwrap().unwrap();
    let mut lives = BTreeMap::<String, Vec<Attempt>>::new();
    for attempt in history::read(&folder).unwrap().map(Result::unwrap) {
        if attempt.operation == Operation::Place {
            lives.entry(attempt.key.clone()).or_default().push(attempt);
        }
    }
    let rescued =
        lives.values().filter(|life| life.len() > 1 && life[life.len() - 1].outcome == Outcome::Ok);
    assert!(rescued.count() > 0, "nobody was acknowledged at a later attempt");
    for life in lives.values() {
        assert!(life.iter().enumerate().all(|(n, a)| usize::from(a.retry) == n), "{life:?}");
        assert!(life.iter().all(|a| a.amount_cents == life[0].amount_cents), "{life:?}");
        assert!(life.iter().rev().skip(1).all(|a| a.again && a.outcome != Outcome::Ok), "{life:?}");
        assert!(!life[life.len() - 1].again, "{life:?}");
        // What an answer says is of the order that was asked for.
        let ids = life.iter().map(|a| &a.order).filter(|id| !id.is_empty());
        assert!(ids.collect::<std::collections::BTreeSet<_>>().len() <= 1, "{life:?}");
    }
    let manifest = &trial.manifest;
    let counts = manifest.requests[&Operation::Place];
    assert!(counts.closes() && counts.scheduled as usize == lives.len(), "{counts:?}");
    let of_place = manifest.attempts.iter().filter(|kind| kind.operation == Operation::Place);
    let attempts: u64 = of_place.map(|kind| kind.count).sum();
    assert_eq!(attempts as usize, lives.values().map(Vec::len).sum::<usize>());
    let rows = trial.timeline.iter().filter(|row| row.operation == Operation::Place);
    let told: u64 = rows.filter_map(|row| row.attempts).sum();
    assert_eq!(told, attempts);
    assert!(manifest.parity["retries of customers"].starts_with("4 attempts of an order"));
    let verdict = trial.audit.unwrap();
    assert_eq!(verdict.verdict, Answer::True, "{verdict:?}");
}

#[tokio::test]
async fn a_drain_that_is_too_short_for_all_attempts_is_refused() {
    let bench = Bench::new();
    let scenario = bench.file("short.toml", &DOWN.replace("drain = \"30s\"", "drain = \"20s\""));
    let output = bench.call(&["run", &scenario, "-s", "microservices-sync"]).await;
    let parts = ["short.toml", "drain is 20s; expected 26 s or more", "all attempts of an order"];
    crate::bench::says(&output, 1, &parts);
    bench.is_clean();
}
