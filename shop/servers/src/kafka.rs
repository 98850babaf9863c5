//! Apache Kafka 4, by Maven's jars: one process of Java, which is broker and controller, alone or with others.
//! As installed it answers before it fsyncs.

mod leading;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;

use crate::{Parts, Place, Recipe, command, found, free_port, write};

/// Where `scripts/install-servers` puts its jars, and what says that they are there.
const JARS: &str = "/usr/local/lib/kafka";
const VERSION: &str = "/usr/local/lib/kafka/version";
/// Names a cluster: 16 bytes, as Kafka writes them. Nobody else's nodes come to its ports.
const CLUSTER: &str = "dHJpcHR5Y2gta2Fma2EtMQ";
/// On so many nodes a message is kept, where there are so many.
const COPIES_MAX: usize = 3;

/// Flags for a Java that is soon over.
const BRIEFLY: &[&str] = &["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

pub(crate) const RECIPE: Recipe = Recipe {
    name: "kafka",
    install: "scripts/install-servers: Apache Kafka from Maven, and Debian's openjdk-17-jre-headless",
    program: || found(&[VERSION]).and_then(|_| found(&["java"])),
    parts,
    stop: Signal::TERM,
    // What Java answers to the signal.
    stopped: &[143],
    version: |java| run(java, BRIEFLY, &["kafka.Kafka", "--version"]),
    leads: Some(leading::leads),
    stops_alone: false,
};

fn parts(java: &Path, place: &Place) -> Result<Parts> {
    let file = write(place, "server.properties", &settings(place)?)?;
    let format =
        ["kafka.tools.StorageTool", "format", "--ignore-formatted", "--cluster-id", CLUSTER];
    let mut format = run(java, BRIEFLY, &format);
    format.arg("--config").arg(&file);
    let mut server = run(java, &["-Xms256m", "-Xmx256m", "-XX:+UseG1GC"], &["kafka.Kafka"]);
    server.arg(&file);
    // What was formatted once stays so: another second of Java is not needed.
    let is_new = !place.data.join("log/meta.properties").exists();
    let steps = if is_new { vec![format] } else { Vec::new() };
    Ok(Parts { steps, companions: Vec::new(), server })
}

fn run(java: &Path, flags: &[&str], arguments: &[&str]) -> Command {
    let mut command = command(java, flags);
    command.arg("-cp").arg(format!("{JARS}/*")).args(arguments);
    command
}

fn settings(place: &Place) -> Result<String> {
    let Place { port, advertised, data, durable, also, node, .. } = place;
    let Cluster { voters, controller, more, told, map, copies, in_sync } = Cluster::of(place)?;
    let (id, data) = (id(*node), data.join("log"));
    let flush = if *durable { "log.flush.interval.messages=1\n" } else { "" };
    Ok(format!(
        "process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://{controller}{more}
advertised.listeners=PLAINTEXT://{advertised}{more}
{told}controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{map}
log.dirs={}
{flush}default.replication.factor={copies}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=1
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={in_sync}
share.coordinator.state.topic.num.partitions=1
group.share.min.record.lock.duration.ms=1000
group.share.max.record.lock.duration.ms=3600000
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
{}
",
        data.display(),
        also.join("\n")
    ))
}

/// How a broker names its node.
fn id(node: usize) -> usize {
    node + 1
}

/// What settings say of a cluster, which may be of one node.
struct Cluster {
    voters: String,
    /// Where this node's controller listens.
    controller: SocketAddr,
    /// A listener for the other nodes: what clients are told may lead through somebody.
    more: String,
    told: &'static str,
    map: &'static str,
    copies: usize,
    /// So many have a message before it is acknowledged: one may be away.
    in_sync: usize,
}

impl Cluster {
    fn of(place: &Place) -> Result<Self> {
        let Some(controller) = place.nodes.get(place.node).copied() else { return Self::alone() };
        let voters = place.nodes.iter().enumerate();
        let voters: Vec<_> = voters.map(|(node, at)| format!("{}@{at}", id(node))).collect();
        let copies = place.nodes.len().min(COPIES_MAX);
        Ok(Self {
            voters: voters.join(","),
            controller,
            more: format!(",NODES://127.0.0.1:{}", free_port()?),
            told: "inter.broker.listener.name=NODES\n",
            map: ",NODES:PLAINTEXT",
            copies,
            in_sync: copies / 2 + 1,
        })
    }

    fn alone() -> Result<Self> {
        let controller = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let voters = format!("{}@{controller}", id(0));
        let (more, told, map, copies, in_sync) = (String::new(), "", "", 1, 1);
        Ok(Self { voters, controller, more, told, map, copies, in_sync })
    }
}
