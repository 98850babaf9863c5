//! What every service of the shop is told.

use clap::Args;
use http_server::Listen;
use web::{Shedding, Threads};

/// Where a service listens and remembers.
#[derive(Args)]
pub struct ServiceArgs {
    /// Its address.
    #[command(flatten)]
    pub listen: Serving,
    /// Where this service remembers: sqlite:PATH, postgres://USER@HOST:PORT/DATABASE?pool=16 (a password in
    /// the environment variable TRIPTYCH_DATABASE_PASSWORD; of HOST:PORT,HOST:PORT the one that writes is meant, and with
    /// reads=copy what is final is read from the other), shards:N;URL;URL for orders over several of these, or memory:
    #[arg(long, value_name = "URL")]
    pub store: String,
}

/// Where a service listens, and how much it works on at once.
#[derive(Clone, Copy, Debug, Args)]
pub struct Serving {
    #[command(flatten)]
    pub(crate) listen: Listen,
    /// Requests in work at once, as of a server that gives each a thread; others wait for one
    /// [default: as many as there are connections]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    threads: Option<u32>,
    /// Refuses what is more than it has lately answered within a second, before anything is done; a fifth is kept for
    /// orders and charges
    #[arg(long, conflicts_with = "threads")]
    shed: bool,
}

impl Serving {
    /// The threads, if they are counted.
    pub(crate) fn threads(&self) -> Option<Threads> {
        self.threads.map(Threads)
    }

    /// When it refuses, if it does.
    pub(crate) fn shedding(&self) -> Option<Shedding> {
        self.shed.then(Shedding::default)
    }
}
