//! One running system with what a test may know of it: addresses, processes, ledger, logs.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use faults::set_provider;
use loadgen::truth::{OrdersReader, read_journal};
use record::ledger::{ChargeRow, Ledger};
use rustix::process::Signal;
use scenario::config::Span;
use scenario::system::SystemSpec;
use scenario::{Latency, Provider};
use supervise::cores::Cores;
use supervise::launch::{Running, Secrets};
use supervise::witness::Seals;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::shop::{Shop, client};
use crate::{programs, turns};

const PATIENCE: Duration = Duration::from_secs(15);
/// Longer than servers of others are given to stop.
const ENDS_WITHIN: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(5);
/// Of deliveries whose consumers are to end without a word.
const LEASE: Span = Span(Duration::from_secs(2));
/// The names of all secrets in the system files.
pub(crate) const SECRETS: [&str; 9] = [
    "token",
    "operator",
    "control",
    "payments",
    "merchant",
    "notifications",
    "inventory",
    "callback",
    "cluster",
];

pub(crate) struct Stand {
    pub(crate) running: Running,
    pub(crate) operator: OrdersReader,
    secrets: Secrets,
    folder: TempDir,
}

impl Stand {
    /// Starts a system on free ports, in a folder that goes away with it.
    pub(crate) async fn start(name: &str) -> anyhow::Result<Self> {
        Self::of(programs::system(name)?).await
    }

    /// As `start`, with poison armed. Some brokers hear of a consumer's end when its leases end: so they are
    /// short.
    pub(crate) async fn poisoned(name: &str) -> anyhow::Result<Self> {
        let mut spec = programs::system(name)?;
        spec.lease = spec.lease.map(|_| LEASE);
        for process in &mut spec.processes {
            process.env.insert("TRIPTYCH_POISON".to_owned(), "1".to_owned());
        }
        Self::of(spec).await
    }

    /// As `start`, with so many of each article.
    pub(crate) async fn stocked(name: &str, stock: u32) -> anyhow::Result<Self> {
        let mut spec = programs::system(name)?;
        for index in spec.players("inventory") {
            let flag = ["--stock".to_owned(), stock.to_string()];
            spec.processes[index].command.extend(flag);
        }
        Self::of(spec).await
    }

    /// As `start`, with so few descriptors as a shell usually grants (`ulimit -n`), which a process may
    /// raise.
    pub(crate) async fn of_a_shell(name: &str, descriptors: u32) -> anyhow::Result<Self> {
        let mut spec = programs::system(name)?;
        let script = format!("ulimit -S -n {descriptors}; exec \"$0\" \"$@\"");
        for process in &mut spec.processes {
            let shell = ["sh", "-c", &script].map(str::to_owned);
            process.command.splice(0..0, shell);
        }
        Self::of(spec).await
    }

    async fn of(mut spec: SystemSpec) -> anyhow::Result<Self> {
        for process in &mut spec.processes {
            // What runs for seconds is not worth compiling well.
            process
                .env
                .insert("JAVA_TOOL_OPTIONS".to_owned(), "-XX:TieredStopAtLevel=1".to_owned());
        }
        // Some servers are run as a user of their own, who must come to his folder.
        let folder =
            tempfile::Builder::new().permissions(Permissions::from_mode(0o711)).tempdir()?;
        let secrets = Secrets::new();
        let Cores { generator, systems } = Cores::divide()?;
        let all: BTreeSet<usize> = generator.into_iter().chain(systems).collect();
        let all: Vec<usize> = all.into_iter().collect();
        let cores = Cores { generator: all.clone(), systems: all };
        let (_stop, never) = watch::channel(false);
        let folder_path = folder.path();
        let starts = turns::to_start(&spec).await?;
        let running = Running::start(&spec, folder_path, &secrets, &cores, None, never).await?;
        drop(starts);
        let operator = OrdersReader::new(running.spec.audit.orders.first(), &secrets.operator)?;
        Ok(Self { running, operator, secrets, folder })
    }

    pub(crate) fn shop(&self) -> anyhow::Result<Shop> {
        Shop::new(&self.running.spec.entry)
    }

    pub(crate) fn operator_token(&self) -> &str {
        &self.secrets.operator
    }

    /// Where its processes keep things and write logs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The secret of this name.
    pub(crate) fn word(&self, name: &str) -> String {
        self.secrets.word(name)
    }

    pub(crate) fn control_token(&self) -> &str {
        &self.secrets.control
    }

    /// host:port of every process's HTTP server, with its name.
    pub(crate) fn servers(&self) -> Vec<(String, String)> {
        let address = |ready: &str| {
            let rest = ready.strip_prefix("http://").unwrap_or(ready);
            rest.split('/').next().unwrap_or_default().to_owned()
        };
        let processes = self.running.spec.processes.iter();
        processes.map(|p| (p.name.clone(), address(&p.ready))).collect()
    }

    /// How the card network behaves from now on.
    pub(crate) async fn provider(&self, latency: Latency, decline_rate: f64) -> anyhow::Result<()> {
        self.outside_world(&Provider { latency, decline_rate, ..Provider::default() }).await
    }

    /// The card network with these settings from now on.
    pub(crate) async fn outside_world(&self, settings: &Provider) -> anyhow::Result<()> {
        let base = &self.running.spec.entry.provider;
        set_provider(base, &self.secrets.control, settings).await.map(drop)
    }

    /// Where the broker lists the charges that it has given up, if there is one.
    pub(crate) fn dead_charges(&self) -> Option<&str> {
        let mut lists = self.running.spec.audit.dead_letters.iter();
        lists.find(|url| url.ends_with("/dead/charges")).map(String::as_str)
    }

    /// Whether orders are accepted before they are charged: behind a queue, or as workflows.
    pub(crate) fn answers_later(&self) -> bool {
        let spec = &self.running.spec;
        ["broker", "workflows"].iter().any(|role| !spec.players(role).is_empty())
    }

    /// Who plays orders and the broker, too.
    pub(crate) fn queues_inside(&self) -> Vec<usize> {
        let brokers = self.running.spec.players("broker");
        self.running.spec.players("orders").into_iter().filter(|i| brokers.contains(i)).collect()
    }

    /// The keys of the charges that the broker has given up.
    pub(crate) async fn dead_letters(&self) -> anyhow::Result<BTreeSet<String>> {
        let url = self.dead_charges().context("nowhere are dead letters listed")?;
        let page: serde_json::Value = client()?.get(url).send().await?.json().await?;
        let letters = page["dead"].as_array().context("no list of dead letters")?;
        let keys = letters.iter().filter_map(|letter| letter["key"].as_str());
        Ok(keys.map(ToOwned::to_owned).collect())
    }

    /// What the card network has counted under this name.
    pub(crate) async fn provider_counter(&self, name: &str) -> anyhow::Result<u64> {
        let url = format!("{}/metrics", self.running.spec.entry.provider);
        let text = client()?.get(url).send().await?.text().await?;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}_total ")));
        Ok(line.with_context(|| format!("no {name} in {text}"))?.parse()?)
    }

    /// Waits until so many orders exist, in whatever state, and so many lines are in the journal.
    pub(crate) async fn reaches(&self, orders: usize, charges: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.ledger().await?;
            if found.orders.len() >= orders && found.charges.len() >= charges {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{found:?} instead of {orders}, {charges}");
            sleep(POLL).await;
        }
    }

    pub(crate) fn journal(&self) -> anyhow::Result<Vec<ChargeRow>> {
        let (path, seals) = (&self.running.spec.audit.journal, Seals::new(&self.secrets.network));
        let mut rows = Vec::new();
        let doubts = read_journal(Path::new(path), &seals, &[], |row| {
            rows.push(row);
            Ok(())
        })?;
        ensure!(doubts.is_empty(), "{doubts:?}");
        Ok(rows)
    }

    pub(crate) async fn ledger(&self) -> anyhow::Result<Ledger> {
        let (orders, charges) = (self.operator.all(None).await?, self.journal()?);
        Ok(Ledger { orders, charges, ..Ledger::default() })
    }

    /// Sends SIGTERM and does not wait.
    pub(crate) fn terminate(&mut self, index: usize) -> anyhow::Result<()> {
        self.running.signal(index, Signal::TERM).map(drop)
    }

    /// Waits for a process's end, which must be a good one.
    pub(crate) async fn ends_well(&mut self, index: usize) -> anyhow::Result<()> {
        let name = self.running.spec.processes[index].name.clone();
        let deadline = Instant::now() + ENDS_WITHIN;
        loop {
            match self.running.ended(index) {
                Some(status) if status == "exit status: 0" => return Ok(()),
                Some(status) => bail!("{name}: {status}\n{}", self.logs()?),
                None => ensure!(Instant::now() < deadline, "{name} does not end"),
            }
            sleep(POLL).await;
        }
    }

    /// Everything that nobody may write down: the words that the processes were given.
    pub(crate) fn secrets(&self) -> Vec<String> {
        SECRETS.map(|name| self.word(name)).to_vec()
    }

    /// All that the processes have printed.
    pub(crate) fn logs(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.folder.path().join("logs"))? {
            text.push_str(&std::fs::read_to_string(entry?.path())?);
        }
        Ok(text)
    }

    pub(crate) async fn stop(self) {
        let left = self.running.stop().await;
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Waits until nobody listens there.
pub(crate) async fn refuses(address: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).await.is_ok() {
        ensure!(Instant::now() < deadline, "{address} still accepts connections");
        sleep(POLL).await;
    }
    Ok(())
}
