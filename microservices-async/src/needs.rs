//! What a process needs that has a broker, beside what others need, too.

use std::sync::Arc;

use brokers::Broker;
pub(crate) use service::needs::{network, store};
use service::timing;
use web::Ready;

use crate::broker::reach;

pub(crate) fn broker(ready: Ready, broker: &Arc<dyn Broker>) -> Ready {
    let broker = Arc::clone(broker);
    ready.needs("the broker", timing::LOOK, move || reach(Arc::clone(&broker)))
}
