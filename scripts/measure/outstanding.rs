//! Messages per second through the embedded broker (publish, deliver, ack; 256 bytes) with a fixed
//! number outstanding, when changes share commits and when each has its own.
//!
//! The broker is a process of its own; producer and consumer have a connection each. The ways
//! alternate within each round, so that drift of the machine hits both.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use brokers::embedded::{Client, Options, Queue, serve};
use brokers::{Broker, Delivery, Message, SubscribeOptions, Subscription};
use clap::Parser;
use group_commit::Commit;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

const PAYLOAD_BYTES: usize = 256;
const TOPIC: &str = "outstanding";
const STALL_MAX: Duration = Duration::from_secs(10);

/// Compares group commit with one commit each, over TCP.
#[derive(Parser)]
struct Flags {
    /// Rounds; each measures every combination once
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement, after a quarter of it for warming up
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How many messages are outstanding
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    outstanding: Vec<u32>,
    /// Where the broker keeps its file; a memory file system would measure nothing
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Print one line of JSON too
    #[arg(long)]
    json: bool,
    /// Be the broker: used by this program on itself
    #[arg(long, hide = true, value_names = ["FILE", "COMMIT"], num_args = 2)]
    serve: Option<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Group,
    Each,
}

impl Way {
    fn name(self) -> &'static str {
        if self == Self::Group { "group" } else { "each" }
    }
}

/// One measurement.
struct Sample {
    way: Way,
    outstanding: u32,
    per_second: f64,
    per_commit: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let flags = Flags::parse();
    if let Some([file, way]) = flags.serve.as_deref() {
        return be_the_broker(file, way).await;
    }
    ensure!(flags.rounds > 0, "--rounds: expected at least 1");
    let mut samples = Vec::new();
    for round in 0..flags.rounds {
        let ways = if round % 2 == 0 { [Way::Group, Way::Each] } else { [Way::Each, Way::Group] };
        for &outstanding in &flags.outstanding {
            for way in ways {
                samples.push(measure(way, outstanding, &flags).await?);
            }
        }
    }
    print_table(&samples, &flags.outstanding);
    if flags.json {
        print_json(&samples, &flags.outstanding);
    }
    Ok(())
}

async fn measure(way: Way, outstanding: u32, flags: &Flags) -> Result<Sample> {
    let dir = tempfile::tempdir_in(&flags.dir)?;
    let mut server = Server::start(&dir.path().join("broker.log"), way)?;
    let producer: Arc<dyn Broker> = Arc::new(Client::connect(&server.address).await?);
    let consumer = Client::connect(&server.address).await?;
    let options = SubscribeOptions { prefetch: outstanding };
    let subscription = Arc::from(consumer.subscribe(TOPIC, options).await?);
    let places = Arc::new(Semaphore::new(outstanding as usize));
    let producing = tokio::spawn(produce(producer, Arc::clone(&places)));
    let warm = Duration::from_secs_f64(flags.seconds / 4.0);
    consume(&subscription, &places, warm).await?;
    let before = server.commits()?;
    let begun = Instant::now();
    let done = consume(&subscription, &places, Duration::from_secs_f64(flags.seconds)).await?;
    let per_second = f64::from(done) / begun.elapsed().as_secs_f64();
    let commits = server.commits()? - before;
    producing.abort();
    Ok(Sample { way, outstanding, per_second, per_commit: f64::from(done) / commits as f64 })
}

/// Publishes whenever there is a place.
async fn produce(broker: Arc<dyn Broker>, places: Arc<Semaphore>) -> Result<()> {
    let payload = bytes::Bytes::from(vec![b'x'; PAYLOAD_BYTES]);
    let mut publishing = JoinSet::new();
    for number in 0_u64.. {
        places.acquire().await?.forget();
        while let Some(published) = publishing.try_join_next() {
            published??;
        }
        let (broker, payload) = (Arc::clone(&broker), payload.clone());
        publishing.spawn(async move {
            let message = Message { key: number.to_string(), payload, ..Message::default() };
            broker.publish(TOPIC, message).await
        });
    }
    Ok(())
}

/// Acks what is delivered for a while; a place is free when its message is done.
async fn consume(
    subscription: &Arc<dyn Subscription>,
    places: &Semaphore,
    span: Duration,
) -> Result<u32> {
    let (end, mut done) = (Instant::now() + span, 0);
    let mut acking = JoinSet::new();
    while Instant::now() < end {
        tokio::select! {
            acked = acking.join_next(), if !acking.is_empty() => {
                acked.context("an ack")???;
                places.add_permits(1);
                done += 1;
            }
            delivery = timeout(STALL_MAX, subscription.next()) => {
                let delivery: Delivery = delivery.context("deliveries have stopped")??;
                let subscription = Arc::clone(subscription);
                acking.spawn(async move { subscription.ack(&delivery.receipt).await });
            }
        }
    }
    let counted = done;
    while let Some(acked) = acking.join_next().await {
        acked??;
        places.add_permits(1);
    }
    Ok(counted)
}

/// The broker in its own process; for every line it reads it writes how often it has committed.
struct Server {
    child: Child,
    address: String,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Server {
    fn start(file: &Path, way: Way) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--serve")
            .args([file.as_os_str(), way.name().as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let ask = child.stdin.take().context("a pipe")?;
        let mut answers = BufReader::new(child.stdout.take().context("a pipe")?);
        let mut address = String::new();
        answers.read_line(&mut address)?;
        Ok(Self { child, address: address.trim().to_owned(), ask, answers })
    }

    fn commits(&mut self) -> Result<u64> {
        self.ask.write_all(b"\n")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its file goes too, so nothing is to be saved.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn be_the_broker(file: &str, way: &str) -> Result<()> {
    let commit = if way == Way::Group.name() { Commit::Group } else { Commit::Each };
    let options = Options { commit, ..Options::default() };
    let queue = Arc::new(Queue::open(Path::new(file), options)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let counting = Arc::clone(&queue);
    std::thread::spawn(move || {
        for _ in std::io::stdin().lines() {
            println!("{}", counting.counts().commits);
        }
    });
    serve(listener, queue, std::future::pending()).await;
    Ok(())
}

/// Rates of one way, sorted.
fn rates(samples: &[Sample], way: Way, outstanding: u32) -> Vec<f64> {
    let of = |s: &&Sample| s.way == way && s.outstanding == outstanding;
    let mut rates: Vec<f64> = samples.iter().filter(of).map(|s| s.per_second).collect();
    rates.sort_by(f64::total_cmp);
    rates
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

/// Group over each, sorted, within each round: both met the same machine.
fn ratios(samples: &[Sample], outstanding: u32) -> Vec<f64> {
    let of = |way| move |s: &&Sample| s.way == way && s.outstanding == outstanding;
    let group = samples.iter().filter(of(Way::Group));
    let mut ratios: Vec<f64> = group
        .zip(samples.iter().filter(of(Way::Each)))
        .map(|(group, each)| group.per_second / each.per_second)
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios
}

fn print_table(samples: &[Sample], levels: &[u32]) {
    println!(
        "| outstanding | commit | messages/s: median (lowest to highest) | messages per commit | group over each |"
    );
    println!("| ---: | --- | ---: | ---: | ---: |");
    for &outstanding in levels {
        for way in [Way::Group, Way::Each] {
            let rates = rates(samples, way, outstanding);
            let (lowest, highest) = (rates[0], rates[rates.len() - 1]);
            let last = samples.iter().rfind(|s| s.way == way && s.outstanding == outstanding);
            let shared = last.map_or(0.0, |s| s.per_commit);
            let over = median(&ratios(samples, outstanding));
            println!(
                "| {outstanding} | {} | {:.0} ({lowest:.0} to {highest:.0}) | {shared:.2} | {over:.1} |",
                way.name(),
                median(&rates),
            );
        }
    }
}

fn print_json(samples: &[Sample], levels: &[u32]) {
    let mut figures = serde_json::Map::new();
    for &outstanding in levels {
        for way in [Way::Group, Way::Each] {
            let median = median(&rates(samples, way, outstanding));
            figures.insert(format!("{}_{outstanding}_per_second", way.name()), median.into());
        }
        let name = format!("group_over_each_at_{outstanding}");
        let ratios = ratios(samples, outstanding);
        figures.insert(format!("{name}_least"), ratios[0].into());
        figures.insert(format!("{name}_most"), ratios[ratios.len() - 1].into());
        figures.insert(name, median(&ratios).into());
    }
    println!("{}", serde_json::Value::Object(figures));
}
