//! The queue inside: its side door, and its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use brokers::{Afar, Broker, Door};
use http_server::{Guard, Limits, Listen, Settings};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::broker::{CANCELLATIONS, CHARGES, SETTLEMENTS};

/// How often it is looked whether all is given back.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Waits until the consumers, which have ended, have given back what they had.
pub(super) async fn given_back(broker: &Arc<dyn Broker>) {
    for topic in [CHARGES, CANCELLATIONS, SETTLEMENTS] {
        while broker.depth(topic).await.is_ok_and(|depth| depth.leased > 0) {
            sleep(LOOK_AGAIN).await;
        }
    }
}

/// Serves the queue's side door until what is returned is dropped.
pub(super) fn open(
    address: SocketAddr,
    broker: &Arc<dyn Broker>,
    settings: Settings,
) -> anyhow::Result<DropGuard> {
    if !address.ip().is_loopback() {
        bail!("{address}: expected a loopback address such as 127.0.0.1:{}", address.port());
    }
    let listener = Listen { listen: address, any_address: false }.bind()?;
    let (limits, closed) = (Limits::default().within_descriptors(), CancellationToken::new());
    let afar = Arc::new(Afar::new(Arc::clone(broker)));
    let settings = settings.and(limits.settings());
    let door = Arc::new(Door::new(afar, Guard::from_environment(), settings));
    let closing = closed.clone().cancelled_owned();
    tokio::spawn(http_server::serve(listener, door, limits, closing));
    Ok(closed.drop_guard())
}
