//! Which server, as a URL says it.

use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;

use crate::{ANSWER_MAX, CONNECT_MAX};

/// The environment variable with the password: a URL is on a command line, which everybody can read.
pub const PASSWORD: &str = "TRIPTYCH_DATABASE_PASSWORD";
/// Who comes, and to which database, unless a URL says it: as a server of ours is made.
const USER: &str = "shop";
const DATABASE: &str = "postgres";
/// Connections of one process: as many commits share an fsync, and a server of a hundred has room for six.
const CONNECTIONS: usize = 16;
const CONNECTIONS_MAX: usize = 1_000;
/// A connection on which nothing moves is probed: what goes between may have forgotten it.
const PROBED_AFTER: Duration = Duration::from_secs(10);

/// Plans that go by indexes, are made once, and are not compiled.
const BY_INDEX: &str = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_bitmapscan=off \
    -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off";

/// Whether a commit is answered after its fsync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// It is: a server that would not do it is refused.
    On,
    /// It is not; for comparison only.
    Off,
}

/// A database of a server, and how it is used. Of several servers that copy one another it is the one that writes.
#[derive(Clone, Debug)]
pub struct Target {
    /// One for each server.
    pub(crate) configs: Vec<Config>,
    /// `HOST:PORT/DATABASE`, for people.
    pub(crate) place: String,
    /// Whether what is final may be read from a server that copies.
    pub reads_copies: bool,
    /// How many connections there may be.
    pub connections: usize,
    /// Whether what is answered is kept.
    pub synchronous: Synchronous,
}

impl Target {
    /// From `USER@HOST:PORT,HOST:PORT/DATABASE?pool=16&synchronous=off&reads=copy`, with no query for an address alone.
    ///
    /// # Errors
    /// What was expected; nothing of what was found but the query.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let (user, server) = address.rsplit_once('@').unwrap_or((USER, address));
        let (server, database) = server.split_once('/').unwrap_or((server, ""));
        let database = if database.is_empty() { DATABASE } else { database };
        let is_plain = !user.is_empty() && !user.contains([':', '/']);
        let servers: Option<Vec<_>> = server.split(',').map(host_and_port).collect();
        let Some(servers) = servers.filter(|_| is_plain) else {
            let form = "expected postgres://USER@HOST:PORT/DATABASE";
            return Err(format!("{form}, and a password in {PASSWORD}"));
        };
        let mut target = Self {
            configs: servers.iter().map(|_| Config::new()).collect(),
            place: format!("postgres at {server}/{database}"),
            reads_copies: false,
            connections: CONNECTIONS,
            synchronous: Synchronous::On,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            target.set(pair)?;
        }
        if target.reads_copies && servers.len() < 2 {
            return Err("reads=copy: expected several servers, HOST:PORT,HOST:PORT".to_owned());
        }
        target.configure(&servers, user, database);
        Ok(target)
    }

    fn set(&mut self, pair: &str) -> Result<(), String> {
        match pair.split_once('=') {
            Some(("pool", number)) => {
                let number = number.parse().ok().filter(|n| (1..=CONNECTIONS_MAX).contains(n));
                self.connections =
                    number.ok_or_else(|| format!("expected pool=1 to pool={CONNECTIONS_MAX}"))?;
            }
            Some(("synchronous", "on")) => self.synchronous = Synchronous::On,
            Some(("synchronous", "off")) => self.synchronous = Synchronous::Off,
            Some(("reads", "copy")) => self.reads_copies = true,
            _ => {
                let known = "pool=N, synchronous=on or =off, reads=copy";
                return Err(format!("{pair:?}: expected {known}"));
            }
        }
        Ok(())
    }

    fn configure(&mut self, servers: &[(&str, u16)], user: &str, database: &str) {
        // Nothing that we gave up goes on there.
        let mut options = format!("-c statement_timeout={}", ANSWER_MAX.as_millis());
        if self.synchronous == Synchronous::Off {
            options.push_str(" -c synchronous_commit=off");
        }
        let password = std::env::var(PASSWORD).ok();
        for (config, (host, port)) in self.configs.iter_mut().zip(servers) {
            config.host(*host).port(*port).user(user).dbname(database).options(&options);
            config.application_name("triptych").connect_timeout(CONNECT_MAX);
            config.tcp_user_timeout(ANSWER_MAX).keepalives_idle(PROBED_AFTER);
            if let Some(password) = &password {
                config.password(password);
            }
            if servers.len() > 1 {
                config.target_session_attrs(TargetSessionAttrs::ReadWrite);
            }
        }
    }

    fn each(mut self, change: impl Fn(&mut Config)) -> Self {
        self.configs.iter_mut().for_each(change);
        self
    }

    /// The same database, at a server that copies it: what is asked there may be a moment old.
    #[must_use]
    pub fn copies(self) -> Self {
        self.each(|config| {
            config.target_session_attrs(TargetSessionAttrs::ReadOnly);
        })
    }

    /// Shows this password instead of that of the environment.
    #[must_use]
    pub fn password(self, word: &str) -> Self {
        self.each(|config| {
            config.password(word);
        })
    }

    /// The same database, over at most so many connections.
    #[must_use]
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = most;
        self
    }

    /// The same database, where every statement goes by an index, however small its table looks: what is planned
    /// while a table is empty would read all of it when it is not.
    #[must_use]
    pub fn by_index(self) -> Self {
        self.each(|config| {
            let options = config.get_options().unwrap_or_default();
            let options = format!("{options} {BY_INDEX}");
            config.options(options);
        })
    }

    /// The same server, another database of it.
    #[must_use]
    pub fn database(mut self, name: &str) -> Self {
        let server = self.place.split('/').next().unwrap_or_default();
        self.place = format!("{server}/{name}");
        self.each(|config| {
            config.dbname(name);
        })
    }
}

fn host_and_port(server: &str) -> Option<(&str, u16)> {
    let (host, port) = server.rsplit_once(':')?;
    Some((host, port.parse().ok()?)).filter(|_| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_server_and_how_it_is_used() {
        let target = Target::parse("ann@127.0.0.1:5432/orders?pool=4&synchronous=off").unwrap();
        assert_eq!(target.configs[0].get_user(), Some("ann"));
        assert_eq!(target.configs[0].get_dbname(), Some("orders"));
        assert_eq!((target.connections, target.synchronous), (4, Synchronous::Off));
        assert_eq!(target.place, "postgres at 127.0.0.1:5432/orders");
        assert_eq!(target.database("x").place, "postgres at 127.0.0.1:5432/x");
        let target = Target::parse("127.0.0.1:5432").unwrap();
        assert_eq!(target.configs[0].get_user(), Some(USER));
        assert_eq!(target.configs[0].get_dbname(), Some(DATABASE));
        assert_eq!((target.connections, target.synchronous), (CONNECTIONS, Synchronous::On));
    }

    #[test]
    fn of_several_servers_the_one_that_writes_is_meant_or_one_that_copies() {
        let attrs = |target: &Target| {
            target.configs.iter().map(Config::get_target_session_attrs).collect::<Vec<_>>()
        };
        let alone = Target::parse("127.0.0.1:5432").unwrap();
        assert_eq!(attrs(&alone), [TargetSessionAttrs::Any]);
        let target = Target::parse("ann@127.0.0.1:5432,127.0.0.1:5433/x?reads=copy").unwrap();
        assert_eq!(attrs(&target), [TargetSessionAttrs::ReadWrite; 2]);
        assert_eq!(target.configs[1].get_ports(), [5433]);
        assert!(target.reads_copies);
        assert_eq!(attrs(&target.copies()), [TargetSessionAttrs::ReadOnly; 2]);
    }

    #[test]
    fn what_is_not_understood_is_refused_without_its_password() {
        for wrong in
            ["", "me:secret@host:1/x", "host", "host:x", ":1", "@host:1", "host:1,host", "host:1,"]
        {
            let refused = Target::parse(wrong).unwrap_err();
            assert!(refused.contains("expected postgres://"), "{wrong}: {refused}");
            assert!(!refused.contains("secret"), "{refused}");
        }
        for wrong in ["pool=0", "pool=x", "pool", "synchronous=no", "lease=4s", "reads=copy"] {
            assert!(Target::parse(&format!("host:1?{wrong}")).is_err(), "{wrong}");
        }
    }
}
