//! What the modules of one process share: a database or none, a commit, the requests that may wait for a charge.

use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use clap::Args;
use http_server::Settings;
use shop::{Charge, Charged, Error, Handover, Payments, Result};
use stores::Stores;
use tokio::sync::Semaphore;

/// How far the modules of one process are apart.
#[derive(Args)]
pub struct ModuleArgs {
    /// Where accounts are remembered [default: where orders are]
    #[arg(long, value_name = "URL", requires = "charges_store")]
    accounts_store: Option<String>,
    /// Where finished charges are remembered [default: where orders are]
    #[arg(long, value_name = "URL", requires = "accounts_store")]
    charges_store: Option<String>,
    /// A charge is recorded by the commit that settles its order
    #[arg(long, conflicts_with = "accounts_store")]
    settle_together: bool,
    /// Charges that orders may wait for at once; one more is refused [default: as many as there are orders in work]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    charges_at_once: Option<u32>,
}

impl ModuleArgs {
    /// Opens what there is beside `store`, and that.
    ///
    /// # Errors
    /// If one cannot be opened, or not so.
    pub fn open(&self, store: &str) -> anyhow::Result<Stores> {
        let stores = stores::open(store).context("--store")?;
        if self.settle_together {
            return stores.together().context("--settle-together");
        }
        let (Some(accounts), Some(charges)) = (&self.accounts_store, &self.charges_store) else {
            return Ok(stores);
        };
        let accounts = stores::open(accounts).context("--accounts-store")?;
        Ok(stores.apart(accounts, stores::open(charges).context("--charges-store")?))
    }

    /// Payments as orders meet it.
    #[must_use]
    pub fn payments(&self, payments: Arc<dyn Payments>) -> Arc<dyn Payments> {
        let Some(most) = self.charges_at_once else { return payments };
        Arc::new(Bulkhead { payments, places: Semaphore::new(most as usize) })
    }

    /// What a process says of it: nothing of what all do.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let mut told = Settings::default();
        if self.settle_together {
            told = told.with("a charge is recorded", "by the commit that settles its order");
        }
        match self.charges_at_once {
            Some(most) => told.with("charges that orders wait for", format!("{most}; then 503")),
            None => told,
        }
    }
}

/// A module that others may not fill their own pools with: one call more is refused at once.
struct Bulkhead {
    payments: Arc<dyn Payments>,
    places: Semaphore,
}

#[async_trait]
impl Payments for Bulkhead {
    async fn charge(&self, charge: Charge) -> Result<Charged> {
        let busy = |_| Error::Busy("as many charges as may be waited for".to_owned());
        let _place = self.places.try_acquire().map_err(busy)?;
        self.payments.charge(charge).await
    }

    /// Unbounded: few cancel, and who does waits in the turn of its key, not for a place.
    async fn cancel(&self, charge: Charge) -> Result<Charged> {
        self.payments.cancel(charge).await
    }

    fn handover(&self) -> Handover {
        self.payments.handover()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::Notify;

    use super::*;

    /// Answers when it is told to.
    #[derive(Default)]
    struct Slow(Notify);

    #[async_trait]
    impl Payments for Slow {
        async fn charge(&self, _: Charge) -> Result<Charged> {
            self.0.notified().await;
            Ok(Charged::Later)
        }
    }

    fn charge() -> Charge {
        Charge { key: "a".to_owned(), amount_cents: 900, card: "card".to_owned() }
    }

    #[tokio::test]
    async fn one_more_than_may_be_waited_for_is_refused_and_the_next_has_the_place() {
        let slow = Arc::new(Slow::default());
        let bulkhead = Bulkhead { payments: Arc::clone(&slow) as _, places: Semaphore::new(1) };
        let mut first = Box::pin(bulkhead.charge(charge()));
        assert_eq!((&mut first).now_or_never(), None);
        assert!(matches!(bulkhead.charge(charge()).await, Err(Error::Busy(_))));
        slow.0.notify_one();
        assert_eq!(first.await, Ok(Charged::Later));
        slow.0.notify_one();
        assert_eq!(bulkhead.charge(charge()).await, Ok(Charged::Later));
    }
}
