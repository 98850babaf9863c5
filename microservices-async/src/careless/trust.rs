//! Orders that trust the queue: what is lost there, or on the way to it, stays lost.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use http_server::Settings;
use service::{Switch, settings, timing};
use shop::{Courier, OrderStore, Payments, Tasks, keep_reconciling};

use super::consume::ConsumeMode;
use super::straight::Straight;
use crate::way::Way;

/// How far orders trusts the queue.
#[derive(Args)]
pub(crate) struct Trust {
    /// Negative control with `off`: what nobody carries any more stays pending
    #[arg(long, value_enum, default_value_t = Switch::On)]
    reconcile: Switch,
    /// How a charge comes to the broker; without the outbox what is lost on the way stays pending
    #[arg(long, value_enum, default_value_t = Publish::Outbox)]
    publish: Publish,
    /// How settlements are consumed
    #[arg(long, value_name = "MANNER", value_enum, default_value_t = ConsumeMode::Kept, conflicts_with = "batch")]
    settlements: ConsumeMode,
}

/// When a charge is published, and who waits for it.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Publish {
    /// By the order's own commit, and a relay
    Outbox,
    /// After the commit, before the answer
    Confirmed,
    /// After the commit; nobody waits
    Unconfirmed,
}

impl Trust {
    /// What orders says of it; `outbox_max` charges may wait for the broker.
    pub(crate) fn settings(&self, outbox_max: u64) -> Settings {
        let told = self.settlements.settings("settlements are consumed");
        let told = match self.publish {
            Publish::Outbox => {
                told.with("orders that wait for the broker", format!("{outbox_max}; then 503"))
            }
            Publish::Confirmed => told.with("charges are published", "after the commit, confirmed"),
            Publish::Unconfirmed => {
                told.with("charges are published", "after the commit, unconfirmed")
            }
        };
        if self.reconciles() {
            told.and(settings::recovery(timing::RECOVERY_AGE))
        } else {
            told.with("pending orders", "the queue is trusted")
        }
    }

    /// Who takes charges there without an outbox, if that is asked for. What nobody waits for is published in
    /// `publishing`.
    pub(crate) fn straight(
        &self,
        charges: &Way,
        publishing: &Arc<Tasks>,
    ) -> Option<Arc<dyn Payments>> {
        let confirmed = match self.publish {
            Publish::Outbox => return None,
            Publish::Confirmed => true,
            Publish::Unconfirmed => false,
        };
        let (charges, publishing) = (charges.clone(), Arc::clone(publishing));
        Some(Arc::new(Straight { charges, publishing, confirmed }))
    }

    /// How settlements are consumed.
    pub(crate) fn consume_mode(&self) -> ConsumeMode {
        self.settlements
    }

    fn reconciles(&self) -> bool {
        self.reconcile == Switch::On && self.publish == Publish::Outbox
    }

    /// Hands over again what is pending and was lost on its way, unless the queue is trusted.
    pub(crate) fn reconcile(&self, orders: Arc<dyn OrderStore>, courier: Arc<dyn Courier>) {
        if self.reconciles() {
            let (age, every) = (timing::RECOVERY_AGE, timing::RECOVERY_EVERY);
            let tell = |error: &shop::Error| {
                process_log::tell("reconciliation-failed", || {
                    [("error", error.to_string().into())]
                });
            };
            tokio::spawn(keep_reconciling(orders, courier, age, every, tell));
        }
    }
}
