//! LavinMQ, wherever `lavinmq` is on the PATH: it speaks RabbitMQ's protocol. No package of Debian has it, and
//! no test of ours has met it.

use rustix::process::Signal;

use crate::{Parts, Recipe, command, found, free_port};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "lavinmq",
    install: "https://lavinmq.com/documentation/debian-ubuntu",
    program: || found(&["lavinmq"]),
    parts: |program, place| {
        let mut server = command(program, &["--bind", "127.0.0.1", "--data-dir"]);
        server.arg(&place.data).args(["--amqp-port", &place.port.to_string()]);
        server.args(["--http-port", &free_port()?.to_string()]);
        Ok(Parts::of(server))
    },
    stop: Signal::TERM,
    stopped: &[0],
    version: |program| command(program, &["--version"]),
    leads: None,
    stops_alone: true,
};
