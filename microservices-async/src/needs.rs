//! What a process needs to be ready, as `/readyz` asks for it.

use std::sync::Arc;

use brokers::Broker;
use service::timing;
use stores::Stores;
use web::Ready;
use web::client::{Base, Http, Probe};

use crate::broker::reach;

pub(crate) fn store(ready: Ready, stores: &Stores) -> Ready {
    let stores = stores.clone();
    ready.needs("the store", timing::LOOK, move || stores.clone().check())
}

pub(crate) fn broker(ready: Ready, broker: &Arc<dyn Broker>) -> Ready {
    let broker = Arc::clone(broker);
    ready.needs("the broker", timing::LOOK, move || reach(Arc::clone(&broker)))
}

pub(crate) fn network(ready: Ready, http: &Http, provider: &Base) -> Ready {
    let network = Probe::ready(http, provider);
    ready.needs("the card network", timing::LOOK, move || network.clone().check())
}
