//! A pair of real servers with their manager: one is killed, cut off, comes back, and nothing that was answered is lost.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "a test tells what it could not do")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use failover::{Data, Kept};
use postgres_pool::{Pool, Target};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
const WRITERS: usize = 8;
/// Of each life of a server: the next begins when so many rows were written in it.
const ROWS: usize = 200;

/// A program that is killed with what it started when it is dropped.
struct Program {
    child: Child,
    /// Where PostgreSQL notes its process.
    postmaster: Option<std::path::PathBuf>,
}

impl Program {
    fn start(arguments: &[String]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_failover"));
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Kills it, and PostgreSQL: whose other processes end when they see that.
    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(pid) = self.postgres() {
            let _ = kill_process(pid, Signal::KILL);
        }
        self.postmaster = None;
    }

    fn postgres(&self) -> Option<Pid> {
        let noted = std::fs::read_to_string(self.postmaster.as_ref()?).ok()?;
        Pid::from_raw(noted.lines().next()?.trim().parse().ok()?)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

struct Pair {
    ports: [u16; 2],
    doors: [u16; 2],
    managed_at: u16,
    manager: Program,
    nodes: [Option<Program>; 2],
    /// Dropped last.
    folder: TempDir,
}

impl Pair {
    /// Both run, and the copy has everything; none if PostgreSQL is not installed.
    async fn start() -> Option<Self> {
        let recipe = servers::recipe("postgres").unwrap();
        if !recipe.is_installed() {
            assert!(std::env::var_os("CI").is_none(), "CI runs scripts/install-servers first");
            println!("skipped: {} is not installed ({})", recipe.name, recipe.install);
            return None;
        }
        // PostgreSQL is run by another user, where root runs us.
        let open = std::fs::Permissions::from_mode(0o711);
        let folder = tempfile::Builder::new().permissions(open).tempdir().unwrap();
        let port = || servers::free_port().unwrap();
        let (ports, doors, managed_at) = ([port(), port()], [port(), port()], port());
        let data = folder.path().join("manager").display().to_string();
        let listen = format!("127.0.0.1:{managed_at}");
        let arguments = ["manager", "--listen", &listen, "--data", &data].map(str::to_owned);
        let child = Program::start(&arguments).spawn().unwrap();
        let manager = Program { child, postmaster: None };
        let mut pair = Self { ports, doors, managed_at, manager, nodes: [None, None], folder };
        pair.begin(0);
        pair.is_ready(0).await;
        pair.begin(1);
        pair.is_ready(1).await;
        Some(pair)
    }

    fn begin(&mut self, node: usize) {
        let data = self.folder.path().join(format!("node-{node}"));
        let arguments = [
            "node",
            "--server",
            "postgres",
            "--port",
            &self.ports[node].to_string(),
            "--data",
            &data.display().to_string(),
            "--http",
            &format!("127.0.0.1:{}", self.doors[node]),
            "--manager",
            &format!("127.0.0.1:{}", self.managed_at),
            "--shard",
            "one",
            "--node",
            &node.to_string(),
            "--other",
            &format!("127.0.0.1:{}", self.ports[1 - node]),
        ]
        .map(str::to_owned);
        let child = Program::start(&arguments).spawn().unwrap();
        let postmaster = Some(data.join("db/postmaster.pid"));
        self.nodes[node] = Some(Program { child, postmaster });
    }

    async fn is_ready(&self, node: usize) {
        until(async || ask(self.doors[node], "/readyz").await.starts_with("HTTP/1.1 200")).await;
    }

    async fn kept(&self) -> Kept {
        let told = ask(self.managed_at, "/shards").await;
        let body = told.split_once("\r\n\r\n").unwrap().1;
        let all: serde_json::Value = serde_json::from_str(body).unwrap();
        serde_json::from_value(all["one"].clone()).unwrap()
    }

    fn noted(&self, node: usize) -> Data {
        let file = self.folder.path().join(format!("node-{node}/data.json"));
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    }

    /// Whether this one copies, if it answers.
    async fn copies(&self, node: usize) -> Option<bool> {
        let target = Target::parse(&format!("127.0.0.1:{}", self.ports[node])).unwrap();
        let asked = Pool::new(target, None).run("select pg_is_in_recovery()").await;
        asked.ok().flatten().map(|told| told == "t")
    }

    fn pool(&self) -> Pool {
        let [one, other] = self.ports;
        let target = Target::parse(&format!("127.0.0.1:{one},127.0.0.1:{other}?pool=8")).unwrap();
        Pool::new(target, None)
    }
}

async fn ask(port: u16, path: &str) -> String {
    let Ok(mut line) = TcpStream::connect(("127.0.0.1", port)).await else {
        return String::new();
    };
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
    let _ = line.write_all(request.as_bytes()).await;
    let mut answer = String::new();
    let _ = line.read_to_string(&mut answer).await;
    answer
}

async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is_so().await {
        assert!(Instant::now() < end, "not within {DEADLINE:?}");
        sleep(POLL).await;
    }
}

/// Rows that were answered.
type Answered = Arc<Mutex<BTreeSet<String>>>;

/// Inserts all the time, whoever takes it.
fn write(pool: &Arc<Pool>, answered: &Answered) -> JoinSet<()> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (pool, answered) = (Arc::clone(pool), Arc::clone(answered));
        writers.spawn(async move {
            for n in 0_u64.. {
                let key = format!("{writer}-{n}");
                let asked = pool.ask("insert into rows (key) values ($1)", &[&key]).await;
                match asked {
                    Ok(_) => {
                        answered.lock().unwrap().insert(key);
                    }
                    Err(_) => sleep(POLL).await,
                }
            }
        });
    }
    writers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_the_server_that_answered_it() {
    let Some(mut pair) = Pair::start().await else { return };
    let pool = Arc::new(pair.pool());
    until(async || {
        pool.run("create table if not exists rows (key text primary key)").await.is_ok()
    })
    .await;
    let answered = Answered::default();
    let mut writers = write(&pool, &answered);
    for _ in 0..3 {
        let had = answered.lock().unwrap().len();
        until(async || answered.lock().unwrap().len() >= had + ROWS).await;
        until(async || pair.kept().await.followed).await;
        let kept = pair.kept().await;
        let mut dead = pair.nodes[kept.primary].take().unwrap();
        dead.kill();
        let had = answered.lock().unwrap().len();
        until(async || answered.lock().unwrap().len() >= had + ROWS).await;
        // It comes back as the one that copies.
        pair.begin(kept.primary);
        pair.is_ready(kept.primary).await;
        let now = pair.kept().await;
        assert_eq!((now.term, now.primary), (kept.term + 1, 1 - kept.primary));
        assert_eq!(pair.noted(kept.primary), Data::Replica(now.term));
        assert_eq!(pair.noted(now.primary), Data::Primary(now.term));
    }
    writers.shutdown().await;
    let rows = pool.ask("select key from rows", &[]).await.unwrap();
    let there: BTreeSet<String> = rows.iter().map(|row| row.get("key")).collect();
    let answered = answered.lock().unwrap();
    let lost: Vec<_> = answered.difference(&there).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), answered.len());
}

/// Its process is killed alone, and what it started is not: the next life of the process ends that, and goes on with the data.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_outlives_its_process_is_ended_by_the_next() {
    let Some(mut pair) = Pair::start().await else { return };
    let pool = pair.pool();
    until(async || {
        pool.run("create table if not exists rows (key text primary key)").await.is_ok()
    })
    .await;
    let mut alone = pair.nodes[0].take().unwrap();
    let left = alone.postgres().unwrap();
    // So that dropping it kills nothing else.
    alone.postmaster = None;
    drop(alone);
    assert!(pool.run("insert into rows values ('orphan')").await.is_ok(), "it serves on");
    pair.begin(0);
    // Before anybody else may be written to.
    let is_left = || test_kill_process(left).is_ok();
    until(async || !is_left() || pair.kept().await.term > 1).await;
    assert!(!is_left(), "two may be written to");
    pair.is_ready(0).await;
    pair.is_ready(1).await;
    until(async || pool.run("insert into rows values ('next')").await.is_ok()).await;
    let rows = pool.ask("select key from rows", &[]).await.unwrap();
    assert_eq!(rows.len(), 2);
}

/// Without a manager nobody knows who writes: so nobody does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_hear_from_the_manager_ends_writing() {
    let Some(pair) = Pair::start().await else { return };
    let pool = pair.pool();
    until(async || pool.run("select 1").await.is_ok()).await;
    pair.manager.signal(Signal::STOP);
    until(async || TcpStream::connect(("127.0.0.1", pair.ports[0])).await.is_err()).await;
    assert!(pool.run("select 1").await.is_err());
    pair.manager.signal(Signal::CONT);
    until(async || pool.run("select 1").await.is_ok()).await;
    pair.is_ready(0).await;
    pair.is_ready(1).await;
    let primary = pair.kept().await.primary;
    assert_eq!(
        [pair.copies(primary).await, pair.copies(1 - primary).await],
        [Some(false), Some(true)]
    );
}

/// While the copy is away customers are served, and it may not take over; when it is back it has everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_was_away_does_not_take_over() {
    let Some(mut pair) = Pair::start().await else { return };
    let pool = pair.pool();
    until(async || {
        pool.run("create table if not exists rows (key text primary key)").await.is_ok()
    })
    .await;
    pair.nodes[1].take().unwrap().kill();
    until(async || !pair.kept().await.followed).await;
    until(async || pool.run("insert into rows values ('alone')").await.is_ok()).await;
    pair.nodes[0].take().unwrap().kill();
    pair.begin(1);
    until(async || pair.copies(1).await.is_some()).await;
    // It asks, and is left to copy: twice as long as it takes to take over.
    let end = Instant::now() + Duration::from_secs(6);
    while Instant::now() < end {
        assert_eq!((pair.kept().await.term, pair.copies(1).await), (1, Some(true)));
        sleep(POLL).await;
    }
    pair.begin(0);
    pair.is_ready(0).await;
    pair.is_ready(1).await;
    let rows = pool.ask("select key from rows", &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
}
