//! PostgreSQL as an engine: a body is a row, a claim is a word of its own in it, a lease ends by the server's
//! clock. Whoever takes skips what others are just taking.
//!
//! Who consumes is fenced by the claim: each taking makes another. Returned means durable, because a server
//! that does not fsync before it answers is refused; only claims and their renewal are not waited for, and if
//! the server forgets one, whoever has it is fenced. What is appended and forgotten at once shares a commit.

mod bell;
mod group;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use postgres_pool::{Error as PoolError, Pool, Row, Schema, Target, ToSql};
use tokio::time::timeout;
use uuid::Uuid;

use crate::adapter::{Adapter, Capabilities, Keeper};
use crate::engine::{Bound, Count, Engine, Handle, Source, Taken};
use crate::room::Room;
use crate::supplied::Supplied;
use crate::{Broker, Error, Result, Settings};
use bell::Bell;
use group::Group;

pub(crate) const ADAPTER: Adapter = Adapter {
    scheme: "postgres",
    form: "postgres://HOST:PORT",
    capabilities: Capabilities { durable: true, lease: true, ..Capabilities::NONE },
    settings: Keeper::Client,
    server: Some("postgres"),
    open,
};

const SCHEMA: Schema = Schema {
    name: "queues",
    migrations: &[include_str!("../migrations/postgres/0001_queues.sql")],
};

const APPEND: &str = "insert into bodies (queue, body)
    select queue, body from unnest($1::text[], $2::bytea[]) as new (queue, body) returning id";
const FORGET: &str = "delete from bodies using unnest($1::bigint[], $2::uuid[]) as done (id, claim)
    where bodies.id = done.id and bodies.claim = done.claim returning bodies.id, bodies.claim";
const FORWARD: &str = "with gone as (delete from bodies where id = $1 and claim = $2 returning id)
    insert into bodies (queue, body) select $3::text, $4::bytea from gone returning id";
/// A commit that nobody waits for: what is lost of it was a claim.
const TAKE: &str = "with relaxed as (select set_config('synchronous_commit', 'off', true)),
    lost as (select id, heard from bodies
        where queue = $1 and claim is not null and until <= now()
        order by id limit $2 for update skip locked),
    fresh as (select id, heard from bodies
        where queue = $1 and claim is null order by id limit $2 for update skip locked),
    found as (select id, heard from lost union all select id, heard from fresh limit $2)
    update bodies set claim = $3, heard = now(), until = now() + make_interval(secs => $4)
    from found, relaxed where bodies.id = found.id
    returning bodies.id, body, extract(epoch from now() - found.heard)::float8 as silent";
const EXTEND: &str = "with relaxed as (select set_config('synchronous_commit', 'off', true))
    update bodies set heard = now(), until = now() + make_interval(secs => $3)
    from unnest($1::bigint[], $2::uuid[]) as held (id, claim), relaxed
    where bodies.id = held.id and bodies.claim = held.claim returning bodies.id, bodies.claim";
const COUNT: &str = "select
    (select count(*) from bodies where queue = $1 and claim is null) as waiting,
    (select count(*) from bodies where queue = $1 and claim is not null) as taken";
const LIVE: &str = "select
    (select count(*) from bodies where queue = any ($1) and claim is null)
    + (select count(*) from bodies where queue = any ($1) and claim is not null) as live";
const LOOK: &str = "select body from (
        (select id, body from bodies where queue = $1 and claim is null order by id limit $2)
        union all
        (select id, body from bodies where queue = $1 and claim is not null order by id limit $2)
    ) as part order by id limit $2";

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

fn open(address: &str, settings: Settings) -> Result<Arc<dyn Broker>> {
    let target = Target::parse(address).map_err(Error::Invalid)?;
    Ok(Arc::new(Supplied::new(Postgres::new(target), settings)))
}

struct Postgres {
    line: Arc<Line>,
    room: Room,
    groups: OnceLock<Groups>,
}

/// What is done for many at once.
struct Groups {
    append: Group<(String, Bytes), ()>,
    forget: Group<Named, bool>,
}

/// The way to the server, and who listens there.
struct Line {
    pool: Pool,
    bell: Bell,
}

/// A delivery: its row, and the claim that was made.
type Named = (i64, Uuid);

impl Postgres {
    fn new(target: Target) -> Self {
        let bell = Bell::new(target.clone());
        let line = Arc::new(Line { pool: Pool::new(target, Some(SCHEMA)), bell });
        Self { line, room: Room::default(), groups: OnceLock::new() }
    }

    fn groups(&self) -> &Groups {
        self.groups.get_or_init(|| {
            let (appends, forgets) = (Arc::clone(&self.line), Arc::clone(&self.line));
            Groups {
                append: Group::new(move |all| append(Arc::clone(&appends), all)),
                forget: Group::new(move |all| forget(Arc::clone(&forgets), all)),
            }
        })
    }
}

impl Line {
    async fn ask(&self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>> {
        self.pool.ask(sql, params).await.map_err(meaning)
    }
}

/// Adds bodies in their sequence.
async fn append(line: Arc<Line>, all: Vec<(String, Bytes)>) -> Result<Vec<()>> {
    let queues: Vec<&str> = all.iter().map(|(queue, _)| &**queue).collect();
    let bodies: Vec<&[u8]> = all.iter().map(|(_, body)| &**body).collect();
    line.ask(APPEND, &[&queues, &bodies]).await?;
    line.bell.ring(all.iter().map(|(queue, _)| queue.clone()));
    Ok(vec![(); all.len()])
}

/// Forgets those that are still their owners'; tells of each whether it was.
async fn forget(line: Arc<Line>, all: Vec<Named>) -> Result<Vec<bool>> {
    let (ids, claims): (Vec<i64>, Vec<Uuid>) = all.iter().copied().unzip();
    let gone = line.ask(FORGET, &[&ids, &claims]).await?;
    held(&all, &gone)
}

#[async_trait]
impl Engine for Postgres {
    /// The table is made with the first connection.
    async fn declare(&self, _: &str, _: &Settings) -> Result<()> {
        self.line.ask("select 1", &[]).await.map(drop)
    }

    async fn append(&self, queue: &str, body: Bytes, bound: &Bound) -> Result<bool> {
        let live = async {
            let rows = self.line.ask(LIVE, &[&bound.queues]).await?;
            number(rows.first(), "live")
        };
        let append = self.groups().append.run((queue.to_owned(), body));
        self.room.append(bound, live, append).await
    }

    async fn source(&self, queue: &str, lease: Duration) -> Result<Box<dyn Source>> {
        self.line.bell.listen();
        let forget = self.groups().forget.clone();
        Ok(Box::new(Taker { line: Arc::clone(&self.line), forget, queue: queue.to_owned(), lease }))
    }

    async fn count(&self, queue: &str) -> Result<Count> {
        let rows = self.line.ask(COUNT, &[&queue]).await?;
        let row = rows.first();
        Ok(Count { waiting: number(row, "waiting")?, taken: number(row, "taken")? })
    }

    async fn look(&self, queue: &str, limit: u32) -> Result<Vec<Bytes>> {
        let rows = self.line.ask(LOOK, &[&queue, &i64::from(limit)]).await?;
        rows.iter().map(body).collect()
    }
}

/// One consumer of a queue.
struct Taker {
    line: Arc<Line>,
    forget: Group<Named, bool>,
    queue: String,
    lease: Duration,
}

impl Taker {
    async fn claim(&self, most: u32) -> Result<Vec<Taken>> {
        let (claim, lease) = (Uuid::new_v4(), self.lease.as_secs_f64());
        let asked: Params = &[&self.queue, &i64::from(most), &claim, &lease];
        let mut rows: Vec<(i64, Row)> = Vec::new();
        for row in self.line.ask(TAKE, asked).await? {
            rows.push((column(&row, "id")?, row));
        }
        rows.sort_unstable_by_key(|(id, _)| *id);
        rows.iter().map(|(id, row)| taken(*id, claim, row)).collect()
    }
}

#[async_trait]
impl Source for Taker {
    async fn take(&self, most: u32, wait: Duration) -> Result<Vec<Taken>> {
        let mut rung = std::pin::pin!(self.line.bell.rung(&self.queue));
        // From here on it is heard.
        rung.as_mut().enable();
        let taken = self.claim(most).await?;
        if !taken.is_empty() || wait.is_zero() || timeout(wait, rung).await.is_err() {
            return Ok(taken);
        }
        self.claim(most).await
    }

    async fn forget(&self, handle: &Handle) -> Result<()> {
        if self.forget.run(named(handle)?).await? { Ok(()) } else { Err(Error::Fenced) }
    }

    async fn forward(&self, handle: &Handle, to: &str, body: Bytes) -> Result<()> {
        let (id, claim) = named(handle)?;
        let moved = self.line.ask(FORWARD, &[&id, &claim, &to, &&body[..]]).await?;
        moved.first().map(drop).ok_or(Error::Fenced)?;
        self.line.bell.ring([to.to_owned()]);
        Ok(())
    }

    async fn extend(&self, handles: &[Handle]) -> Result<Vec<bool>> {
        let named: Vec<Named> = handles.iter().map(named).collect::<Result<_>>()?;
        let (ids, claims): (Vec<i64>, Vec<Uuid>) = named.iter().copied().unzip();
        let lease = self.lease.as_secs_f64();
        let extended = self.line.ask(EXTEND, &[&ids, &claims, &lease]).await?;
        held(&named, &extended)
    }
}

/// Of each of these deliveries whether it is among those rows.
fn held(named: &[Named], rows: &[Row]) -> Result<Vec<bool>> {
    let named_by = |row| Ok((column(row, "id")?, column(row, "claim")?));
    let found = rows.iter().map(named_by).collect::<Result<HashSet<Named>>>()?;
    Ok(named.iter().map(|named| found.contains(named)).collect())
}

fn taken(id: i64, claim: Uuid, row: &Row) -> Result<Taken> {
    let silent: Option<f64> = column(row, "silent")?;
    let silent = silent.map(|s| Duration::try_from_secs_f64(s).unwrap_or_default());
    let mut handle = id.to_be_bytes().to_vec();
    handle.extend_from_slice(claim.as_bytes());
    Ok(Taken { handle: handle.into(), body: body(row)?, silent })
}

fn named(handle: &Handle) -> Result<Named> {
    let (id, claim) = handle.split_first_chunk::<8>().ok_or(Error::Fenced)?;
    let claim = Uuid::from_slice(claim).map_err(|_| Error::Fenced)?;
    Ok((i64::from_be_bytes(*id), claim))
}

fn body(row: &Row) -> Result<Bytes> {
    column::<&[u8]>(row, "body").map(Bytes::copy_from_slice)
}

fn number(row: Option<&Row>, name: &str) -> Result<u64> {
    let number = row.map(|row| column::<i64>(row, name)).transpose()?;
    Ok(number.unwrap_or(0).unsigned_abs())
}

fn column<'a, T: postgres_pool::FromSql<'a>>(row: &'a Row, name: &str) -> Result<T> {
    row.try_get(name).map_err(|error| Error::Protocol(format!("column {name}: {error}")))
}

fn meaning(error: PoolError) -> Error {
    match error {
        PoolError::Unavailable(text) | PoolError::TimedOut(text) => Error::Unavailable(text),
        PoolError::Unfit(text) => Error::Invalid(text),
        PoolError::Refused(text) => Error::Protocol(text),
    }
}
