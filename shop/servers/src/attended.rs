//! A server with an HTTP door beside it, which says for it whether it is ready and how it is set: they start,
//! stop and end together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_server::{
    Handler, Limits, Listen, Metrics, Observed, ReadyCheck, Settings, problem, shutdown_signal,
};
use tokio_util::sync::CancellationToken;

use crate::{Output, Place, Recipe, recipe, recipes};

/// Which server is attended, and where.
#[derive(clap::Args)]
pub struct Attended {
    /// Which server: the name of a recipe, such as redis
    #[arg(long, value_name = "NAME")]
    pub server: String,
    /// The port of loopback where it serves its clients
    #[arg(long)]
    pub port: u16,
    /// A folder of its own, made if it is not there
    #[arg(long, value_name = "FOLDER")]
    pub data: PathBuf,
    /// Where health and settings are served, and a broker's dead letters; loopback only
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: SocketAddr,
}

/// The recipe of this name, or which there are.
///
/// # Errors
/// If there is none.
pub fn known(name: &str) -> Result<&'static Recipe> {
    recipe(name).with_context(|| {
        let known: Vec<_> = recipes().iter().map(|recipe| recipe.name).collect();
        format!("--server {name}: expected one of {}", known.join(", "))
    })
}

/// A door for health and settings, and nothing else.
#[must_use]
pub fn door(ready: Arc<dyn ReadyCheck>, settings: Settings) -> Arc<dyn Handler> {
    Observed::telling(Arc::new(Nothing), ready, Arc::new(Metrics::default()), settings)
}

struct Nothing;

#[async_trait]
impl Handler for Nothing {
    async fn handle(&self, _: Request<Bytes>) -> Response<Bytes> {
        problem(StatusCode::NOT_FOUND, "not-found", "see GET /readyz, /settings")
    }
}

/// Starts a server, and serves its door on this address of loopback, until a signal; then stops both.
///
/// # Errors
/// If one of them cannot be started, or ends by itself, or does not stop as it should.
pub async fn attend(
    recipe: &'static Recipe,
    place: &Place,
    http: SocketAddr,
    door: Arc<dyn Handler>,
    limits: Limits,
) -> Result<()> {
    let signal = shutdown_signal()?;
    if !http.ip().is_loopback() {
        bail!("--http {http}: expected a loopback address");
    }
    let listener = Listen { listen: http, any_address: false }.bind().context("--http")?;
    std::fs::create_dir_all(&place.data).context("--data")?;
    let mut server = recipe.start(place, Output::Shown).await?;
    process_log::say(format_args!("http on {}", listener.local_addr()?));
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let served = tokio::spawn(http_server::serve(listener, door, limits, stopped));
    let ended = tokio::select! {
        () = signal => server.stop().await,
        ended = server.ended() => Err(anyhow!("the server ended by itself: {}", ended?)),
    };
    stop.cancel();
    served.await??;
    ended
}
