//! PostgreSQL as an engine: a body is a row, a claim is a word of its own in it, a lease ends by the server's
//! clock. Whoever takes skips what others are just taking.
//!
//! Who consumes is fenced by the claim: each taking makes another. Returned means durable, because a server
//! that does not fsync before it answers is refused; only claims and their renewal are not waited for, and if
//! the server forgets one, whoever has it is fenced. What is appended and forgotten at once shares a commit.

mod bell;
mod group;
#[cfg(test)]
mod looks;
#[cfg(test)]
mod tests;
mod trail;

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use postgres_pool::{Error as PoolError, Pool, Row, Schema, Target, ToSql};
use tokio::sync::futures::OwnedNotified;
use tokio::time::timeout;
use uuid::Uuid;

use crate::adapter::{Adapter, Capabilities, Keeper};
use crate::engine::{Bound, Count, Engine, Handle, Source, Taken};
use crate::room::Room;
use crate::supplied::Supplied;
use crate::{Broker, Error, Result, Settings};
use bell::Bell;
use group::Group;
use trail::Trails;

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
    migrations: &[
        include_str!("../migrations/postgres/0001_queues.sql"),
        include_str!("../migrations/postgres/0002_one_index.sql"),
    ],
};

const APPEND: &str = "insert into bodies (queue, body)
    select queue, body from unnest($1::text[], $2::bytea[]) as new (queue, body)";
const FORGET: &str = "delete from bodies
    using unnest($1::text[], $2::bigint[], $3::uuid[]) as done (queue, id, claim)
    where bodies.queue = done.queue and bodies.id = done.id and bodies.claim = done.claim
    returning bodies.id, bodies.claim";
const FORWARD: &str = "with gone as (delete from bodies
        using unnest($1::text[], $2::bigint[], $3::uuid[], $4::text[], $5::bytea[])
            with ordinality as done (queue, id, claim, further, anew, nth)
        where bodies.queue = done.queue and bodies.id = done.id and bodies.claim = done.claim
        returning bodies.id, bodies.claim, further, anew, nth),
    added as (insert into bodies (queue, body) select further, anew from gone order by nth)
    select id, claim from gone";
/// A commit that nobody waits for: what is lost of it was a claim.
const TAKE: &str = "with relaxed as (select set_config('synchronous_commit', 'off', true)),
    free as (select queue, id, heard from bodies
        where queue = $1 and id > $2 and until <= now() order by id limit $3 for update skip locked)
    update bodies set claim = $4, heard = now(), until = now() + make_interval(secs => $5)
    from free, relaxed where bodies.queue = free.queue and bodies.id = free.id
    returning bodies.id, body, extract(epoch from now() - free.heard)::float8 as silent";
const EXTEND: &str = "with relaxed as (select set_config('synchronous_commit', 'off', true))
    update bodies set heard = now(), until = now() + make_interval(secs => $4)
    from unnest($1::text[], $2::bigint[], $3::uuid[]) as held (queue, id, claim), relaxed
    where bodies.queue = held.queue and bodies.id = held.id and bodies.claim = held.claim
    returning bodies.id, bodies.claim";
const COUNT: &str = "select count(*) filter (where claim is null) as waiting,
    count(*) filter (where claim is not null) as taken from bodies where queue = $1";
/// Those between the oldest and the newest, where these are few; else they are counted.
const LIVE: &str = "select case when span <= $2::bigint / 2 then span
        else (select count(*) from bodies where queue = any ($1)) end as live
    from (select coalesce(sum(newest - oldest + 1), 0)::bigint as span
        from unnest($1::text[]) as bounded (name), lateral (
            select min(id) as oldest, max(id) as newest from bodies where queue = name) as ends) as spans";
const LOOK: &str = "select body from bodies where queue = $1 order by id limit $2";

/// Bodies that one statement takes at most, whoever wants them.
const TAKEN_MAX: usize = 512;

/// What becomes of several at once.
type Done<O> = BoxFuture<'static, Result<Vec<O>>>;
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
#[derive(Clone)]
struct Groups {
    append: Group<(String, Bytes), ()>,
    take: Group<Ask, Result<Came>>,
    forget: Group<Named, bool>,
    forward: Group<Moved, bool>,
}

/// The way to the server, who listens there, and what was taken.
struct Line {
    pool: Pool,
    bell: Bell,
    trails: Trails,
}

/// A delivery: its queue, its row, and the claim that was made.
#[derive(Clone)]
struct Named {
    queue: Arc<str>,
    id: i64,
    claim: Uuid,
}

/// A delivery to forget, and what is appended to which queue instead.
struct Moved {
    named: Named,
    to: String,
    body: Bytes,
}

/// What one consumer wants.
struct Ask {
    queue: Arc<str>,
    lease: Duration,
    most: usize,
    /// How often what others lost is looked for.
    every: Duration,
}

/// What one consumer got, and whether that, with what others got, was all that there was.
#[derive(Default)]
struct Came {
    bodies: Vec<Taken>,
    all: bool,
}

impl Ask {
    /// Whether one claim can be made for both.
    fn is_of(&self, other: &Self) -> bool {
        self.queue == other.queue && self.lease == other.lease
    }
}

impl Postgres {
    fn new(target: Target) -> Self {
        let target = target.by_index();
        let (bell, trails) = (Bell::new(target.clone()), Trails::default());
        let line = Arc::new(Line { pool: Pool::new(target, Some(SCHEMA)), bell, trails });
        Self { line, room: Room::default(), groups: OnceLock::new() }
    }

    fn groups(&self) -> &Groups {
        self.groups.get_or_init(|| Groups {
            append: self.group(|line, all| Box::pin(append(line, all))),
            take: self.group(|line, all| Box::pin(take(line, all))),
            forget: self.group(|line, all| Box::pin(forget(line, all))),
            forward: self.group(|line, all| Box::pin(forward(line, all))),
        })
    }

    fn group<I: Send + 'static, O: Send + 'static>(
        &self,
        work: fn(Arc<Line>, Vec<I>) -> Done<O>,
    ) -> Group<I, O> {
        let line = Arc::clone(&self.line);
        Group::new(move |all| work(Arc::clone(&line), all))
    }
}

impl Line {
    async fn ask(&self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>> {
        self.pool.ask(sql, params).await.map_err(meaning)
    }

    /// The oldest bodies that are free, with a claim of their own.
    async fn claim(&self, ask: &Ask, most: usize) -> Result<Vec<Taken>> {
        let from = self.trails.from(&ask.queue, ask.every);
        let (claim, lease, most) = (Uuid::new_v4(), ask.lease.as_secs_f64(), most as i64);
        let mut rows: Vec<(i64, Row)> = Vec::new();
        for row in self.ask(TAKE, &[&&*ask.queue, &from, &most, &claim, &lease]).await? {
            rows.push((column(&row, "id")?, row));
        }
        rows.sort_unstable_by_key(|(id, _)| *id);
        self.trails.taken(&ask.queue, rows.iter().map(|(id, _)| *id));
        rows.iter().map(|(id, row)| taken(*id, claim, row)).collect()
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

/// Takes for all who ask, in one statement for each queue, and deals out what came.
async fn take(line: Arc<Line>, all: Vec<Ask>) -> Result<Vec<Result<Came>>> {
    let mut dealt: Vec<Result<Came>> = all.iter().map(|_| Ok(Came::default())).collect();
    let mut left: Vec<usize> = (0..all.len()).collect();
    while let Some(&first) = left.first() {
        let is_same = |nth: &usize| all[*nth].is_of(&all[first]);
        let (same, others): (Vec<_>, Vec<_>) = left.into_iter().partition(is_same);
        left = others;
        let mosts: Vec<usize> = same.iter().map(|nth| all[*nth].most).collect();
        let most = mosts.iter().sum::<usize>().min(TAKEN_MAX);
        match line.claim(&all[first], most).await {
            Ok(came) => {
                let all = came.len() < most;
                let parts = deal(came, &mosts).into_iter().map(|bodies| Ok(Came { bodies, all }));
                same.iter().zip(parts).for_each(|(nth, part)| dealt[*nth] = part);
            }
            Err(error) => same.iter().for_each(|nth| dealt[*nth] = Err(error.clone())),
        }
    }
    Ok(dealt)
}

/// One to each in turn, as far as he wants them.
fn deal<T>(came: Vec<T>, mosts: &[usize]) -> Vec<Vec<T>> {
    let mut dealt: Vec<Vec<T>> = mosts.iter().map(|_| Vec::new()).collect();
    let mut turn = (0..mosts.len()).cycle();
    for one in came {
        let mut round = turn.by_ref().take(mosts.len());
        let Some(nth) = round.find(|nth| dealt[*nth].len() < mosts[*nth]) else { break };
        dealt[nth].push(one);
    }
    dealt
}

/// Forgets those that are still their owners'; tells of each whether it was.
async fn forget(line: Arc<Line>, all: Vec<Named>) -> Result<Vec<bool>> {
    let (queues, ids, claims) = columns(&all);
    let gone = line.ask(FORGET, &[&queues, &ids, &claims]).await?;
    held(&all, &gone)
}

/// Moves those that are still their owners'; tells of each whether it was.
async fn forward(line: Arc<Line>, all: Vec<Moved>) -> Result<Vec<bool>> {
    let named: Vec<Named> = all.iter().map(|moved| moved.named.clone()).collect();
    let (queues, ids, claims) = columns(&named);
    let to: Vec<&str> = all.iter().map(|moved| &*moved.to).collect();
    let bodies: Vec<&[u8]> = all.iter().map(|moved| &*moved.body).collect();
    let gone = line.ask(FORWARD, &[&queues, &ids, &claims, &to, &bodies]).await?;
    line.bell.ring(all.iter().map(|moved| moved.to.clone()));
    held(&named, &gone)
}

fn columns(all: &[Named]) -> (Vec<&str>, Vec<i64>, Vec<Uuid>) {
    let queues = all.iter().map(|named| &*named.queue).collect();
    let (ids, claims) = all.iter().map(|named| (named.id, named.claim)).unzip();
    (queues, ids, claims)
}

#[async_trait]
impl Engine for Postgres {
    /// The table is made with the first connection.
    async fn declare(&self, _: &str, _: &Settings) -> Result<()> {
        self.line.ask("select 1", &[]).await.map(drop)
    }

    async fn append(&self, queue: &str, body: Bytes, bound: &Bound) -> Result<bool> {
        let live = move || async move {
            let most = i64::try_from(bound.most).unwrap_or(i64::MAX);
            let rows = self.line.ask(LIVE, &[&bound.queues, &most]).await?;
            number(rows.first(), "live")
        };
        let append = self.groups().append.run((queue.to_owned(), body));
        self.room.append(bound, live, append).await
    }

    async fn source(&self, queue: &str, lease: Duration) -> Result<Box<dyn Source>> {
        self.line.bell.listen();
        let (line, groups) = (Arc::clone(&self.line), self.groups().clone());
        Ok(Box::new(Taker { line, groups, queue: queue.into(), lease, empty: Mutex::default() }))
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
    groups: Groups,
    queue: Arc<str>,
    lease: Duration,
    /// Since a look that left nothing behind: ends when somebody rings.
    empty: Mutex<Option<Pin<Box<OwnedNotified>>>>,
}

impl Taker {
    fn named(&self, handle: &Handle) -> Result<Named> {
        let (id, claim) = handle.split_first_chunk::<8>().ok_or(Error::Fenced)?;
        let claim = Uuid::from_slice(claim).map_err(|_| Error::Fenced)?;
        Ok(Named { queue: Arc::clone(&self.queue), id: i64::from_be_bytes(*id), claim })
    }

    fn empty(&self) -> MutexGuard<'_, Option<Pin<Box<OwnedNotified>>>> {
        self.empty.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Source for Taker {
    async fn take(&self, most: u32, wait: Duration) -> Result<Vec<Taken>> {
        let empty = self.empty().take();
        if let Some(rung) = empty {
            // Who was not told looks all the same.
            let _ = timeout(wait, rung).await;
        }
        let mut rung = Box::pin(self.line.bell.rung(&self.queue));
        // From here on it is heard.
        rung.as_mut().enable();
        let (queue, most) = (Arc::clone(&self.queue), most as usize);
        let ask = Ask { queue, lease: self.lease, most, every: wait };
        let Came { bodies, all } = self.groups.take.run(ask).await??;
        if all {
            *self.empty() = Some(rung);
        }
        Ok(bodies)
    }

    async fn forget(&self, handle: &Handle) -> Result<()> {
        let held = self.groups.forget.run(self.named(handle)?).await?;
        held.then_some(()).ok_or(Error::Fenced)
    }

    async fn forward(&self, handle: &Handle, to: &str, body: Bytes) -> Result<()> {
        let moved = Moved { named: self.named(handle)?, to: to.to_owned(), body };
        self.groups.forward.run(moved).await?.then_some(()).ok_or(Error::Fenced)
    }

    async fn extend(&self, handles: &[Handle]) -> Result<Vec<bool>> {
        let named: Vec<Named> = handles.iter().map(|h| self.named(h)).collect::<Result<_>>()?;
        let (queues, ids, claims) = columns(&named);
        let lease = self.lease.as_secs_f64();
        let extended = self.line.ask(EXTEND, &[&queues, &ids, &claims, &lease]).await?;
        held(&named, &extended)
    }
}

/// Of each of these deliveries whether it is among those rows.
fn held(named: &[Named], rows: &[Row]) -> Result<Vec<bool>> {
    let named_by = |row| Ok((column(row, "id")?, column(row, "claim")?));
    let found = rows.iter().map(named_by).collect::<Result<HashSet<(i64, Uuid)>>>()?;
    Ok(named.iter().map(|named| found.contains(&(named.id, named.claim))).collect())
}

fn taken(id: i64, claim: Uuid, row: &Row) -> Result<Taken> {
    let silent: Option<f64> = column(row, "silent")?;
    let silent = silent.map(|s| Duration::try_from_secs_f64(s).unwrap_or_default());
    let mut handle = id.to_be_bytes().to_vec();
    handle.extend_from_slice(claim.as_bytes());
    Ok(Taken { handle: handle.into(), body: body(row)?, silent })
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
