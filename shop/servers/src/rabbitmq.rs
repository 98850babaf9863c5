//! RabbitMQ, by Debian's package: an Erlang machine, and beside it the table of names that it needs. Nothing is
//! written outside its folder.

mod cluster;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;

use crate::{Parts, Place, Recipe, USER, command, found, free_port, write};

pub(crate) const RECIPE: Recipe = Recipe {
    name: "rabbitmq",
    install: "Debian: apt-get install rabbitmq-server",
    // The one on the PATH would become another user, who may not write here.
    program: || found(&["/usr/lib/rabbitmq/bin/rabbitmq-server"]),
    parts,
    stop: Signal::TERM,
    stopped: &[0],
    version,
    leads: Some(cluster::leads),
    stops_alone: true,
};

/// Files of an instance, by what they are told by.
const FILES: [(&str, &str); 11] = [
    ("HOME", "home"),
    ("RABBITMQ_CONF_ENV_FILE", "no-environment"),
    ("RABBITMQ_ADVANCED_CONFIG_FILE", "no-advanced.config"),
    ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
    ("RABBITMQ_ENABLED_PLUGINS_FILE", "plugins"),
    ("RABBITMQ_FEATURE_FLAGS_FILE", "feature-flags"),
    ("RABBITMQ_GENERATED_CONFIG_DIR", "generated"),
    ("RABBITMQ_LOG_BASE", "log"),
    ("RABBITMQ_MNESIA_BASE", "mnesia"),
    ("RABBITMQ_PID_FILE", "pid"),
    ("RABBITMQ_PLUGINS_EXPAND_DIR", "expanded"),
];

fn parts(program: &Path, place: &Place) -> Result<Parts> {
    let names = cluster::names(place).map_or_else(free_port, Ok)?;
    write(place, "rabbitmq.conf", &config(place))?;
    write(place, "plugins", "[].\n")?;
    std::fs::create_dir_all(cluster::home(&place.data))?;
    cluster::meet(place)?;
    cookie(place)?;
    Ok(Parts {
        steps: Vec::new(),
        companions: vec![table(place, names)],
        server: server(program, place, names)?,
    })
}

/// It would end its connections by a reset, which is what a look through a broken link meets, too.
fn config(place: &Place) -> String {
    let port = place.port;
    let user = |word: &String| format!("default_user = {USER}\ndefault_pass = {word}\n");
    format!(
        "listeners.tcp.1 = 127.0.0.1:{port}\nlog.console = true\nlog.console.level = warning\n\
        log.file = false\nvm_memory_high_watermark.absolute = 512MB\n\
        tcp_listen_options.linger.on = false\ntcp_listen_options.linger.timeout = 0\n\
        disk_free_limit.absolute = 50MB\nraft.wal_max_size_bytes = 64000000\n{}{}{}\n",
        cluster::settings(place),
        place.password.as_ref().map(user).unwrap_or_default(),
        place.also.join("\n")
    )
}

/// What a node that is alone is known by. It would make one itself, which is empty after a power cut some seconds
/// later, and then refuse to start.
fn cookie(place: &Place) -> Result<()> {
    let file = place.data.join("home/.erlang.cookie");
    if std::fs::metadata(&file).is_ok_and(|file| file.len() > 0) {
        return Ok(());
    }
    let word = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    write(place, "home/.erlang.cookie", word.trim()).map(drop)
}

/// Where nodes are found by their names.
fn table(place: &Place, port: u16) -> Command {
    let mut table = match place.nodes.is_empty() {
        true => command(Path::new("epmd"), &["-port", &port.to_string(), "-address", "127.0.0.1"]),
        false => cluster::table(port),
    };
    table.env("ERL_EPMD_RELAXED_COMMAND_CHECK", "1");
    table
}

fn server(program: &Path, place: &Place, names: u16) -> Result<Command> {
    let mut server = Command::new(program);
    server.env_clear().env("LANG", "C.UTF-8");
    server.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for (name, file) in FILES {
        server.env(name, place.data.join(file));
    }
    server.env("RABBITMQ_NODENAME", cluster::name(place.node));
    server.env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1");
    server.env("RABBITMQ_NODE_PORT", place.port.to_string());
    server.env("RABBITMQ_DIST_PORT", free_port()?.to_string());
    server.env("ERL_EPMD_ADDRESS", "127.0.0.1").env("ERL_EPMD_PORT", names.to_string());
    // Its script becomes the server, instead of a shell that waits for it.
    server.env("RUNNING_UNDER_SYSTEMD", "1");
    let machine = "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false +S 2:2 +A 16";
    server.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", machine);
    Ok(server)
}

/// The folder that the program is a link into has its version in its name: asking it takes a second.
fn version(program: &Path) -> Command {
    let folder = program.canonicalize().unwrap_or_else(|_| PathBuf::from(program));
    let folder = folder.ancestors().nth(2).and_then(Path::file_name).unwrap_or_default();
    let mut said = command(Path::new("echo"), &[]);
    said.arg(folder);
    said
}
