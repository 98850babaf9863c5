//! Apache Kafka 4, by Maven's jars: one process of Java, which is broker and controller of its own cluster. As
//! installed it answers before it fsyncs.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;

use crate::{Parts, Place, Recipe, command, found, free_port, write};

/// Where `scripts/install-servers` puts its jars, and what says that they are there.
const JARS: &str = "/usr/local/lib/kafka";
const VERSION: &str = "/usr/local/lib/kafka/version";
/// Names a cluster: 16 bytes, as Kafka writes them. Each instance is alone.
const CLUSTER: &str = "dHJpcHR5Y2gta2Fma2EtMQ";

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
    let Place { port, advertised, data, durable, also, .. } = place;
    let controller = free_port()?;
    let data = data.join("log");
    let flush = if *durable { "log.flush.interval.messages=1\n" } else { "" };
    Ok(format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://{advertised}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={}
{flush}offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
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
