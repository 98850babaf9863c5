//! Servers that contestants may run on, with the versions that they tell of themselves. None of them is started.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Debian keeps some programs out of the PATH.
const FURTHER: [&str; 4] = [
    "/usr/sbin",
    "/usr/lib/postgresql/15/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/17/bin",
];

/// A server, and who tells its version.
struct Known {
    name: &'static str,
    told: Told,
}

enum Told {
    /// A program, with these arguments.
    By(&'static str, &'static [&'static str]),
    /// A file of `scripts/install-servers`.
    In(&'static str),
}

const KNOWN: [Known; 9] = [
    Known { name: "PostgreSQL", told: Told::By("postgres", &["--version"]) },
    Known { name: "RabbitMQ", told: Told::By("rabbitmqctl", &["version"]) },
    Known { name: "LavinMQ", told: Told::By("lavinmq", &["--version"]) },
    Known { name: "NATS", told: Told::By("nats-server", &["--version"]) },
    Known {
        name: "Debian's NATS",
        told: Told::By("/usr/local/lib/nats-2.9/nats-server", &["--version"]),
    },
    Known { name: "Redis", told: Told::By("redis-server", &["--version"]) },
    Known { name: "Kafka", told: Told::In("/usr/local/lib/kafka/version") },
    Known { name: "ElasticMQ", told: Told::In("/usr/local/lib/elasticmq/version") },
    Known { name: "HAProxy", told: Told::By("haproxy", &["-v"]) },
];

/// What is found and what is not, in one line.
pub(super) fn found() -> String {
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for Known { name, told } in &KNOWN {
        match told.version() {
            Some(version) => there.push(format!("{name} {version}").trim_end().to_owned()),
            None => missing.push((*name).to_owned()),
        }
    }
    let list = |names: Vec<String>| match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    };
    let missing = list(missing);
    format!("servers found: {}; not found: {missing} (scripts/install-servers)", list(there))
}

impl Told {
    /// Its version, empty if it does not say; none if it is not there.
    fn version(&self) -> Option<String> {
        let text = match self {
            Self::In(file) => std::fs::read_to_string(file).ok()?,
            Self::By(program, arguments) => {
                let mut command = Command::new(on_path(program)?);
                let told = command.args(*arguments).stdin(Stdio::null()).output();
                told.map(|told| String::from_utf8_lossy(&told.stdout).into_owned())
                    .unwrap_or_default()
            }
        };
        Some(version(&text).unwrap_or_default().to_owned())
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(FURTHER.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file: &PathBuf| Path::is_file(file))
}

/// The first word of digits and dots.
fn version(text: &str) -> Option<&str> {
    let is_outside = |c: char| !(c.is_ascii_digit() || c == '.');
    text.split(is_outside).map(|word| word.trim_matches('.')).find(|word| word.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_a_server_says() {
        let postgres = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)";
        assert_eq!(version(postgres), Some("15.18"));
        assert_eq!(version("nats-server: v2.15.1"), Some("2.15.1"));
        assert_eq!(version("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc"), Some("7.0.15"));
        assert_eq!(version("Apache Kafka 4.4.0\n"), Some("4.4.0"));
        assert_eq!(version("3.10.8\n"), Some("3.10.8"));
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn what_is_not_there_has_no_version() {
        assert_eq!(Told::By("no-such-program", &[]).version(), None);
        assert_eq!(Told::In("/no/such/file").version(), None);
        assert_eq!(Told::By("true", &[]).version(), Some(String::new()));
    }
}
