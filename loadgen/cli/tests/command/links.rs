//! Every harm that is done to links: its effect is proved, it is healed, and nobody is left.

use record::latency::Metric;
use record::read::Run;
use record::{Answer, FaultRow, Operation, Outcome};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::bench::{Bench, end};

/// One harm after the other, on each link in turn, while orders are placed.
const LOAD: &str = r#"about = "Each harm of a link in turn."
start = 30
stages = [{ duration = "25s", rate = 30 }]
warm_up = "1s"
drain = "60s"
customers = 2
mix = { place = 60, get = 40 }
provider = { latency = "constant:5ms" }
"#;
const HARMS: [(&str, &str, &str); 8] = [
    ("entry", "latency", "delay = \"80ms\"\njitter = \"20ms\""),
    ("provider", "bandwidth", "bytes_per_s = 4000"),
    ("provider", "blackhole", ""),
    ("entry", "reset", "share = 0.5"),
    ("provider", "reply-lost", "share = 0.5"),
    ("entry", "half-open", ""),
    ("provider", "slow-close", "delay = \"300ms\""),
    ("entry", "slice", "size_bytes = 20\ndelay = \"2ms\"\ndirection = \"to-client\""),
];

fn scenario() -> String {
    let mut text = LOAD.to_owned();
    for (number, (link, kind, parameters)) in HARMS.iter().enumerate() {
        let at = 1 + 3 * number;
        text.push_str(&format!(
            "[[fault]]\nat = \"{at}s\"\nfor = \"1s\"\nharm = \"link:{link}\"\nkind = \"{kind}\"\n{parameters}\n"
        ));
    }
    text
}

/// An order waits for payments over one hop and back, a look-up for nobody.
#[tokio::test]
async fn a_hop_that_is_late_is_late_for_all_who_wait_for_it() {
    let bench = Bench::new();
    let text = LOAD.replace("25s", "3s").replace("drain", "hop_delay = \"40ms\"\ndrain");
    let file = bench.file("late.toml", &text);
    let output = bench.call(&["run", &file, "-s", "microservices-sync"]).await;
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    let run = Run::read(&bench.latest()).unwrap();
    let trial = &run.trials[0];
    assert_eq!(trial.manifest.parity["hops"], "40ms late, each way");
    let least_us = |operation| {
        let is_ok = |outcome| outcome == Outcome::Ok;
        trial.latencies.times(0, operation, Metric::Response, is_ok).min().unwrap()
    };
    assert!(least_us(Operation::Place) >= 80_000, "{} us", least_us(Operation::Place));
    assert!(least_us(Operation::Get) < 80_000, "{} us", least_us(Operation::Get));
}

#[tokio::test]
async fn each_harm_of_a_link_is_proved_and_healed() {
    let bench = Bench::new();
    let file = bench.file("harms.toml", &scenario());
    let output = bench.call(&["run", &file, "-s", "monolith"]).await;
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    bench.is_deserted();
    let run = Run::read(&bench.latest()).unwrap();
    let trial = &run.trials[0];
    let verdict = trial.audit.as_ref().unwrap();
    assert_eq!(verdict.verdict, Answer::True, "{verdict:?}");
    assert_eq!(trial.manifest.parity["links"], "through the fault proxy: entry, provider");
    assert_eq!(trial.faults.len(), HARMS.len());
    for (row, (link, kind, _)) in trial.faults.iter().zip(HARMS) {
        assert_eq!((&*row.harm, &*row.kind), (&*format!("link:{link}"), kind));
        assert!(is_whole(row), "{row:#?}");
    }
}

fn is_whole(row: &FaultRow) -> bool {
    row.effective_s.is_some() && row.healed_s.is_some()
}

#[tokio::test]
async fn a_link_that_is_not_there_is_named_with_the_nearest() {
    let bench = Bench::new();
    let file = bench.file("wrong.toml", &scenario().replace("link:provider", "link:provide"));
    let output = bench.call(&["run", &file, "-s", "monolith"]).await;
    crate::bench::says(&output, 1, &["wrong.toml", "link:provide", "did you mean \"provider\"?"]);
    bench.is_clean();
}

/// What a harness that is killed leaves behind is an input that ends.
#[tokio::test]
async fn the_proxy_ends_with_its_input() {
    let bench = Bench::new();
    let mut proxy = bench.piped(&["links", "--of", bench.path("run").to_str().unwrap()]);
    let mut input = proxy.stdin.take().unwrap();
    // Where nobody listens the proxy resets the client, perhaps before it knows that it is connected.
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = upstream.local_addr().unwrap();
    let order = format!("{{\"open\":{{\"seed\":1,\"links\":{{\"a\":\"{address}\"}}}}}}\n");
    input.write_all(order.as_bytes()).await.unwrap();
    let mut answers = BufReader::new(proxy.stdout.as_mut().unwrap()).lines();
    let opened = answers.next_line().await.unwrap().unwrap();
    let address = opened.split('"').nth(5).unwrap();
    let client = TcpStream::connect(address).await.unwrap();
    drop(input);
    assert!(end(proxy).await.status.success());
    drop(client);
    bench.is_deserted();
}
