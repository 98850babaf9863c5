//! What a process says of its settings at `/settings`, put together from the parts that it has. Each number
//! is the one in force, not a copy of it.

use std::time::Duration;

use http_server::Settings;
use stores::Stores;
use web::client::{CONNECT, IDLE_MAX, Patience, SERVICE_CALL};

use crate::{bounds, environment, timing};

/// Of a process that remembers.
#[must_use]
pub fn kept(stores: &Stores) -> Settings {
    Settings::default().with("store", stores.told())
}

/// Of a process that calls others.
fn calls() -> Settings {
    let kept = format!("{IDLE_MAX} of each service");
    Settings::default()
        .time("connection time-out", CONNECT)
        .with("connections kept for later", kept)
}

/// Of a process that has others charge.
#[must_use]
pub fn asking() -> Settings {
    calls().time("service call time-out", SERVICE_CALL)
}

/// Of a process that charges cards.
#[must_use]
pub fn charging() -> Settings {
    let work = format!("{}, {} of them again", bounds::IN_WORK, bounds::AGAIN);
    calls().with("charges in work at once", work)
}

/// Of a process that asks the card network with this patience.
#[must_use]
pub fn patient(patience: Patience) -> Settings {
    let Patience { call, attempts, backoff } = patience;
    let calls = Settings::default().time("card network call time-out", call);
    let calls = calls.with("card network calls for one charge, at most", attempts);
    if backoff.is_zero() {
        calls
    } else {
        calls.time("pause before the second, then doubled", backoff)
    }
}

/// Of a process that hashes passwords.
#[must_use]
pub fn hashing() -> Settings {
    let parallel = environment::parallel_hashes();
    let cost = shop::auth::Passwords::cost();
    Settings::default().with("password hashing", format!("{cost}, {parallel} at a time"))
}

/// Of a process that takes pending orders of this age up again.
#[must_use]
pub fn recovery(age: Duration) -> Settings {
    let (age, every) = (age.as_secs(), timing::RECOVERY_EVERY.as_secs());
    Settings::default().with("pending orders", format!("older than {age} s, every {every} s"))
}

/// Of a process that checks tokens itself.
#[must_use]
pub fn own_tokens() -> Settings {
    Settings::default()
        .with("tokens", "HS256, checked where orders are served, with the shared secret")
}

/// Of a process that asks auth whose each token is.
#[must_use]
pub fn asked_tokens() -> Settings {
    Settings::default().with("tokens", "HS256, checked by auth: GET /verify for each request")
}
