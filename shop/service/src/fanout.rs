//! Those who follow settlements, as any process of the shop has them told or plays them itself. Nobody
//! follows unless it is asked for.

use std::sync::Arc;

use anyhow::Context;
use http_server::Settings;
use shop::notifications::Signer;
use shop::{
    Error, Follower, Following, InventoryService, NotificationService, Stock, keep_telling,
};
use stores::Stores;
use web::Routes;
use web::client::{Base, CALLBACK_CALL, Http, RemoteCallbacks};

use crate::{bounds, environment, timing};

/// Followers, each told of every settlement.
pub type Followers = Vec<Arc<dyn Follower>>;

/// Customers' notifications, posted to URLs that begin with `allowed`.
///
/// # Errors
/// If the secret that signs them is too short, or the store keeps none.
pub fn notifications(
    stores: &Stores,
    http: Http,
    allowed: Base,
) -> anyhow::Result<Arc<NotificationService>> {
    let signer = Signer::new(&environment::callback_secret()?)?;
    let given_up = stores.given_up().context("--store")?;
    let callbacks = Arc::new(RemoteCallbacks::new(http, allowed));
    Ok(Arc::new(NotificationService::new(callbacks, given_up, signer)))
}

/// The inventory.
///
/// # Errors
/// If the store keeps none.
pub fn inventory(stores: &Stores, stock: StockArgs) -> anyhow::Result<Arc<InventoryService>> {
    Ok(Arc::new(InventoryService::new(stores.stock().context("--store")?, stock.stock)))
}

/// How much there is.
#[derive(Clone, Copy, clap::Args)]
pub struct StockArgs {
    /// How many of each article there are; an order that needs more than is left is declined, uncharged
    /// [default: what is not there is ordered, no order is declined]
    #[arg(long, value_name = "N")]
    pub stock: Option<u32>,
}

impl StockArgs {
    /// What a process says of it that plays the inventory.
    #[must_use]
    pub fn settings(self) -> Settings {
        let stock = self.stock.map_or_else(|| "without end".to_owned(), |stock| stock.to_string());
        Settings::default().with("stock of each article", stock)
    }
}

/// Who follows, and who is asked before.
#[derive(Default)]
pub struct Fans {
    /// Told of every settlement.
    pub followers: Followers,
    /// Where what an order needs is reserved before it is charged.
    pub stock: Option<Arc<dyn Stock>>,
}

/// What a process plays itself if it is asked to.
#[derive(clap::Args)]
pub struct OwnFans {
    /// Customers are notified of settlements, at callback URLs that begin with this
    #[arg(long, value_name = "http://HOST:PORT")]
    callbacks: Option<Base>,
    /// What an order needs is reserved before it is charged
    #[arg(long)]
    inventory: bool,
    #[command(flatten)]
    stock: StockArgs,
}

impl OwnFans {
    /// What a process says of them.
    #[must_use]
    pub fn settings(&self) -> Settings {
        if self.inventory { self.stock.settings() } else { Settings::default() }
    }

    /// All of them, and the routes with theirs.
    ///
    /// # Errors
    /// As `notifications` and `inventory`.
    pub fn play(
        self,
        stores: &Stores,
        http: &Http,
        mut routes: Routes,
    ) -> anyhow::Result<(Fans, Routes)> {
        let mut fans = Fans::default();
        if let Some(allowed) = self.callbacks {
            fans.followers.push(notifications(stores, http.clone(), allowed)?);
            routes = routes.given_up(stores.given_up()?);
        }
        if self.inventory {
            let inventory = inventory(stores, self.stock)?;
            fans.followers.push(Arc::clone(&inventory) as _);
            fans.stock = Some(inventory);
            routes = routes.stock(stores.stock()?, self.stock.stock);
        }
        Ok((fans, routes))
    }
}

/// Has these followers told, and told again of what is left; `None` of nobody.
///
/// # Errors
/// If the store keeps no events.
pub fn followed_by(stores: &Stores, fans: Fans) -> anyhow::Result<Option<Following>> {
    let Fans { followers, stock } = fans;
    if followers.is_empty() {
        return Ok(None);
    }
    let following = Following::new(stores.events().context("--store")?, followers);
    let following = following.reserving(stock);
    let (age, every) = (timing::RECOVERY_AGE, timing::RECOVERY_EVERY);
    tokio::spawn(keep_telling(following.clone(), age, every, bounds::AGAIN, not_told));
    Ok(Some(following))
}

/// What a process says of those whom it tells; nothing of nobody.
#[must_use]
pub fn told(following: Option<&Following>) -> Settings {
    let Some(following) = following else { return Settings::default() };
    let (age, every) = (timing::RECOVERY_AGE.as_secs(), timing::RECOVERY_EVERY.as_secs());
    let again = format!("what is older than {age} s again, every {every} s");
    Settings::default().with("settlements", format!("told to {}; {again}", following.count()))
}

/// What a process says that notifies customers.
#[must_use]
pub fn notifying() -> Settings {
    Settings::default().time("callback time-out", CALLBACK_CALL)
}

fn not_told(failed: usize, first: &Error) {
    process_log::tell("telling-failed", || {
        [("events", failed.into()), ("error", first.to_string().into())]
    });
}
