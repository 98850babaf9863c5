//! Orders over several databases (decision 75). A customer's orders are in one of them, which a ring tells (`layout.rs`).
//! Whoever comes with a key or an id alone looks up whose it is: entries by key and by id lie in the databases that there
//! were at first, each where its name says. One process has all of them.

mod layout;
mod moving;
mod numbers;
mod outbox;
mod shard;

use std::ops::Range;
use std::sync::{Arc, Mutex as Lock, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use futures_util::future::try_join_all;
use group_commit::Stats;
use shop::{
    Backlog, Error, Handover, Listed, Micros, Most, Number, Order, OrderId, OrderStore, Pending,
    Placed, Reader, Result, Settlement, Spread, StepStore, UserId,
};
use tokio::sync::{Mutex, OnceCell, RwLock, RwLockReadGuard};

use crate::adapter::{Adapter, Database, OpenError, Stores};
use crate::open::open_any;
use layout::place;
use moving::{Here, State};
#[cfg(feature = "postgres")]
pub(crate) use numbers::Drawn;
pub(crate) use numbers::Numbers;
pub(crate) use shard::{Entry, Luggage, Part, Shard};

pub(crate) const ADAPTER: Adapter = Adapter { scheme: "shards", form: "shards:N;URL;URL", open };

/// More than anybody has here, and few enough that a row's number has room for who has it.
const DATABASES_MAX: usize = 64;
/// Locks that customers share, and keys: whoever meets another's waits for a commit at most.
const STRIPES: usize = 1_024;

fn open(location: &str) -> std::result::Result<Stores, OpenError> {
    let mut parts = location.split(';');
    let first = parts.next().and_then(|first| first.parse().ok()).unwrap_or(0);
    let urls: Vec<&str> = parts.collect();
    if !(1..=urls.len()).contains(&first) || urls.len() > DATABASES_MAX {
        let text = format!(
            "expected {}: N databases that are used at first, 1 at least, and {DATABASES_MAX} URLs at most",
            ADAPTER.form
        );
        return Err(OpenError::Location(text));
    }
    let opened = urls.into_iter().map(open_any).collect::<std::result::Result<Vec<_>, _>>()?;
    let mut shards = Vec::new();
    for stores in &opened {
        let text = || format!("this store cannot be one of several: {}", stores.told());
        shards.push(stores.shard().ok_or_else(|| OpenError::Location(text()))?);
    }
    let Some(home) = opened.into_iter().next() else {
        return Err(OpenError::Location("no database is named".to_owned()));
    };
    Ok(home.spread_over(Shards::over(shards, first)))
}

/// Several databases that share the orders.
pub(crate) struct Shards {
    databases: Vec<Arc<dyn Shard>>,
    /// How many are used if nothing says otherwise yet.
    first: usize,
    state: OnceCell<State>,
    /// Held by who asks for a customer's orders; alone by who moves them.
    customers: Vec<RwLock<()>>,
    /// Held by who inserts under a key.
    keys: Vec<Mutex<()>>,
    /// Held by who looks at all orders; alone while a customer's are in two databases, or in none.
    all: RwLock<()>,
    /// Held while a move goes on.
    moving: Mutex<()>,
    me: Weak<Self>,
}

impl Shards {
    fn over(databases: Vec<Arc<dyn Shard>>, first: usize) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            databases,
            first,
            state: OnceCell::new(),
            customers: std::iter::repeat_with(RwLock::default).take(STRIPES).collect(),
            keys: std::iter::repeat_with(Mutex::default).take(STRIPES).collect(),
            all: RwLock::default(),
            moving: Mutex::default(),
            me: Weak::clone(me),
        })
    }

    /// The database that has a customer's orders, and keeps them while this is held.
    async fn of(&self, customer: UserId) -> Result<Home<'_>> {
        let state = self.state().await?;
        loop {
            let stays = self.customer(customer).read().await;
            if let Here::In(number) = state.place(customer) {
                return Ok(Home { number, database: self.database(number)?, _stays: stays });
            }
            drop(stays);
            self.relocate(customer).await?;
        }
    }

    fn customer(&self, customer: UserId) -> &RwLock<()> {
        // The end of an id is chance.
        &self.customers[customer.0.as_u64_pair().1 as usize % STRIPES]
    }

    fn database(&self, number: usize) -> Result<&dyn Shard> {
        let text = || Error::Internal(format!("there is no database {number}"));
        self.databases.get(number).map(|database| &**database).ok_or_else(text)
    }

    /// The database that has the entry of this name, or what else is found by a name.
    async fn of_name(&self, name: &str) -> Result<&dyn Shard> {
        let state = self.state().await?;
        self.database(place(name, state.entries))
    }

    async fn look_up(&self, name: String) -> Result<Option<Entry>> {
        self.of_name(&name).await?.look_up(&name).await
    }

    async fn strike(&self, name: &str) {
        if let Ok(database) = self.of_name(name).await {
            // What is left of it leads to no order.
            let _ = database.strike(name).await;
        }
    }

    /// Inserts an order whose key is nobody else's, and whose entries lead to it.
    async fn insert_known(&self, order: Order, handover: Handover) -> Result<Placed> {
        let state = self.state().await?;
        let home = self.of(order.customer).await?;
        let Handover::Outbox { most } = handover else {
            return home.insert_under(order, handover, &state.numbers.of(home.number)).await;
        };
        let others = self.databases.iter().enumerate().filter(|(number, _)| *number != home.number);
        let waiting = try_join_all(others.map(|(_, other)| other.owing())).await?;
        let here = Handover::Outbox { most: most.saturating_sub(waiting.iter().sum()) };
        match home.insert_under(order, here, &state.numbers.of(home.number)).await {
            Err(Error::Busy(_)) => Err(Backlog::full(most)),
            placed => placed,
        }
    }
}

/// The database of a customer, who stays there while this is held.
struct Home<'a> {
    number: usize,
    database: &'a dyn Shard,
    _stays: RwLockReadGuard<'a, ()>,
}

impl<'a> std::ops::Deref for Home<'a> {
    type Target = dyn Shard + 'a;

    fn deref(&self) -> &Self::Target {
        self.database
    }
}

fn by_key(key: &str) -> String {
    format!("key {key}")
}

fn by_id(id: OrderId) -> String {
    format!("id {}", id.0)
}

#[async_trait]
impl OrderStore for Shards {
    async fn insert(&self, order: Order, handover: Handover) -> Result<Placed> {
        let (by_key, by_id) = (by_key(&order.key), by_id(order.id));
        let place_of_key = place(&by_key, STRIPES);
        // Of two with one key, the second meets what became of the first.
        let _turn = self.keys[place_of_key].lock().await;
        let (customer, key, id) = (order.customer, order.key.clone(), order.id.0.to_string());
        let key_entry = Entry { name: by_key.clone(), customer, order: id };
        let id_entry = Entry { name: by_id.clone(), customer, order: key };
        let (keys, ids) = (self.of_name(&by_key).await?, self.of_name(&by_id).await?);
        let entered = tokio::try_join!(keys.enter(key_entry.clone()), ids.enter(id_entry.clone()));
        let (of_key, of_id) = entered?;
        if of_id != id_entry {
            if of_key == key_entry {
                self.strike(&by_key).await;
            }
            let text = format!("the id {} is another order's", order.id.0);
            return Err(Error::Internal(text));
        }
        if of_key != key_entry {
            // It is there, or its insertion came no further than the entry.
            let there = self.of(of_key.customer).await?.of_key(&order.key).await?;
            if let Some(there) = there {
                self.strike(&by_id).await;
                return Ok(Placed::Existing(there));
            }
            keys.enter_anew(key_entry).await?;
        }
        let placed = self.insert_known(order, handover).await;
        if matches!(placed, Err(Error::Busy(_))) {
            self.strike(&by_id).await;
            self.strike(&by_key).await;
        }
        placed
    }

    async fn settle(&self, settlement: Settlement, at: Micros) -> Result<Order> {
        let customer = match self.look_up(by_key(&settlement.key)).await? {
            Some(entry) => entry.customer,
            None => self.stray(&settlement.key).await?.ok_or(Error::NotFound)?.customer,
        };
        self.of(customer).await?.settle(settlement, at).await
    }

    async fn get(&self, reader: Reader, id: OrderId) -> Result<Option<Order>> {
        let customer = match reader {
            Reader::Customer(customer) => customer,
            Reader::Operator => match self.look_up(by_id(id)).await? {
                Some(entry) => entry.customer,
                None => return self.stray_of_id(reader, id).await,
            },
        };
        self.of(customer).await?.get(reader, id).await
    }

    async fn list(&self, reader: Reader, after: Option<OrderId>, most: Most) -> Result<Listed> {
        if let Reader::Customer(customer) = reader {
            return self.of(customer).await?.list(reader, after, most).await;
        }
        let state = self.state().await?;
        let after = match after {
            Some(id) => self.number(id).await?.ok_or(Error::NotFound)?,
            None => 0,
        };
        let last = state.numbers.settled().await?;
        let _still = self.all.read().await;
        let parts = self.databases.iter().map(|database| database.page(after, last, most));
        let parts = try_join_all(parts).await?;
        let is_there = |order: &Order, database| state.place(order.customer) == Here::In(database);
        Ok(merged(parts, most, is_there))
    }

    async fn pending(&self, numbers: Range<Number>, limit: u32) -> Result<Pending> {
        let state = self.state().await?;
        let newest = state.numbers.settled().await?;
        let numbers = numbers.start..numbers.end.min(newest.saturating_add(1));
        let _still = self.all.read().await;
        let all = self.databases.iter().map(|database| database.pending(numbers.clone(), limit));
        let all = try_join_all(all).await?;
        let numbered = all.into_iter().enumerate().flat_map(|(database, pending)| {
            pending.orders.into_iter().map(move |(number, order)| Found {
                number,
                order,
                database,
                bytes: 0,
            })
        });
        let is_there = |order: &Order, database| state.place(order.customer) == Here::In(database);
        let mut found = each_once(numbered.collect(), is_there);
        found.truncate(limit as usize);
        let orders = found.into_iter().map(|found| (found.number, found.order)).collect();
        Ok(Pending { orders, newest })
    }
}

impl Shards {
    async fn number(&self, id: OrderId) -> Result<Option<Number>> {
        let customer = match self.look_up(by_id(id)).await? {
            Some(entry) => entry.customer,
            None => match self.stray_of_id(Reader::Operator, id).await? {
                Some(order) => order.customer,
                None => return Ok(None),
            },
        };
        self.of(customer).await?.number(id).await
    }

    /// An order to which no entry leads. A database that another took over may have taken the entry with it, and the order,
    /// in another one, be there.
    async fn stray(&self, key: &str) -> Result<Option<Order>> {
        let _still = self.all.read().await;
        let all = self.databases.iter().map(|database| database.of_key(key));
        Ok(try_join_all(all).await?.into_iter().flatten().next())
    }

    /// As `stray`.
    async fn stray_of_id(&self, reader: Reader, id: OrderId) -> Result<Option<Order>> {
        let _still = self.all.read().await;
        let all = self.databases.iter().map(|database| database.get(reader, id));
        Ok(try_join_all(all).await?.into_iter().flatten().next())
    }
}

/// An order, and where it was found.
struct Found {
    number: Number,
    order: Order,
    database: usize,
    bytes: usize,
}

/// By their numbers. After a move that was cut off an order may be in two databases; of these the copy counts that is
/// where its customer is, and before it is known where that is, both are alike.
fn each_once(mut all: Vec<Found>, is_there: impl Fn(&Order, usize) -> bool) -> Vec<Found> {
    all.sort_by_key(|found| (found.number, !is_there(&found.order, found.database)));
    all.dedup_by_key(|found| found.number);
    all
}

/// The first of all parts. Behind the end of one that has more nothing is sure, but there the page is full: each part is
/// as long as a page may be.
fn merged(parts: Vec<Part>, most: Most, is_there: impl Fn(&Order, usize) -> bool) -> Listed {
    let more = parts.iter().any(|part| part.more);
    let found = parts.into_iter().enumerate().flat_map(|(database, part)| {
        part.orders.into_iter().map(move |(number, order, bytes)| Found {
            number,
            order,
            database,
            bytes,
        })
    });
    let (mut orders, mut bytes) = (Vec::new(), 0);
    for found in each_once(found.collect(), is_there) {
        let is_full =
            orders.len() >= most.orders as usize || (bytes >= most.bytes && !orders.is_empty());
        if is_full {
            return Listed { orders, more: true };
        }
        bytes += found.bytes;
        orders.push(found.order);
    }
    Listed { orders, more }
}

#[async_trait]
impl StepStore for Shards {
    async fn result(&self, workflow: &str, step: &str) -> Result<Option<String>> {
        self.of_name(workflow).await?.result(workflow, step).await
    }

    async fn record(&self, workflow: &str, step: &str, done: String) -> Result<String> {
        self.of_name(workflow).await?.record(workflow, step, done).await
    }
}

#[async_trait]
impl Database for Shards {
    async fn check(&self) -> Result<()> {
        self.state().await?;
        try_join_all(self.databases.iter().map(|database| database.check())).await.map(drop)
    }

    fn told(&self) -> String {
        let each = self.databases.first().map(|database| database.told()).unwrap_or_default();
        format!("orders over {} databases by their customers; each: {each}", self.databases.len())
    }

    fn stats(&self) -> Option<Stats> {
        crate::adapter::sum(self.databases.iter().map(|database| database.stats()))
    }

    fn spread(self: Arc<Self>) -> Option<Arc<dyn Spread>> {
        Some(self)
    }
}

pub(crate) fn lock<T>(mutex: &Lock<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
