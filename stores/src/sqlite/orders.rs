//! Orders.

use std::ops::Range;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Params, Row, named_params, params};
use shop::{
    Error, Handover, Micros, Order, OrderId, OrderStatus, OrderStore, Placed, Reader, Result,
    Settlement, UserId,
};
use uuid::Uuid;

use super::{Sqlite, meaning, outbox, payments, strange};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, key, customer, fingerprint, items, total_cents, card, status, charge_id,
             created_at, settled_at from orders ",
            $rest
        )
    };
}

const INSERT: &str = "insert into orders
    (id, key, customer, fingerprint, items, total_cents, card, status, charge_id, created_at,
     settled_at)
    values (:id, :key, :customer, :fingerprint, :items, :total_cents, :card, :status, :charge_id,
     :created_at, :settled_at)
    on conflict (key) do nothing";
const SETTLE: &str = "update orders set status = ?2, charge_id = ?3, settled_at = ?4, card = null
    where key = ?1 and status = 'pending'";
const BY_KEY: &str = select!("where key = ?1");
const GET: &str = select!("where id = ?1");
const GET_OWN: &str = select!("where id = ?1 and customer = ?2");
const LIST: &str = select!("where id > ?1 order by id limit ?2");
const LIST_OWN: &str = select!("where customer = ?3 and id > ?1 order by id limit ?2");
const PENDING: &str = select!(
    "where status = 'pending' and created_at >= ?1 and created_at < ?2
        order by created_at, id limit ?3"
);

#[async_trait]
impl OrderStore for Sqlite {
    async fn insert(&self, order: Order, handover: Handover) -> Result<Placed> {
        let items = serde_json::to_string(&order.items)
            .map_err(|e| Error::Internal(format!("the items of {}: {e}", order.key)))?;
        let job = move |c: &Connection| {
            if insert(c, &order, &items)? == 0 {
                let found = one(c, BY_KEY, [&order.key])?;
                return Ok((order, Some(found)));
            }
            if let (Handover::Outbox, Some(charge)) = (handover, order.charge()) {
                outbox::insert(c, &charge)?;
            }
            Ok((order, None))
        };
        match self.db.write(job).await.map_err(meaning)? {
            (_, Some(found)) => Ok(Placed::Existing(found.order()?)),
            (order, None) => {
                crash_point::reach(crash_point::ORDER_COMMITTED);
                Ok(Placed::New(order))
            }
        }
    }

    async fn settle(&self, settlement: Settlement, at: Micros) -> Result<Order> {
        let job = move |c: &Connection| {
            let Settlement { key, verdict, .. } = settlement;
            let (status, charge_id) = payments::columns(&verdict);
            c.prepare_cached(SETTLE)?.execute(params![key, status.as_str(), charge_id, at])?;
            one(c, BY_KEY, [&key]).optional()
        };
        let settled = self.db.write(job).await.map_err(meaning)?;
        crash_point::reach(crash_point::ORDER_SETTLED);
        settled.ok_or(Error::NotFound)?.order()
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

    async fn list(&self, reader: Reader, after: Option<OrderId>, limit: u32) -> Result<Vec<Order>> {
        let job = move |c: &Connection| {
            // Every id has 16 bytes, so all come after the empty blob.
            let after: &[u8] = after.as_ref().map_or(&[], |id| id.0.as_bytes());
            match reader {
                Reader::Operator => all(c, LIST, params![after, limit]),
                Reader::Customer(owner) => {
                    all(c, LIST_OWN, params![after, limit, owner.0.as_bytes()])
                }
            }
        };
        orders(self.db.read(job).await.map_err(meaning)?)
    }

    async fn pending(&self, created: Range<Micros>, limit: u32) -> Result<Vec<Order>> {
        let job = move |c: &Connection| all(c, PENDING, params![created.start, created.end, limit]);
        orders(self.db.read(job).await.map_err(meaning)?)
    }
}

fn insert(c: &Connection, order: &Order, items: &str) -> rusqlite::Result<usize> {
    c.prepare_cached(INSERT)?.execute(named_params! {
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
    })
}

/// An order whose items are still text.
struct Stored {
    order: Order,
    items: String,
}

impl Stored {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
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
        };
        Ok(Self { order, items: row.get(4)? })
    }

    fn order(self) -> Result<Order> {
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

fn one(c: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<Stored> {
    c.prepare_cached(sql)?.query_row(params, Stored::read)
}

fn all(c: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<Vec<Stored>> {
    c.prepare_cached(sql)?.query_map(params, Stored::read)?.collect()
}

fn orders(stored: Vec<Stored>) -> Result<Vec<Order>> {
    stored.into_iter().map(Stored::order).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::MIGRATIONS;

    #[track_caller]
    fn check(sql: &str, expected: &str) {
        let c = Connection::open_in_memory().unwrap();
        c.execute_batch(MIGRATIONS[0]).unwrap();
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
        check(LIST, &format!("{id} (id>?)"));
        check(LIST_OWN, "SEARCH orders USING INDEX orders_customer (customer=? AND id>?)");
        check(PENDING, "SEARCH orders USING INDEX orders_pending (created_at>? AND created_at<?)");
    }
}
