//! What a process needs to be ready, as `/readyz` asks for it.

use stores::Stores;
use web::Ready;
use web::client::{Base, Http, Probe};

use crate::timing;

/// A store that keeps what it is given.
#[must_use]
pub fn store(ready: Ready, stores: &Stores) -> Ready {
    let stores = stores.clone();
    ready.needs("the store", timing::LOOK, move || stores.clone().check())
}

/// A card network that is ready.
#[must_use]
pub fn network(ready: Ready, http: &Http, provider: &Base) -> Ready {
    let network = Probe::ready(http, provider);
    ready.needs("the card network", timing::LOOK, move || network.clone().check())
}
