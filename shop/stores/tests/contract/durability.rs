//! What only a file can promise: it outlives its process, however that ends. A killed process does
//! not show what a loss of power would take: that rests on `synchronous=FULL`, asserted elsewhere.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use shop::{Error, Handover, Order, OrderStatus, Reader};
use stores::Stores;

use crate::sample::{OUTBOX, customer, everything, insert, order, paid, race, user};

const URL: &str = "TRIPTYCH_TEST_KILLED_URL";
const WRITERS: usize = 16;
/// What a child writes if nobody kills it.
const ORDERS_PER_WRITER: usize = 20_000;

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

#[tokio::test]
async fn data_survive_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    let ordered = order(customer(1));
    let stores = stores::open(&url(&path)).unwrap();
    stores.users.insert(user(1, "ann@example.com")).await.unwrap();
    stores.orders.insert(ordered.clone(), OUTBOX).await.unwrap();
    stores.payments.record(paid(&ordered.key, "ch-1")).await.unwrap();
    drop(stores);
    let stores = stores::open(&url(&path)).unwrap();
    assert!(stores.users.find("ann@example.com").await.unwrap().is_some());
    let found = stores.payments.find(&ordered.key).await.unwrap();
    assert_eq!(found, Some(paid(&ordered.key, "ch-1")));
    assert_eq!(everything(&stores, Reader::Operator).await, [ordered]);
    let full = stores.orders.insert(order(customer(1)), Handover::Outbox { most: 1 }).await;
    assert!(matches!(full, Err(Error::Busy(_))), "the row from before counts");
    assert_eq!(stores.outbox.backlog().await.unwrap().charges, 1);
}

/// On one thread all racers queue their first transaction before any hears of its end.
#[tokio::test]
async fn writers_share_commits() {
    let dir = tempfile::tempdir().unwrap();
    let stores = stores::open(&url(&dir.path().join("shop.db"))).unwrap();
    race(|n| {
        let stores = stores.clone();
        async move {
            for _ in 0..10 {
                insert(&stores, &order(customer(n as u128))).await;
            }
        }
    })
    .await;
    let stats = stores.stats().unwrap();
    assert_eq!(stats.transactions, 320);
    assert!(stats.commits < stats.transactions, "{stats:?}");
}

/// What a child said it had done.
#[derive(Default)]
struct Said {
    placed: HashSet<String>,
    settled: HashSet<String>,
}

#[tokio::test]
async fn what_a_killed_process_called_durable_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    let mut said = Said::default();
    for lines in [700, 1, 1_500] {
        run_and_kill(&path, lines, &mut said);
        check(&path, &said).await;
    }
}

/// Starts this test binary as a child, kills it after so many lines, and reads on to the end.
fn run_and_kill(path: &Path, lines: usize, said: &mut Said) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "durability::child_that_writes_until_it_is_killed", "--nocapture"])
        .env(URL, url(path))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (mut line, mut seen) = (String::new(), 0);
    while out.read_line(&mut line).unwrap() > 0 {
        // The last line may be cut off.
        if let Some((word, key)) = line.strip_suffix('\n').and_then(|l| l.split_once(' ')) {
            let new = match word {
                "placed" => said.placed.insert(key.to_owned()),
                "settled" => said.settled.insert(key.to_owned()),
                _ => false,
            };
            seen += usize::from(new);
            if new && seen == lines {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    let status = child.wait().unwrap();
    assert!(seen >= lines && !status.success(), "{seen} lines, then {status}");
}

async fn check(path: &Path, said: &Said) {
    let stores = stores::open(&url(path)).unwrap();
    let orders = everything(&stores, Reader::Operator).await;
    let placed: HashSet<_> = orders.iter().map(|o| o.key.clone()).collect();
    let paid = |o: &&Order| o.status == OrderStatus::Paid;
    let settled: HashSet<_> = orders.iter().filter(paid).map(|o| o.key.clone()).collect();
    assert_eq!(said.placed.difference(&placed).count(), 0, "orders were lost");
    assert_eq!(said.settled.difference(&settled).count(), 0, "settlements were lost");
    let owed = stores.outbox.unsent(u32::MAX).await.unwrap();
    let owed: HashSet<_> = owed.into_iter().map(|(_, charge)| charge.key).collect();
    assert_eq!(owed, placed, "an order and its outbox row come together");
    drop(stores);
    let file = rusqlite::Connection::open(path).unwrap();
    let verdict: String =
        file.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

/// Not a test by itself: does nothing unless [`run_and_kill`] started it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_writes_until_it_is_killed() {
    let Ok(url) = std::env::var(URL) else { return };
    let stores = stores::open(&url).unwrap();
    say("\nready", ""); // the harness may have begun a line
    let writers: Vec<_> = (0..WRITERS).map(|_| tokio::spawn(write(stores.clone()))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn write(stores: Stores) {
    for n in 0..ORDERS_PER_WRITER {
        let ordered = order(customer(1));
        let key = ordered.key.clone();
        stores.orders.insert(ordered, OUTBOX).await.unwrap();
        say("placed", &key);
        if n % 2 == 0 {
            stores.orders.settle(paid(&key, "ch-1"), 7).await.unwrap();
            say("settled", &key);
        }
    }
}

/// Past the harness's capture; fails, and so ends the child, if the parent is gone.
fn say(word: &str, key: &str) {
    std::io::stdout().lock().write_all(format!("{word} {key}\n").as_bytes()).unwrap();
}
