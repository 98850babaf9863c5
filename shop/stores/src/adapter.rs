//! What an adapter is: a database that answers the four storage ports, by the scheme of its URLs.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use group_commit::Stats;
use shop::{Events, GivenUpStore, OrderStore, Outbox, PaymentStore, Result, StockStore, UserStore};

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
}

impl Stores {
    pub(crate) fn of<T>(all: T) -> Self
    where
        T: UserStore + OrderStore + PaymentStore + Outbox + Database + 'static,
    {
        let all = Arc::new(all);
        Self {
            users: Arc::clone(&all) as _,
            orders: Arc::clone(&all) as _,
            payments: Arc::clone(&all) as _,
            outbox: Arc::clone(&all) as _,
            following: Arc::clone(&all).for_followers(),
            database: all,
        }
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
