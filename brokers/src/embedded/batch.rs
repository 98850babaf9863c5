//! The changes of one transaction, in SQL: what a state means, and who may leave it. It knows no
//! task and no client.

use std::sync::Arc;

use group_commit::Schema;
use rusqlite::{Connection, OptionalExtension, Params, Result, params};

use super::offers::Claimed;
use super::reading;
use super::topics::Topic;
use crate::port::{error_text, micros, now_us};
use crate::{Delivery, Error, Message, Micros, Receipt, Settings};

/// Numbers are never used again (autoincrement), so a receipt names one message for ever; a
/// message that is replayed gets a new number. `live` is what the bound of a topic counts: its
/// rows that are not dead.
pub(super) const SCHEMA: Schema<'_> = Schema {
    name: "file of this broker",
    application_id: i32::from_be_bytes(*b"TriB"),
    migrations: &[TABLES],
};

const TABLES: &str = "
create table topics (
    name text primary key,
    live integer not null
) strict, without rowid;
create table messages (
    id           integer primary key autoincrement,
    topic        text    not null,
    state        integer not null, -- 0 ready, 1 delayed, 2 leased, 3 dead
    due_us       integer not null, -- when the backoff or lease ends; when it died
    attempt      integer not null, -- counted at claim
    key          text    not null,
    headers      text    not null, -- JSON
    payload      blob    not null,
    errors       text    not null default '[]', -- JSON
    published_us integer not null
) strict;
create index messages_by_state on messages (topic, state);
create index messages_by_due on messages (due_us) where state in (1, 2);
";

const READY: i64 = 0;
const DELAYED: i64 = 1;
const LEASED: i64 = 2;
const DEAD: i64 = 3;

/// Messages that one transaction may expire or replay.
pub(super) const SWEEP_MAX: u32 = 1_000;

/// Every change of a lease is fenced by (id, attempt, state). Where it is frequent, the row is read
/// first: `returning` and subqueries fill tables of their own, whose memory costs more than a
/// second statement.
const LEASE: &str = "select topic from messages where id = ?1 and attempt = ?2 and state = 2";
const FORGET: &str = "delete from messages where id = ?1";
const EXTEND: &str = "update messages set due_us = ?3 where id = ?1 and attempt = ?2 and state = 2";
const FAIL: &str =
    "update messages set state = ?3, due_us = ?4, errors = json_insert(errors, '$[#]',
    json_object('attempt', attempt, 'at_us', ?5, 'text', ?6))
    where id = ?1 and attempt = ?2 and state = 2 returning topic";
const INSERT: &str = "insert into messages
    (topic, state, due_us, attempt, key, headers, payload, published_us)
    values (?1, 0, 0, 0, ?2, ?3, ?4, ?5)";
const REPLAY: &str = "insert into messages
    (topic, state, due_us, attempt, key, headers, payload, published_us)
    select topic, 0, 0, 0, key, headers, payload, published_us from messages where id = ?1";
const OLDEST: &str = "select id, attempt, key, headers, payload, published_us from messages
    where topic = ?1 and state = 0 order by id limit ?2";
const CLAIM: &str = "update messages set state = 2, attempt = ?2, due_us = ?3 where id = ?1";
const MORE: &str = "select 1 from messages where topic = ?1 and state = 0 limit 1";
const DUE: &str = "select id, attempt, state, topic from messages
    where state in (1, 2) and due_us <= ?1 order by due_us limit ?2";

/// A change that a client asks for.
pub(crate) enum Operation {
    Publish { topic: Arc<Topic>, message: Message },
    Ack(Receipt),
    Nack(Receipt, String),
    Extend(Receipt),
}

/// What became of one.
pub(crate) type Outcome = std::result::Result<(), Error>;

/// The changes of one transaction, with the counts of live messages that they move.
pub(super) struct Batch<'a> {
    connection: &'a Connection,
    settings: &'a Settings,
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
    pub(super) fn new(connection: &'a Connection, settings: &'a Settings) -> Self {
        let (lives, woken) = (Vec::new(), Vec::new());
        Self { connection, settings, now_us: now_us(), lives, woken, due_us: None }
    }

    pub(super) fn run(&mut self, operation: &Operation) -> Result<Outcome> {
        match operation {
            Operation::Publish { topic, message } => self.publish(&topic.name, message),
            Operation::Ack(receipt) => self.ack(*receipt),
            Operation::Nack(receipt, text) => self.nack(*receipt, text),
            Operation::Extend(receipt) => self.extend(*receipt),
        }
    }

    /// The oldest ready messages of a topic, leased from now, in order; and whether more are ready.
    pub(super) fn claim(&mut self, topic: &str, most: u32) -> Result<Claimed> {
        let until = self.now_us + micros(self.settings.lease);
        let mut statement = self.connection.prepare_cached(OLDEST)?;
        let lease = self.settings.lease;
        let rows = statement.query_map(params![topic, most], |row| {
            let receipt = Receipt { id: row.get(0)?, attempt: row.get::<_, u32>(1)? + 1 };
            let message = reading::message(row, 2)?;
            Ok(Delivery { receipt, message, published_us: row.get(5)?, lease })
        })?;
        let deliveries = rows.collect::<Result<Vec<_>>>()?;
        let mut claim = self.connection.prepare_cached(CLAIM)?;
        for Delivery { receipt, .. } in &deliveries {
            claim.execute(params![receipt.id, receipt.attempt, until])?;
        }
        if !deliveries.is_empty() {
            self.due(until);
        }
        let more = deliveries.len() == most as usize
            && self.connection.prepare_cached(MORE)?.exists([topic])?;
        Ok((deliveries, more))
    }

    /// Claims, undoing the claim alone if it fails: then none.
    pub(super) fn claim_apart(&mut self, topic: &str, most: u32) -> Result<Option<Claimed>> {
        self.execute("savepoint claim", [])?;
        let claimed = self.claim(topic, most).ok();
        if claimed.is_none() {
            self.execute("rollback to claim", [])?;
        }
        self.execute("release claim", [])?;
        Ok(claimed)
    }

    /// Gives deliveries back, at once after a first attempt; their attempts stay counted. What has
    /// been in the hands of several consumers that went away may be what ends them: the backoff
    /// parts it from the messages that were there by chance.
    pub(super) fn release(&mut self, receipts: &[Receipt]) -> Result<()> {
        for &receipt in receipts {
            let (then, wait) = match receipt.attempt {
                1 => (READY, 0),
                attempt => (DELAYED, micros(self.settings.backoff.delay(attempt))),
            };
            self.fail(receipt, "the consumer went away", then, self.now_us + wait)?;
        }
        Ok(())
    }

    /// Ends backoffs and leases that are over; returns when to come again.
    pub(super) fn expire(&mut self) -> Result<Option<Micros>> {
        for (receipt, state, topic) in self.overdue()? {
            if state == LEASED {
                self.fail(receipt, "the lease ended", READY, self.now_us)?;
            } else {
                self.execute("update messages set state = 0 where id = ?1", [receipt.id])?;
                self.wake(&topic);
            }
        }
        let next = "select min(due_us) from messages where state in (1, 2)";
        self.connection.prepare_cached(next)?.query_row([], |row| row.get(0))
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
                self.now_us
            ],
        )?;
        self.live(topic).change += 1;
        self.wake(topic);
        Ok(Ok(()))
    }

    fn ack(&mut self, receipt: Receipt) -> Result<Outcome> {
        let mut statement = self.connection.prepare_cached(LEASE)?;
        let mut rows = statement.query(params![receipt.id, receipt.attempt])?;
        let Some(row) = rows.next()? else { return Ok(Err(Error::Fenced)) };
        self.live(row.get_ref(0)?.as_str()?).change -= 1;
        drop(rows);
        self.execute(FORGET, [receipt.id])?;
        Ok(Ok(()))
    }

    fn nack(&mut self, receipt: Receipt, text: &str) -> Result<Outcome> {
        let delay = self.settings.backoff.delay(receipt.attempt);
        let held = self.fail(receipt, text, DELAYED, self.now_us + micros(delay))?;
        Ok(if held { Ok(()) } else { Err(Error::Fenced) })
    }

    fn extend(&mut self, receipt: Receipt) -> Result<Outcome> {
        let until = self.now_us + micros(self.settings.lease);
        let changed = self.execute(EXTEND, params![receipt.id, receipt.attempt, until])?;
        Ok(if changed == 1 { Ok(()) } else { Err(Error::Fenced) })
    }

    /// Ends a lease that did not end well: the message becomes `then`, or a dead letter. False if
    /// the lease was lost before.
    fn fail(&mut self, receipt: Receipt, text: &str, then: i64, due: Micros) -> Result<bool> {
        let last = receipt.attempt >= self.settings.attempts_max;
        let (state, due) = if last { (DEAD, self.now_us) } else { (then, due) };
        let topic: Option<String> = self
            .connection
            .prepare_cached(FAIL)?
            .query_row(
                params![receipt.id, receipt.attempt, state, due, self.now_us, error_text(text)],
                |row| row.get(0),
            )
            .optional()?;
        let Some(topic) = topic else { return Ok(false) };
        match state {
            DEAD => self.live(&topic).change -= 1,
            DELAYED => self.due(due),
            _ => self.wake(&topic),
        }
        Ok(true)
    }

    fn overdue(&self) -> Result<Vec<(Receipt, i64, String)>> {
        let mut statement = self.connection.prepare_cached(DUE)?;
        let rows = statement.query_map(params![self.now_us, SWEEP_MAX], |row| {
            let receipt = Receipt { id: row.get(0)?, attempt: row.get(1)? };
            Ok((receipt, row.get(2)?, row.get(3)?))
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
