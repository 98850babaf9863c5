//! The parts of an order, each alone in its process: answering, calling, remembering.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_server::{Handler, Limits, serve};
use shop::{
    CardNetwork, Charge, Handover, Item, Order, OrderId, OrderStatus, Settlement, UserId, Verdict,
    now_us,
};
use stores::Stores;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;
use web::client::{Base, Credential, Http, RemoteProvider};

use crate::OUTSTANDING;
use crate::process::SECRET;

const CARD: &str = "4242424242424242";

/// Reads its request as every handler gets it, and answers as many bytes as an order does.
struct Echo(Bytes);

#[async_trait]
impl Handler for Echo {
    async fn handle(&self, _: Request<Bytes>) -> Response<Bytes> {
        let mut response = Response::new(self.0.clone());
        *response.status_mut() = StatusCode::CREATED;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        let location = HeaderValue::from_static("/orders/00000000-0000-0000-0000-000000000000");
        response.headers_mut().insert(header::LOCATION, location);
        response
    }
}

pub(crate) async fn echo() -> Result<()> {
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("echo: listening on {}", listener.local_addr()?);
    let echo = Arc::new(Echo(body.into()));
    serve(listener, echo, Limits::default(), std::future::pending()).await?;
    Ok(())
}

pub(crate) async fn hop(provider: &Base) -> Result<()> {
    let network = Arc::new(RemoteProvider::new(Http::default(), provider, Credential::new(SECRET)));
    on_command(move || {
        let network = Arc::clone(&network);
        async move {
            let key = Uuid::new_v4().to_string();
            let charge = Charge { key, amount_cents: 1_800, card: CARD.to_owned() };
            network.capture(&charge).await.map(drop).context("the card network")
        }
    })
    .await
}

pub(crate) async fn rows(store: &str) -> Result<()> {
    let stores = stores::open(store)?;
    on_command(move || write(stores.clone())).await
}

async fn write(stores: Stores) -> Result<()> {
    let order = order();
    let (key, amount_cents) = (order.key.clone(), order.total_cents);
    let verdict = Verdict::Paid { charge_id: format!("ch_{}", order.id.0.simple()) };
    let settlement = Settlement { key, amount_cents, verdict };
    stores.orders.insert(order, Handover::Direct).await?;
    stores.payments.record(settlement.clone()).await?;
    stores.orders.settle(settlement, now_us()).await?;
    Ok(())
}

fn order() -> Order {
    Order {
        id: OrderId(Uuid::now_v7()),
        key: Uuid::new_v4().to_string(),
        customer: UserId(Uuid::new_v4()),
        fingerprint: "0123456789abcdef".repeat(4),
        items: vec![Item { sku: "tea-0001".to_owned(), quantity: 2, price_cents: 450 }; 2],
        total_cents: 1_800,
        card: Some(CARD.to_owned()),
        status: OrderStatus::Pending,
        charge_id: None,
        reason: None,
        created_at: now_us(),
        settled_at: None,
    }
}

/// For each number of seconds on standard input: works for so long with as much outstanding as
/// the orders have, and says on standard output how often.
async fn on_command<F, W>(work: W) -> Result<()>
where
    W: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    // It blocks the main thread, which is no worker: all work is in tasks.
    for seconds in std::io::stdin().lines() {
        let until = Instant::now() + Duration::from_secs_f64(seconds?.parse()?);
        let done = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..OUTSTANDING {
            let (work, done) = (work.clone(), Arc::clone(&done));
            tasks.spawn(async move {
                while Instant::now() < until {
                    work().await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        println!("{}", done.load(Ordering::Relaxed));
    }
    Ok(())
}
