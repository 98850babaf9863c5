//! What is wrong on purpose, chosen by flags: the negative controls, with one mistake each, which the audit must
//! find, and the lower rungs of the ladder of messages (decision 70). No other system has it.

mod consume;
mod straight;
mod trust;

use clap::Args;
use http_server::Settings;
use service::{Memory, Switch};

pub(crate) use consume::{ConsumeMode, consume};
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
    #[command(flatten)]
    pub(crate) memory: Memory,
}

impl Mistakes {
    /// What payments says of them: nothing if it makes none.
    pub(crate) fn settings(&self) -> Settings {
        let told = self.charges.settings("charges are consumed").and(self.memory.settings());
        match self.fence {
            Switch::Off => told.with("mistake", "leases are not heeded"),
            Switch::On => told,
        }
    }

    /// How payments consumes.
    pub(crate) fn consume_mode(&self) -> ConsumeMode {
        match self.fence {
            Switch::Off => ConsumeMode::NoFence,
            Switch::On => self.charges,
        }
    }
}
