//! Those whom orders ask and tell over HTTP, and wait for.

use std::sync::Arc;

use clap::Args;
use service::fanout::Fans;
use service::{environment, timing};
use web::Ready;
use web::client::{Base, Http, Probe, RemoteFollower, RemoteStock};

/// Where they are.
#[derive(Args)]
pub(crate) struct FanArgs {
    /// The notifications service, told of each settlement before its customer is answered
    #[arg(long, value_name = "http://HOST:PORT")]
    notifications: Option<Base>,
    /// The inventory, asked to reserve before each charge, and told of each settlement
    #[arg(long, value_name = "http://HOST:PORT")]
    inventory: Option<Base>,
}

impl FanArgs {
    /// All of them, and what is needed with them.
    pub(crate) fn asked(self, http: &Http, mut ready: Ready) -> anyhow::Result<(Fans, Ready)> {
        let mut fans = Fans::default();
        if let Some(base) = self.notifications {
            ready = needs(ready, "notifications", http, &base);
            let credential = environment::notifications_credential()?;
            fans.followers.push(Arc::new(RemoteFollower::new(http.clone(), &base, credential)));
        }
        if let Some(base) = self.inventory {
            ready = needs(ready, "the inventory", http, &base);
            let credential = environment::inventory_credential()?;
            let stock = RemoteStock::new(http.clone(), &base, credential.clone());
            fans.stock = Some(Arc::new(stock));
            fans.followers.push(Arc::new(RemoteFollower::new(http.clone(), &base, credential)));
        }
        Ok((fans, ready))
    }
}

fn needs(ready: Ready, name: &'static str, http: &Http, base: &Base) -> Ready {
    let probe = Probe::ready(http, base);
    ready.needs(name, timing::LOOK, move || probe.clone().check())
}
