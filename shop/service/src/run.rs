//! A process of the shop: routes behind a socket, until a signal.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use http_server::{
    Handler, Limits, ListenError, Metrics, Observed, ReadyCheck, Settings, serve, shutdown_signal,
};
use shop::{Error, Tasks};
use tokio::time::timeout;
use web::Routes;

use crate::{Serving, bounds, timing};

/// Why a process does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The system refuses.
    #[error("cannot serve: {0}")]
    System(#[from] io::Error),
}

/// Serves until SIGTERM or SIGINT; then finishes what is in flight. The settings are told at `/settings`,
/// with those of the server, and the process's own metrics at `/metrics`.
///
/// # Errors
/// If the address is not to be had.
pub async fn run(
    name: &str,
    serving: Serving,
    routes: Routes,
    ready: Arc<dyn ReadyCheck>,
    settings: Settings,
    metrics: Metrics,
) -> Result<(), ServeError> {
    run_within(Limits::default(), name, serving, routes, ready, settings, metrics).await
}

/// The same with other limits than those of every process.
///
/// # Errors
/// If the address is not to be had.
pub async fn run_within(
    limits: Limits,
    name: &str,
    serving: Serving,
    routes: Routes,
    ready: Arc<dyn ReadyCheck>,
    settings: Settings,
    metrics: Metrics,
) -> Result<(), ServeError> {
    let shutdown = shutdown_signal()?;
    let listener = serving.listen.bind()?;
    process_log::say(format_args!("{name}: listening on {}", listener.local_addr()?));
    let limits = limits.within_descriptors();
    let settings = settings.and(limits.settings()).with("version", env!("CARGO_PKG_VERSION"));
    let routes: Arc<dyn Handler> = Arc::new(routes);
    let (routes, settings) = match (serving.threads(), serving.shedding()) {
        (Some(threads), _) => (threads.before(routes), settings.and(threads.settings())),
        (None, Some(shedding)) => (shedding.before(routes), settings.and(shedding.settings())),
        (None, None) => (routes, settings),
    };
    let observed = Observed::telling(routes, ready, Arc::new(metrics), settings);
    serve(listener, observed, limits, shutdown).await?;
    Ok(())
}

/// What a process ends with; why it did not serve is said.
#[must_use]
pub fn exit_code(name: &str, result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process_log::say(format_args!("{name}: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Where a service does what must be finished once it has begun; traces go along.
#[must_use]
pub fn tasks() -> Arc<Tasks> {
    Arc::new(Tasks::new(bounds::IN_WORK, http_server::detached))
}

/// Writes down what the recovery could not settle.
pub fn not_recovered(failed: usize, first: &Error) {
    process_log::tell("recovery-failed", || {
        [("orders", failed.into()), ("error", first.to_string().into())]
    });
}

/// Waits until what has begun is finished, for a while: what is not by then, the recovery finds.
pub async fn finish<const N: usize>(tasks: [&Tasks; N]) {
    let drained = async {
        for tasks in tasks {
            tasks.drain().await;
        }
    };
    if timeout(timing::FINISH, drained).await.is_err() {
        process_log::say(
            "stopped with work that is not finished; it is taken up at the next start",
        );
    }
}
