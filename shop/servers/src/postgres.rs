//! PostgreSQL, by Debian's package: a process for each connection, in sessions of their own. It refuses root,
//! who starts it as `nobody`. As installed it fsyncs a commit before it answers.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, geteuid};

use crate::{Parts, Place, Recipe, command, found};

/// The environment variable with the password that it asks for, unless its place names one; without any
/// whoever reaches it comes in.
const PASSWORD: &str = "TRIPTYCH_DATABASE_PASSWORD";
/// Who starts it where root must not.
const SERVANT: &str = "nobody";
/// Makes a folder of data unless there is one, whole or not at all. `$0` is the folder, `$1` the program that
/// makes it; the superuser is `shop`.
const MAKE: &str = r#"
set -e
data=$0 initdb=$1
[ ! -e "$data/db" ] || exit 0
rm -rf "$data/new"
make() { "$initdb" -D "$data/new" -U shop --no-locale -E UTF8 "$@"; }
if [ -n "$TRIPTYCH_DATABASE_PASSWORD" ]; then
    printf %s "$TRIPTYCH_DATABASE_PASSWORD" | make -A scram-sha-256 --pwfile=/dev/stdin
else
    make -A trust
fi
mv "$data/new" "$data/db"
"#;

/// Before a server is copied, and after: it is there whole or not at all, and what is started there follows it. `$0` is the
/// folder. What copies is a step of its own: who gives up ends it.
const EMPTY: &str = r#"rm -rf "$0/new""#;
const FOLLOW: &str =
    r#"[ ! -e "$0/new" ] || [ -e "$0/db" ] || mv "$0/new" "$0/db"; touch "$0/db/standby.signal""#;
/// The same word, for PostgreSQL's own clients: one of them follows.
const CLIENTS_PASSWORD: &str = "PGPASSWORD";

pub(crate) const RECIPE: Recipe = Recipe {
    name: "postgres",
    install: "Debian: apt-get install postgresql-15",
    program: || found(&["/usr/lib/postgresql/15/bin/postgres", "postgres"]),
    parts,
    stop: Signal::INT,
    stopped: &[0],
    version: |program| command(program, &["--version"]),
    leads: None,
    stops_alone: true,
};

fn parts(program: &Path, place: &Place) -> Result<Parts> {
    let (servant, data) = (servant()?, place.data.canonicalize()?);
    if let Some((user, group)) = servant {
        grant(&data, user, group)?;
    }
    let mut steps = steps(program, place, &data);
    let mut server = command(program, &["-c", "listen_addresses=127.0.0.1"]);
    // Nothing of it is outside of its folder: no socket, no shared memory by name.
    server.args(["-c", "unix_socket_directories=", "-c", "dynamic_shared_memory_type=mmap"]);
    server.args(["-p", &place.port.to_string(), "-D"]).arg(data.join("db"));
    for line in &place.also {
        server.args(["-c", line]);
    }
    server.env_remove(PASSWORD);
    let password = place.password.clone().or_else(|| std::env::var(PASSWORD).ok());
    if let Some(password) = password.filter(|password| !password.is_empty()) {
        for step in &mut steps {
            step.env(PASSWORD, &password).env(CLIENTS_PASSWORD, &password);
        }
        if place.follows.is_some() {
            server.env(CLIENTS_PASSWORD, password);
        }
    }
    let steps = steps.into_iter().map(|step| serving(step, servant)).collect();
    Ok(Parts { steps, companions: Vec::new(), server: serving(server, servant) })
}

/// What makes the folder of data: empty, or a copy.
fn steps(program: &Path, place: &Place, data: &Path) -> Vec<Command> {
    let shell = |what| {
        let mut shell = command(Path::new("sh"), &["-c", what]);
        shell.arg(data);
        shell
    };
    let Some(other) = place.follows else {
        let mut make = shell(MAKE);
        make.arg(program.with_file_name("initdb"));
        return vec![make];
    };
    if data.join("db").exists() {
        return vec![shell(FOLLOW)];
    }
    let mut copy = Command::new(program.with_file_name("pg_basebackup"));
    copy.args(["-w", "-U", "shop", "-c", "fast", "-X", "stream", "-D"]).arg(data.join("new"));
    copy.args(["-h", &other.ip().to_string(), "-p", &other.port().to_string()]);
    vec![shell(EMPTY), copy, shell(FOLLOW)]
}

/// The user and group that root starts it as; none if it is not root who starts it.
fn servant() -> Result<Option<(u32, u32)>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let mut users = users.lines().map(fields).filter(|user| user[0] == SERVANT);
    let ids = users.find_map(|user| Some((user.get(2)?.parse().ok()?, user.get(3)?.parse().ok()?)));
    let why = || format!("PostgreSQL refuses root, and there is no user {SERVANT}");
    ids.map(Some).with_context(why)
}

/// Makes the folder the servant's, who must be able to come to it.
fn grant(data: &Path, user: u32, group: u32) -> Result<()> {
    for folder in data.ancestors().skip(1) {
        if folder.metadata()?.permissions().mode() & 0o001 == 0 {
            let folder = folder.display();
            bail!(
                "{folder} lets {SERVANT} not in, who runs PostgreSQL for root: chmod o+x {folder}"
            );
        }
    }
    chown(data, Some(user), Some(group))?;
    std::fs::set_permissions(data, PermissionsExt::from_mode(0o700))?;
    Ok(())
}

fn serving(mut command: Command, servant: Option<(u32, u32)>) -> Command {
    command.current_dir("/");
    if let Some((user, group)) = servant {
        command.uid(user).gid(group);
    }
    command
}
