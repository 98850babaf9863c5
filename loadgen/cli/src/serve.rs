//! `loadgen serve`: the results of this machine as pages for its own browser, and a trial that is under way, live. It
//! reads files and starts nothing; nothing of it leaves the loopback interface.

mod http;
mod listing;
mod live;
mod stored;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use http::{Answer, Asked};
use supervise::cores::Cores;

/// Browsers that are answered at once; each open live page has one.
const CONNECTIONS_MAX: usize = 64;
/// A browser sends what it wants, and takes what it is sent, within this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// The generator goes first, whoever else wants the core.
const NICE: i32 = 19;

/// What serves a results folder.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    /// With every link resolved.
    root: PathBuf,
}

impl Server {
    /// Listens; does not answer yet.
    ///
    /// # Errors
    /// If the address is not one of the loopback interface or not free, or the folder cannot be read.
    pub async fn bind(root: &Path, address: SocketAddr) -> anyhow::Result<Self> {
        ensure!(
            address.ip().is_loopback(),
            "--listen {address}: expected an address of this machine alone, such as 127.0.0.1:{}; records tell of commands and machines",
            address.port()
        );
        let cannot = || format!("{}: expected a folder of results", root.display());
        let root = root.canonicalize().with_context(cannot)?;
        let listener = TcpListener::bind(address);
        let listener = listener.await.with_context(|| format!("cannot listen at {address}"))?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, root })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is told to stop.
    pub fn serve(self, stop: watch::Receiver<bool>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.listen(stop))
    }

    async fn listen(self, mut stop: watch::Receiver<bool>) {
        let Self { listener, address, root } = self;
        let site = Arc::new(Site { root, port: address.port() });
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let (Ok((stream, _)), Ok(place)) =
                (accepted, Arc::clone(&places).acquire_owned().await)
            else {
                continue;
            };
            let (site, stop) = (Arc::clone(&site), stop.clone());
            tokio::spawn(async move {
                // A browser that is gone wants nothing more.
                let _ = site.answer(stream, stop).await;
                drop(place);
            });
        }
    }
}

/// Keeps this process off the generator's core, and behind all others on the rest.
pub fn give_way() {
    if let Ok(cores) = Cores::divide() {
        // Where it may not, it is in the way a little: it wakes twice a second.
        let _ = Cores::pin(&cores.systems);
    }
    let _ = rustix::process::setpriority_process(None, NICE);
}

/// What there is to see.
struct Site {
    root: PathBuf,
    port: u16,
}

impl Site {
    async fn answer(
        &self,
        mut stream: TcpStream,
        stop: watch::Receiver<bool>,
    ) -> std::io::Result<()> {
        let Ok(asked) = timeout(PATIENCE, http::read(&mut stream)).await else { return Ok(()) };
        let asked = match asked {
            Ok(Some(asked)) => asked,
            Ok(None) => return self.send(&mut stream, &Answer::refused(400), true).await,
            Err(error) => return Err(error),
        };
        if !self.is_ours(&asked) {
            return self.send(&mut stream, &Answer::refused(421), true).await;
        }
        if asked.path == "/live" && !asked.is_head {
            return live::follow(&mut stream, &self.root, stop).await;
        }
        let answer = self.page(&asked.path);
        self.send(&mut stream, &answer, !asked.is_head).await
    }

    /// Whoever rebinds a name of his to this address has that name in Host, and a page of another site its own in
    /// Origin.
    fn is_ours(&self, asked: &Asked) -> bool {
        let names = ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("{host}:{}", self.port));
        let is_name = |name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        let is_own = |origin: &str| origin.strip_prefix("http://").is_some_and(is_name);
        asked.host.as_deref().is_some_and(is_name) && asked.origin.as_deref().is_none_or(is_own)
    }

    fn page(&self, path: &str) -> Answer {
        match path {
            "/" => Answer::page(listing::html(&self.root)),
            "/live.js" => Answer::text("text/javascript", include_str!("serve/live.js")),
            "/style.css" => Answer::text("text/css", include_str!("serve/style.css")),
            path => match path.strip_prefix("/results/") {
                Some(name) => stored::file(&self.root, name),
                None => Answer::refused(404),
            },
        }
    }

    async fn send(
        &self,
        stream: &mut TcpStream,
        answer: &Answer,
        with_body: bool,
    ) -> std::io::Result<()> {
        let bytes = answer.bytes(with_body);
        timeout(PATIENCE, stream.write_all(&bytes)).await??;
        stream.shutdown().await
    }
}

#[cfg(test)]
mod tests;
