//! What the tables hold, for those who look. It changes nothing.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use crate::{DeadLetter, Depth, Failure, Message, Micros};

/// Failures of one dead letter that are listed: the last ones, so that a letter fits a frame.
const FAILURES_MAX: usize = 8;

/// A topic's messages, for those who watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDepth {
    /// Its name.
    pub topic: String,
    /// Messages by state.
    pub depth: Depth,
    /// When the oldest ready message was published, in microseconds since the epoch.
    pub oldest_ready_us: Option<i64>,
}

/// What comes again and is due is as ready as what is fresh.
pub(super) fn depth(connection: &Connection, topic: &str, now_us: Micros) -> Result<Depth> {
    // Both counts are of one moment.
    let _moment = connection.unchecked_transaction()?;
    let sql = "select state, count(*) from messages where topic = ?1 group by state";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([topic])?;
    let mut depth = Depth::default();
    while let Some(row) = rows.next()? {
        add(&mut depth, row.get(0)?, row.get(1)?);
    }
    let sql = "select count(*) from messages where topic = ?1 and state = 1 and due_us <= ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let due: i64 = statement.query_row(params![topic, now_us], |row| row.get(0))?;
    let due = due.unsigned_abs();
    Ok(Depth { ready: depth.ready + due, delayed: depth.delayed - due, ..depth })
}

pub(super) fn depths(connection: &Connection, now_us: Micros) -> Result<Vec<TopicDepth>> {
    let topics = topics(connection)?;
    topics.into_iter().map(|topic| topic_depth(connection, topic, now_us)).collect()
}

/// The names of all topics that ever held a message.
pub(super) fn topics(connection: &Connection) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached("select name from topics order by name")?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect()
}

/// Which of these keys a message carries that is not dead. It reads all messages of the topic: an
/// index of keys would cost every message, and this is asked seldom.
pub(super) fn holds(
    connection: &Connection,
    topic: &str,
    keys: &HashSet<String>,
) -> Result<HashSet<String>> {
    let sql = "select key from messages where topic = ?1 and state in (0, 1, 2)";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([topic])?;
    let mut held = HashSet::new();
    while let Some(row) = rows.next()? {
        held.extend(keys.get(row.get_ref(0)?.as_str()?).cloned());
    }
    Ok(held)
}

/// At most `limit` dead letters with numbers above `after`, oldest first.
pub(super) fn dead(
    connection: &Connection,
    topic: &str,
    after: i64,
    limit: u32,
) -> Result<Vec<DeadLetter>> {
    let mut statement = connection.prepare_cached(
        "select id, key, headers, payload, ordering, failures, errors, published_us, due_us
         from messages where topic = ?1 and state = 3 and id > ?2 order by id limit ?3",
    )?;
    let letters = statement.query_map(params![topic, after, limit], |row| {
        Ok(DeadLetter {
            id: row.get(0)?,
            message: message(row, 1)?,
            attempts: row.get(5)?,
            errors: failures(row, 6)?,
            published_us: row.get(7)?,
            died_us: row.get(8)?,
        })
    })?;
    letters.collect()
}

/// The message in the columns key, headers, payload, ordering that begin at `first`.
pub(super) fn message(row: &Row<'_>, first: usize) -> Result<Message> {
    let headers = row.get_ref(first + 1)?.as_str()?;
    Ok(Message {
        key: row.get(first)?,
        headers: if headers == "{}" { BTreeMap::new() } else { from_json(headers, first + 1)? },
        payload: Bytes::copy_from_slice(row.get_ref(first + 2)?.as_blob()?),
        ordering: row.get(first + 3)?,
    })
}

/// Headers as they are stored.
pub(super) fn to_json(headers: &BTreeMap<String, String>) -> String {
    serde_json::json!(headers).to_string()
}

fn topic_depth(connection: &Connection, topic: String, now_us: Micros) -> Result<TopicDepth> {
    let fresh = "select published_us from messages where topic = ?1 and state = 0
        order by id limit 1";
    let fresh: Option<Micros> =
        connection.prepare_cached(fresh)?.query_row([&topic], |row| row.get(0)).optional()?;
    let again = "select min(published_us) from messages
        where topic = ?1 and state = 1 and due_us <= ?2";
    let again: Option<Micros> =
        connection.prepare_cached(again)?.query_row(params![topic, now_us], |row| row.get(0))?;
    let oldest_ready_us = fresh.into_iter().chain(again).min();
    Ok(TopicDepth { depth: depth(connection, &topic, now_us)?, topic, oldest_ready_us })
}

fn add(depth: &mut Depth, state: i64, count: i64) {
    let count = count.unsigned_abs();
    match state {
        0 => depth.ready = count,
        1 => depth.delayed = count,
        2 => depth.leased = count,
        _ => depth.dead = count,
    }
}

fn failures(row: &Row<'_>, column: usize) -> Result<Vec<Failure>> {
    let mut failures: Vec<Failure> = from_json(row.get_ref(column)?.as_str()?, column)?;
    Ok(failures.split_off(failures.len().saturating_sub(FAILURES_MAX)))
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str, column: usize) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}
