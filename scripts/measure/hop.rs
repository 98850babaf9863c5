//! What a call of another service costs: `RemotePayments` against a bare hyper-util client that
//! sends the same bytes, both in this thread, the server in another process. Rounds alternate;
//! `--json` prints the median ratio as one line.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]
#![expect(clippy::unwrap_used, reason = "a measurement may panic")]

use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use http_server::{Guard, Limits, serve};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use shop::{Charge, Charged, Payments, Result, Settlement, Verdict};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use web::Routes;
use web::client::{Base, Credential, Http, RemotePayments};

const ROUNDS: usize = 21;
const CALLS: usize = 4_000;
const AT_ONCE: usize = 8;
const TOKEN: &str = "only for a measurement, on loopback";

struct Free;

#[async_trait]
impl Payments for Free {
    async fn charge(&self, charge: Charge) -> Result<Charged> {
        let Charge { key, amount_cents, .. } = charge;
        let verdict = Verdict::Paid { charge_id: "ch-0123456789abcdef".to_owned() };
        Ok(Charged::Now(Settlement { key, amount_cents, verdict }))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if std::env::args().any(|a| a == "serve") {
        return server().await;
    }
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .arg("serve")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let base: Base = lines.next_line().await.unwrap().unwrap().parse().unwrap();
    let ours = Arc::new(RemotePayments::new(Http::default(), &base, Credential::new(TOKEN)));
    let bare = bare_client();
    let uri: Uri = format!("{base}/charges").parse().unwrap();
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let bare_us = cost(|| bare_hop(bare.clone(), uri.clone())).await;
        let ours_us = cost(|| our_hop(Arc::clone(&ours))).await;
        // The first round opens the connections.
        if round > 0 {
            rounds.push((ours_us / bare_us, bare_us, ours_us));
        }
    }
    report(rounds);
}

fn report(mut rounds: Vec<(f64, f64, f64)>) {
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, bare, ours) = rounds[rounds.len() / 2];
    let (least, most) = (rounds[0].0, rounds[rounds.len() - 1].0);
    if std::env::args().any(|a| a == "--json") {
        let line = serde_json::json!({
            "hop_over_bare": ratio, "least": least, "most": most, "rounds": rounds.len(),
            "bare_us": bare, "web_us": ours, "calls": CALLS, "at_once": AT_ONCE,
        });
        println!("{line}");
    } else {
        println!("CPU per call in the client: bare {bare:.1} us, web::client {ours:.1} us");
        println!("median ratio {ratio:.3} of {} rounds ({least:.3} to {most:.3})", rounds.len());
    }
}

async fn server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    let routes =
        Arc::new(Routes::new().charges(Arc::new(Free), Guard::new(Some(TOKEN.to_owned()))));
    serve(listener, routes, Limits::default(), std::future::pending()).await.unwrap();
}

fn charge() -> Charge {
    let key = "0190f5fe-7c00-7a00-8000-000000000001".to_owned();
    Charge { key, amount_cents: 900, card: "4242424242424242".to_owned() }
}

fn bare_client() -> Client<HttpConnector, Full<Bytes>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

async fn bare_hop(client: Client<HttpConnector, Full<Bytes>>, uri: Uri) {
    let body = Bytes::from(serde_json::to_vec(&charge()).unwrap());
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert("content-type", json);
    let bearer = HeaderValue::try_from(format!("Bearer {TOKEN}")).unwrap();
    request.headers_mut().insert("authorization", bearer);
    let answer = client.request(request).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let settlement: Settlement = serde_json::from_slice(&body).unwrap();
    assert_eq!(settlement.amount_cents, 900);
}

async fn our_hop(payments: Arc<RemotePayments>) {
    let answer = payments.charge(charge()).await.unwrap();
    assert!(matches!(answer, Charged::Now(_)));
}

/// CPU microseconds of this thread per call.
async fn cost<F: Future<Output = ()> + Send + 'static>(hop: impl Fn() -> F) -> f64 {
    let before = cpu_us();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CALLS {
        if tasks.len() == AT_ONCE {
            tasks.join_next().await.unwrap().unwrap();
        }
        tasks.spawn(hop());
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let calls = CALLS as f64;
    (cpu_us() - before) / calls
}

/// CPU time of this process, user and system, from the scheduler.
fn cpu_us() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let ns: f64 = tasks
        .map(|task| {
            let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
            text.split(' ').next().unwrap().parse::<f64>().unwrap()
        })
        .sum();
    ns / 1_000.0
}
