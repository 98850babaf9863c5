//! `loadgen serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use loadgen::serve::{self, Server};
use loadgen::terminal::{Terminal, show};

use super::ending::interruption;

/// Show results in this machine's browser, and a trial under way live. Runs nothing
#[derive(clap::Args)]
#[command(
    after_help = "It reads files, twice a second while a live page is open, and stays off the generator's core.\n\nExamples:\n  loadgen serve\n  loadgen serve results --listen 127.0.0.1:9000"
)]
pub(crate) struct Args {
    /// The folder of all results
    #[arg(default_value = "results")]
    folder: PathBuf,
    /// Where it listens: an address of the loopback interface
    #[arg(long, default_value = "127.0.0.1:8888")]
    listen: SocketAddr,
}

pub(crate) async fn serve(args: &Args) -> anyhow::Result<ExitCode> {
    serve::give_way();
    let server = Server::bind(&args.folder, args.listen).await?;
    show(&format!("serving {} at http://{}/\n", args.folder.display(), server.address()))?;
    server.serve(interruption(&Terminal::open(false)?)?).await;
    Ok(ExitCode::SUCCESS)
}
