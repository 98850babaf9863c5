//! One connection: let in, looked at, and with the tables that its user needs.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::select_ok;
use tokio::time::{sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::types::ToSql;
use tokio_postgres::{
    AsyncMessage, Client, Config, NoTls, Row, SimpleQueryMessage, Socket, Statement,
};
use tokio_util::task::AbortOnDropHandle;

use crate::error::is_answer;
use crate::target::{Synchronous, Target};
use crate::{CONNECT_MAX, Error, Result};

/// How soon a server that is starting, or stopping, is asked again.
const ASKED_AGAIN: Duration = Duration::from_millis(50);
/// How a server must be set for what it answers to be kept.
const KEEPS: &str = "select current_setting('fsync'), current_setting('full_page_writes'),
    current_setting('synchronous_commit')";
const VERSIONS: &str =
    "create table if not exists triptych (name text primary key, version integer not null)";

/// The tables that a user of a database needs.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Whose they are: a database may hold those of several.
    pub name: &'static str,
    /// What makes them, step by step; a step that was ever used is never changed.
    pub migrations: &'static [&'static str],
}

/// What a statement gave.
pub(crate) struct Outcome<T> {
    pub(crate) result: Result<T>,
    /// Whether the connection can be used again.
    pub(crate) is_sound: bool,
}

/// A connection. Dropping it closes it, whatever is under way on it.
pub(crate) struct Connection {
    client: Client,
    place: String,
    statements: HashMap<&'static str, Statement>,
    _driver: AbortOnDropHandle<()>,
}

impl Connection {
    /// Waits for a server that says it is about to be there.
    pub(crate) async fn open(
        target: &Target,
        hears: impl Fn(&str) + Send + 'static,
    ) -> Result<Self> {
        let entered = timeout(CONNECT_MAX, enter(target, hears)).await;
        entered.unwrap_or_else(|_| {
            let after = CONNECT_MAX.as_secs();
            Err(Error::TimedOut(format!("{}: no connection within {after} s", target.place)))
        })
    }

    /// One that may be relied on: looked at, and with these tables.
    pub(crate) async fn prepared(target: &Target, schema: Option<Schema>) -> Result<Self> {
        let connection = Self::open(target, |_| ()).await?;
        if target.synchronous == Synchronous::On {
            connection.look().await?;
        }
        if let Some(schema) = schema {
            connection.migrate(schema).await?;
        }
        Ok(connection)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    pub(crate) async fn ask(
        &mut self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Outcome<Vec<Row>> {
        let answer = match self.statement(sql).await {
            Ok(statement) => self.client.query(&statement, params).await,
            Err(error) => Err(error),
        };
        let is_sound = answer.as_ref().map_or_else(is_answer, |_| true);
        Outcome { result: answer.map_err(|e| Error::of(&self.place, &e)), is_sound }
    }

    async fn statement(
        &mut self,
        sql: &'static str,
    ) -> std::result::Result<Statement, tokio_postgres::Error> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    /// Several statements at once. After an error it is in the midst of them.
    pub(crate) async fn run(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>> {
        self.client.simple_query(sql).await.map_err(|e| Error::of(&self.place, &e))
    }

    /// Refuses a server that would lose what it answers.
    async fn look(&self) -> Result<()> {
        let told = self.run(KEEPS).await?;
        let told = told.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let of = |index| told.and_then(|row| row.get(index)).unwrap_or("not told").to_owned();
        let names = ["fsync", "full_page_writes", "synchronous_commit"];
        for (index, name) in names.into_iter().enumerate() {
            let found = of(index);
            if found == "off" || found == "not told" {
                let text = format!("{}: {name} is {found}, expected on", self.place);
                return Err(Error::Unfit(format!("{text}: else what is answered may be lost")));
            }
        }
        Ok(())
    }

    /// Makes what is not there yet; of several at once one does it.
    async fn migrate(&self, Schema { name, migrations }: Schema) -> Result<()> {
        let newest = migrations.len();
        if self.version(name).await? == Some(newest) {
            return Ok(());
        }
        self.run(&format!("begin; select pg_advisory_xact_lock(hashtext('triptych')); {VERSIONS}"))
            .await?;
        let version = self.version(name).await?.unwrap_or(0);
        if version > newest {
            let place = &self.place;
            let text =
                format!("{place}: {name} is of version {version}; this program knows {newest}");
            return Err(Error::Unfit(text));
        }
        let steps = migrations[version..].join(";\n");
        let note = format!(
            "insert into triptych values ('{name}', {newest})
             on conflict (name) do update set version = excluded.version"
        );
        self.run(&format!("{steps}; {note}; commit")).await.map(drop)
    }

    /// How far these tables have come; none if there is none of them.
    async fn version(&self, name: &str) -> Result<Option<usize>> {
        let sql = format!("select version from triptych where name = '{name}'");
        let told = match self.client.simple_query(&sql).await {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => return Ok(None),
            told => told.map_err(|e| Error::of(&self.place, &e))?,
        };
        Ok(told.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        }))
    }
}

/// The first server that lets us in: of several, one that stands still would keep us from the others.
async fn enter(target: &Target, hears: impl Fn(&str) + Send + 'static) -> Result<Connection> {
    let servers = target.configs.iter().map(|config| Box::pin(knock(config)));
    let ((client, mut connection), _) =
        select_ok(servers).await.map_err(|error| Error::of(&target.place, &error))?;
    let driver = tokio::spawn(async move {
        // Whoever asks over it learns of its end by himself.
        while let Some(Ok(message)) =
            std::future::poll_fn(|context| connection.poll_message(context)).await
        {
            if let AsyncMessage::Notification(heard) = message {
                hears(heard.payload());
            }
        }
    });
    let (place, statements) = (target.place.clone(), HashMap::new());
    Ok(Connection { client, place, statements, _driver: AbortOnDropHandle::new(driver) })
}

type Line = tokio_postgres::Connection<Socket, NoTlsStream>;

/// Asks again while the server says that it is starting or stopping.
async fn knock(config: &Config) -> std::result::Result<(Client, Line), tokio_postgres::Error> {
    loop {
        match config.connect(NoTls).await {
            Err(error) if is_passing(&error) => sleep(ASKED_AGAIN).await,
            answered => return answered,
        }
    }
}

fn is_passing(error: &tokio_postgres::Error) -> bool {
    let passing = [SqlState::ADMIN_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];
    error.code().is_some_and(|code| passing.contains(code))
}
