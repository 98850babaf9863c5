//! What orders over several databases promise beyond what all stores do.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shop::{
    Charge, Error, Handover, Most, Move, Order, OrderStatus, Placed, Reader, Spread, Wider,
};
use stores::{OpenError, Stores};
use tokio::time::{Instant, sleep};

use crate::sample::{OUTBOX, customer, everything, insert, order, out_of_stock, paid};

const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(2);
/// Of these some go to each database.
const CUSTOMERS: u128 = 40;

fn url(folder: &Path, first: usize, databases: usize) -> String {
    let file = |n| format!("sqlite:{}", folder.join(format!("orders-{n}.db")).display());
    let urls: Vec<_> = (1..=databases).map(file).collect();
    format!("shards:{first};{}", urls.join(";"))
}

/// Orders over the first so many of these databases.
pub(crate) fn open(folder: &Path, first: usize, databases: usize) -> Stores {
    stores::open(&url(folder, first, databases)).unwrap()
}

fn spread(stores: &Stores) -> Arc<dyn Spread> {
    stores.spread().unwrap()
}

/// Waits until all is where it belongs.
async fn moved(stores: &Stores) -> Move {
    let end = Instant::now() + DEADLINE;
    loop {
        let told = spread(stores).told().await.unwrap();
        if let Some(moving) = told.moving.filter(|moving| moving.done) {
            return moving;
        }
        assert!(Instant::now() < end, "it does not end");
        sleep(POLL).await;
    }
}

async fn counts(stores: &Stores) -> Vec<u64> {
    spread(stores).told().await.unwrap().orders
}

/// Three orders of each customer: paid, declined for a reason, and pending with a charge that is owed.
async fn filled(stores: &Stores) -> Vec<Order> {
    let mut all = Vec::new();
    for n in 0..CUSTOMERS {
        let [settles, lacks, waits] = [(); 3].map(|()| order(customer(n)));
        insert(stores, &settles).await;
        insert(stores, &lacks).await;
        let placed = stores.orders.insert(waits.clone(), OUTBOX).await.unwrap();
        assert_eq!(placed, Placed::New(waits.clone()));
        all.push(stores.orders.settle(paid(&settles.key, "ch-1"), 7).await.unwrap());
        all.push(stores.orders.settle(out_of_stock(&lacks.key), 8).await.unwrap());
        all.push(waits);
    }
    all
}

/// What is owed, whoever has it.
async fn owed(stores: &Stores) -> Vec<Charge> {
    let rows = stores.outbox.unsent(10_000).await.unwrap();
    let mut charges: Vec<_> = rows.into_iter().map(|(_, charge)| charge).collect();
    charges.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    charges
}

async fn is_all_there(stores: &Stores, all: &[Order]) {
    assert_eq!(everything(stores, Reader::Operator).await, all);
    for n in 0..CUSTOMERS {
        let own: Vec<_> = all.iter().filter(|one| one.customer == customer(n)).cloned().collect();
        assert_eq!(everything(stores, Reader::Customer(customer(n))).await, own);
    }
    for one in all {
        let found = stores.orders.get(Reader::Operator, one.id).await;
        assert_eq!(found.as_ref(), Ok(&Some(one.clone())));
        let again = stores.orders.insert(one.clone(), Handover::Direct).await;
        assert_eq!(again, Ok(Placed::Existing(one.clone())));
    }
    let pending = stores.orders.pending(0..i64::MAX, 10_000).await.unwrap().orders;
    let numbers: Vec<_> = pending.iter().map(|(number, _)| *number).collect();
    assert!(numbers.is_sorted());
    let pending: Vec<_> = pending.into_iter().map(|(_, order)| order).collect();
    let expected = all.iter().filter(|one| one.status == OrderStatus::Pending);
    assert_eq!(pending, expected.cloned().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_database_more_gets_its_part_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    one_more_gets_its_part(|| open(folder.path(), 3, 5)).await;
}

/// Of three databases with two more.
pub(crate) async fn one_more_gets_its_part(open: impl Fn() -> Stores) {
    let stores = open();
    let all = filled(&stores).await;
    let (before, charges) = (counts(&stores).await, owed(&stores).await);
    assert_eq!(charges.len(), CUSTOMERS as usize);
    assert!(before[..3].iter().all(|orders| *orders > 0) && before[3..] == [0, 0], "{before:?}");
    spread(&stores).widen(Wider::Add {}).await.unwrap();
    let told = moved(&stores).await;
    let after = counts(&stores).await;
    assert_eq!(after.iter().sum::<u64>(), all.len() as u64, "{after:?}");
    assert!(after[3] > 0 && after[4] == 0, "{after:?}");
    assert_eq!((told.orders, told.customers * 3), (after[3], after[3]));
    assert_eq!(told.customers + told.stayed, CUSTOMERS as u64);
    is_all_there(&stores, &all).await;
    assert_eq!(owed(&stores).await, charges);
    assert_eq!(stores.outbox.backlog().await.unwrap().charges, charges.len() as u64);

    spread(&stores).widen(Wider::Split { of: 0 }).await.unwrap();
    moved(&stores).await;
    let split = counts(&stores).await;
    assert_eq!(split[1..4], after[1..4], "nobody else's");
    assert_eq!(split[0] + split[4], after[0]);
    assert!(split[4] > 0, "{split:?}");
    is_all_there(&stores, &all).await;
    for how in [Wider::Add {}, Wider::Split { of: 9 }] {
        let refused = spread(&stores).widen(how).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
    drop(stores);
    // Where they are now is found after a start.
    let stores = open();
    is_all_there(&stores, &all).await;
    let last = order(customer(1));
    insert(&stores, &last).await;
    assert_eq!(everything(&stores, Reader::Operator).await.last(), Some(&last), "numbers go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_promised_of_one_is_kept_by_all_together() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path(), 4, 4);
    let first = order(customer(0));
    insert(&stores, &first).await;
    for n in 1..CUSTOMERS {
        let same_id = Order { id: first.id, ..order(customer(n)) };
        let refused = stores.orders.insert(same_id, Handover::Direct).await;
        assert!(matches!(refused, Err(Error::Internal(_))), "{n}: {refused:?}");
    }
    let most = Handover::Outbox { most: 8 };
    for n in 0..CUSTOMERS {
        let placed = stores.orders.insert(order(customer(n)), most).await;
        match n {
            0..8 => assert!(matches!(placed, Ok(Placed::New(_))), "{n}: {placed:?}"),
            _ => {
                let is_told =
                    matches!(&placed, Err(Error::Busy(text)) if text.contains("8 charges"));
                assert!(is_told, "{n}: {placed:?}");
            }
        }
    }
    assert_eq!(owed(&stores).await.len(), 8);
    assert!(counts(&stores).await.iter().all(|orders| *orders < 8), "they are in several");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_visit_the_orders_of_all_in_their_sequence() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open(folder.path(), 4, 4);
    let all = filled(&stores).await;
    for orders in [1, 2, 7, 50] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let most = Most { orders, bytes: usize::MAX };
            let page = stores.orders.list(Reader::Operator, after, most).await.unwrap();
            assert!(page.orders.len() <= orders as usize);
            after = page.orders.last().map(|order| order.id);
            found.extend(page.orders);
            if !page.more {
                break;
            }
        }
        assert_eq!(found, all, "{orders} at once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_are_served_while_they_move() {
    let folder = tempfile::tempdir().unwrap();
    move_and_are_served(open(folder.path(), 2, 3)).await;
}

/// Of two databases with one more.
pub(crate) async fn move_and_are_served(stores: Stores) {
    let mut all = filled(&stores).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let customers = (0..4).map(|part| {
        let (stores, is_over) = (stores.clone(), Arc::clone(&is_over));
        tokio::spawn(async move {
            let mut placed = Vec::new();
            for round in 0.. {
                let is_last = is_over.load(Ordering::Relaxed);
                let who = customer((part + 4 * round) % CUSTOMERS);
                let mut one = order(who);
                insert(&stores, &one).await;
                if round % 2 == 0 {
                    one = stores.orders.settle(paid(&one.key, "ch-2"), 9).await.unwrap();
                }
                let own = everything(&stores, Reader::Customer(who)).await;
                assert!(own.contains(&one) && own.len() >= 4, "{own:?}");
                placed.push(one);
                if is_last {
                    return placed;
                }
            }
            placed
        })
    });
    let customers: Vec<_> = customers.collect();
    spread(&stores).widen(Wider::Add {}).await.unwrap();
    let busy = spread(&stores).widen(Wider::Add {}).await;
    assert!(matches!(busy, Err(Error::Busy(_) | Error::Invalid(_))), "{busy:?}");
    let told = moved(&stores).await;
    is_over.store(true, Ordering::Relaxed);
    for placed in customers {
        all.extend(placed.await.unwrap());
    }
    assert!(told.customers > 0 && told.error.is_none(), "{told:?}");
    let mut found = everything(&stores, Reader::Operator).await;
    assert_eq!(counts(&stores).await.iter().sum::<u64>(), all.len() as u64);
    for list in [&mut found, &mut all] {
        list.sort_unstable_by_key(|order| order.id);
    }
    assert_eq!(found, all);
}

/// As after a kill when all was copied and nothing forgotten: one has arrived in part, and one not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_was_cut_off_goes_on_after_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let [old, cut] = ["old", "cut"].map(|name| folder.path().join(name));
    for folder in [&old, &cut] {
        std::fs::create_dir(folder).unwrap();
    }
    let connected = |folder: &Path, n: usize| {
        rusqlite::Connection::open(folder.join(format!("orders-{n}.db"))).unwrap()
    };
    let copied = |n: usize| {
        let to = cut.join(format!("orders-{n}.db"));
        connected(&old, n).execute("vacuum into ?1", [to.display().to_string()]).unwrap();
    };
    let all = filled(&open(&old, 2, 3)).await;
    copied(1);
    copied(2);
    {
        let stores = open(&old, 2, 3);
        spread(&stores).widen(Wider::Add {}).await.unwrap();
        moved(&stores).await;
    }
    copied(3);
    let ask = "select text from notes where name = 'plan'";
    let plan: String = connected(&old, 1).query_row(ask, [], |row| row.get(0)).unwrap();
    let mut plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    plan["next"] = plan["now"].clone();
    plan["now"] = serde_json::json!({"ring": [0, 1], "splits": []});
    let changed = "update notes set text = ?1 where name = 'plan'";
    assert_eq!(connected(&cut, 1).execute(changed, [plan.to_string()]).unwrap(), 1);
    {
        let new = connected(&cut, 3);
        let mut arrived = new.prepare("select distinct customer from orders").unwrap();
        let arrived = arrived.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        let arrived: Vec<_> = arrived.map(Result::unwrap).collect();
        assert!(arrived.len() > 3, "{}", arrived.len());
        for customer in &arrived[..2] {
            let forgotten = "delete from arrivals where customer = ?1";
            assert_eq!(new.execute(forgotten, [customer]).unwrap(), 1);
        }
        let part = "delete from orders where number =
            (select max(number) from orders where customer = ?1)";
        assert_eq!(new.execute(part, [&arrived[0]]).unwrap(), 1);
        new.execute("delete from orders where customer = ?1", [&arrived[1]]).unwrap();
        new.execute("delete from outbox where key not in (select key from orders)", []).unwrap();
    }
    let stores = open(&cut, 2, 3);
    let told = moved(&stores).await;
    assert_eq!((told.error, told.customers), (None, 2), "the others have arrived before");
    assert_eq!(counts(&stores).await.iter().sum::<u64>(), all.len() as u64);
    is_all_there(&stores, &all).await;
    assert_eq!(owed(&stores).await.len(), CUSTOMERS as usize);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_in_another_sequence_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = ("orders-1.db", "orders-2.db");
    {
        let stores = open(folder.path(), 2, 2);
        filled(&stores).await;
    }
    let url = |names: [&str; 2]| {
        let urls = names.map(|name| format!("sqlite:{}", folder.path().join(name).display()));
        format!("shards:2;{}", urls.join(";"))
    };
    let opened = |url: &str| stores::open(url).unwrap();
    let refused = opened(&url([other, one])).check().await;
    let is_told = |refused: &Result<(), Error>, word: &str| matches!(refused, Err(Error::Unavailable(text)) if text.contains(word));
    assert!(is_told(&refused, "belongs elsewhere"), "{refused:?}");
    let first = folder.path().join(one);
    let refused = opened(&format!("shards:1;sqlite:{}", first.display())).check().await;
    assert!(is_told(&refused, "2 databases"), "{refused:?}");
    let part = stores::open(&format!("sqlite:{}", first.display()));
    assert!(part.err().unwrap().to_string().contains("name all of them"));
    let refused = opened(&url(["new.db", other])).check().await;
    assert!(is_told(&refused, "belongs elsewhere"), "{refused:?}");
    let refused = opened(&url([one, "new.db"])).check().await;
    assert!(is_told(&refused, "is empty"), "{refused:?}");
    let own = folder.path().join("own.db").display().to_string();
    insert(&opened(&format!("sqlite:{own}")), &order(customer(1))).await;
    let refused = opened(&format!("shards:1;sqlite:{own}")).check().await;
    assert!(is_told(&refused, "orders of its own"), "{refused:?}");
    let nested = stores::open("shards:1;shards:1;memory:");
    assert!(matches!(nested, Err(OpenError::Location(_))));
}
