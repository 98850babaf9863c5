//! Who is measured: a broker, started with or without an fsync before each answer.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use brokers::{Broker, Message, SubscribeOptions};
use rustix::process::Signal;
use servers::{Output, Parts, Place, Recipe, Running};
use tokio::time::{Instant, sleep, timeout};

/// How long a server may take until it answers, and how often it is asked.
const READY_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// Deliveries that nobody settles come again after this.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// Ours, as `systems/microservices-async.toml` starts it; else as the careless do.
const EMBEDDED: Recipe = Recipe {
    name: "embedded",
    install: "cargo build --release",
    program: || {
        let beside = std::env::current_exe().ok()?.with_file_name("broker");
        beside.is_file().then_some(beside)
    },
    parts: |program, place| {
        let mut server = std::process::Command::new(program);
        let synchronous = if place.durable { "" } else { "?synchronous=normal" };
        let file = place.data.join("broker.log");
        server.args(["--listen", &format!("127.0.0.1:{}", place.port)]);
        server.args(["--store", &format!("log:{}{synchronous}", file.display())]);
        server.args(["--lease", "2s", "--depth-max", "10000000"]);
        Ok(Parts::of(server))
    },
    stop: Signal::TERM,
    stopped: &[0],
    version: |program| {
        let mut command = std::process::Command::new(program);
        command.arg("--version");
        command
    },
    leads: None,
    stops_alone: true,
};

/// Servers that have no client of their own: which scheme they speak.
const EXHIBITS: &[(&str, &str)] = &[("nats-2-9", "nats")];

/// A broker and what is asked of it.
#[derive(Clone)]
pub(crate) struct Contestant {
    recipe: &'static Recipe,
    /// Whether it fsyncs before each answer; else it is as installed.
    pub(crate) durable: bool,
    pub(crate) version: String,
}

/// All that are installed, or those that are named.
pub(crate) fn all(named: &[String]) -> Result<Vec<Contestant>> {
    static OURS: Recipe = EMBEDDED;
    let recipe = |adapter: &brokers::Adapter| servers::recipe(adapter.server?);
    let known = brokers::adapters().iter().filter_map(recipe);
    let known = known.chain(EXHIBITS.iter().filter_map(|(name, _)| servers::recipe(name)));
    let known: Vec<&'static Recipe> = std::iter::once(&OURS).chain(known).collect();
    // One that keeps nothing has nothing to lose and no price: only if it is named.
    let kept = |recipe: &Recipe| !servers::FORGETFUL.contains(&recipe.name);
    for name in named {
        let found = known.iter().any(|recipe| recipe.name == name);
        ensure!(found, "--brokers {name}: expected some of {}", names(&known));
    }
    let wanted = |recipe: &&&'static Recipe| match named {
        [] => kept(recipe),
        named => named.iter().any(|n| n == recipe.name),
    };
    let mut all = Vec::new();
    for recipe in known.iter().filter(wanted) {
        ensure!(
            named.is_empty() || recipe.is_installed(),
            "{} is not installed ({})",
            recipe.name,
            recipe.install
        );
        if recipe.is_installed() {
            let version = recipe.version().unwrap_or_default();
            let of = |durable| Contestant { recipe, durable, version: version.clone() };
            let careless = servers::CARELESS.contains(&recipe.name);
            all.extend([true, false].into_iter().filter(|durable| !(careless && *durable)).map(of));
        }
    }
    Ok(all)
}

fn names(recipes: &[&'static Recipe]) -> String {
    recipes.iter().map(|recipe| recipe.name).collect::<Vec<_>>().join(", ")
}

impl Contestant {
    pub(crate) fn name(&self) -> &'static str {
        self.recipe.name
    }

    /// Whether this is the same one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.name() == other.name() && self.durable == other.durable
    }

    pub(crate) fn setting(&self) -> &'static str {
        match (self.durable, self.recipe.name) {
            (true, _) => "fsync",
            (false, "embedded") => "synchronous=normal",
            (false, _) => "installed",
        }
    }

    /// Starts it on this folder, and waits until it answers.
    pub(crate) async fn start(&self, data: &Path) -> Result<(Running, Arc<dyn Broker>)> {
        let place =
            Place { durable: self.durable, ..Place::durable(servers::free_port()?, data.into()) };
        let running = self.recipe.start(&place, Output::Dropped).await?;
        let broker = brokers::connect(&self.url(place.port))?;
        let answers = async {
            while let Err(error) = broker.depth("probe").await {
                ensure!(matches!(error, brokers::Error::Unavailable(_)), "{self}: {error}");
                sleep(POLL).await;
            }
            Ok(())
        };
        timeout(READY_MAX, answers).await.with_context(|| format!("{self} does not answer"))??;
        Ok((running, broker))
    }

    fn url(&self, port: u16) -> String {
        let exhibit = EXHIBITS.iter().find(|(name, _)| *name == self.recipe.name);
        let scheme = exhibit.map_or(self.recipe.name, |(_, scheme)| scheme);
        let place = format!("{scheme}://127.0.0.1:{port}");
        if self.recipe.name == "embedded" {
            return place;
        }
        let durable = if self.durable { "yes" } else { "no" };
        format!("{place}?lease=2s&depth-max=10000000&durable={durable}")
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.setting())
    }
}

/// One under way, on a folder that goes with it.
pub(crate) struct Started {
    pub(crate) running: Running,
    pub(crate) broker: Arc<dyn Broker>,
    folder: PathBuf,
    _dir: tempfile::TempDir,
}

impl Started {
    pub(crate) async fn new(contestant: &Contestant, dir: &Path) -> Result<Self> {
        let temporary = tempfile::Builder::new().prefix("acks-").tempdir_in(dir)?;
        let folder = temporary.path().canonicalize()?.join("data");
        std::fs::create_dir(&folder)?;
        let (running, broker) = contestant.start(&folder).await?;
        Ok(Self { running, broker, folder, _dir: temporary })
    }

    /// Ends it: what it holds is of no use.
    pub(crate) async fn end(mut self) -> Result<()> {
        self.running.kill().await?;
        let _ = std::fs::remove_dir_all(&self.folder);
        Ok(())
    }

    /// Sends a message through a topic, so that nobody waits for it to be made.
    pub(crate) async fn open(&self, topic: &str) -> Result<()> {
        self.broker
            .publish(topic, Message { key: "first".to_owned(), ..Message::default() })
            .await?;
        let consumer = self.broker.subscribe(topic, SubscribeOptions::default()).await?;
        let end = Instant::now() + READY_MAX;
        let delivery = tokio::time::timeout_at(end, consumer.next()).await??;
        Ok(consumer.ack(&delivery.receipt).await?)
    }
}
