//! Orders.

use std::ops::Range;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Params, Row, named_params, params};
use shop::{
    Backlog, Ending, Error, Handover, Listed, Micros, Most, Number, Order, OrderId, OrderStatus,
    OrderStore, Pending, Placed, Reader, Reason, Result, Settlement, UserId,
};
use uuid::Uuid;

use super::outbox::{self, Rows};
use super::{Sqlite, each, meaning, strange};
use crate::shards::Numbers;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, key, customer, fingerprint, items, total_cents, card, status, charge_id,
             created_at, settled_at, number, reason from orders ",
            $rest
        )
    };
}

/// Without a number it gets the next.
const INSERT: &str = "insert into orders
    (number, id, key, customer, fingerprint, items, total_cents, card, status, charge_id, created_at,
     settled_at, reason)
    values (:number, :id, :key, :customer, :fingerprint, :items, :total_cents, :card, :status, :charge_id,
     :created_at, :settled_at, :reason)
    on conflict (key) do nothing";
const SETTLE: &str =
    "update orders set status = ?2, charge_id = ?3, settled_at = ?4, reason = ?5, card = null
    where key = ?1 and status = 'pending'";
pub(super) const BY_KEY: &str = select!("where key = ?1");
const GET: &str = select!("where id = ?1");
const GET_OWN: &str = select!("where id = ?1 and customer = ?2");
pub(super) const NUMBER: &str = "select number from orders where id = ?1";
const NUMBER_OWN: &str = "select number from orders where id = ?1 and customer = ?2";
pub(super) const NEWEST: &str = "select coalesce(max(number), 0) from orders";
const LIST: &str = select!("where number > ?1 order by number");
const LIST_OWN: &str = select!("where customer = ?2 and number > ?1 order by number");
const PENDING: &str =
    select!("where status = 'pending' and number >= ?1 and number < ?2 order by number limit ?3");

pub(super) use select;

#[async_trait]
impl OrderStore for Sqlite {
    async fn insert(&self, order: Order, handover: Handover) -> Result<Placed> {
        self.place(order, handover, None, |_, _| Ok(())).await
    }

    async fn settle(&self, settlement: Settlement, at: Micros) -> Result<Order> {
        let job = move |c: &Connection| Ok(settle(c, &settlement, at)?.0);
        let settled = self.db.write(job).await.map_err(meaning)?;
        crash_point::reach(crash_point::ORDER_SETTLED);
        settled.ok_or(Error::NotFound)?.order()
    }

    async fn settle_all(&self, settlements: Vec<Settlement>, at: Micros) -> Vec<Result<Order>> {
        let count = settlements.len();
        let job = move |c: &Connection| {
            let settled = settlements.iter().map(|one| Ok(settle(c, one, at)?.0));
            settled.collect::<rusqlite::Result<Vec<_>>>()
        };
        let settled = each(count, self.db.write(job).await);
        crash_point::reach(crash_point::ORDER_SETTLED);
        settled.map(|stored| stored?.ok_or(Error::NotFound)?.order()).collect()
    }

    async fn get(&self, reader: Reader, id: OrderId) -> Result<Option<Order>> {
        let job = move |c: &Connection| {
            let id = id.0.as_bytes();
            match reader {
                Reader::Operator => one(c, GET, [id]),
                Reader::Customer(owner) => one(c, GET_OWN, [id, owner.0.as_bytes()]),
            }
            .optional()
        };
        self.db.read(job).await.map_err(meaning)?.map(Stored::order).transpose()
    }

    async fn list(&self, reader: Reader, after: Option<OrderId>, most: Most) -> Result<Listed> {
        let job = move |c: &Connection| {
            let Some(after) = after.map_or(Ok(Some(0)), |id| number(c, reader, id))? else {
                return Ok(None);
            };
            let page = match reader {
                Reader::Operator => page(c, LIST, params![after], most),
                Reader::Customer(owner) => {
                    page(c, LIST_OWN, params![after, owner.0.as_bytes()], most)
                }
            };
            page.map(Some)
        };
        let found = self.db.read(job).await.map_err(meaning)?;
        let (stored, more) = found.ok_or(Error::NotFound)?;
        let orders = stored.into_iter().map(Stored::order).collect::<Result<_>>()?;
        Ok(Listed { orders, more })
    }

    async fn pending(&self, numbers: Range<Number>, limit: u32) -> Result<Pending> {
        let job = move |c: &Connection| {
            let newest = c.prepare_cached(NEWEST)?.query_row([], |row| row.get(0))?;
            let mut pending = c.prepare_cached(PENDING)?;
            let found =
                pending.query_map(params![numbers.start, numbers.end, limit], Stored::read)?;
            Ok((found.collect::<rusqlite::Result<Vec<_>>>()?, newest))
        };
        let (found, newest) = self.db.read(job).await.map_err(meaning)?;
        let numbered = |stored: Stored| Ok((stored.number, stored.order()?));
        Ok(Pending { orders: found.into_iter().map(numbered).collect::<Result<_>>()?, newest })
    }
}

impl Sqlite {
    /// Inserts an order, under a number of a sequence if there is one, and what belongs to a new one, in one transaction.
    pub(super) async fn place(
        &self,
        order: Order,
        handover: Handover,
        numbers: Option<Numbers>,
        beside: impl FnOnce(&Connection, &Order) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<Placed> {
        let items = serde_json::to_string(&order.items)
            .map_err(|e| Error::Internal(format!("the items of {}: {e}", order.key)))?;
        let rows = self.outbox_rows.clone();
        let job = move |c: &Connection| {
            let drawn = numbers.as_ref().map(Numbers::draw);
            let number = drawn.as_ref().map(|drawn| drawn.number);
            let inserted = insert(c, &order, number, &items, handover, &rows)?;
            if let Ok(None) = inserted {
                beside(c, &order)?;
            }
            let owes = matches!((&inserted, handover), (Ok(None), Handover::Outbox { .. }));
            // Its number is under way until this is durable.
            Ok(((order, inserted, drawn), move || rows.add(owes.into())))
        };
        let (order, inserted, _) = self.db.write_then(job).await.map_err(meaning)?;
        if let Some(found) = inserted? {
            return Ok(Placed::Existing(found.order()?));
        }
        crash_point::reach(crash_point::ORDER_COMMITTED);
        Ok(Placed::New(order))
    }
}

/// The order as it then is, and whether it has become final by this.
pub(super) fn settle(
    c: &Connection,
    settlement: &Settlement,
    at: Micros,
) -> rusqlite::Result<(Option<Stored>, bool)> {
    let Settlement { key, verdict, .. } = settlement;
    let Ending { status, charge_id, reason } = Ending::from(verdict);
    let reason = reason.map(Reason::as_str);
    let row = params![key, status.as_str(), charge_id, at, reason];
    let changed = c.prepare_cached(SETTLE)?.execute(row)?;
    Ok((one(c, BY_KEY, [key]).optional()?, changed > 0))
}

/// The order with this key.
pub(super) fn of_key(c: &Connection, key: &str) -> rusqlite::Result<Stored> {
    one(c, BY_KEY, [key])
}

/// Inserts an order unless there is one with its key, which is returned, or the outbox is full.
fn insert(
    c: &Connection,
    order: &Order,
    number: Option<Number>,
    items: &str,
    handover: Handover,
    outbox: &Rows,
) -> rusqlite::Result<Result<Option<Stored>>> {
    let full = match handover {
        Handover::Outbox { most } if outbox.count() >= most => Some(most),
        Handover::Outbox { .. } | Handover::Direct => None,
    };
    if let Some(most) = full {
        let found = one(c, BY_KEY, [&order.key]).optional()?;
        return Ok(found.map(Some).ok_or_else(|| Backlog::full(most)));
    }
    if add(c, order, number, items)? == 0 {
        return one(c, BY_KEY, [&order.key]).map(|found| Ok(Some(found)));
    }
    if let (Handover::Outbox { .. }, Some(charge)) = (handover, order.charge()) {
        outbox::insert(c, &charge)?;
    }
    Ok(Ok(None))
}

/// Adds an order as it is unless its key is there: how many were added.
pub(super) fn add(
    c: &Connection,
    order: &Order,
    number: Option<Number>,
    items: &str,
) -> rusqlite::Result<usize> {
    c.prepare_cached(INSERT)?.execute(named_params! {
        ":number": number,
        ":id": order.id.0.as_bytes(),
        ":key": order.key,
        ":customer": order.customer.0.as_bytes(),
        ":fingerprint": order.fingerprint,
        ":items": items,
        ":total_cents": order.total_cents,
        ":card": order.card,
        ":status": order.status.as_str(),
        ":charge_id": order.charge_id,
        ":created_at": order.created_at,
        ":settled_at": order.settled_at,
        ":reason": order.reason.map(Reason::as_str),
    })
}

/// An order whose items are still text.
pub(super) struct Stored {
    pub(super) number: Number,
    order: Order,
    pub(super) items: String,
}

impl Stored {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let order = Order {
            id: OrderId(Uuid::from_bytes(row.get(0)?)),
            key: row.get(1)?,
            customer: UserId(Uuid::from_bytes(row.get(2)?)),
            fingerprint: row.get(3)?,
            items: Vec::new(),
            total_cents: row.get(5)?,
            card: row.get(6)?,
            status: status(row)?,
            charge_id: row.get(8)?,
            created_at: row.get(9)?,
            settled_at: row.get(10)?,
            reason: reason(row)?,
        };
        Ok(Self { number: row.get(11)?, order, items: row.get(4)? })
    }

    pub(super) fn order(self) -> Result<Order> {
        let items = serde_json::from_str(&self.items)
            .map_err(|e| Error::Internal(format!("the items of {}: {e}", self.order.key)))?;
        Ok(Order { items, ..self.order })
    }
}

fn status(row: &Row<'_>) -> rusqlite::Result<OrderStatus> {
    match row.get_ref(7)?.as_str()? {
        "pending" => Ok(OrderStatus::Pending),
        "paid" => Ok(OrderStatus::Paid),
        "declined" => Ok(OrderStatus::Declined),
        other => Err(strange(7, other)),
    }
}

fn reason(row: &Row<'_>) -> rusqlite::Result<Option<Reason>> {
    let Some(word) = row.get_ref(12)?.as_str_or_null()? else { return Ok(None) };
    Reason::of(word).map(Some).ok_or_else(|| strange(12, word))
}

pub(super) fn one(c: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<Stored> {
    c.prepare_cached(sql)?.query_row(params, Stored::read)
}

/// The number of this order, if this reader may see it.
fn number(c: &Connection, reader: Reader, id: OrderId) -> rusqlite::Result<Option<Number>> {
    let id = id.0.as_bytes();
    let found = match reader {
        Reader::Operator => c.prepare_cached(NUMBER)?.query_row([id], |row| row.get(0)),
        Reader::Customer(owner) => {
            c.prepare_cached(NUMBER_OWN)?.query_row([id, owner.0.as_bytes()], |row| row.get(0))
        }
    };
    found.optional()
}

/// Reads no further than is wanted, and whether there is more.
pub(super) fn page(
    c: &Connection,
    sql: &str,
    params: impl Params,
    most: Most,
) -> rusqlite::Result<(Vec<Stored>, bool)> {
    let mut list = c.prepare_cached(sql)?;
    let mut rows = list.query(params)?;
    let (mut page, mut bytes) = (Vec::<Stored>::new(), 0);
    while let Some(row) = rows.next()? {
        if page.len() >= most.orders as usize || (bytes >= most.bytes && !page.is_empty()) {
            return Ok((page, true));
        }
        let stored = Stored::read(row)?;
        bytes += stored.items.len();
        page.push(stored);
    }
    Ok((page, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::{SCHEMA, events, shard, stock};

    #[track_caller]
    fn check(sql: &str, expected: &str) {
        let c = Connection::open_in_memory().unwrap();
        SCHEMA.migrations.iter().for_each(|migration| c.execute_batch(migration).unwrap());
        let mut explain = c.prepare(&format!("explain query plan {sql}")).unwrap();
        let parameters = explain.parameter_count();
        let nulls = rusqlite::params_from_iter(vec![rusqlite::types::Null; parameters]);
        let steps = explain.query_map(nulls, |row| row.get(3)).unwrap();
        let plan: Vec<String> = steps.map(|step| step.unwrap()).collect();
        assert_eq!(plan.join("; "), expected, "{sql}");
    }

    #[test]
    fn no_statement_scans_or_sorts() {
        let id = "SEARCH orders USING INDEX sqlite_autoindex_orders_1";
        check(SETTLE, "SEARCH orders USING INDEX orders_key (key=?)");
        check(BY_KEY, "SEARCH orders USING INDEX orders_key (key=?)");
        check(GET, &format!("{id} (id=?)"));
        check(GET_OWN, &format!("{id} (id=?)"));
        check(NUMBER, "SEARCH orders USING COVERING INDEX sqlite_autoindex_orders_1 (id=?)");
        check(NUMBER_OWN, &format!("{id} (id=?)"));
        check(NEWEST, "SEARCH orders");
        check(LIST, "SEARCH orders USING INTEGER PRIMARY KEY (rowid>?)");
        check(LIST_OWN, "SEARCH orders USING INDEX orders_customer (customer=? AND rowid>?)");
        check(
            PENDING,
            "SEARCH orders USING INDEX orders_pending (status=? AND rowid>? AND rowid<?)",
        );
        events::STATEMENTS.iter().for_each(|(sql, plan)| check(sql, plan));
        stock::STATEMENTS.iter().for_each(|(sql, plan)| check(sql, plan));
        shard::STATEMENTS.iter().for_each(|(sql, plan)| check(sql, plan));
    }
}
