//! NATS with JetStream: one process. As installed it answers before its fsync, which comes every two minutes.
//! Debian's is of 2.9, which cannot be told otherwise: an exhibit, beside the one that can.

mod leading;

use std::path::Path;

use anyhow::{Result, bail};
use rustix::process::Signal;

use crate::{Parts, Place, Recipe, USER, command, found, write};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "nats",
    install: "scripts/install-servers; Debian's is too old",
    program: || found(&["/usr/local/bin/nats-server", "nats-server"]),
    parts,
    stop: Signal::INT,
    stopped: &[0],
    version: |program| command(program, &["--version"]),
    leads: Some(leading::leads),
    stops_alone: true,
};

/// Debian's, as it comes, whatever is wanted of it.
pub(crate) const DEBIAN: Recipe = Recipe {
    name: "nats-2-9",
    install: "scripts/install-servers",
    program: || found(&["/usr/local/lib/nats-2.9/nats-server"]),
    parts: |program, place| parts(program, &Place { durable: false, ..place.clone() }),
    ..RECIPE
};

fn parts(program: &Path, place: &Place) -> Result<Parts> {
    if place.durable {
        check(program)?;
    }
    let mut server = command(program, &["--config"]);
    server.arg(write(place, "nats.conf", &config(place))?);
    Ok(Parts::of(server))
}

fn config(place: &Place) -> String {
    let (port, advertised, name) = (place.port, place.advertised, name(place.node));
    let data = place.data.join("jetstream").display().to_string();
    let sync = if place.durable { "sync_interval: always" } else { "" };
    format!(
        "server_name: {name}\nlisten: \"127.0.0.1:{port}\"\nclient_advertise: \"{advertised}\"\n\
        jetstream {{ store_dir: {data:?}, {sync} }}\n{}{}{}\n",
        cluster(place),
        place.password.as_deref().map(users).unwrap_or_default(),
        place.also.join("\n")
    )
}

fn users(password: &str) -> String {
    format!("authorization {{ user: {USER}, password: {password:?} }}\n")
}

/// The name of a node.
fn name(node: usize) -> String {
    format!("shop{}", node + 1)
}

/// Its nodes tell clients of no other node: the ways there are the clients' to know.
fn cluster(place: &Place) -> String {
    let Some(own) = place.nodes.get(place.node) else { return String::new() };
    let routes: Vec<_> = place.nodes.iter().map(|node| format!("\"nats://{node}\"")).collect();
    let routes = routes.join(", ");
    format!("cluster {{ name: shop, listen: \"{own}\", no_advertise: true, routes: [{routes}] }}\n")
}

/// That it can fsync before it answers.
fn check(program: &Path) -> Result<()> {
    let told = command(program, &["--version"]).output()?;
    let told = String::from_utf8_lossy(&told.stdout).trim().to_owned();
    if version(&told).is_some_and(|version| version >= (2, 11)) {
        return Ok(());
    }
    bail!(
        "{}: {told}, expected v2.11 or newer: else what is answered may be lost",
        program.display()
    )
}

/// Of `nats-server: v2.15.1`.
fn version(told: &str) -> Option<(u32, u32)> {
    let mut parts = told.rsplit_once('v')?.1.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read() {
        assert_eq!(version("nats-server: v2.15.1"), Some((2, 15)));
        assert_eq!(version("nats-server: v2.9.10"), Some((2, 9)));
        assert_eq!(version(""), None);
    }
}
