//! Who runs workflows: we, with a journal in the orders' database, or Restate's server, in builds with `engines`.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use http_server::Settings;
use shop::{Executor, Journaled, Orders, Payments};
use stores::Stores;

#[derive(Args)]
pub(crate) struct ExecutorArgs {
    /// Restate's ingress: it runs workflows, which else are run here
    #[arg(long, value_name = "HOST:PORT", requires = "worker")]
    restate: Option<String>,
    /// Where Restate's calls are taken: an address of loopback
    #[arg(long, value_name = "ADDRESS:PORT", requires = "restate")]
    worker: Option<SocketAddr>,
}

impl ExecutorArgs {
    /// What is told of it.
    pub(crate) fn settings(&self) -> Settings {
        let by =
            if self.restate.is_some() { "Restate" } else { "a journal in the orders' database" };
        Settings::default().with("workflows", format!("run by {by}"))
    }

    /// It runs workflows from now on.
    pub(crate) fn begin(
        self,
        stores: &Stores,
        payments: Arc<dyn Payments>,
        orders: Arc<dyn Orders>,
    ) -> anyhow::Result<Arc<dyn Executor>> {
        match (self.restate, self.worker) {
            (Some(ingress), Some(worker)) => restate(&ingress, worker, payments, orders),
            _ => {
                let journal = Arc::clone(&stores.steps);
                Ok(Arc::new(Journaled { journal, payments, orders }))
            }
        }
    }
}

#[cfg(feature = "engines")]
fn restate(
    ingress: &str,
    worker: SocketAddr,
    payments: Arc<dyn Payments>,
    orders: Arc<dyn Orders>,
) -> anyhow::Result<Arc<dyn Executor>> {
    use anyhow::Context;
    let listen = http_server::Listen { listen: worker, any_address: false };
    let listener = listen.bind().context("--worker")?;
    let restate = Arc::new(restate::Restate::new(restate::Ingress::new(ingress)));
    // What is under way may end after everything else.
    tokio::spawn(restate::serve(listener, &restate, payments, orders, crate::begun::failed));
    Ok(restate)
}

#[cfg(not(feature = "engines"))]
fn restate(
    _: &str,
    _: SocketAddr,
    _: Arc<dyn Payments>,
    _: Arc<dyn Orders>,
) -> anyhow::Result<Arc<dyn Executor>> {
    anyhow::bail!(
        "--restate: this build has no Restate; build with `cargo build --release --workspace --bins --features engines`"
    )
}
