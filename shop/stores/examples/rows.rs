//! What group commit gives: orders per second, commits and CPU time for the three rows that an
//! order writes (inserted, its payment recorded, settled), with more and more writers outstanding.
//! It measures the SQLite adapter in this process alone: no HTTP, no card network.
//!
//! `cargo run --release -p stores --example rows [-- --json]`; the file lies in `TMPDIR`.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use shop::{Handover, Item, Order, OrderId, OrderStatus, Settlement, UserId, Verdict, now_us};
use stores::{Stats, Stores};
use tokio::time::Instant;
use uuid::Uuid;

/// Writers outstanding, and orders that each of them writes.
const LEVELS: [(usize, usize); 4] = [(1, 2_000), (16, 1_000), (64, 500), (256, 125)];
/// Orders written and thrown away first, by 64 writers.
const WARM_UP: usize = 100;
const ROWS_PER_ORDER: usize = 3;
/// The level that the one line of `--json` reports by name.
const HEADLINE: usize = 64;

struct Level {
    writers: usize,
    orders: usize,
    wall: Duration,
    cpu: Duration,
    stats: Stats,
}

#[tokio::main]
async fn main() -> Result<()> {
    let json = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--json" => true,
        other => bail!("expected --json or nothing, found {}", other.join(" ")),
    };
    let dir = tempfile::tempdir()?;
    measure(&dir.path().join("warm-up.db"), HEADLINE, WARM_UP).await?;
    let mut levels = Vec::new();
    for (writers, each) in LEVELS {
        levels.push(measure(&dir.path().join(format!("{writers}.db")), writers, each).await?);
    }
    if json {
        print_json(&levels)
    } else {
        print_table(&levels)
    }
    Ok(())
}

async fn measure(path: &Path, writers: usize, each: usize) -> Result<Level> {
    let stores = stores::open(&format!("sqlite:{}", path.display()))?;
    let work: Vec<Vec<Order>> =
        (0..writers).map(|_| (0..each).map(|_| order()).collect()).collect();
    let before = stores.stats().context("a file has counters")?;
    let (begun, cpu) = (Instant::now(), cpu_time()?);
    let tasks: Vec<_> =
        work.into_iter().map(|orders| tokio::spawn(write(stores.clone(), orders))).collect();
    for task in tasks {
        task.await??;
    }
    let (wall, cpu) = (begun.elapsed(), cpu_time()?.saturating_sub(cpu));
    let after = stores.stats().context("a file has counters")?;
    let stats = Stats {
        commits: after.commits - before.commits,
        transactions: after.transactions - before.transactions,
    };
    Ok(Level { writers, orders: writers * each, wall, cpu, stats })
}

async fn write(stores: Stores, orders: Vec<Order>) -> Result<()> {
    for order in orders {
        let (key, amount_cents) = (order.key.clone(), order.total_cents);
        let verdict = Verdict::Paid { charge_id: format!("ch_{}", order.id.0.simple()) };
        let settlement = Settlement { key, amount_cents, verdict };
        stores.orders.insert(order, Handover::Direct).await?;
        stores.payments.record(settlement.clone()).await?;
        stores.orders.settle(settlement, now_us()).await?;
    }
    Ok(())
}

fn order() -> Order {
    Order {
        id: OrderId(Uuid::now_v7()),
        key: Uuid::new_v4().to_string(),
        customer: UserId(Uuid::new_v4()),
        fingerprint: Uuid::new_v4().simple().to_string(),
        items: vec![Item { sku: "tea-0001".to_owned(), quantity: 2, price_cents: 450 }; 2],
        total_cents: 1_800,
        card: Some("4242424242424242".to_owned()),
        status: OrderStatus::Pending,
        charge_id: None,
        reason: None,
        created_at: now_us(),
        settled_at: None,
    }
}

/// CPU time of every living thread of this process. No thread ends between two readings: the
/// runtime and the database keep theirs.
fn cpu_time() -> Result<Duration> {
    let mut total_ns = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let first = text.split_whitespace().next().context("schedstat is empty")?;
        total_ns += first.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total_ns))
}

impl Level {
    fn rows_per_s(&self) -> f64 {
        (self.orders * ROWS_PER_ORDER) as f64 / self.wall.as_secs_f64()
    }

    fn cpu_us_per_order(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.orders as f64
    }

    fn rows_per_commit(&self) -> f64 {
        self.stats.transactions as f64 / self.stats.commits as f64
    }
}

fn print_table(levels: &[Level]) {
    println!("outstanding  orders  rows/s   commits  rows/commit  CPU s per 1000 orders");
    for level in levels {
        println!(
            "{:>11} {:>7} {:>7.0} {:>9} {:>12.1} {:>22.3}",
            level.writers,
            level.orders,
            level.rows_per_s(),
            level.stats.commits,
            level.rows_per_commit(),
            level.cpu_us_per_order() / 1e3,
        );
    }
}

fn print_json(levels: &[Level]) {
    let rows: Vec<_> = levels
        .iter()
        .map(|level| {
            serde_json::json!({
                "outstanding": level.writers,
                "orders": level.orders,
                "rows_per_s": level.rows_per_s(),
                "commits": level.stats.commits,
                "cpu_us_per_order_rows": level.cpu_us_per_order(),
            })
        })
        .collect();
    let headline = levels.iter().find(|l| l.writers == HEADLINE).map(Level::cpu_us_per_order);
    println!("{}", serde_json::json!({ "cpu_us_per_order_rows": headline, "levels": rows }));
}
