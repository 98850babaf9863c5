//! Nodes of one host as a cluster: how they find and know each other, and which of them leads a queue.
//!
//! Each would be the keeper of their table of names; the first that comes is, and when it ends another. Nodes
//! tell the new one their names within two seconds: Erlang does.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{Place, write};

/// Where a node looks for what they know each other by, in its home.
const COOKIE: &str = "home/.erlang.cookie";

/// The name of a node.
pub(super) fn name(node: usize) -> String {
    format!("shop{}@localhost", node + 1)
}

/// The port of the table of names; none if it is alone.
pub(super) fn names(place: &Place) -> Option<u16> {
    place.nodes.first().map(std::net::SocketAddr::port)
}

/// Keeps the table of names on this port, whenever nobody else does.
pub(super) fn table(port: u16) -> Command {
    let mut table = Command::new("sh");
    let keep = format!("while :; do epmd -port {port} -address 127.0.0.1; sleep 0.5; done");
    table.args(["-c", &keep]).stdout(Stdio::null()).stderr(Stdio::null());
    table
}

/// What its settings say of the others. Who cannot reach most of them stands still.
pub(super) fn settings(place: &Place) -> String {
    if place.nodes.is_empty() {
        return String::new();
    }
    let nodes = (0..place.nodes.len()).map(|node| {
        format!("cluster_formation.classic_config.nodes.{} = {}\n", node + 1, name(node))
    });
    let nodes: String = nodes.collect();
    format!(
        "cluster_formation.peer_discovery_backend = classic_config\n{nodes}\
        cluster_partition_handling = pause_minority\n"
    )
}

/// Lets it know the others by the run's word, if there are others.
pub(super) fn meet(place: &Place) -> Result<()> {
    if place.nodes.is_empty() {
        return Ok(());
    }
    let secret = place.secret.as_ref();
    let secret = secret.context("nodes of RabbitMQ need a word that they know each other by")?;
    write(place, COOKIE, secret).map(drop)
}

/// Asked of the node itself, by a tool that comes with Erlang.
pub(super) fn leads(place: &Place, queue: &str) -> Result<bool> {
    let own = name(place.node);
    let names = names(place).context("it is alone")?;
    let mut asked = Command::new("timeout");
    asked.args(["2", "erl_call", "-n", &own, "-a"]);
    asked.arg(format!("ra_leaderboard lookup_leader ['%2F_{queue}']"));
    asked.env("HOME", home(&place.data)).env("ERL_EPMD_PORT", names.to_string());
    let said = asked.output().context("erl_call")?;
    ensure!(said.status.success(), "{own}: {}", String::from_utf8_lossy(&said.stderr).trim());
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(said.starts_with(&format!("{{'%2F_{queue}'")), "{own} knows no leader: {said}");
    Ok(said.contains(&own))
}

pub(super) fn home(data: &Path) -> PathBuf {
    data.join("home")
}
