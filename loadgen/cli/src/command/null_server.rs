//! `loadgen null-server`.

use std::net::SocketAddr;
use std::process::ExitCode;

use loadgen::selftest;
use loadgen::selftest::server::{Awake, From, Server, Stall};
use loadgen::terminal::{Terminal, show, warn};
use scenario::config::Span;
use supervise::cores::Cores;

use super::ending::interruption;

/// A server that answers at once, for comparing generators; tells what it saw when it is stopped
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where it listens
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Stop answering this long after the first request …
    #[arg(long, requires = "stall_for")]
    stall_at: Option<Span>,
    /// … for this long
    #[arg(long, requires = "stall_at")]
    stall_for: Option<Span>,
    /// Never sleep, so that no request pays for waking it
    #[arg(long)]
    awake: bool,
}

pub(crate) async fn serve(args: &Args) -> anyhow::Result<ExitCode> {
    let spans = args.stall_at.zip(args.stall_for);
    let stall = spans.map(|(at, lasts)| Stall { from: From::First(at.0), lasts: lasts.0 });
    let awake = if args.awake { Awake::Always } else { Awake::WhenNeeded };
    let server = Server::start(args.listen, &Cores::divide()?, stall, awake)?;
    warn(&format!("null-server: listening on {}", server.address));
    let mut stop = interruption(&Terminal::open(true)?)?;
    stop.wait_for(|stop| *stop).await?;
    show(&format!("{}\n", selftest::seen(&server.stop()?)))?;
    Ok(ExitCode::SUCCESS)
}
