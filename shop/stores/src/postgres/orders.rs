//! Orders.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use postgres_pool::{Pool, Row, ToSql};
use shop::{
    Backlog, Ending, Error, Handover, Item, Listed, Micros, Most, Number, Order, OrderId,
    OrderStatus, OrderStore, Pending, Placed, Reader, Reason, Result, Settlement, UserId,
};
use tokio::time::timeout;

use super::{Postgres, bounded, column, meaning};

/// How long a copy may take to answer before the one that writes is asked.
const COPY_MAX: Duration = Duration::from_millis(250);

macro_rules! columns {
    () => {
        "id, key, customer, fingerprint, items, total_cents, card, status, charge_id, created_at,
         settled_at, number, reason"
    };
}
macro_rules! select {
    ($rest:literal) => {
        concat!("select ", columns!(), " from orders ", $rest)
    };
}
pub(super) use {columns, select};

/// Whoever deletes from the gate, though nothing is there, is seen by who waits at it.
macro_rules! insert {
    ($from:literal) => {
        insert!($from, "", "", "")
    };
    ($from:literal, numbered by $number:literal) => {
        insert!($from, ", number", " overriding system value", concat!(", ", $number, "::bigint"))
    };
    ($from:literal, $column:expr, $how:expr, $value:expr) => {
        concat!(
            "entered as (delete from gate where false returning 1),
             added as (insert into orders (id, key, customer, fingerprint, items, total_cents, card, status,
                 charge_id, created_at, settled_at",
            $column,
            ")",
            $how,
            " select $1::uuid, $2::text, $3::uuid, $4::text, $5::text, $6::bigint, $7::text, $8::text, $9::text,
                 $10::bigint, $11::bigint",
            $value,
            " ",
            $from,
            " on conflict (key) do nothing returning key, total_cents, card)"
        )
    };
}
macro_rules! insert_owing {
    ($further:literal $(, numbered by $number:literal)?) => {
        concat!(
            "with room as (select case
                 when coalesce(max(number) - min(number) + 1, 0) < $12::bigint then true
                 else (select count(*) from (select from outbox limit $12::bigint) as waiting) < $12::bigint
             end as enough from outbox), ",
            insert!("from room where enough" $(, numbered by $number)?),
            ", owed as (insert into outbox (key, amount_cents, card)
                 select key, total_cents, card from added where card is not null)",
            $further,
            " select enough, exists (select from added) as added from room"
        )
    };
}
/// No further than is wanted, and whether there is more: `before` are the bytes of the items above.
macro_rules! page {
    ($filter:literal) => {
        concat!(
            "select * from (select *, row_number() over run as nth,
                 sum(octet_length(items)) over run - octet_length(items) as before,
                 lead(number) over run is not null as further
             from (select ", columns!(), " from orders where ", $filter, " and number > $1
                 and number <= $4 order by number limit $2::bigint + 1) as part window run as (order by number)) as page
             where nth <= $2 and (nth = 1 or before < $3) order by number"
        )
    };
}

const INSERT: &str =
    concat!("with ", insert!(""), " select true as enough, exists (select from added) as added");
/// The charges of the outbox are counted when those between the oldest and the newest are too many.
const INSERT_OWING: &str = insert_owing!("");
/// The same, and where a new order's customer wants to be told.
const INSERT_CALLED: &str = concat!(
    "with ",
    insert!(""),
    ", called as (insert into callbacks (key, url) select key, $12::text from added)
     select true as enough, exists (select from added) as added"
);
const INSERT_OWING_CALLED: &str = insert_owing!(
    ", called as (insert into callbacks (key, url) select key, $13::text from added)"
);
/// The same, under a number that is given.
const INSERT_NUMBERED: &str = concat!(
    "with ",
    insert!("", numbered by "$12"),
    " select true as enough, exists (select from added) as added"
);
const INSERT_OWING_NUMBERED: &str = insert_owing!("", numbered by "$13");
const SETTLE: &str = concat!(
    "update orders set status = $2, charge_id = $3, settled_at = $4, reason = $5, card = null
     where key = $1 and status = 'pending' returning ",
    columns!()
);
/// Whoever settles several comes to them in one sequence, so that nobody waits for who waits for him.
const SETTLE_ALL: &str = concat!(
    "with mine as (select orders.number as nth, became, reference, why
         from orders join unnest($1::text[], $2::text[], $3::text[], $4::text[])
             as one (of, became, reference, why) on of = key
         where status = 'pending' order by orders.number for update of orders)
     update orders set status = became, charge_id = reference, reason = why, settled_at = $5, card = null
     from mine where number = nth returning ",
    columns!()
);
pub(super) const BY_KEY: &str = select!("where key = $1");
const BY_KEYS: &str = select!("where key = any($1)");
const GET: &str = select!("where id = $1");
const GET_OWN: &str = select!("where id = $1 and customer = $2");
const NUMBER: &str = "select number from orders where id = $1";
const NUMBER_OWN: &str = "select number from orders where id = $1 and customer = $2";
const LIST: &str = page!("true");
const LIST_OWN: &str = page!("customer = $5");
const PENDING: &str =
    select!("where status = 'pending' and number >= $1 and number < $2 order by number limit $3");
/// Skips what others are just claiming or settling. A commit that nobody waits for: what is lost of it was a claim.
const CLAIM: &str = "with relaxed as (select set_config('synchronous_commit', 'off', true)),
    free as (select number from orders where number = any($1) and status = 'pending'
        and (claimed is null or claimed <= now()) for update skip locked)
    update orders set claimed = now() + make_interval(secs => $2)
    from free, relaxed where orders.number = free.number returning orders.number";
const LET_GO: &str = "with relaxed as (select set_config('synchronous_commit', 'off', true))
    update orders set claimed = null from relaxed where number = any($1) and status = 'pending'";
/// Waits until all insertions that have begun are over; those that begin meanwhile wait.
const HORIZON: &str = "begin; set local lock_timeout = '2s'; lock table gate in share mode;
    select coalesce(max(number), 0) from orders; commit";

#[async_trait]
impl OrderStore for Postgres {
    async fn insert(&self, order: Order, handover: Handover) -> Result<Placed> {
        self.place(order, handover, With::Nothing).await
    }

    async fn settle(&self, settlement: Settlement, at: Micros) -> Result<Order> {
        let Settlement { key, verdict, .. } = &settlement;
        let Ending { status, charge_id, reason } = Ending::from(verdict);
        let row: [&(dyn ToSql + Sync); 5] =
            [key, &status.as_str(), &charge_id, &at, &reason.map(Reason::as_str)];
        let settled = self.one(SETTLE, &row).await?;
        let settled = match settled {
            Some(settled) => Some(settled),
            // It is final already; a statement of its own sees what another has just settled.
            None => self.one(BY_KEY, &[key]).await?,
        };
        crash_point::reach(crash_point::ORDER_SETTLED);
        settled.ok_or(Error::NotFound)
    }

    async fn settle_all(&self, settlements: Vec<Settlement>, at: Micros) -> Vec<Result<Order>> {
        if let [one] = &settlements[..] {
            return vec![OrderStore::settle(self, one.clone(), at).await];
        }
        let settled = self.settled(&settlements, at).await;
        crash_point::reach(crash_point::ORDER_SETTLED);
        let of = |one: &Settlement| match &settled {
            Ok(settled) => settled.get(&one.key).cloned().ok_or(Error::NotFound),
            Err(error) => Err(error.clone()),
        };
        settlements.iter().map(of).collect()
    }

    async fn get(&self, reader: Reader, id: OrderId) -> Result<Option<Order>> {
        match reader {
            Reader::Operator => self.seen(GET, &[&id.0]).await,
            Reader::Customer(owner) => self.seen(GET_OWN, &[&id.0, &owner.0]).await,
        }
    }

    async fn list(&self, reader: Reader, after: Option<OrderId>, most: Most) -> Result<Listed> {
        let after = match after {
            Some(id) => self.number_of(reader, id).await?.ok_or(Error::NotFound)?,
            None => 0,
        };
        if let Some(numbers) = self.numbers.get() {
            // They are not given in the sequence of this database's commits.
            let settled = numbers.settled_here().await?;
            return Ok(self.page(reader, after, settled, most).await?.listed);
        }
        let page = self.page(reader, after, Number::MAX, most).await?;
        if page.last <= self.horizon.load(Ordering::Relaxed) {
            return Ok(page.listed);
        }
        // One with a lower number may have come between.
        let newest = self.wait_at_the_gate().await?;
        Ok(self.page(reader, after, newest, most).await?.listed)
    }

    async fn pending(&self, numbers: Range<Number>, limit: u32) -> Result<Pending> {
        let newest = self.wait_at_the_gate().await?;
        let end = numbers.end.min(newest.saturating_add(1));
        let asked: [&(dyn ToSql + Sync); 3] = [&numbers.start, &end, &i64::from(limit)];
        let rows = self.pool.ask(PENDING, &asked).await.map_err(meaning)?;
        let numbered = |row: &Row| Ok((column(row, "number")?, order(row)?));
        Ok(Pending { orders: rows.iter().map(numbered).collect::<Result<_>>()?, newest })
    }

    async fn claim(&self, numbers: Vec<Number>, span: Duration) -> Result<Vec<Number>> {
        let rows = self.pool.ask(CLAIM, &[&numbers, &span.as_secs_f64()]).await.map_err(meaning)?;
        rows.iter().map(|row| column(row, "number")).collect()
    }

    async fn let_go(&self, numbers: Vec<Number>) -> Result<()> {
        self.pool.ask(LET_GO, &[&numbers]).await.map(drop).map_err(meaning)
    }
}

/// What an order is inserted with.
pub(super) enum With {
    /// Itself alone.
    Nothing,
    /// Where its customer wants to be told.
    CallbackUrl(String),
    /// A number from elsewhere.
    Number(Number),
}

/// What became of an insertion.
struct Inserted {
    added: bool,
    /// Whether the outbox had room.
    enough: bool,
}

/// A page, and the number of its last order.
struct Numbered {
    listed: Listed,
    last: Number,
}

impl Postgres {
    /// Adds an order, or finds the one that holds its key.
    pub(super) async fn place(
        &self,
        order: Order,
        handover: Handover,
        with: With,
    ) -> Result<Placed> {
        let items = items_text(&order)?;
        let Inserted { added, enough } = self.add(&order, &items, handover, &with).await?;
        if added {
            crash_point::reach(crash_point::ORDER_COMMITTED);
            return Ok(Placed::New(order));
        }
        match (self.one(BY_KEY, &[&order.key]).await?, handover) {
            (Some(found), _) => Ok(Placed::Existing(found)),
            (None, Handover::Outbox { most }) if !enough => Err(Backlog::full(most)),
            (None, _) => Err(Error::Internal(format!("{} is there and is not", order.key))),
        }
    }

    async fn add(
        &self,
        order: &Order,
        items: &str,
        handover: Handover,
        with: &With,
    ) -> Result<Inserted> {
        let status = order.status.as_str();
        let mut row: Vec<&(dyn ToSql + Sync)> = vec![
            &order.id.0,
            &order.key,
            &order.customer.0,
            &order.fingerprint,
            &items,
            &order.total_cents,
            &order.card,
            &status,
            &order.charge_id,
            &order.created_at,
            &order.settled_at,
        ];
        let most;
        let [mut sql, mut called, mut numbered] = [INSERT, INSERT_CALLED, INSERT_NUMBERED];
        if let Handover::Outbox { most: charges } = handover {
            most = bounded(charges);
            row.push(&most);
            [sql, called, numbered] = [INSERT_OWING, INSERT_OWING_CALLED, INSERT_OWING_NUMBERED];
        }
        match with {
            With::Nothing => {}
            With::CallbackUrl(url) => {
                row.push(url);
                sql = called;
            }
            With::Number(number) => {
                row.push(number);
                sql = numbered;
            }
        }
        let rows = self.pool.ask(sql, &row).await.map_err(meaning)?;
        let told = rows.first().ok_or_else(|| Error::Internal("no row".to_owned()))?;
        Ok(Inserted { added: column(told, "added")?, enough: column(told, "enough")? })
    }

    /// As somebody reads it: what is final is so wherever it is found.
    async fn seen(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Order>> {
        if let Some(copies) = &self.copies {
            let asked = timeout(COPY_MAX, copies.ask(sql, params)).await;
            let found = asked.ok().and_then(std::result::Result::ok);
            let found = found.as_deref().and_then(<[Row]>::first).map(order).transpose()?;
            if let Some(order) = found.filter(|order| order.status != OrderStatus::Pending) {
                return Ok(Some(order));
            }
        }
        self.one(sql, params).await
    }

    pub(super) async fn one(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Order>> {
        let rows = self.pool.ask(sql, params).await.map_err(meaning)?;
        rows.first().map(order).transpose()
    }

    /// The number of this order, if this reader may see it.
    pub(super) async fn number_of(&self, reader: Reader, id: OrderId) -> Result<Option<Number>> {
        let rows = match reader {
            Reader::Operator => self.pool.ask(NUMBER, &[&id.0]).await,
            Reader::Customer(owner) => self.pool.ask(NUMBER_OWN, &[&id.0, &owner.0]).await,
        };
        rows.map_err(meaning)?.first().map(|row| column(row, "number")).transpose()
    }

    async fn page(
        &self,
        reader: Reader,
        after: Number,
        end: Number,
        most: Most,
    ) -> Result<Numbered> {
        let rows = self.rows(reader, after, end, most).await?;
        let last = rows.last();
        let more = last.map_or(Ok(false), |row| column(row, "further"))?;
        let last = last.map_or(Ok(after), |row| column(row, "number"))?;
        let orders = rows.iter().map(order).collect::<Result<_>>()?;
        Ok(Numbered { listed: Listed { orders, more }, last })
    }

    /// The rows of a page, each with what is there `further`.
    pub(super) async fn rows(
        &self,
        reader: Reader,
        after: Number,
        end: Number,
        most: Most,
    ) -> Result<Vec<Row>> {
        let (orders, bytes) = (i64::from(most.orders), bounded(most.bytes));
        let rows = match reader {
            Reader::Operator => self.pool.ask(LIST, &[&after, &orders, &bytes, &end]).await,
            Reader::Customer(owner) => {
                self.pool.ask(LIST_OWN, &[&after, &orders, &bytes, &end, &owner.0]).await
            }
        };
        rows.map_err(meaning)
    }

    /// The highest number that there is: no lower one is missing any more.
    async fn wait_at_the_gate(&self) -> Result<Number> {
        let newest = newest_at_the_gate(&self.pool).await?;
        self.horizon.fetch_max(newest, Ordering::Relaxed);
        Ok(newest)
    }
}

/// As of when all insertions that had begun are over.
pub(super) async fn newest_at_the_gate(pool: &Pool) -> Result<Number> {
    let newest = pool.run(HORIZON).await.map_err(meaning)?;
    let newest = newest.and_then(|number| number.parse().ok());
    newest.ok_or_else(|| Error::Internal("no newest order".to_owned()))
}

impl Postgres {
    /// The orders of these settlements as they then are, by key.
    async fn settled(&self, all: &[Settlement], at: Micros) -> Result<HashMap<String, Order>> {
        let keys: Vec<&str> = all.iter().map(|one| one.key.as_str()).collect();
        let endings: Vec<Ending<'_>> = all.iter().map(|one| Ending::from(&one.verdict)).collect();
        let states: Vec<&str> = endings.iter().map(|ending| ending.status.as_str()).collect();
        let references: Vec<Option<&str>> = endings.iter().map(|ending| ending.charge_id).collect();
        let reasons = endings.iter().map(|ending| ending.reason.map(Reason::as_str));
        let reasons: Vec<Option<&str>> = reasons.collect();
        let rows: [&(dyn ToSql + Sync); 5] = [&keys, &states, &references, &reasons, &at];
        let mut found = self.by_key(SETTLE_ALL, &rows).await?;
        let left: Vec<&str> = keys.into_iter().filter(|key| !found.contains_key(*key)).collect();
        if !left.is_empty() {
            // They are final already; a statement of its own sees what another has just settled.
            found.extend(self.by_key(BY_KEYS, &[&left]).await?);
        }
        Ok(found)
    }

    async fn by_key(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<HashMap<String, Order>> {
        let rows = self.pool.ask(sql, params).await.map_err(meaning)?;
        rows.iter().map(|row| order(row).map(|order| (order.key.clone(), order))).collect()
    }
}

/// What was ordered, as a row has it.
pub(super) fn items_text(order: &Order) -> Result<String> {
    serde_json::to_string(&order.items)
        .map_err(|e| Error::Internal(format!("the items of {}: {e}", order.key)))
}

/// What was ordered, of a row with its key.
pub(super) fn items(row: &Row) -> Result<Vec<Item>> {
    let key: &str = column(row, "key")?;
    serde_json::from_str(column(row, "items")?)
        .map_err(|e| Error::Internal(format!("the items of {key}: {e}")))
}

pub(super) fn order(row: &Row) -> Result<Order> {
    Ok(Order {
        id: OrderId(column(row, "id")?),
        customer: UserId(column(row, "customer")?),
        fingerprint: column(row, "fingerprint")?,
        items: items(row)?,
        total_cents: column(row, "total_cents")?,
        card: column(row, "card")?,
        status: status(column(row, "status")?)?,
        charge_id: column(row, "charge_id")?,
        created_at: column(row, "created_at")?,
        settled_at: column(row, "settled_at")?,
        key: column(row, "key")?,
        reason: reason(column(row, "reason")?)?,
    })
}

fn reason(word: Option<&str>) -> Result<Option<Reason>> {
    let Some(word) = word else { return Ok(None) };
    let text = || Error::Internal(format!("an order that was declined for {word:?}"));
    Reason::of(word).map(Some).ok_or_else(text)
}

fn status(word: &str) -> Result<OrderStatus> {
    let known = [OrderStatus::Pending, OrderStatus::Paid, OrderStatus::Declined];
    let status = known.into_iter().find(|status| status.as_str() == word);
    status.ok_or_else(|| Error::Internal(format!("an order that is {word:?}")))
}
