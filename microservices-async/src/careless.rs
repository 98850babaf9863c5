//! The negative controls: services with one mistake each, which the audit must find. They are chosen by
//! flags, and belong to no other system.

mod consume;
mod forgetful;

use std::sync::Arc;

use clap::{Args, ValueEnum};
use http_server::Settings;
use service::{settings, timing};
use shop::{Courier, OrderStore, PaymentStore, keep_reconciling};

pub(crate) use consume::consume;
use forgetful::Forgetful;

/// Mistakes that may be asked for.
#[derive(Args)]
pub(crate) struct Mistakes {
    /// Negative control with `early`: a message is acked before its work is done
    #[arg(long, value_enum, default_value_t = Ack::Late, conflicts_with = "fence")]
    ack: Ack,
    /// Negative control with `off`: leases are neither extended nor heeded
    #[arg(long, value_enum, default_value_t = Switch::On)]
    fence: Switch,
    /// Negative control with `off`: what was charged before is charged again
    #[arg(long, value_enum, default_value_t = Switch::On)]
    idempotency: Switch,
}

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
            Switch::On => settings::recovery(),
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

#[derive(Clone, Copy, ValueEnum)]
enum Ack {
    Early,
    Late,
}

#[derive(Clone, Copy, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// How messages are consumed.
#[derive(Clone, Copy)]
pub(crate) enum Manners {
    /// Acked after the work, under a lease that is kept.
    Good,
    /// Acked before the work.
    AckEarly,
    /// Acked after the work, whoever holds the lease by then.
    NoFence,
}

impl Mistakes {
    /// What payments says of them: nothing if it makes none.
    pub(crate) fn settings(&self) -> Settings {
        let all = [
            (matches!(self.ack, Ack::Early), "acked before the work"),
            (matches!(self.fence, Switch::Off), "leases are not heeded"),
            (matches!(self.idempotency, Switch::Off), "what was charged is charged again"),
        ];
        let made = all.iter().filter(|(is_made, _)| *is_made);
        made.fold(Settings::default(), |settings, (_, what)| settings.with("mistake", what))
    }

    pub(crate) fn manners(&self) -> Manners {
        match (self.ack, self.fence) {
            (Ack::Early, _) => Manners::AckEarly,
            (Ack::Late, Switch::Off) => Manners::NoFence,
            (Ack::Late, Switch::On) => Manners::Good,
        }
    }

    /// The store, or one that forgets.
    pub(crate) fn memory(&self, store: Arc<dyn PaymentStore>) -> Arc<dyn PaymentStore> {
        match self.idempotency {
            Switch::On => store,
            Switch::Off => Arc::new(Forgetful(store)),
        }
    }
}
