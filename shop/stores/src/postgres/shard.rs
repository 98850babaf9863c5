//! A database that is one of several.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use postgres_pool::{Pool, Row, ToSql};
use serde_json::json;
use shop::{Charge, Error, Handover, Most, Number, Order, OrderId, Placed, Reader, Result, UserId};
use tokio::time::sleep;

use super::orders::{self, BY_KEY, With, columns, newest_at_the_gate, order, select};
use super::{Postgres, column, meaning};
use crate::shards::{Drawn, Entry, Luggage, Numbers, Part, Shard, lock};

const COUNT: &str = "select count(*) as told from orders";
const OWING: &str = "select count(*) as told from outbox";
/// Returns what then stands there, also if it was entered at this moment.
const ENTER: &str = "insert into entries (name, customer, found) values ($1, $2, $3)
    on conflict (name) do update set customer = entries.customer returning name, customer, found";
const ENTER_ANEW: &str = "insert into entries (name, customer, found) values ($1, $2, $3)
    on conflict (name) do update set customer = excluded.customer, found = excluded.found";
const STRIKE: &str = "delete from entries where name = $1";
const LOOK_UP: &str = "select name, customer, found from entries where name = $1";
const FIRST_CUSTOMERS: &str = "select distinct customer from orders order by customer limit $1";
const CUSTOMERS: &str =
    "select distinct customer from orders where customer > $2 order by customer limit $1";
const PART: &str = select!("where customer = $1 and number > $2 order by number limit $3");
const OWED: &str = "select key, amount_cents, card from outbox where key in (select key from orders
    where customer = $1 and number > $2 and number <= $3 and status = 'pending')";
/// An order that is there already is an error, and then none is taken in.
const TAKE_IN: &str = "with taken as (insert into orders (number, id, key, customer, fingerprint, items, total_cents,
        card, status, charge_id, created_at, settled_at, reason) overriding system value
    select * from json_to_recordset($1::text::json) as one (number bigint, id uuid, key text, customer uuid,
        fingerprint text, items text, total_cents bigint, card text, status text, charge_id text,
        created_at bigint, settled_at bigint, reason text))
    insert into outbox (key, amount_cents, card)
    select * from json_to_recordset($2::text::json) as one (key text, amount_cents bigint, card text)";
const ARRIVED: &str =
    "insert into arrivals (customer) values ($1) on conflict (customer) do nothing";
const HAS_ARRIVED: &str = "select exists (select from arrivals where customer = $1) as told";
const FORGET_ARRIVALS: &str = "delete from arrivals";
const LET_OUT: &str = "with gone as (delete from orders where customer = $1 returning key),
    owed as (delete from outbox where key in (select key from gone))
    delete from arrivals where customer = $1";
const NOTE: &str = "insert into notes (name, text) values ($1, $2)
    on conflict (name) do update set text = notes.text returning text as told";
const NOTE_ANEW: &str = "insert into notes (name, text) values ($1, $2)
    on conflict (name) do update set text = excluded.text";
const NOTED: &str = "select text as told from notes where name = $1";

/// Numbers whose insertions have an unknown end.
pub(super) type Held = Arc<Mutex<Vec<Drawn>>>;

/// How often it is asked whether what may still be inserted is over.
const ASKED_AGAIN: Duration = Duration::from_millis(100);

#[async_trait]
impl Shard for Postgres {
    async fn insert_under(
        &self,
        order: Order,
        handover: Handover,
        numbers: &Numbers,
    ) -> Result<Placed> {
        let drawn = self.numbers.get_or_init(|| numbers.clone()).draw();
        let placed = self.place(order, handover, With::Number(drawn.number)).await;
        if matches!(placed, Err(Error::Unavailable(_) | Error::TimedOut(_))) {
            // Nobody looks past it before it is known that it comes no more.
            self.hold(drawn);
        }
        placed
    }

    async fn of_key(&self, key: &str) -> Result<Option<Order>> {
        self.one(BY_KEY, &[&key]).await
    }

    async fn page(&self, after: Number, last: Number, most: Most) -> Result<Part> {
        let rows = self.rows(Reader::Operator, after, last, most).await?;
        let more = rows.last().map_or(Ok(false), |row| column(row, "further"))?;
        let numbered = |row: &Row| {
            let bytes = column::<&str>(row, "items")?.len();
            Ok((column(row, "number")?, order(row)?, bytes))
        };
        Ok(Part { orders: rows.iter().map(numbered).collect::<Result<_>>()?, more })
    }

    async fn number(&self, id: OrderId) -> Result<Option<Number>> {
        self.number_of(Reader::Operator, id).await
    }

    async fn newest(&self) -> Result<Number> {
        // What another process has left may still come.
        newest_at_the_gate(&self.pool).await
    }

    async fn count(&self) -> Result<u64> {
        self.told::<i64>(COUNT, &[]).await.map(i64::cast_unsigned)
    }

    async fn owing(&self) -> Result<u64> {
        self.told::<i64>(OWING, &[]).await.map(i64::cast_unsigned)
    }

    async fn enter(&self, entry: Entry) -> Result<Entry> {
        let Entry { name, customer, order } = &entry;
        let rows = self.pool.ask(ENTER, &[name, &customer.0, order]).await.map_err(meaning)?;
        rows.first().map(read_entry).ok_or_else(nothing)?
    }

    async fn enter_anew(&self, entry: Entry) -> Result<()> {
        let Entry { name, customer, order } = &entry;
        self.done(ENTER_ANEW, &[name, &customer.0, order]).await
    }

    async fn strike(&self, name: &str) -> Result<()> {
        self.done(STRIKE, &[&name]).await
    }

    async fn look_up(&self, name: &str) -> Result<Option<Entry>> {
        let rows = self.pool.ask(LOOK_UP, &[&name]).await.map_err(meaning)?;
        rows.first().map(read_entry).transpose()
    }

    async fn customers(&self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>> {
        let limit = i64::from(limit);
        let rows = match after {
            Some(after) => self.pool.ask(CUSTOMERS, &[&limit, &after.0]).await,
            None => self.pool.ask(FIRST_CUSTOMERS, &[&limit]).await,
        };
        let rows = rows.map_err(meaning)?;
        rows.iter().map(|row| column(row, "customer").map(UserId)).collect()
    }

    async fn part(&self, customer: UserId, after: Number, limit: u32) -> Result<Luggage> {
        if after == 0 {
            // What nobody knows the end of comes now or never.
            newest_at_the_gate(&self.pool).await?;
        }
        let rows = self.pool.ask(PART, &[&customer.0, &after, &i64::from(limit)]).await;
        let rows = rows.map_err(meaning)?;
        let last = rows.last().map_or(Ok(after), |row| column(row, "number"))?;
        let numbered = |row: &Row| Ok((column(row, "number")?, order(row)?));
        let orders = rows.iter().map(numbered).collect::<Result<_>>()?;
        let owed = self.pool.ask(OWED, &[&customer.0, &after, &last]).await.map_err(meaning)?;
        Ok(Luggage { orders, owed: owed.iter().map(charge).collect::<Result<_>>()? })
    }

    async fn take_in(&self, luggage: Luggage) -> Result<()> {
        let Luggage { orders, owed } = luggage;
        let orders = orders.iter().map(as_json).collect::<Result<Vec<_>>>()?;
        let owed = owed.iter().map(|Charge { key, amount_cents, card }| {
            json!({"key": key, "amount_cents": amount_cents, "card": card})
        });
        let owed = serde_json::Value::from_iter(owed).to_string();
        self.done(TAKE_IN, &[&serde_json::Value::from(orders).to_string(), &owed]).await
    }

    async fn arrived(&self, customer: UserId) -> Result<()> {
        self.done(ARRIVED, &[&customer.0]).await
    }

    async fn has_arrived(&self, customer: UserId) -> Result<bool> {
        self.told(HAS_ARRIVED, &[&customer.0]).await
    }

    async fn forget_arrivals(&self) -> Result<()> {
        self.done(FORGET_ARRIVALS, &[]).await
    }

    async fn let_out(&self, customer: UserId) -> Result<()> {
        self.done(LET_OUT, &[&customer.0]).await
    }

    async fn noted(&self, name: &'static str) -> Result<Option<String>> {
        let rows = self.pool.ask(NOTED, &[&name]).await.map_err(meaning)?;
        rows.first().map(|row| column(row, "told")).transpose()
    }

    async fn note(&self, name: &'static str, text: String) -> Result<String> {
        self.told(NOTE, &[&name, &text]).await
    }

    async fn note_anew(&self, name: &'static str, text: String) -> Result<()> {
        self.done(NOTE_ANEW, &[&name, &text]).await
    }
}

impl Postgres {
    /// Keeps a number until what was to have it cannot come any more.
    fn hold(&self, drawn: Drawn) {
        let mut held = lock(&self.held);
        held.push(drawn);
        if held.len() == 1 {
            tokio::spawn(release(Arc::clone(&self.held), Arc::clone(&self.pool)));
        }
    }

    async fn done(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<()> {
        self.pool.ask(sql, params).await.map(drop).map_err(meaning)
    }

    /// The value that is `told`.
    async fn told<T>(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<T>
    where
        T: for<'a> postgres_pool::FromSql<'a>,
    {
        let rows = self.pool.ask(sql, params).await.map_err(meaning)?;
        column(rows.first().ok_or_else(nothing)?, "told")
    }
}

/// Until insertions that nobody knows the end of cannot come any more.
async fn release(held: Held, pool: Arc<Pool>) {
    loop {
        let begun = lock(&held).len();
        if newest_at_the_gate(&pool).await.is_err() {
            sleep(ASKED_AGAIN).await;
            continue;
        }
        let mut held = lock(&held);
        held.drain(..begun);
        if held.is_empty() {
            return;
        }
    }
}

fn nothing() -> Error {
    Error::Internal("no row is returned".to_owned())
}

fn read_entry(row: &Row) -> Result<Entry> {
    let customer = UserId(column(row, "customer")?);
    Ok(Entry { name: column(row, "name")?, customer, order: column(row, "found")? })
}

fn charge(row: &Row) -> Result<Charge> {
    let (key, amount_cents) = (column(row, "key")?, column(row, "amount_cents")?);
    Ok(Charge { key, amount_cents, card: column(row, "card")? })
}

fn as_json((number, order): &(Number, Order)) -> Result<serde_json::Value> {
    let items = orders::items_text(order)?;
    Ok(json!({
        "number": number,
        "id": order.id.0,
        "key": order.key,
        "customer": order.customer.0,
        "fingerprint": order.fingerprint,
        "items": items,
        "total_cents": order.total_cents,
        "card": order.card,
        "status": order.status.as_str(),
        "charge_id": order.charge_id,
        "created_at": order.created_at,
        "settled_at": order.settled_at,
        "reason": order.reason.map(shop::Reason::as_str),
    }))
}
