//! The broker between orders and payments, as both are told of it.

use std::sync::Arc;

use anyhow::Context;
use brokers::Broker;
use clap::Args;
use http_server::Settings;

/// Charges to be made, from orders to payments.
pub(crate) const CHARGES: &str = "charges";
/// Charges that must not be made any more, from orders to payments.
pub(crate) const CANCELLATIONS: &str = "cancellations";
/// What became of them, from payments to orders.
pub(crate) const SETTLEMENTS: &str = "settlements";

/// Where it is.
#[derive(Args)]
pub(crate) struct BrokerArgs {
    /// The broker: embedded://HOST:PORT, log:PATH (in this process), or redis:// or postgres://HOST:PORT?lease=10s&attempts=8 (these, backoff,
    /// backoff-max and depth-max are for brokers whose clients keep the settings)
    #[arg(long, value_name = "URL")]
    broker: String,
}

impl BrokerArgs {
    /// It need not be there yet.
    pub(crate) fn connect(&self) -> anyhow::Result<Arc<dyn Broker>> {
        brokers::connect(&self.broker).context("--broker")
    }

    /// What its clients say of it.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        brokers::told(&self.broker).context("--broker")
    }
}

/// How messages are taken from it.
#[derive(Args, Clone, Copy)]
pub(crate) struct BatchArgs {
    /// Messages that are worked on together, in one commit, if so many are there; none is waited for
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    batch: u16,
}

impl BatchArgs {
    /// As many as may share a commit.
    pub(crate) fn most(self) -> usize {
        self.batch.into()
    }

    /// What a process says of it that takes messages in batches.
    pub(crate) fn settings(self) -> Settings {
        let text = match self.batch {
            1 => "one message".to_owned(),
            most => format!("up to {most} messages that are there"),
        };
        Settings::default().with("worked on together", text)
    }
}

/// Whether the broker answers.
pub(crate) async fn reach(broker: Arc<dyn Broker>) -> Result<(), brokers::Error> {
    broker.depth(CHARGES).await.map(drop)
}
