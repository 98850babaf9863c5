//! What a request costs the balancer, ours against HAProxy: CPU time of its process for each, in rounds that alternate.
//! The servers behind it and the client are other processes. `--json` prints one line.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]
#![expect(clippy::unwrap_used, reason = "a measurement may panic")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use clap::Parser;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use http_server::{Handler, Limits, json, serve};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use servers::Place;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const REPLICAS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);
/// As long as an order.
const BODY: &[u8] = &[b'x'; 120];

#[derive(Parser)]
struct Flags {
    /// Where the programs are
    #[arg(long, default_value = "target/release")]
    dir: PathBuf,
    /// Rounds of each
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Requests of a round
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// Under way at once
    #[arg(long, default_value_t = 32)]
    at_once: usize,
    /// One line for scripts
    #[arg(long)]
    json: bool,
    /// Serve instead, at this address
    #[arg(long, hide = true)]
    serve: Option<SocketAddr>,
}

/// Answers all alike.
struct Fixed;

#[async_trait]
impl Handler for Fixed {
    async fn handle(&self, _: Request<Bytes>) -> Response<Bytes> {
        json(StatusCode::OK, &serde_json::json!({"status": "paid"}))
    }
}

/// A process that ends with the measurement.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn start(mut command: Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// CPU time that it has spent, µs.
    fn cpu_us(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap();
        let ns = tasks.map(|task| {
            let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
            text.split(' ').next().unwrap().parse::<f64>().unwrap()
        });
        ns.sum::<f64>() / 1_000.0
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let flags = Flags::parse();
    if let Some(address) = flags.serve {
        let listener = TcpListener::bind(address).await.unwrap();
        let forever = std::future::pending();
        return serve(listener, Arc::new(Fixed), Limits::default(), forever).await.unwrap();
    }
    let replicas: Vec<SocketAddr> = (0..REPLICAS).map(|_| free()).collect();
    let own = std::env::current_exe().unwrap();
    let served = |address: &SocketAddr| {
        let mut command = Command::new(&own);
        command.args(["--serve", &address.to_string()]);
        Process::start(command)
    };
    let _replicas: Vec<Process> = replicas.iter().map(served).collect();
    let folder = tempfile::tempdir().unwrap();
    let (ours_at, haproxy_at) = (free(), free());
    let ours = Process::start(ours(&flags.dir, ours_at, &replicas));
    let haproxy = Process::start(haproxy(folder.path(), haproxy_at, &replicas));
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    for address in [ours_at, haproxy_at] {
        timeout(PATIENCE, answers(&client, address)).await.unwrap();
    }
    let mut rounds = Vec::new();
    for round in 0..=flags.rounds {
        let ours_us = cost(&ours, &client, ours_at, &flags).await;
        let haproxy_us = cost(&haproxy, &client, haproxy_at, &flags).await;
        // The first round opens the connections.
        if round > 0 {
            rounds.push((ours_us / haproxy_us, ours_us, haproxy_us));
        }
    }
    report(rounds, &flags);
}

fn report(mut rounds: Vec<(f64, f64, f64)>, flags: &Flags) {
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, ours, haproxy) = rounds[rounds.len() / 2];
    let (least, most) = (rounds[0].0, rounds[rounds.len() - 1].0);
    if flags.json {
        let line = serde_json::json!({
            "balancer_over_haproxy": ratio, "least": least, "most": most, "rounds": rounds.len(),
            "balancer_us": ours, "haproxy_us": haproxy, "at_once": flags.at_once,
        });
        return println!("{line}");
    }
    println!("CPU per request: balancer {ours:.1} us, HAProxy {haproxy:.1} us");
    println!("median ratio {ratio:.3} of {} rounds ({least:.3} to {most:.3})", rounds.len());
}

fn free() -> SocketAddr {
    ([127, 0, 0, 1], servers::free_port().unwrap()).into()
}

fn ours(dir: &Path, listen: SocketAddr, replicas: &[SocketAddr]) -> Command {
    let mut command = Command::new(dir.join("balancer"));
    command.args(["--listen", &listen.to_string(), "--http", &free().to_string()]);
    for replica in replicas {
        command.args(["--replica", &replica.to_string()]);
    }
    command
}

fn haproxy(folder: &Path, listen: SocketAddr, replicas: &[SocketAddr]) -> Command {
    let recipe = servers::known("haproxy").unwrap();
    let program = (recipe.program)().expect(recipe.install);
    let mut place = Place::durable(listen.port(), folder.to_owned());
    place.nodes = replicas.to_owned();
    (recipe.parts)(&program, &place).unwrap().server
}

type Http = Client<HttpConnector, Full<Bytes>>;

/// Waits until it passes on what is asked.
async fn answers(client: &Http, address: SocketAddr) {
    while ask(client.clone(), address).await != Some(StatusCode::OK) {
        sleep(POLL).await;
    }
}

async fn ask(client: Http, address: SocketAddr) -> Option<StatusCode> {
    let mut request = Request::new(Full::new(Bytes::from_static(BODY)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = format!("http://{address}/orders").parse::<Uri>().unwrap();
    let answer = client.request(request).await.ok()?;
    let status = answer.status();
    answer.into_body().collect().await.ok()?;
    Some(status)
}

/// CPU µs of this process for each request that it passes on.
async fn cost(balancer: &Process, client: &Http, address: SocketAddr, flags: &Flags) -> f64 {
    let before = balancer.cpu_us();
    let mut under_way = JoinSet::new();
    for _ in 0..flags.requests {
        if under_way.len() == flags.at_once {
            assert_eq!(under_way.join_next().await.unwrap().unwrap(), Some(StatusCode::OK));
        }
        under_way.spawn(ask(client.clone(), address));
    }
    while let Some(status) = under_way.join_next().await {
        assert_eq!(status.unwrap(), Some(StatusCode::OK));
    }
    (balancer.cpu_us() - before) / flags.requests as f64
}
