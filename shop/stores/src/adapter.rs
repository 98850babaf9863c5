//! What an adapter is: a database that answers the storage ports, by the scheme of its URLs.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use group_commit::Stats;
use shop::{
    Events, GivenUpStore, OrderStore, Outbox, PaymentStore, Result, Spread, StepStore, StockStore,
    UserStore, Verdict,
};

use crate::shards::{Shard, Shards};

/// A kind of database.
pub struct Adapter {
    /// What stands before the colon of its URLs.
    pub scheme: &'static str,
    /// What its URLs look like, with PATH where a file goes.
    pub form: &'static str,
    /// From what stands behind the colon to the storage ports.
    pub(crate) open: fn(&str) -> std::result::Result<Stores, OpenError>,
}

/// The storage ports, all answered by one database; a service uses only its own.
#[derive(Clone)]
pub struct Stores {
    /// Accounts.
    pub users: Arc<dyn UserStore>,
    /// Orders.
    pub orders: Arc<dyn OrderStore>,
    /// Finished charges.
    pub payments: Arc<dyn PaymentStore>,
    /// Charges to be handed over.
    pub outbox: Arc<dyn Outbox>,
    /// What workflows have done.
    pub steps: Arc<dyn StepStore>,
    following: Option<ForFollowers>,
    database: Arc<dyn Database>,
}

/// What only those need who follow settlements.
#[derive(Clone)]
pub(crate) struct ForFollowers {
    events: Arc<dyn Events>,
    given_up: Arc<dyn GivenUpStore>,
    stock: Arc<dyn StockStore>,
}

impl ForFollowers {
    pub(crate) fn of<T: Events + GivenUpStore + StockStore + 'static>(all: &Arc<T>) -> Self {
        Self {
            events: Arc::clone(all) as _,
            given_up: Arc::clone(all) as _,
            stock: Arc::clone(all) as _,
        }
    }
}

/// The word that a finished charge is stored with.
pub(crate) fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Paid { .. } => "paid",
        Verdict::Declined | Verdict::OutOfStock => "declined",
        Verdict::Cancelled => "cancelled",
    }
}

/// What records charges with the settlements of their orders.
pub(crate) struct Together {
    pub(crate) orders: Arc<dyn OrderStore>,
    pub(crate) payments: Arc<dyn PaymentStore>,
}

/// What a database is to those who run it.
#[async_trait]
pub(crate) trait Database: Send + Sync {
    /// Whether it would keep something now.
    async fn check(&self) -> Result<()>;
    /// How it keeps what it is given.
    fn told(&self) -> String;
    /// What its group commit did, if it has one.
    fn stats(&self) -> Option<Stats>;
    /// What it keeps for those who follow settlements; `None` if it cannot.
    fn for_followers(self: Arc<Self>) -> Option<ForFollowers> {
        None
    }
    /// The same as one of several; `None` if it cannot.
    fn shard(self: Arc<Self>) -> Option<Arc<dyn Shard>> {
        None
    }
    /// Whether it is one of several already, which are named together.
    fn is_of_several(&self) -> bool {
        false
    }
    /// How its orders are spread; `None` if it is one alone.
    fn spread(self: Arc<Self>) -> Option<Arc<dyn Spread>> {
        None
    }
    /// Orders and charges whose settlements are one transaction; `None` if it cannot.
    fn together(self: Arc<Self>) -> Option<Together> {
        None
    }
}

/// Databases of one process, a module's each.
struct Apart([Arc<dyn Database>; 3]);

#[async_trait]
impl Database for Apart {
    async fn check(&self) -> Result<()> {
        for database in &self.0 {
            database.check().await?;
        }
        Ok(())
    }

    fn told(&self) -> String {
        let [orders, accounts, charges] = self.0.each_ref().map(|database| database.told());
        if orders == accounts && orders == charges {
            return format!("one of orders, accounts and charges each: {orders}");
        }
        format!("orders: {orders}; accounts: {accounts}; charges: {charges}")
    }

    fn stats(&self) -> Option<Stats> {
        sum(self.0.iter().map(|database| database.stats()))
    }
}

/// What several did, of those that count.
pub(crate) fn sum(all: impl Iterator<Item = Option<Stats>>) -> Option<Stats> {
    all.flatten().reduce(|sum, one| Stats {
        commits: sum.commits + one.commits,
        transactions: sum.transactions + one.transactions,
    })
}

impl Stores {
    pub(crate) fn of<T>(all: T) -> Self
    where
        T: UserStore + OrderStore + PaymentStore + Outbox + StepStore + Database + 'static,
    {
        let all = Arc::new(all);
        Self {
            users: Arc::clone(&all) as _,
            orders: Arc::clone(&all) as _,
            payments: Arc::clone(&all) as _,
            outbox: Arc::clone(&all) as _,
            steps: Arc::clone(&all) as _,
            following: Arc::clone(&all).for_followers(),
            database: all,
        }
    }

    /// Whether it has a part of the orders of several.
    pub(crate) fn is_of_several(&self) -> bool {
        self.database.is_of_several()
    }

    /// The same as one of several.
    pub(crate) fn shard(&self) -> Option<Arc<dyn Shard>> {
        Arc::clone(&self.database).shard()
    }

    /// The accounts and finished charges of this, and orders that are spread. Nobody can follow.
    pub(crate) fn spread_over(self, shards: Arc<Shards>) -> Self {
        Self {
            orders: Arc::clone(&shards) as _,
            outbox: Arc::clone(&shards) as _,
            steps: Arc::clone(&shards) as _,
            following: None,
            database: shards,
            ..self
        }
    }

    /// How orders are spread over several databases; `None` if they are in one.
    #[must_use]
    pub fn spread(&self) -> Option<Arc<dyn Spread>> {
        Arc::clone(&self.database).spread()
    }

    /// The same orders, with accounts and finished charges in databases of their own.
    #[must_use]
    pub fn apart(self, accounts: Self, charges: Self) -> Self {
        let database = [self.database, accounts.database, charges.database];
        let (users, payments) = (accounts.users, charges.payments);
        Self { users, payments, database: Arc::new(Apart(database)), ..self }
    }

    /// The same, of which the settlement of an order records its charge, too, in one transaction. A charge that is
    /// recorded is durable when its order is settled. Nobody can follow.
    ///
    /// # Errors
    /// If this database cannot.
    pub fn together(self) -> std::result::Result<Self, OpenError> {
        let together = Arc::clone(&self.database).together();
        let text = || format!("this store cannot record charges with orders: {}", self.told());
        let Together { orders, payments } = together.ok_or_else(|| OpenError::Location(text()))?;
        Ok(Self { orders, payments, following: None, ..self })
    }

    /// Events that are owed to those who follow orders.
    ///
    /// # Errors
    /// If this database keeps none.
    pub fn events(&self) -> std::result::Result<Arc<dyn Events>, OpenError> {
        self.following().map(|following| Arc::clone(&following.events))
    }

    /// Notifications that were given up.
    ///
    /// # Errors
    /// If this database keeps none.
    pub fn given_up(&self) -> std::result::Result<Arc<dyn GivenUpStore>, OpenError> {
        self.following().map(|following| Arc::clone(&following.given_up))
    }

    /// Stock.
    ///
    /// # Errors
    /// If this database keeps none.
    pub fn stock(&self) -> std::result::Result<Arc<dyn StockStore>, OpenError> {
        self.following().map(|following| Arc::clone(&following.stock))
    }

    fn following(&self) -> std::result::Result<&ForFollowers, OpenError> {
        let text = || format!("this store keeps nothing for followers yet: {}", self.told());
        self.following.as_ref().ok_or_else(|| OpenError::Location(text()))
    }

    /// Whether the store would keep something now: it writes, durably, and reads.
    ///
    /// # Errors
    /// `Unavailable` or `Internal`, as any operation.
    pub async fn check(self) -> Result<()> {
        self.database.check().await
    }

    /// How it keeps what it is given, for people.
    #[must_use]
    pub fn told(&self) -> String {
        self.database.told()
    }

    /// Commits and transactions since the start; `None` if the adapter has no group commit.
    #[must_use]
    pub fn stats(&self) -> Option<Stats> {
        self.database.stats()
    }
}

/// Why a store cannot be opened. Of a URL that is not understood it shows the scheme alone: the
/// rest may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No adapter has this scheme.
    #[error("no store has the scheme {found:?}; known are {known}")]
    UnknownScheme {
        /// What stands before the colon.
        found: String,
        /// What URLs may look like.
        known: String,
    },
    /// A known scheme, and something after it that is not understood.
    #[error("{0}")]
    Location(String),
    /// The database cannot be opened, or not as durability needs.
    #[error("cannot open {place}: {source}")]
    Database {
        /// Where it is.
        place: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}
