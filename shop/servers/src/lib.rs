//! Servers that others wrote, as private instances on loopback: what is installed, how each is started for
//! what is promised of it, how it is told to stop. A system file and a test start the same one.
//!
//! To add one: its file, its `mod`, and its name in `RECIPES`.

mod attended;
mod haproxy;
mod kafka;
mod lavinmq;
mod nats;
mod postgres;
mod rabbitmq;
mod redis;
mod restate;
mod running;
mod sqs;
mod tree;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

pub use attended::{Attended, attend, door, known};
pub use haproxy::MONITORED;
pub use running::{Output, Running};

/// All that can be started.
const RECIPES: &[Recipe] = &[
    haproxy::RECIPE,
    kafka::RECIPE,
    lavinmq::RECIPE,
    nats::RECIPE,
    nats::DEBIAN,
    postgres::RECIPE,
    rabbitmq::RECIPE,
    redis::RECIPE,
    restate::RECIPE,
    sqs::RECIPE,
];

/// After this a node's word on itself is not expected any more.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Bytes of what a server said that are told.
const SAID_MAX: usize = 4_000;

/// Ports that somebody in this process was given, who may not listen yet.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Those that `scripts/install-servers` does not install: they are asked where they are found.
pub const ELSEWHERE: &[&str] = &["lavinmq"];

/// Those that keep nothing over their end.
pub const FORGETFUL: &[&str] = &["sqs"];

/// Those that answer before anything is on the disk, whatever is wanted of them: exhibits.
pub const CARELESS: &[&str] = &["nats-2-9"];

/// How a server is started and stopped.
pub struct Recipe {
    /// As system files and URLs name it.
    pub name: &'static str,
    /// How it is installed, for people.
    pub install: &'static str,
    /// Its program, where this machine has it.
    pub program: fn() -> Option<PathBuf>,
    /// What must be run, of this program, in this place.
    pub parts: fn(&Path, &Place) -> Result<Parts>,
    /// Lets what is under way end, and ends it.
    pub stop: Signal,
    /// How it ends when it was told to: 0, or what its runtime says instead.
    pub stopped: &'static [i32],
    /// Says its version when it is run.
    pub version: fn(&Path) -> Command,
    /// Asks this node of a cluster, which is up, whether it leads this queue; none if it is always alone.
    pub leads: Option<Leads>,
    /// Whether a node stops when it is told to although too few others are left to agree on anything.
    pub stops_alone: bool,
}

/// Whether a node leads a queue, by its own word: it waits for an answer, but not for long.
pub type Leads = fn(&Place, &str) -> Result<bool>;

/// Where an instance lives, and what is wanted of it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The port of loopback where clients are served.
    pub port: u16,
    /// Where clients are told to come, by a server that tells them: a link, or the port itself.
    pub advertised: SocketAddr,
    /// A folder of its own, which is there.
    pub data: PathBuf,
    /// Whether it must fsync before it answers; else it is as it is when installed.
    pub durable: bool,
    /// Where the nodes of its cluster meet each other, this one among them; none if it is alone. Of a balancer, its
    /// replicas.
    pub nodes: Vec<SocketAddr>,
    /// Which of the nodes it is, from 0.
    pub node: usize,
    /// What its nodes know each other by, where a server wants such a word.
    pub secret: Option<String>,
    /// What it lets [`USER`] in by, and nobody else in; else whoever reaches it comes in. A server that
    /// asks for none does not know it.
    pub password: Option<String>,
    /// Lines that are added to its settings, in its own language.
    pub also: Vec<String>,
    /// Whom it copies, before it first starts, and then follows; a server that cannot does not know it.
    pub follows: Option<SocketAddr>,
}

/// The environment variable with what the nodes of a cluster know each other by.
pub const CLUSTER_SECRET: &str = "TRIPTYCH_CLUSTER_SECRET";

/// Who comes in by a password.
pub const USER: &str = "shop";

/// Commands that make an instance.
pub struct Parts {
    /// Run to their end, one after the other, before each start; what was done before they leave alone.
    pub steps: Vec<Command>,
    /// Run beside the server, from before it until after it.
    pub companions: Vec<Command>,
    /// The server itself.
    pub server: Command,
}

impl Parts {
    /// A server that needs nothing else.
    #[must_use]
    pub fn of(server: Command) -> Self {
        Self { steps: Vec::new(), companions: Vec::new(), server }
    }
}

impl Place {
    /// A durable instance on this port, with its data there.
    #[must_use]
    pub fn durable(port: u16, data: PathBuf) -> Self {
        let advertised = ([127, 0, 0, 1], port).into();
        let (durable, nodes, node, secret) = (true, Vec::new(), 0, None);
        let (password, also, follows) = (None, Vec::new(), None);
        Self { port, advertised, data, durable, nodes, node, secret, password, also, follows }
    }

    /// The end of what the server here said, if that is [kept](Output::Kept).
    #[must_use]
    pub fn said(&self) -> String {
        let said = std::fs::read(self.output()).unwrap_or_default();
        let end = &said[said.len().saturating_sub(SAID_MAX)..];
        String::from_utf8_lossy(end).into_owned()
    }

    fn output(&self) -> PathBuf {
        self.data.join("output.txt")
    }
}

impl Recipe {
    /// Whether this machine has it.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        (self.program)().is_some()
    }

    /// The first line of what it says of its version; none if it is not installed or does not say.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        let told = (self.version)(&(self.program)()?).output().ok()?;
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
    }
}

/// All that can be started.
#[must_use]
pub fn recipes() -> &'static [Recipe] {
    RECIPES
}

/// The recipe of this name.
#[must_use]
pub fn recipe(name: &str) -> Option<&'static Recipe> {
    RECIPES.iter().find(|recipe| recipe.name == name)
}

/// A port of loopback that nobody has, that the kernel gives to nobody, and that was not given here before.
///
/// # Errors
/// If there is none.
pub fn free_port() -> Result<u16> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let (listener, _reserved) = free_port::take().context("no free port was found")?;
        let port = listener.local_addr()?.port();
        if given.insert(port) {
            return Ok(port);
        }
    }
}

/// The first of these places where there is a file: a name is looked for on the PATH.
pub(crate) fn found(places: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = |name: &str| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
    };
    places.iter().find_map(|place| match place.contains('/') {
        true => Some(PathBuf::from(place)).filter(|file| file.is_file()),
        false => on_path(place),
    })
}

/// Writes a file of settings, to the disk: it may hold a password, which nobody else reads.
pub(crate) fn write(place: &Place, name: &str, text: &str) -> Result<PathBuf> {
    let file = place.data.join(name);
    let opened = File::options().write(true).create(true).truncate(true).mode(0o600).open(&file);
    let written = opened.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.with_context(|| file.display().to_string())?;
    Ok(file)
}

/// A connection of a moment to a node's own port.
pub(crate) fn asked(place: &Place) -> Result<TcpStream> {
    let address = ([127, 0, 0, 1], place.port).into();
    let line = TcpStream::connect_timeout(&address, ANSWER_MAX)?;
    line.set_read_timeout(Some(ANSWER_MAX))?;
    line.set_write_timeout(Some(ANSWER_MAX))?;
    Ok(line)
}

/// A command of this program with these arguments.
pub(crate) fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_on_the_path_or_at_its_place() {
        assert!(found(&["no-such-program", "sh"]).is_some());
        assert_eq!(found(&["/bin/sh"]), Some(PathBuf::from("/bin/sh")));
        assert_eq!(found(&["/no/such/program", "no-such-program"]), None);
    }

    #[test]
    fn no_port_is_given_twice() {
        let given: BTreeSet<u16> = (0..1_000).map(|_| free_port().unwrap()).collect();
        assert_eq!(given.len(), 1_000);
    }

    #[test]
    fn names_are_one_recipe_each() {
        for one in recipes() {
            assert!(std::ptr::eq(recipe(one.name).unwrap(), one), "{}", one.name);
        }
        assert!(recipe("nothing").is_none());
    }
}
