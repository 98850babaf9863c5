//! Which messages a claim takes, in SQL: those that were never delivered and those that come again,
//! merged by how long they have waited. It knows no task.

use std::time::Duration;

use rusqlite::{Connection, Result, Row, params};

use super::reading;
use crate::claim::{Claim, Handed};
use crate::port::micros;
use crate::window::Share;
use crate::{Delivery, Micros};

const AGAIN: &str = "select id, due_us, failures from messages
    where topic = ?1 and state = 1 and due_us <= ?2 order by due_us limit ?3";
const FRESH: &str = "select id, claims, failures, published_us, key, headers, payload, ordering
    from messages where topic = ?1 and state = 0 order by id limit ?2";
const ONE: &str = "select id, claims, failures, published_us, key, headers, payload, ordering
    from messages where id = ?1";
const LEASE: &str = "update messages set state = 2, claims = ?2, due_us = ?3 where id = ?1";
const MORE_FRESH: &str = "select 1 from messages where topic = ?1 and state = 0 limit 1";
const MORE_AGAIN: &str = "select 1 from messages
    where topic = ?1 and state = 1 and due_us <= ?2 limit 1";

/// On what terms messages are leased.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) now_us: Micros,
    pub(super) lease: Duration,
    /// Of the file.
    pub(super) epoch: u64,
}

/// What was claimed, and what is left.
pub(super) struct Claimed {
    pub(super) handed: Vec<Handed>,
    pub(super) left: Left,
}

/// What could be delivered beyond a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    /// More than there was room for.
    Some,
    /// Redelivered messages for which this window has no room; another's may have.
    Apart,
}

/// A message that may come again.
struct Due {
    id: i64,
    due_us: Micros,
    failures: u32,
}

/// Leases what has waited longest and fits the share.
pub(super) fn claim(
    connection: &Connection,
    topic: &str,
    mut share: Share,
    terms: Terms,
) -> Result<Claimed> {
    let again = due(connection, topic, terms.now_us, share.room)?;
    let (handed, apart) = merge(connection, topic, again, &mut share, terms)?;
    let until = terms.now_us + micros(terms.lease);
    let mut statement = connection.prepare_cached(LEASE)?;
    for Handed { claim, .. } in &handed {
        statement.execute(params![claim.id, claim.number, until])?;
    }
    let left = match (share.room, apart) {
        (0, _) => left(connection, topic, terms.now_us)?,
        (_, true) => Left::Apart,
        (_, false) => Left::Nothing,
    };
    Ok(Claimed { handed, left })
}

/// Takes by time what comes again and what is fresh; of the former nothing behind one that does not
/// fit, so that none is passed over for ever. Tells whether there was such a one.
fn merge(
    connection: &Connection,
    topic: &str,
    again: Vec<Due>,
    share: &mut Share,
    terms: Terms,
) -> Result<(Vec<Handed>, bool)> {
    let (mut handed, mut apart) = (Vec::new(), false);
    let mut again = again.into_iter().peekable();
    let mut statement = connection.prepare_cached(FRESH)?;
    let rows = statement.query_map(params![topic, share.room], |row| read(row, terms, None))?;
    let mut fresh = rows.peekable();
    while share.room > 0 {
        let published_us = match fresh.peek() {
            Some(Ok(first)) => first.delivery.published_us,
            Some(Err(_)) | None => Micros::MAX,
        };
        if !apart && let Some(first) = again.next_if(|first| first.due_us <= published_us) {
            apart = !share.admit(first.failures);
            if !apart {
                handed.push(one(connection, &first, terms)?);
            }
        } else if let Some(first) = fresh.next() {
            share.fresh();
            handed.push(first?);
        } else {
            break;
        }
    }
    Ok((handed, apart))
}

fn due(connection: &Connection, topic: &str, now_us: Micros, most: u32) -> Result<Vec<Due>> {
    let mut statement = connection.prepare_cached(AGAIN)?;
    let rows = statement.query_map(params![topic, now_us, most], |row| {
        Ok(Due { id: row.get(0)?, due_us: row.get(1)?, failures: row.get(2)? })
    })?;
    rows.collect()
}

fn one(connection: &Connection, due: &Due, terms: Terms) -> Result<Handed> {
    let mut statement = connection.prepare_cached(ONE)?;
    statement.query_row([due.id], |row| read(row, terms, Some(due.failures)))
}

fn read(row: &Row<'_>, terms: Terms, redelivered: Option<u32>) -> Result<Handed> {
    let claim = Claim { id: row.get(0)?, number: row.get::<_, u32>(1)? + 1 };
    let delivery = Delivery {
        receipt: claim.receipt(terms.epoch),
        message: reading::message(row, 4)?,
        attempt: Some(row.get::<_, u32>(2)? + 1),
        redelivered: redelivered.is_some(),
        published_us: row.get(3)?,
        lease: Some(terms.lease),
    };
    Ok(Handed { claim, delivery, redelivered })
}

fn left(connection: &Connection, topic: &str, now_us: Micros) -> Result<Left> {
    let fresh = connection.prepare_cached(MORE_FRESH)?.exists([topic])?;
    let more = fresh || connection.prepare_cached(MORE_AGAIN)?.exists(params![topic, now_us])?;
    Ok(if more { Left::Some } else { Left::Nothing })
}
