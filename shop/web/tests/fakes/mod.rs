//! Ports that answer what they are told to, and a server for them.
#![allow(dead_code, clippy::allow_attributes, reason = "each test uses its part")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http_server::{Guard, Handler, Limits, serve};
use shop::{
    Auth, Availability, Charge, Charged, Credentials, Error, Follower, GivenUp, GivenUpStore, Item,
    Number, Order, OrderId, OrderStatus, Orders, Page, Payments, PlaceOrder, Quantities,
    Reservation, Reserved, Result, Session, Settled, Settlement, Shelf, Spread, Spreading, Stock,
    StockStore, UserId, Verdict, Verify, Wider,
};
use tokio::net::TcpListener;
use uuid::Uuid;
use web::client::Base;

pub(crate) const TOKEN: &str = "good";
/// What services show to each other.
pub(crate) const SERVICE_TOKEN: &str = "service-token";

pub(crate) fn guard() -> Guard {
    Guard::new(Some(SERVICE_TOKEN.to_owned()))
}

/// All ports at once: works, unless told to fail.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) failure: Mutex<Option<Error>>,
    pub(crate) status: Mutex<Option<OrderStatus>>,
    pub(crate) asked: Mutex<Vec<String>>,
    pub(crate) charge_later: bool,
}

impl Fake {
    pub(crate) fn failing(error: Error) -> Arc<Self> {
        Arc::new(Self { failure: Mutex::new(Some(error)), ..Self::default() })
    }

    fn note(&self, what: String) -> Result<()> {
        self.asked.lock().unwrap().push(what);
        self.failure.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

pub(crate) fn user() -> UserId {
    UserId(Uuid::from_u128(7))
}

pub(crate) fn order(status: OrderStatus) -> Order {
    Order {
        id: OrderId(Uuid::from_u128(9)),
        key: "k-1".to_owned(),
        customer: user(),
        fingerprint: "f".to_owned(),
        items: vec![Item { sku: "tea".to_owned(), quantity: 2, price_cents: 450 }],
        total_cents: 900,
        card: Some("4242-secret".to_owned()),
        status,
        reason: None,
        charge_id: (status == OrderStatus::Paid).then(|| "ch-1".to_owned()),
        created_at: 1_000_001,
        settled_at: (status != OrderStatus::Pending).then_some(1_000_002),
    }
}

#[async_trait]
impl Auth for Fake {
    async fn signup(&self, credentials: Credentials) -> Result<UserId> {
        self.note(format!("signup {} {}", credentials.email, credentials.password))?;
        Ok(user())
    }

    async fn login(&self, credentials: Credentials) -> Result<Session> {
        self.note(format!("login {} {}", credentials.email, credentials.password))?;
        Ok(Session { token: TOKEN.to_owned(), expires_at: 5_000_000 })
    }
}

#[async_trait]
impl Verify for Fake {
    async fn verify(&self, token: &str) -> Result<UserId> {
        self.note(format!("verify {token}"))?;
        if token == TOKEN { Ok(user()) } else { Err(Error::Unauthenticated("no".to_owned())) }
    }
}

#[async_trait]
impl Orders for Fake {
    async fn place(&self, token: &str, request: PlaceOrder) -> Result<Order> {
        let PlaceOrder { key, items, card, callback_url } = request;
        self.note(format!("place {token} {key} {} {card} {callback_url:?}", items.len()))?;
        Ok(order(self.status.lock().unwrap().unwrap_or(OrderStatus::Paid)))
    }

    async fn settle(&self, _: Settlement) -> Result<Order> {
        Err(Error::NotFound)
    }

    async fn get(&self, token: &str, id: OrderId) -> Result<Order> {
        self.note(format!("get {token} {}", id.0))?;
        Ok(order(OrderStatus::Declined))
    }

    async fn cancel(&self, token: &str, id: OrderId) -> Result<Order> {
        self.note(format!("cancel {token} {}", id.0))?;
        Ok(order(self.status.lock().unwrap().unwrap_or(OrderStatus::Declined)))
    }

    async fn list(&self, token: &str, after: Option<OrderId>, limit: u32) -> Result<Page> {
        let after = after.map(|id| id.0.as_u128());
        self.note(format!("list {token} {after:?} {limit}"))?;
        let order = order(OrderStatus::Pending);
        Ok(Page { next: Some(order.id), orders: vec![order] })
    }
}

#[async_trait]
impl Payments for Fake {
    async fn charge(&self, charge: Charge) -> Result<Charged> {
        let Charge { key, amount_cents, card } = charge;
        let trace = http_server::traceparent().map(|t| t.to_str().unwrap().to_owned());
        let left_s = http_server::remaining().map_or(0, |left| left.as_millis().div_ceil(1_000));
        self.note(format!("charge {key} {amount_cents} {card} {left_s} {trace:?}"))?;
        if self.charge_later {
            return Ok(Charged::Later);
        }
        let verdict = match card.as_str() {
            "bad" => Verdict::Declined,
            _ => Verdict::Paid { charge_id: "ch-1".to_owned() },
        };
        Ok(Charged::Now(Settlement { key, amount_cents, verdict }))
    }

    async fn cancel(&self, charge: Charge) -> Result<Charged> {
        let Charge { key, amount_cents, .. } = charge;
        self.note(format!("cancel {key} {amount_cents}"))?;
        if self.charge_later {
            return Ok(Charged::Later);
        }
        Ok(Charged::Now(Settlement { key, amount_cents, verdict: Verdict::Cancelled }))
    }
}

#[async_trait]
impl Follower for Fake {
    async fn tell(&self, settled: &Settled) -> Result<()> {
        let Settled { key, status, callback_url, .. } = settled;
        self.note(format!("tell {key} {} {callback_url:?}", status.as_str()))
    }
}

#[async_trait]
impl GivenUpStore for Fake {
    async fn give_up(&self, _: GivenUp) -> Result<()> {
        Ok(())
    }

    async fn given_up(&self, after: Number, limit: u32) -> Result<Vec<(Number, GivenUp)>> {
        self.note(format!("given up {after} {limit}"))?;
        Ok(vec![(7, GivenUp { key: "k".to_owned(), error: "410".to_owned(), at: 5 })])
    }
}

#[async_trait]
impl Stock for Fake {
    async fn reserve(&self, key: &str, items: &[Item]) -> Result<Availability> {
        self.note(format!("reserve {key} {} {}", items.len(), items[0].sku))?;
        Ok(if key == "too much" { Availability::Lacking } else { Availability::Reserved })
    }
}

#[async_trait]
impl StockStore for Fake {
    async fn reserve(&self, _: &str, _: Quantities, _: Option<u32>) -> Result<Reserved> {
        Ok(Reserved::Held)
    }

    async fn close(&self, _: &str, end: Reserved) -> Result<Reserved> {
        Ok(end)
    }

    async fn shelves(&self, after: &str, limit: u32) -> Result<Vec<Shelf>> {
        self.note(format!("shelves {after:?} {limit}"))?;
        Ok(vec![Shelf { sku: "tea".to_owned(), held: 1, sold: 2, released: 3 }])
    }

    async fn reservations(&self, after: Number, limit: u32) -> Result<Vec<(Number, Reservation)>> {
        self.note(format!("reservations {after} {limit}"))?;
        let quantities = [("tea".to_owned(), 2)].into();
        Ok(vec![(7, Reservation { key: "k".to_owned(), quantities, state: Reserved::Sold })])
    }
}

#[async_trait]
impl Spread for Fake {
    async fn widen(&self, how: Wider) -> Result<()> {
        self.note(format!("widen {how:?}"))
    }

    async fn told(&self) -> Result<Spreading> {
        self.note("how are they spread".to_owned())?;
        Ok(Spreading { orders: vec![3, 4, 0], used: 2, moving: None })
    }
}

/// Serves a handler on a free port, until the test ends.
pub(crate) async fn served(handler: Arc<dyn Handler>) -> Base {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(serve(listener, handler, Limits::default(), std::future::pending()));
    base
}
