//! The changes of one transaction, in SQL: what a state means, and who may leave it. It knows no
//! task and no client.

use std::sync::Arc;
use std::time::Duration;

use group_commit::Schema;
use rusqlite::{Connection, OptionalExtension, Params, Result, params};

use super::claiming::{self, Claimed, Terms};
use super::reading;
use super::topics::Topic;
use crate::claim::Claim;
use crate::clock::now_us;
use crate::port::{error_text, micros};
use crate::window::Share;
use crate::{Error, Message, Micros, Settings, Settle};

/// Numbers are never used again (autoincrement), so with its file's epoch a receipt names one message
/// for ever; a message that is replayed gets a new number. `live` is what the bound of a topic counts:
/// its rows that are not dead.
pub(super) const SCHEMA: Schema<'_> = Schema {
    name: "file of this broker",
    application_id: i32::from_be_bytes(*b"TriB"),
    migrations: &[TABLES, DELAYS, ORDERING],
};

const TABLES: &str = "
create table topics (
    name text primary key,
    live integer not null
) strict, without rowid;
create table messages (
    id           integer primary key autoincrement,
    topic        text    not null,
    state        integer not null, -- 0 fresh, 1 to come again, 2 leased, 3 dead
    due_us       integer not null, -- when it comes again or the lease ends; when it died
    claims       integer not null, -- deliveries
    failures     integer not null, -- attempts that failed; deferred ones did not
    key          text    not null,
    headers      text    not null, -- JSON
    payload      blob    not null,
    errors       text    not null default '[]', -- JSON
    published_us integer not null
) strict;
create index messages_by_state on messages (topic, state);
create index messages_again on messages (topic, due_us) where state = 1;
create index messages_leased on messages (due_us) where state = 2;
create table file (epoch integer not null) strict;
insert into file values (random());
";

/// How long a message was to wait: after a restart at most so long, whatever the clock says then.
const DELAYS: &str = "alter table messages add column delay_us integer not null default 0;";

/// What must stay in sequence; carried, since a topic here is one queue.
const ORDERING: &str = "alter table messages add column ordering text;";

const AGAIN: i64 = 1;
const DEAD: i64 = 3;

/// A year: nothing waits for longer.
const DELAY_MAX_US: Micros = 365 * 24 * 3_600 * 1_000_000;

/// Messages that one transaction may expire or replay.
pub(super) const SWEEP_MAX: u32 = 1_000;

/// Every change of a lease is fenced by (id, claims, state). Where it is frequent, the row is read
/// first: `returning` and subqueries fill tables of their own, whose memory costs more than a
/// second statement.
const LEASE: &str = "select topic from messages where id = ?1 and claims = ?2 and state = 2";
const FORGET: &str = "delete from messages where id = ?1";
const EXTEND: &str = "update messages set due_us = ?3 where id = ?1 and claims = ?2 and state = 2";
const RENEW: &str = "update messages set due_us = ?1 where state = 2";
const BOUND: &str = "update messages set due_us = min(due_us, ?1 + delay_us) where state = 1";
const DEFER: &str = "update messages set state = 1, due_us = ?2, delay_us = ?2 - ?3 where id = ?1";
const FAIL: &str =
    "update messages set state = ?3, due_us = ?4, delay_us = ?4 - ?5, failures = failures + 1,
    errors = json_insert(errors, '$[#]',
    json_object('attempt', failures + 1, 'at_us', ?5, 'text', ?6))
    where id = ?1 and claims = ?2 and state = 2 returning topic";
const FAILURES: &str = "select failures from messages where id = ?1 and claims = ?2 and state = 2";
const INSERT: &str = "insert into messages
    (topic, state, due_us, claims, failures, key, headers, payload, published_us, ordering)
    values (?1, 0, 0, 0, 0, ?2, ?3, ?4, ?5, ?6)";
const REPLAY: &str = "insert into messages
    (topic, state, due_us, claims, failures, key, headers, payload, published_us, ordering)
    select topic, 0, 0, 0, 0, key, headers, payload, published_us, ordering
    from messages where id = ?1";
const OVERDUE: &str = "select id, claims from messages
    where state = 2 and due_us <= ?1 order by due_us limit ?2";
const DUE: &str = "select exists
    (select 1 from messages where topic = ?1 and state = 1 and due_us <= ?2)";
const NEXT_AGAIN: &str = "select min(due_us) from messages
    where topic = ?1 and state = 1 and due_us > ?2";
const NEXT_LEASE: &str = "select min(due_us) from messages where state = 2";

/// What a broker does with its file before it serves: all leases last anew from now, for while it was
/// away nobody could extend or settle; and nothing waits for longer than it was told to, for the clock
/// may have been set back. Returns the file's epoch.
pub(super) fn begin(connection: &Connection, lease: Duration) -> Result<u64> {
    let now_us = now_us();
    connection.execute(RENEW, [now_us + micros(lease)])?;
    connection.execute(BOUND, [now_us])?;
    connection.query_row("select epoch from file", [], |row| row.get(0)).map(i64::cast_unsigned)
}

/// A change that a client asks for.
pub(crate) enum Operation {
    Publish { topic: Arc<Topic>, message: Message },
    Settle(Claim, Settle),
    Extend(Claim),
}

/// What became of one.
pub(crate) type Outcome = std::result::Result<(), Error>;

/// The changes of one transaction, with the counts of live messages that they move.
pub(super) struct Batch<'a> {
    connection: &'a Connection,
    settings: &'a Settings,
    epoch: u64,
    now_us: Micros,
    lives: Vec<Live>,
    /// Topics with messages that became ready.
    pub(super) woken: Vec<String>,
    /// The earliest instant at which something that was changed here is due.
    pub(super) due_us: Option<Micros>,
}

struct Live {
    topic: String,
    before: Option<i64>,
    change: i64,
}

impl<'a> Batch<'a> {
    pub(super) fn new(connection: &'a Connection, settings: &'a Settings, epoch: u64) -> Self {
        let (lives, woken) = (Vec::new(), Vec::new());
        Self { connection, settings, epoch, now_us: now_us(), lives, woken, due_us: None }
    }

    pub(super) fn run(&mut self, operation: &Operation) -> Result<Outcome> {
        match operation {
            Operation::Publish { topic, message } => self.publish(&topic.name, message),
            Operation::Settle(claim, how) => self.settle(*claim, how),
            Operation::Extend(claim) => self.extend(*claim),
        }
    }

    /// What has waited longest and fits the share, leased from now.
    pub(super) fn claim(&mut self, topic: &str, share: Share) -> Result<Claimed> {
        let (now_us, lease, epoch) = (self.now_us, self.settings.lease, self.epoch);
        let terms = Terms { now_us, lease, epoch };
        let claimed = claiming::claim(self.connection, topic, share, terms)?;
        if !claimed.handed.is_empty() {
            self.due(now_us + micros(lease));
        }
        Ok(claimed)
    }

    /// Claims, undoing the claim alone if it fails: then none.
    pub(super) fn claim_apart(&mut self, topic: &str, share: Share) -> Result<Option<Claimed>> {
        self.execute("savepoint claim", [])?;
        let claimed = self.claim(topic, share).ok();
        if claimed.is_none() {
            self.execute("rollback to claim", [])?;
        }
        self.execute("release claim", [])?;
        Ok(claimed)
    }

    /// Gives deliveries back of a consumer that left in order: uncounted.
    pub(super) fn give_back(&mut self, claims: &[Claim]) -> Result<()> {
        claims.iter().try_for_each(|claim| self.defer(*claim, self.now_us).map(drop))
    }

    /// Takes deliveries back from a consumer that went away: counted, for one of them may have ended
    /// it. They come again at once after a first failure; then the backoff parts them from others.
    pub(super) fn take_back(&mut self, claims: &[Claim]) -> Result<()> {
        for &claim in claims {
            let Some(failures) = self.failures(claim)? else { continue };
            let backoff = self.settings.backoff;
            let wait = if failures == 0 { 0 } else { micros(backoff.delay(failures + 1)) };
            self.fail(claim, "the consumer went away", Some(self.now_us + wait))?;
        }
        Ok(())
    }

    /// Ends leases that are over and wakes what comes again; returns when to look next.
    pub(super) fn expire(&mut self) -> Result<Option<Micros>> {
        for claim in self.overdue()? {
            self.fail(claim, "the lease ended", Some(self.now_us))?;
        }
        let mut next: Option<Micros> =
            self.connection.prepare_cached(NEXT_LEASE)?.query_row([], |row| row.get(0))?;
        let (connection, now_us) = (self.connection, self.now_us);
        for topic in reading::topics(connection)? {
            let at = params![topic, now_us];
            let due = connection.prepare_cached(DUE)?.query_row(at, |row| row.get(0))?;
            let again: Option<Micros> =
                connection.prepare_cached(NEXT_AGAIN)?.query_row(at, |row| row.get(0))?;
            next = next.into_iter().chain(again).min();
            if due {
                self.wake(&topic);
            }
        }
        Ok(next)
    }

    /// Dead letters become new messages at the end of the queue, as far as there is room.
    pub(super) fn replay(&mut self, topic: &str, limit: u32) -> Result<u64> {
        let most = self.room(topic)?.min(i64::from(limit.min(SWEEP_MAX)));
        let letters = "select id from messages where topic = ?1 and state = 3 order by id limit ?2";
        let mut statement = self.connection.prepare_cached(letters)?;
        let ids = statement.query_map(params![topic, most], |row| row.get(0))?;
        let ids = ids.collect::<Result<Vec<i64>>>()?;
        for &id in &ids {
            self.execute(REPLAY, [id])?;
            self.execute(FORGET, [id])?;
        }
        if !ids.is_empty() {
            self.live(topic).change += ids.len() as i64;
            self.wake(topic);
        }
        Ok(ids.len() as u64)
    }

    /// Writes the counts back. Last in every transaction.
    pub(super) fn finish(&mut self) -> Result<()> {
        let mut statement = self.connection.prepare_cached(
            "insert into topics (name, live) values (?1, ?2)
             on conflict (name) do update set live = live + excluded.live",
        )?;
        for live in self.lives.drain(..).filter(|live| live.change != 0) {
            statement.execute(params![live.topic, live.change])?;
        }
        Ok(())
    }

    fn publish(&mut self, topic: &str, message: &Message) -> Result<Outcome> {
        if self.room(topic)? <= 0 {
            let (topic, depth_max) = (topic.to_owned(), self.settings.depth_max);
            return Ok(Err(Error::Full { topic, depth_max }));
        }
        self.execute(
            INSERT,
            params![
                topic,
                message.key,
                reading::to_json(&message.headers),
                &message.payload[..],
                self.now_us,
                message.ordering
            ],
        )?;
        self.live(topic).change += 1;
        self.wake(topic);
        Ok(Ok(()))
    }

    fn settle(&mut self, claim: Claim, how: &Settle) -> Result<Outcome> {
        let held = match how {
            Settle::Ack => self.ack(claim)?,
            Settle::Defer(delay) => self.defer(claim, self.after(micros(*delay)))?,
            Settle::Fail(text) => {
                let failures = self.failures(claim)?.unwrap_or(0);
                let delay = micros(self.settings.backoff.delay(failures + 1));
                self.fail(claim, text, Some(self.after(delay)))?
            }
            Settle::Reject(text) => self.fail(claim, text, None)?,
        };
        Ok(if held { Ok(()) } else { Err(Error::Fenced) })
    }

    fn after(&self, delay_us: Micros) -> Micros {
        self.now_us + delay_us.min(DELAY_MAX_US)
    }

    fn ack(&mut self, claim: Claim) -> Result<bool> {
        let mut statement = self.connection.prepare_cached(LEASE)?;
        let mut rows = statement.query(params![claim.id, claim.number])?;
        let Some(row) = rows.next()? else { return Ok(false) };
        self.live(row.get_ref(0)?.as_str()?).change -= 1;
        drop(rows);
        self.execute(FORGET, [claim.id])?;
        Ok(true)
    }

    fn defer(&mut self, claim: Claim, due: Micros) -> Result<bool> {
        let of = params![claim.id, claim.number];
        let mut lease = self.connection.prepare_cached(LEASE)?;
        let topic: Option<String> = lease.query_row(of, |row| row.get(0)).optional()?;
        let Some(topic) = topic else { return Ok(false) };
        self.execute(DEFER, params![claim.id, due, self.now_us])?;
        self.comes_again(&topic, due);
        Ok(true)
    }

    fn extend(&mut self, claim: Claim) -> Result<Outcome> {
        let until = self.now_us + micros(self.settings.lease);
        let changed = self.execute(EXTEND, params![claim.id, claim.number, until])?;
        Ok(if changed == 1 { Ok(()) } else { Err(Error::Fenced) })
    }

    fn failures(&self, claim: Claim) -> Result<Option<u32>> {
        let of = params![claim.id, claim.number];
        self.connection.prepare_cached(FAILURES)?.query_row(of, |row| row.get(0)).optional()
    }

    /// Counts an attempt that failed: the message comes again when it is due, or it is a dead letter.
    /// False if the lease was lost before.
    fn fail(&mut self, claim: Claim, text: &str, due: Option<Micros>) -> Result<bool> {
        let Some(failures) = self.failures(claim)? else { return Ok(false) };
        let due = due.filter(|_| failures + 1 < self.settings.attempts_max);
        let (state, at) = due.map_or((DEAD, self.now_us), |due| (AGAIN, due));
        let topic: String = self.connection.prepare_cached(FAIL)?.query_row(
            params![claim.id, claim.number, state, at, self.now_us, error_text(text)],
            |row| row.get(0),
        )?;
        match due {
            None => self.live(&topic).change -= 1,
            Some(due) => self.comes_again(&topic, due),
        }
        Ok(true)
    }

    fn comes_again(&mut self, topic: &str, due: Micros) {
        if due <= self.now_us {
            self.wake(topic);
        } else {
            self.due(due);
        }
    }

    fn overdue(&self) -> Result<Vec<Claim>> {
        let mut statement = self.connection.prepare_cached(OVERDUE)?;
        let rows = statement.query_map(params![self.now_us, SWEEP_MAX], |row| {
            Ok(Claim { id: row.get(0)?, number: row.get(1)? })
        })?;
        rows.collect()
    }

    /// How many messages the topic may still take.
    fn room(&mut self, topic: &str) -> Result<i64> {
        let connection = self.connection;
        let bound = i64::try_from(self.settings.depth_max).unwrap_or(i64::MAX);
        let live = self.live(topic);
        let before = match live.before {
            Some(before) => before,
            None => live_before(connection, topic)?,
        };
        live.before = Some(before);
        Ok(bound - before - live.change)
    }

    fn live(&mut self, topic: &str) -> &mut Live {
        let known = self.lives.iter().position(|live| live.topic == topic);
        let place = known.unwrap_or_else(|| {
            self.lives.push(Live { topic: topic.to_owned(), before: None, change: 0 });
            self.lives.len() - 1
        });
        &mut self.lives[place]
    }

    fn wake(&mut self, topic: &str) {
        if !self.woken.iter().any(|woken| woken == topic) {
            self.woken.push(topic.to_owned());
        }
    }

    fn due(&mut self, due_us: Micros) {
        self.due_us = Some(self.due_us.map_or(due_us, |due| due.min(due_us)));
    }

    fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }
}

fn live_before(connection: &Connection, topic: &str) -> Result<i64> {
    let sql = "select live from topics where name = ?1";
    let live = connection.prepare_cached(sql)?.query_row([topic], |row| row.get(0)).optional()?;
    Ok(live.unwrap_or(0))
}
