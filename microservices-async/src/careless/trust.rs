//! Orders that trust the queue: what is lost there stays lost.

use std::sync::Arc;

use clap::Args;
use http_server::Settings;
use service::{settings, timing};
use shop::{Courier, OrderStore, keep_reconciling};

use super::switch::Switch;

/// How far orders trusts the queue.
#[derive(Args)]
pub(crate) struct Trust {
    /// Negative control with `off`: what nobody carries any more stays pending
    #[arg(long, value_enum, default_value_t = Switch::On)]
    reconcile: Switch,
}

impl Trust {
    /// What orders says of it.
    pub(crate) fn settings(&self) -> Settings {
        match self.reconcile {
            Switch::On => settings::recovery(timing::RECOVERY_AGE),
            Switch::Off => Settings::default().with("pending orders", "the queue is trusted"),
        }
    }

    /// Hands over again what is pending and was lost on its way, unless the queue is trusted.
    pub(crate) fn reconcile(&self, orders: Arc<dyn OrderStore>, courier: Arc<dyn Courier>) {
        if let Switch::On = self.reconcile {
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
