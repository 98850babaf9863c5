//! Redis, by Debian's package: one process. As installed it loses up to two seconds of what it answered.

use std::path::Path;

use anyhow::Result;
use rustix::process::Signal;

use crate::{Parts, Place, Recipe, USER, command, found, write};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "redis",
    install: "Debian: apt-get install redis-server",
    program: || found(&["redis-server"]),
    parts,
    stop: Signal::TERM,
    stopped: &[0],
    version: |program| command(program, &["--version"]),
    leads: None,
    stops_alone: true,
};

fn parts(program: &Path, place: &Place) -> Result<Parts> {
    let mut server = command(program, &[]);
    server.arg(write(place, "redis.conf", &settings(place))?);
    Ok(Parts::of(server))
}

fn settings(place: &Place) -> String {
    let (port, data) = (place.port, place.data.display().to_string());
    let sync = if place.durable { "always" } else { "everysec" };
    let users = place.password.as_deref().map(users).unwrap_or_default();
    format!(
        "bind 127.0.0.1\nport {port}\ndir {data:?}\nsave \"\"\nmaxmemory-policy noeviction\n\
        appendonly yes\nappendfsync {sync}\n{users}{}\n",
        place.also.join("\n")
    )
}

/// All that the default user might, another may who shows a password.
fn users(password: &str) -> String {
    format!("user default off\nuser {USER} on >{password} ~* &* +@all\n")
}
