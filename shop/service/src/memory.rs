//! What payments remembers of its charges; nothing, if a mistake is asked for.

use std::sync::Arc;

use async_trait::async_trait;
use clap::{Args, ValueEnum};
use http_server::Settings;
use shop::{PaymentStore, Result, Settlement};

/// Whether what was charged is found again.
#[derive(Args, Clone, Copy)]
pub struct Memory {
    /// Negative control with `off`: what was charged before is charged again
    #[arg(long, value_enum, default_value_t = Switch::On)]
    idempotency: Switch,
}

/// A flag that turns a rule off.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// The rule holds.
    On,
    /// It does not.
    Off,
}

impl Memory {
    /// The store, or one that forgets.
    #[must_use]
    pub fn of(self, store: Arc<dyn PaymentStore>) -> Arc<dyn PaymentStore> {
        match self.idempotency {
            Switch::On => store,
            Switch::Off => Arc::new(Forgetful(store)),
        }
    }

    /// What payments says of it: nothing if it remembers.
    #[must_use]
    pub fn settings(self) -> Settings {
        let none = Settings::default();
        match self.idempotency {
            Switch::On => none,
            Switch::Off => none.with("mistake", "what was charged is charged again"),
        }
    }
}

/// Finds nothing that was recorded.
struct Forgetful(Arc<dyn PaymentStore>);

#[async_trait]
impl PaymentStore for Forgetful {
    async fn find(&self, _: &str) -> Result<Option<Settlement>> {
        Ok(None)
    }

    async fn record(&self, settlement: Settlement) -> Result<Settlement> {
        self.0.record(settlement).await
    }
}
