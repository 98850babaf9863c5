//! Those who follow settlements, as any process of the shop has them told or plays them itself. Nobody
//! follows unless it is asked for.

use std::sync::Arc;

use anyhow::Context;
use http_server::Settings;
use shop::notifications::Signer;
use shop::{Error, Follower, Following, NotificationService, keep_telling};
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

/// The followers that a process plays itself, and its routes with theirs; none without `callbacks`.
///
/// # Errors
/// As `notifications`.
pub fn own(
    callbacks: Option<Base>,
    stores: &Stores,
    http: &Http,
    routes: Routes,
) -> anyhow::Result<(Followers, Routes)> {
    let Some(allowed) = callbacks else { return Ok((Vec::new(), routes)) };
    let notifications = notifications(stores, http.clone(), allowed)?;
    Ok((vec![notifications], routes.given_up(stores.given_up()?)))
}

/// Has these followers told, and told again of what is left; `None` of nobody.
///
/// # Errors
/// If the store keeps no events.
pub fn followed_by(stores: &Stores, followers: Followers) -> anyhow::Result<Option<Following>> {
    if followers.is_empty() {
        return Ok(None);
    }
    let following = Following::new(stores.events().context("--store")?, followers);
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
