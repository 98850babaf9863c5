//! The negative controls: services with one mistake each, which the audit must find. They are chosen by
//! flags, and belong to no other system.

mod consume;
mod forgetful;
mod switch;
mod trust;

use std::sync::Arc;

use clap::{Args, ValueEnum};
use http_server::Settings;
use shop::PaymentStore;

pub(crate) use consume::{ConsumeMode, consume};
use forgetful::Forgetful;
use switch::Switch;
pub(crate) use trust::Trust;

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

#[derive(Clone, Copy, ValueEnum)]
enum Ack {
    Early,
    Late,
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

    /// How payments consumes.
    pub(crate) fn consume_mode(&self) -> ConsumeMode {
        match (self.ack, self.fence) {
            (Ack::Early, _) => ConsumeMode::AckEarly,
            (Ack::Late, Switch::Off) => ConsumeMode::NoFence,
            (Ack::Late, Switch::On) => ConsumeMode::AckLate,
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
