//! What the three processes have in common: routes behind a socket.

use std::sync::Arc;

use anyhow::Context;
use http_server::{Listen, Observed, ReadyCheck, serve, shutdown_signal};
use web::{Routes, timing};

/// Serves until a signal; then drains.
pub(crate) async fn run(
    name: &str,
    listen: Listen,
    routes: Routes,
    ready: Arc<dyn ReadyCheck>,
) -> anyhow::Result<()> {
    let shutdown = shutdown_signal().context("cannot wait for signals")?;
    let listener = listen.bind()?;
    eprintln!("{name}: listening on {}", listener.local_addr()?);
    let observed = Observed::new(Arc::new(routes), ready, Arc::default());
    serve(listener, observed, timing::limits(), shutdown).await?;
    Ok(())
}
