//! A database that is one of several.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use shop::{Charge, Error, Handover, Most, Number, Order, OrderId, Placed, Result, UserId};
use uuid::Uuid;

use super::orders::{self, Stored, select};
use super::{Sqlite, meaning, outbox};
use crate::shards::{Entry, Luggage, Numbers, Part, Shard};

const PAGE: &str = select!("where number > ?1 and number <= ?2 order by number");
const COUNT: &str = "select count(*) from orders";
const ENTER: &str = "insert into entries (name, customer, found) values (?1, ?2, ?3)
    on conflict (name) do nothing";
const ENTER_ANEW: &str =
    "insert or replace into entries (name, customer, found) values (?1, ?2, ?3)";
const STRIKE: &str = "delete from entries where name = ?1";
const LOOK_UP: &str = "select customer, found from entries where name = ?1";
const CUSTOMERS: &str =
    "select distinct customer from orders where customer > ?1 order by customer limit ?2";
const PART: &str = select!("where customer = ?1 and number > ?2 order by number limit ?3");
/// Reads the outbox, which is short, once.
const OWED: &str = "select key, amount_cents, card from outbox where key in (select key from orders
    where customer = ?1 and number > ?2 and number <= ?3 and status = 'pending')";
const ARRIVED: &str =
    "insert into arrivals (customer) values (?1) on conflict (customer) do nothing";
const HAS_ARRIVED: &str = "select count(*) from arrivals where customer = ?1";
const UNARRIVED: &str = "delete from arrivals where customer = ?1";
const FORGET_ARRIVALS: &str = "delete from arrivals";
const LET_OUT_OWED: &str = "delete from outbox where key in
    (select key from orders where customer = ?1 and status = 'pending')";
const LET_OUT: &str = "delete from orders where customer = ?1";
const NOTE: &str = "insert into notes (name, text) values (?1, ?2) on conflict (name) do nothing";
const NOTE_ANEW: &str = "insert or replace into notes (name, text) values (?1, ?2)";
const NOTED: &str = "select text from notes where name = ?1";

#[async_trait]
impl Shard for Sqlite {
    async fn insert_under(
        &self,
        order: Order,
        handover: Handover,
        numbers: &Numbers,
    ) -> Result<Placed> {
        self.place(order, handover, Some(numbers.clone()), |_, _| Ok(())).await
    }

    async fn of_key(&self, key: &str) -> Result<Option<Order>> {
        let key = key.to_owned();
        let job = move |c: &Connection| orders::one(c, orders::BY_KEY, [&key]).optional();
        self.db.read(job).await.map_err(meaning)?.map(Stored::order).transpose()
    }

    async fn page(&self, after: Number, last: Number, most: Most) -> Result<Part> {
        let job = move |c: &Connection| orders::page(c, PAGE, params![after, last], most);
        let (stored, more) = self.db.read(job).await.map_err(meaning)?;
        let numbered = |stored: Stored| {
            let (number, bytes) = (stored.number, stored.items.len());
            Ok((number, stored.order()?, bytes))
        };
        Ok(Part { orders: stored.into_iter().map(numbered).collect::<Result<_>>()?, more })
    }

    async fn number(&self, id: OrderId) -> Result<Option<Number>> {
        let job = move |c: &Connection| {
            let mut number = c.prepare_cached(orders::NUMBER)?;
            number.query_row([id.0.as_bytes()], |row| row.get(0)).optional()
        };
        self.db.read(job).await.map_err(meaning)
    }

    async fn newest(&self) -> Result<Number> {
        let job = |c: &Connection| c.query_row(orders::NEWEST, [], |row| row.get(0));
        self.db.read(job).await.map_err(meaning)
    }

    async fn count(&self) -> Result<u64> {
        let job = |c: &Connection| c.query_row(COUNT, [], |row| row.get::<_, i64>(0));
        Ok(self.db.read(job).await.map_err(meaning)?.cast_unsigned())
    }

    async fn owing(&self) -> Result<u64> {
        Ok(self.outbox_rows.count())
    }

    async fn enter(&self, entry: Entry) -> Result<Entry> {
        let job = move |c: &Connection| {
            let Entry { name, customer, order } = &entry;
            c.prepare_cached(ENTER)?.execute(params![name, customer.0.as_bytes(), order])?;
            look_up(c, name)
        };
        self.db.write(job).await.map_err(meaning)
    }

    async fn enter_anew(&self, entry: Entry) -> Result<()> {
        let job = move |c: &Connection| {
            let Entry { name, customer, order } = &entry;
            c.prepare_cached(ENTER_ANEW)?.execute(params![name, customer.0.as_bytes(), order])
        };
        self.db.write(job).await.map(drop).map_err(meaning)
    }

    async fn strike(&self, name: &str) -> Result<()> {
        self.done(STRIKE, name.to_owned()).await
    }

    async fn look_up(&self, name: &str) -> Result<Option<Entry>> {
        let name = name.to_owned();
        let job = move |c: &Connection| look_up(c, &name).optional();
        self.db.read(job).await.map_err(meaning)
    }

    async fn customers(&self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>> {
        let job = move |c: &Connection| {
            // Nothing is below an empty blob.
            let after = after.map_or_else(Vec::new, |after| after.0.as_bytes().to_vec());
            let mut customers = c.prepare_cached(CUSTOMERS)?;
            let read = |row: &rusqlite::Row<'_>| Ok(UserId(Uuid::from_bytes(row.get(0)?)));
            customers.query_map(params![after, limit], read)?.collect()
        };
        self.db.read(job).await.map_err(meaning)
    }

    async fn part(&self, customer: UserId, after: Number, limit: u32) -> Result<Luggage> {
        let job = move |c: &Connection| {
            let mut part = c.prepare_cached(PART)?;
            let asked = params![customer.0.as_bytes(), after, limit];
            let stored =
                part.query_map(asked, Stored::read)?.collect::<rusqlite::Result<Vec<_>>>()?;
            let last = stored.last().map_or(after, |stored| stored.number);
            let mut owed = c.prepare_cached(OWED)?;
            let asked = params![customer.0.as_bytes(), after, last];
            let owed = owed.query_map(asked, |row| {
                let (key, amount_cents, card) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(Charge { key, amount_cents, card })
            })?;
            Ok((stored, owed.collect::<rusqlite::Result<Vec<_>>>()?))
        };
        let (stored, owed) = self.db.read(job).await.map_err(meaning)?;
        let numbered = |stored: Stored| Ok((stored.number, stored.order()?));
        Ok(Luggage { orders: stored.into_iter().map(numbered).collect::<Result<_>>()?, owed })
    }

    async fn take_in(&self, luggage: Luggage) -> Result<()> {
        let Luggage { orders, owed } = luggage;
        let text = |(number, order): (Number, Order)| match serde_json::to_string(&order.items) {
            Ok(items) => Ok((number, order, items)),
            Err(error) => Err(Error::Internal(format!("the items of {}: {error}", order.key))),
        };
        let orders = orders.into_iter().map(text).collect::<Result<Vec<_>>>()?;
        let rows = self.outbox_rows.clone();
        let job = move |c: &Connection| {
            for (number, order, items) in &orders {
                let added = orders::add(c, order, Some(*number), items)?;
                if added != 1 {
                    return Err(rusqlite::Error::StatementChangedRows(added));
                }
            }
            for charge in &owed {
                outbox::insert(c, charge)?;
            }
            let owed = owed.len() as i64;
            Ok(((), move || rows.add(owed)))
        };
        self.db.write_then(job).await.map_err(meaning)
    }

    async fn arrived(&self, customer: UserId) -> Result<()> {
        self.done(ARRIVED, customer.0.as_bytes().to_vec()).await
    }

    async fn has_arrived(&self, customer: UserId) -> Result<bool> {
        let job = move |c: &Connection| {
            let mut arrived = c.prepare_cached(HAS_ARRIVED)?;
            arrived.query_row([customer.0.as_bytes()], |row| Ok(row.get::<_, i64>(0)? > 0))
        };
        self.db.read(job).await.map_err(meaning)
    }

    async fn forget_arrivals(&self) -> Result<()> {
        let job = |c: &Connection| c.execute(FORGET_ARRIVALS, []);
        self.db.write(job).await.map(drop).map_err(meaning)
    }

    async fn let_out(&self, customer: UserId) -> Result<()> {
        let rows = self.outbox_rows.clone();
        let job = move |c: &Connection| {
            let customer = customer.0.as_bytes();
            let owed = c.prepare_cached(LET_OUT_OWED)?.execute([customer])? as i64;
            c.prepare_cached(LET_OUT)?.execute([customer])?;
            c.prepare_cached(UNARRIVED)?.execute([customer])?;
            Ok(((), move || rows.add(-owed)))
        };
        self.db.write_then(job).await.map_err(meaning)
    }

    async fn noted(&self, name: &'static str) -> Result<Option<String>> {
        let job = move |c: &Connection| {
            c.prepare_cached(NOTED)?.query_row([name], |row| row.get(0)).optional()
        };
        self.db.read(job).await.map_err(meaning)
    }

    async fn note(&self, name: &'static str, text: String) -> Result<String> {
        let job = move |c: &Connection| {
            c.prepare_cached(NOTE)?.execute([name, &text])?;
            c.prepare_cached(NOTED)?.query_row([name], |row| row.get(0))
        };
        self.db.write(job).await.map_err(meaning)
    }

    async fn note_anew(&self, name: &'static str, text: String) -> Result<()> {
        let job = move |c: &Connection| c.prepare_cached(NOTE_ANEW)?.execute([name, &text]);
        self.db.write(job).await.map(drop).map_err(meaning)
    }
}

impl Sqlite {
    /// A statement with one parameter.
    async fn done(
        &self,
        sql: &'static str,
        of: impl rusqlite::ToSql + Send + 'static,
    ) -> Result<()> {
        let job = move |c: &Connection| c.prepare_cached(sql)?.execute([of]);
        self.db.write(job).await.map(drop).map_err(meaning)
    }
}

/// Whether it has a place among several.
pub(super) fn is_of_several(c: &Connection) -> rusqlite::Result<bool> {
    c.query_row("select exists (select 1 from notes)", [], |row| row.get(0))
}

fn look_up(c: &Connection, name: &str) -> rusqlite::Result<Entry> {
    c.prepare_cached(LOOK_UP)?.query_row([name], |row| {
        let customer = UserId(Uuid::from_bytes(row.get(0)?));
        Ok(Entry { name: name.to_owned(), customer, order: row.get(1)? })
    })
}

#[cfg(test)]
pub(super) const STATEMENTS: [(&str, &str); 5] = [
    (PAGE, "SEARCH orders USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
    (LOOK_UP, "SEARCH entries USING PRIMARY KEY (name=?)"),
    (CUSTOMERS, "SEARCH orders USING COVERING INDEX orders_customer (customer>?)"),
    (PART, "SEARCH orders USING INDEX orders_customer (customer=? AND rowid>?)"),
    (LET_OUT, "SEARCH orders USING INDEX orders_customer (customer=?)"),
];
