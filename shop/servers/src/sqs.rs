//! ElasticMQ, which speaks the language of Amazon's SQS, by Maven's jars: one process of Java. It stands for
//! what cannot be installed: good to see that a client works, never to be timed.

use std::path::Path;

use anyhow::Result;
use rustix::process::Signal;

use crate::{Parts, Place, Recipe, command, found, write};

/// Where `scripts/install-servers` puts its jars, and what says their version.
const JARS: &str = "/usr/local/lib/elasticmq";
const VERSION: &str = "/usr/local/lib/elasticmq/version";

pub(crate) const RECIPE: Recipe = Recipe {
    name: "sqs",
    install: "scripts/install-servers: ElasticMQ from Maven, and Debian's openjdk-17-jre-headless",
    program: || found(&[VERSION]).and_then(|_| found(&["java"])),
    parts,
    stop: Signal::TERM,
    // What Java answers to the signal.
    stopped: &[143],
    version: |_| command(Path::new("cat"), &[VERSION]),
    leads: None,
    stops_alone: true,
};

fn parts(java: &Path, place: &Place) -> Result<Parts> {
    let file = write(place, "elasticmq.conf", &settings(place))?;
    let mut server = command(java, &["-Xms64m", "-Xmx256m"]);
    server.arg(format!("-Dconfig.file={}", file.display()));
    server.args(["-cp", &format!("{JARS}/*"), "org.elasticmq.server.Main"]);
    Ok(Parts::of(server))
}

/// What it calls its queues begins with where clients come.
fn settings(place: &Place) -> String {
    let (port, host, come) = (place.port, place.advertised.ip(), place.advertised.port());
    format!(
        "include classpath(\"application.conf\")
node-address {{ protocol = http, host = \"{host}\", port = {come}, context-path = \"\" }}
rest-sqs {{ enabled = true, bind-hostname = \"127.0.0.1\", bind-port = {port}, sqs-limits = strict }}
rest-stats.enabled = false
{}
",
        place.also.join("\n")
    )
}
