//! What every service of the shop is told.

use clap::Args;
use http_server::Listen;

/// Where a service listens and remembers.
#[derive(Args)]
pub struct ServiceArgs {
    /// Its address.
    #[command(flatten)]
    pub listen: Listen,
    /// Where this service remembers: sqlite:PATH, postgres://USER@HOST:PORT/DATABASE?pool=16 (a password in
    /// the environment variable TRIPTYCH_DATABASE_PASSWORD), or memory:
    #[arg(long, value_name = "URL")]
    pub store: String,
}
