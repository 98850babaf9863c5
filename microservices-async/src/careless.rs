//! What is wrong on purpose, chosen by flags: the negative controls, with one mistake each, which the audit must
//! find, and the lower rungs of the ladder of messages (decision 70). No other system has it.

mod consume;
mod forgetful;
mod straight;
mod switch;
mod trust;

use std::sync::Arc;

use clap::Args;
use http_server::Settings;
use shop::PaymentStore;

pub(crate) use consume::{ConsumeMode, consume};
use forgetful::Forgetful;
use switch::Switch;
pub(crate) use trust::Trust;

/// Mistakes that may be asked for.
#[derive(Args)]
pub(crate) struct Mistakes {
    /// How charges are consumed
    #[arg(long, value_name = "MANNER", value_enum, default_value_t = ConsumeMode::Kept, conflicts_with = "fence")]
    charges: ConsumeMode,
    /// Negative control with `off`: leases are neither extended nor heeded
    #[arg(long, value_enum, default_value_t = Switch::On)]
    fence: Switch,
    /// Negative control with `off`: what was charged before is charged again
    #[arg(long, value_enum, default_value_t = Switch::On)]
    idempotency: Switch,
}

impl Mistakes {
    /// What payments says of them: nothing if it makes none.
    pub(crate) fn settings(&self) -> Settings {
        let all = [
            (matches!(self.fence, Switch::Off), "leases are not heeded"),
            (matches!(self.idempotency, Switch::Off), "what was charged is charged again"),
        ];
        let made = all.iter().filter(|(is_made, _)| *is_made);
        let told = self.charges.settings("charges are consumed");
        made.fold(told, |settings, (_, what)| settings.with("mistake", what))
    }

    /// How payments consumes.
    pub(crate) fn consume_mode(&self) -> ConsumeMode {
        match self.fence {
            Switch::Off => ConsumeMode::NoFence,
            Switch::On => self.charges,
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
