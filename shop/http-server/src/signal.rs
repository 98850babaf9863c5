//! The signals that end a process.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Ends at the first SIGTERM or SIGINT after this call.
///
/// # Errors
/// If a signal handler cannot be installed.
pub fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
