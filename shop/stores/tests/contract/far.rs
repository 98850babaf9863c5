//! What a database in another process can promise: it is killed, frozen, away or wrongly set, and what was
//! answered is there.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use postgres_pool::{Error as PoolError, PASSWORD, Pool, Schema, Target};
use shop::{
    Begun, Charge, Charged, Error, Handover, Listed, Most, Order, OrderService, Payments, Reader,
    Tasks, UserId, Verify, keep_recovering,
};
use stores::Stores;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::sample::{OUTBOX, RACERS, customer, everything, insert, order, paid, race};
use crate::server::{Server, within};
use crate::spread::{move_and_are_served, one_more_gets_its_part};

const WRITERS: usize = 16;
const KILLS: usize = 3;
const ORDERS_PER_LIFE: usize = 200;
/// No caller waits for longer than this for an answer that does not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Places and settles until that fails; the keys of what was answered.
async fn write(stores: Stores, done: Arc<AtomicUsize>) -> (Vec<String>, Vec<String>) {
    let (mut placed, mut settled) = (Vec::new(), Vec::new());
    loop {
        let ordered = order(customer(1));
        let key = ordered.key.clone();
        if stores.orders.insert(ordered, OUTBOX).await.is_err() {
            return (placed, settled);
        }
        placed.push(key.clone());
        if stores.orders.settle(paid(&key, "ch-1"), 7).await.is_err() {
            return (placed, settled);
        }
        settled.push(key);
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_kill_9_of_the_server() {
    let Some(mut server) = Server::away() else { return };
    let stores = server.stores();
    let (mut placed, mut settled) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..KILLS {
        server.start().await;
        server.serves(&stores).await;
        let (mut writers, done) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..WRITERS {
            writers.spawn(write(stores.clone(), Arc::clone(&done)));
        }
        within(async {
            while done.load(Ordering::Relaxed) < ORDERS_PER_LIFE {
                tokio::task::yield_now().await;
            }
        })
        .await;
        server.running.take().unwrap().kill().await.unwrap();
        for (more_placed, more_settled) in writers.join_all().await {
            placed.extend(more_placed);
            settled.extend(more_settled);
        }
    }
    server.start().await;
    server.serves(&stores).await;
    let orders = everything(&stores, Reader::Operator).await;
    let found: BTreeSet<_> = orders.iter().map(|order| order.key.clone()).collect();
    let final_ones: BTreeSet<_> =
        orders.iter().filter(|order| order.settled_at.is_some()).map(|o| o.key.clone()).collect();
    assert_eq!(placed.difference(&found).count(), 0, "orders were lost");
    assert_eq!(settled.difference(&final_ones).count(), 0, "settlements were lost");
    let owed = stores.outbox.unsent(u32::MAX).await.unwrap();
    let owed: BTreeSet<_> = owed.into_iter().map(|(_, charge)| charge.key).collect();
    assert_eq!(owed, found, "an order and its outbox row come together");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_may_come_later_than_its_clients() {
    let Some(mut server) = Server::away() else { return };
    let stores = server.stores();
    let refused = stores.users.find("ann@example.com").await.err().unwrap();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
    server.start().await;
    server.serves(&stores).await;
    insert(&stores, &order(customer(1))).await;
    server.running.take().unwrap().stop().await.unwrap();
    assert!(stores.clone().check().await.is_err());
    server.start().await;
    server.serves(&stores).await;
    assert_eq!(everything(&stores, Reader::Operator).await.len(), 1);
}

/// More wait than there are connections: none of these is lost with who gave up on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_a_frozen_server_is_refused_in_time_and_served_again_after() {
    let Some(mut server) = Server::away() else { return };
    server.start().await;
    let stores = server.stores();
    server.serves(&stores).await;
    let begun = Instant::now();
    server.running.as_ref().unwrap().freeze().await.unwrap();
    let mut asking = JoinSet::new();
    for _ in 0..WRITERS * 2 {
        let stores = stores.clone();
        asking.spawn(async move { stores.payments.find("a").await });
    }
    // Who gives up earlier than it is answered takes no connection away.
    let gives_up = tokio::time::timeout(Duration::from_millis(50), stores.clone().check()).await;
    assert!(gives_up.is_err());
    for told in asking.join_all().await {
        assert!(matches!(told, Err(Error::TimedOut(_) | Error::Unavailable(_))), "{told:?}");
    }
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    server.running.as_ref().unwrap().thaw();
    server.serves(&stores).await;
    let mut asking = JoinSet::new();
    for _ in 0..WRITERS * 2 {
        let stores = stores.clone();
        asking.spawn(async move { stores.clone().check().await });
    }
    for told in asking.join_all().await {
        assert_eq!(told, Ok(()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_would_lose_what_it_answers_is_refused() {
    let Some(mut server) = Server::away() else { return };
    server.start().await;
    server.serves(&server.stores()).await;
    let pool = Pool::new(Target::parse(&server.address()).unwrap(), None);
    for (setting, told) in [("fsync", "fsync is off"), ("synchronous_commit", "commit is off")] {
        set(&pool, &format!("alter system set {setting} = off")).await;
        let refused = within(async {
            loop {
                if let Err(refused) = server.stores().check().await {
                    break refused;
                }
            }
        })
        .await;
        assert!(matches!(&refused, Error::Unavailable(text) if text.contains(told)), "{refused}");
        set(&pool, &format!("alter system reset {setting}")).await;
        server.serves(&server.stores()).await;
    }
    let lax = format!("postgres://{}?synchronous=off", server.address());
    let stores = stores::open(&lax).unwrap();
    assert_eq!(stores.clone().check().await, Ok(()));
    assert!(stores.told().contains("may be lost"), "{}", stores.told());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_up_leaves_his_connection_to_others() {
    let Some(mut server) = Server::away() else { return };
    server.start().await;
    server.serves(&server.stores()).await;
    let target = Target::parse(&format!("{}?pool=1", server.address())).unwrap();
    let other = Pool::new(target.clone(), None);
    let until = async |sql: &str| {
        within(async {
            loop {
                if let Some(told) = other.run(sql).await.unwrap() {
                    break told;
                }
            }
        })
        .await
    };
    other.run("create database own").await.unwrap();
    let slow = Schema { name: "slow", migrations: &["select pg_sleep(1)"] };
    let pool = Pool::new(target.database("own"), Some(slow));
    // It is made to its end although who asks gives up meanwhile.
    let making =
        "select pid from pg_stat_activity where datname = 'own' and wait_event = 'PgSleep'";
    let made = tokio::select! {
        _ = pool.run("select 1") => panic!("nobody waited for it"),
        made = until(making) => made,
    };
    let own = pool.run("select pg_backend_pid()").await.unwrap().unwrap();
    assert_eq!(own, made);
    // It is there again when what was asked has ended.
    let sleeps =
        format!("select 1 from pg_stat_activity where pid = {own} and wait_event = 'PgSleep'");
    tokio::select! {
        _ = pool.ask("select pg_sleep(2)", &[]) => panic!("nobody waited for it"),
        _ = until(&sleeps) => {}
    }
    assert_eq!(pool.run("select pg_backend_pid()").await.unwrap().unwrap(), own);
    tokio::select! {
        _ = pool.run("select pg_sleep(2)") => panic!("nobody waited for it"),
        _ = until(&sleeps) => {}
    }
    assert_eq!(pool.run("select pg_backend_pid()").await.unwrap().unwrap(), own);
}

/// Changes a setting of the whole server.
async fn set(pool: &Pool, sql: &str) {
    pool.run(sql).await.unwrap();
    pool.run("select pg_reload_conf()").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_passes_an_order_that_commits_late() {
    let Some(mut server) = Server::away() else { return };
    server.start().await;
    let stores = server.stores();
    server.serves(&stores).await;
    let [late, early] = [order(customer(1)), order(customer(1))];
    let target = Target::parse(&format!("{}?pool=1", server.address())).unwrap();
    let writer = Pool::new(target, None);
    // One that has drawn its number and is not committed.
    writer
        .run(&format!("begin; delete from gate where false; {}", insertion(&late)))
        .await
        .unwrap();
    insert(&stores, &early).await;
    let (page, pending) = (stores.clone(), stores.clone());
    let most = Most { orders: 9, bytes: usize::MAX };
    let page = tokio::spawn(async move { page.orders.list(Reader::Operator, None, most).await });
    let pending = tokio::spawn(async move { pending.orders.pending(0..i64::MAX, 9).await });
    let gates = "select count(*) from pg_locks where relation = 'gate'::regclass and not granted";
    let other = Pool::new(Target::parse(&server.address()).unwrap(), None);
    within(async {
        while other.run(gates).await.unwrap().as_deref() != Some("2") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    writer.run("commit").await.unwrap();
    let keys = |listed: Listed| listed.orders.into_iter().map(|o| o.key).collect::<Vec<_>>();
    let expected = [late.key.clone(), early.key.clone()];
    assert_eq!(keys(page.await.unwrap().unwrap()), expected);
    let pending = pending.await.unwrap().unwrap();
    let found: Vec<_> = pending.orders.into_iter().map(|(_, order)| order.key).collect();
    assert_eq!((found, pending.newest), (expected.to_vec(), 2));
}

fn insertion(order: &Order) -> String {
    let Order { id, key, customer, .. } = order;
    format!(
        "insert into orders (id, key, customer, fingerprint, items, total_cents, status, created_at)
         values ('{}', '{key}', '{}', '', '[]', 1, 'pending', 1)",
        id.0, customer.0
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_processes_one_charges_and_one_relays() {
    let Some(mut server) = Server::away() else { return };
    server.start().await;
    let clients = [server.stores(), server.stores()];
    server.serves(&clients[0]).await;
    let (span, soon) = (Duration::from_secs(60), Duration::from_secs(2));
    let charge = Charge { key: "a".to_owned(), amount_cents: 900, card: "card".to_owned() };
    let begun = race(|n| {
        let (payments, charge) = (clients[n % 2].payments.clone(), charge.clone());
        async move { payments.begin(&charge, soon).await.unwrap() }
    })
    .await;
    let ours = begun.iter().filter(|begun| **begun == Begun::Ours).count();
    let theirs = begun.iter().filter(|begun| **begun == Begun::Theirs).count();
    assert_eq!((ours, theirs), (1, RACERS - 1));
    within(async {
        // Whoever had it is gone.
        while clients[1].payments.begin(&charge, span).await.unwrap() != Begun::Ours {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(clients[0].payments.begin(&charge, span).await, Ok(Begun::Theirs));
    for _ in 0..RACERS {
        clients[0].orders.insert(order(customer(1)), OUTBOX).await.unwrap();
    }
    let claimed = race(|n| {
        let outbox = clients[n % 2].outbox.clone();
        async move { outbox.claim(0, 2, span).await.unwrap() }
    })
    .await;
    let numbers: Vec<_> = claimed.concat().into_iter().map(|(number, _)| number).collect();
    let apart: BTreeSet<_> = numbers.iter().copied().collect();
    assert_eq!(apart.len(), numbers.len(), "nothing is claimed twice: {numbers:?}");
    assert_eq!(clients[1].outbox.unsent(1_000).await.unwrap().len(), RACERS);
}

/// Two clients, each of a process of its own, of a server that has these orders, pending.
async fn with_pending(server: &mut Server, orders: usize) -> [Stores; 2] {
    server.start().await;
    let clients = [server.stores(), server.stores()];
    server.serves(&clients[0]).await;
    let mut inserting = JoinSet::new();
    for _ in 0..orders {
        let stores = clients[0].clone();
        inserting.spawn(async move { insert(&stores, &order(customer(1))).await });
    }
    inserting.join_all().await;
    clients
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_sweeps_one_has_an_order() {
    let Some(mut server) = Server::away() else { return };
    let clients = with_pending(&mut server, RACERS).await;
    let (span, soon) = (Duration::from_secs(60), Duration::from_secs(2));
    let everything: Vec<i64> = (1..=RACERS as i64 + 1).collect();
    let claimed = race(|n| {
        let (orders, numbers) = (clients[n % 2].orders.clone(), everything.clone());
        async move { orders.claim(numbers, soon).await.unwrap() }
    })
    .await;
    let mut claimed = claimed.concat();
    claimed.sort_unstable();
    assert_eq!(claimed, everything[..RACERS], "each once, and none that is not there");
    let [one, other] = clients.map(|stores| stores.orders);
    within(async {
        // Whoever had it is gone.
        while one.claim(vec![1], span).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(other.claim(vec![1], span).await, Ok(vec![]), "for so long");
    one.let_go(vec![1]).await.unwrap();
    assert_eq!(other.claim(vec![1], soon).await, Ok(vec![1]), "until he lets go");
    other.let_go(vec![1]).await.unwrap();
    let (_, first) = one.pending(0..2, 1).await.unwrap().orders.remove(0);
    one.settle(paid(&first.key, "ch-1"), 7).await.unwrap();
    assert_eq!(other.claim(vec![1], soon).await, Ok(vec![]), "it is final");
}

const LEFT: usize = 400;

/// Pays whatever it is asked for, after as long as a card network takes; remembers for which keys.
#[derive(Default)]
struct Register(Mutex<Vec<String>>);

#[async_trait]
impl Payments for Register {
    async fn charge(&self, charge: Charge) -> shop::Result<Charged> {
        self.0.lock().unwrap().push(charge.key.clone());
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(Charged::Now(paid(&charge.key, &format!("ch-{}", charge.key))))
    }
}

struct Nobody;

#[async_trait]
impl Verify for Nobody {
    async fn verify(&self, _: &str) -> shop::Result<UserId> {
        Err(Error::Unauthenticated("nobody is known here".to_owned()))
    }
}

/// A sweep of a process of its own.
fn sweep(stores: &Stores, register: &Arc<Register>) -> AbortHandle {
    let (payments, tasks) = (Arc::clone(register) as _, Arc::new(Tasks::new(1_000, |work| work)));
    let orders = stores.orders.clone();
    let service = OrderService::new(Arc::new(Nobody), orders, payments, String::new(), tasks, None);
    let every = Duration::from_millis(50);
    let tell = |_: usize, error: &Error| println!("{error}");
    let (service, age) = (Arc::new(service), Duration::ZERO);
    tokio::spawn(keep_recovering(service, age, every, 64, tell)).abort_handle()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sweeps_of_a_database_charge_each_order_once() {
    let Some(mut server) = Server::away() else { return };
    let clients = with_pending(&mut server, LEFT).await;
    let register = Arc::new(Register::default());
    let begun = Instant::now();
    let sweeps = clients.each_ref().map(|stores| sweep(stores, &register));
    within(async {
        while !clients[0].orders.pending(0..i64::MAX, 1).await.unwrap().orders.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    sweeps.iter().for_each(AbortHandle::abort);
    let asked = std::mem::take(&mut *register.0.lock().unwrap());
    let keys: BTreeSet<_> = asked.iter().collect();
    println!("{} charges of {} orders in {:?}", asked.len(), keys.len(), begun.elapsed());
    assert_eq!((asked.len(), keys.len()), (LEFT, LEFT));
}

const WORD: &str = "word-of-this-test";

/// The process that system files start.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_know_the_password_stays_outside() {
    // Whether it is installed.
    if Server::away().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (port, http) = (servers::free_port().unwrap(), servers::free_port().unwrap());
    let mut process = Command::new(env!("CARGO_BIN_EXE_database"));
    process
        .args(["--server", "postgres", "--port", &port.to_string(), "--data"])
        .arg(folder.path());
    process.args(["--http", &format!("127.0.0.1:{http}")]);
    process.args(["--database", "auth", "--database", "o'\"rders"]).env(PASSWORD, WORD);
    let mut process = Process(process.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let target = Target::parse(&format!("shop@127.0.0.1:{port}")).unwrap();
    let right = Pool::new(target.clone().password(WORD), None);
    within(async {
        while right.run("select 1").await.is_err() || !is_ready(http) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let made = "select count(*) from pg_database where datname in ('auth', 'o''\"rders')";
    assert_eq!(right.run(made).await, Ok(Some("2".to_owned())));
    let wrong = Pool::new(target.clone().password("another"), None);
    let refused = wrong.run("select 1").await.unwrap_err();
    assert!(matches!(&refused, PoolError::Unfit(text) if text.contains("28P01")), "{refused}");
    assert!(Pool::new(target, None).run("select 1").await.is_err(), "without any");
    let id = process.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(process.0.wait().unwrap().success());
}

/// Whether the door at this port says so.
fn is_ready(http: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", http)) else { return false };
    let asked = "GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n";
    let mut told = String::new();
    let exchanged =
        stream.write_all(asked.as_bytes()).and_then(|()| stream.read_to_string(&mut told));
    exchanged.is_ok() && told.starts_with("HTTP/1.1 200 ")
}

/// As after a database was lost whose copy had not all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_to_which_no_entry_leads_is_found_and_settled() {
    let Some(mut server) = Server::away() else { return };
    server.start().await;
    server.serves(&server.stores()).await;
    let stores = server.shards(2, 2).await;
    let orders: Vec<_> = (1..=8).map(|n| order(customer(n))).collect();
    for order in &orders {
        insert(&stores, order).await;
    }
    for database in ["orders_1", "orders_2"] {
        let target = Target::parse(&server.address()).unwrap().database(database);
        Pool::new(target, None).run("delete from entries").await.unwrap();
    }
    let most = Most { orders: 1, bytes: usize::MAX };
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = stores.orders.list(Reader::Operator, after, most).await.unwrap();
        found.extend(page.orders);
        after = found.last().map(|order| order.id);
        if !page.more {
            break;
        }
    }
    assert_eq!(found, orders);
    for order in &orders {
        let read = stores.orders.get(Reader::Operator, order.id).await.unwrap();
        assert_eq!(read.as_ref(), Some(order));
        let settled = stores.orders.settle(paid(&order.key, "ch-1"), 7).await.unwrap();
        assert_eq!((settled.key.as_str(), settled.settled_at), (order.key.as_str(), Some(7)));
    }
    let nobodys = stores.orders.settle(paid("nobody's", "ch-2"), 8).await;
    assert_eq!(nobodys.err(), Some(Error::NotFound));
    let unknown = stores.orders.get(Reader::Operator, order(customer(9)).id).await;
    assert_eq!(unknown, Ok(None));
}

/// They are moved as those in files are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_move_between_databases_of_a_server() {
    for databases in [5, 3] {
        let Some(mut server) = Server::away() else { return };
        server.start().await;
        server.serves(&server.stores()).await;
        let stores = server.shards(2, databases).await;
        if databases == 3 {
            move_and_are_served(stores).await;
            continue;
        }
        one_more_gets_its_part(|| stores::open(&server.url_of_shards(3, databases)).unwrap()).await;
        let part = format!("postgres://{}", server.address().replace("/postgres", "/orders_1"));
        let refused = stores::open(&part).unwrap().check().await;
        let is_told = |text: &str| text.contains("name all of them");
        assert!(matches!(&refused, Err(Error::Unavailable(text)) if is_told(text)), "{refused:?}");
    }
}

/// What is final is read from a copy, also while the one that writes stands still; what is pending is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_final_is_read_from_a_copy() {
    let Some(mut server) = Server::away() else { return };
    server.start().await;
    server.serves(&server.stores()).await;
    let mut copy = server.copy();
    copy.start().await;
    let url = |how: &str| {
        let (one, other) = (server.port(), copy.port());
        format!("postgres://shop@127.0.0.1:{one},127.0.0.1:{other}/postgres?{how}")
    };
    let stores = stores::open(&url("pool=4&reads=copy")).unwrap();
    let (settles, waits) = (order(customer(1)), order(customer(1)));
    insert(&stores, &settles).await;
    insert(&stores, &waits).await;
    let settled = stores.orders.settle(paid(&settles.key, "ch-1"), 7).await.unwrap();
    assert_eq!(stores.orders.get(Reader::Operator, waits.id).await, Ok(Some(waits.clone())));
    let target = Target::parse(&format!("127.0.0.1:{}", copy.port())).unwrap();
    let pool = Pool::new(target, None);
    within(async {
        let asked = "select 1 from orders where status = 'paid'";
        while !pool.ask(asked, &[]).await.is_ok_and(|rows| rows.len() == 1) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let running = server.running.as_ref().unwrap();
    running.freeze().await.unwrap();
    // The pool to the copy may not have a connection yet, and gives up soon where one is asked for.
    let read = within(async {
        loop {
            let read = stores.orders.get(Reader::Customer(settles.customer), settles.id).await;
            if read.is_ok() {
                return read;
            }
        }
    });
    assert_eq!(read.await, Ok(Some(settled)));
    let read = stores.orders.get(Reader::Operator, waits.id).await;
    assert!(matches!(read, Err(Error::TimedOut(_) | Error::Unavailable(_))), "{read:?}");
    running.thaw();
    assert_eq!(within(stores.orders.get(Reader::Operator, waits.id)).await, Ok(Some(waits)));
}

/// Nobody lists past an insertion whose end nobody knows, and not for ever: then it is there, or never will be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_insertion_without_a_known_end_is_waited_for() {
    let Some(mut server) = Server::away() else { return };
    server.start().await;
    server.serves(&server.stores()).await;
    let stores = server.shards(2, 2).await;
    let first = order(customer(1));
    insert(&stores, &first).await;
    let doubtful = order(customer(1));
    let pool = Pool::new(Target::parse(&server.address()).unwrap().database("orders_1"), None);
    let other = Pool::new(Target::parse(&server.address()).unwrap().database("orders_2"), None);
    for pool in [&pool, &other] {
        pool.run(
            "create function slow() returns trigger language plpgsql as
            $$begin perform pg_sleep(60); return new; end$$;
            create trigger slow before insert on orders execute function slow()",
        )
        .await
        .unwrap();
    }
    let placed = stores.orders.insert(doubtful.clone(), Handover::Direct).await;
    assert!(matches!(placed, Err(Error::TimedOut(_) | Error::Unavailable(_))), "{placed:?}");
    for pool in [&pool, &other] {
        within(async { while pool.run("drop trigger slow on orders").await.is_err() {} }).await;
    }
    let last = order(customer(1));
    insert(&stores, &last).await;
    let listed = within(async {
        loop {
            let most = Most { orders: 10, bytes: usize::MAX };
            if let Ok(listed) = stores.orders.list(Reader::Operator, None, most).await {
                return listed.orders;
            }
        }
    });
    assert_eq!(listed.await, [first, last], "it was cut off, and its number is given up");
}
