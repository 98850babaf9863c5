//! What the tables hold, for those who look. It changes nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::TopicDepth;
use crate::{DeadLetter, Depth, Failure, Message};

/// Failures of one dead letter that are listed: the last ones, so that a letter fits a frame.
const FAILURES_MAX: usize = 8;

pub(super) fn depth(connection: &Connection, topic: &str) -> Result<Depth> {
    let sql = "select state, count(*) from messages where topic = ?1 group by state";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([topic])?;
    let mut depth = Depth::default();
    while let Some(row) = rows.next()? {
        add(&mut depth, row.get(0)?, row.get(1)?);
    }
    Ok(depth)
}

pub(super) fn depths(connection: &Connection) -> Result<Vec<TopicDepth>> {
    let mut statement = connection.prepare_cached("select name from topics order by name")?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    names.map(|name| topic_depth(connection, name?)).collect()
}

/// At most `limit` dead letters with numbers above `after`, oldest first.
pub(super) fn dead(
    connection: &Connection,
    topic: &str,
    after: i64,
    limit: u32,
) -> Result<Vec<DeadLetter>> {
    let mut statement = connection.prepare_cached(
        "select id, key, headers, payload, attempt, errors, published_us, due_us from messages
         where topic = ?1 and state = 3 and id > ?2 order by id limit ?3",
    )?;
    let letters = statement.query_map(params![topic, after, limit], |row| {
        Ok(DeadLetter {
            id: row.get(0)?,
            message: message(row, 1)?,
            attempts: row.get(4)?,
            errors: failures(row, 5)?,
            published_us: row.get(6)?,
            died_us: row.get(7)?,
        })
    })?;
    letters.collect()
}

/// The message in the columns key, headers, payload that begin at `first`.
pub(super) fn message(row: &Row<'_>, first: usize) -> Result<Message> {
    let headers = row.get_ref(first + 1)?.as_str()?;
    Ok(Message {
        key: row.get(first)?,
        headers: if headers == "{}" { BTreeMap::new() } else { from_json(headers, first + 1)? },
        payload: Bytes::copy_from_slice(row.get_ref(first + 2)?.as_blob()?),
    })
}

/// Headers as they are stored.
pub(super) fn to_json(headers: &BTreeMap<String, String>) -> String {
    serde_json::json!(headers).to_string()
}

fn topic_depth(connection: &Connection, topic: String) -> Result<TopicDepth> {
    let oldest = "select published_us from messages where topic = ?1 and state = 0
        order by id limit 1";
    let oldest_ready_us =
        connection.prepare_cached(oldest)?.query_row([&topic], |row| row.get(0)).optional()?;
    Ok(TopicDepth { depth: depth(connection, &topic)?, topic, oldest_ready_us })
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
