//! Redis, by Debian's package: one process. As installed it loses up to two seconds of what it answered.

use crate::{Parts, Recipe, command, found};
use rustix::process::Signal;

pub(crate) const RECIPE: Recipe = Recipe {
    name: "redis",
    install: "Debian: apt-get install redis-server",
    program: || found(&["redis-server"]),
    parts: |program, place| {
        let mut server = command(program, &["--bind", "127.0.0.1", "--save", ""]);
        server.args(["--port", &place.port.to_string(), "--dir"]).arg(&place.data);
        server.args(["--maxmemory-policy", "noeviction", "--appendonly", "yes", "--appendfsync"]);
        server.arg(if place.durable { "always" } else { "everysec" });
        Ok(Parts::of(server))
    },
    stop: Signal::TERM,
    stopped: &[0],
    version: |program| command(program, &["--version"]),
};
