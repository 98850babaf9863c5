//! Processes die while orders are under way; afterwards nothing is lost, stuck or paid twice.

use std::time::Duration;

use anyhow::ensure;
use record::{Answer as Verdict, Attempt, Operation, Outcome, Receipt};
use scenario::Latency;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::programs::forgets;
use crate::shop::{Answer, Shop, answer};
use crate::stand::Stand;

/// Who dies, in this order, and when: so many orders of the wave exist, so many of their charges
/// are decided. A role that nobody plays is left out.
const DEATHS: [(&str, usize, usize); 7] = [
    ("payments", 5, 3),
    ("orders", 5, 0),
    ("broker", 5, 0),
    ("journal", 5, 0),
    ("database", 5, 3),
    ("primary-2", 5, 3),
    ("provider", 5, 3),
];
/// Orders that are asked for at once before each death.
const WAVE: u64 = 10;
/// Orders that are asked for while the process is dead.
const MEANWHILE: u64 = 3;
/// So spread that at any death some charges are decided, some are under way.
const SPREAD: Latency = Latency::Exponential { mean_ms: 150.0 };
/// The longest repair is a lease (10 s), after a backoff, on two cores that others keep busy.
const REPAIR: Duration = Duration::from_secs(90);
/// What a broker has lost with its data is handed over again after a minute (decision 19).
const REPAIR_OF_A_LOSS: Duration = Duration::from_secs(130);
const QUIET: Duration = Duration::from_secs(1);

pub(crate) async fn survive(system: &str) -> anyhow::Result<()> {
    let mut stand = Stand::start(system).await?;
    let token = stand.shop()?.customer("ann@example.com", "correct horse battery").await?;
    let (mut attempts, mut interrupted) = (Vec::new(), 0);
    for (role, orders, charges) in DEATHS {
        let players = stand.running.spec.players(role);
        if players.is_empty() {
            continue;
        }
        stand.provider(SPREAD, 0.1).await?;
        let before = stand.ledger().await?;
        let first = attempts.len() as u64;
        let mut wave = Wave::new(stand.shop()?, token.clone());
        wave.ask(first..first + WAVE);
        stand.reaches(before.orders.len() + orders, before.charges.len() + charges).await?;
        for index in &players {
            stand.running.kill(*index).await?;
        }
        wave.ask(first + WAVE..first + WAVE + MEANWHILE);
        for index in &players {
            stand.running.launch(*index).await?;
        }
        let orders = stand.operator.all(None).await?;
        interrupted += orders.iter().filter(|order| order.status == "pending").count();
        attempts.extend(wave.answers().await);
    }
    ensure!(interrupted > 0, "no order was under way at any death: this proves nothing");
    settles(&stand, &attempts).await?;
    stand.stop().await;
    Ok(())
}

/// Waits until no order is pending.
pub(crate) async fn settles_all(stand: &Stand, within: Duration) -> anyhow::Result<()> {
    ensure!(stand.operator.drain(within, QUIET).await?, "orders are pending after {within:?}");
    Ok(())
}

/// Asks for nothing further, waits, and judges.
async fn settles(stand: &Stand, attempts: &[Attempt]) -> anyhow::Result<()> {
    let within = if forgets(&stand.running.spec) { REPAIR_OF_A_LOSS } else { REPAIR };
    stand.operator.drain(within, QUIET).await?;
    let ledger = stand.ledger().await?;
    let verdict = audit::judge(attempts, &ledger, &[], true);
    let found: Vec<_> = verdict.violations.iter().filter(|finding| finding.count > 0).collect();
    let logs = stand.logs()?;
    ensure!(verdict.verdict == Verdict::True, "{found:#?}\n{:?}\n{logs}", verdict.counts);
    let counts = verdict.counts;
    ensure!(counts.paid > 0 && counts.captures == counts.paid, "{counts:?}");
    ensure!(counts.captured_cents == counts.paid_cents && counts.pending == 0, "{counts:?}");
    Ok(())
}

/// Orders under way, each asked for once.
pub(crate) struct Wave {
    shop: Shop,
    token: String,
    asked: JoinSet<Attempt>,
}

impl Wave {
    pub(crate) fn new(shop: Shop, token: String) -> Self {
        Self { shop, token, asked: JoinSet::new() }
    }

    /// What the customers were told, once all were told something.
    pub(crate) async fn answers(self) -> Vec<Attempt> {
        self.asked.join_all().await
    }

    pub(crate) fn ask(&mut self, numbers: std::ops::Range<u64>) {
        for seq in numbers {
            let (shop, token) = (self.shop.clone(), self.token.clone());
            self.asked.spawn(async move { place(&shop, &token, seq).await });
        }
    }
}

async fn place(shop: &Shop, token: &str, seq: u64) -> Attempt {
    let (key, amount_cents) = (format!("order-{seq}"), 100 + seq.cast_signed());
    let items = json!([{"sku": "tea", "quantity": 1, "price_cents": amount_cents}]);
    let body = json!({"items": items, "card": "4242424242424242"});
    let told = answer(shop.place(token, &key, &body)).await;
    let outcome = outcome(&told);
    let (status, order) = told.map_or((0, Value::Null), |told| (told.status, told.body));
    let text = |field: &str| order[field].as_str().unwrap_or_default().to_owned();
    Attempt {
        seq,
        key,
        operation: Operation::Place,
        amount_cents,
        outcome,
        status,
        receipt: Receipt::parse(&text("status")).unwrap_or_default(),
        order: text("id"),
        amount: order["total_cents"].as_i64(),
        ..Attempt::default()
    }
}

/// What a customer may conclude.
fn outcome(told: &anyhow::Result<Answer>) -> Outcome {
    match told {
        Ok(answer) if matches!(answer.status, 201 | 202) => Outcome::Ok,
        Ok(answer) if answer.status < 500 => Outcome::Failed,
        Ok(answer) if answer.headers.get("x-effect").is_some_and(|e| e == "none") => {
            Outcome::Failed
        }
        Ok(_) => Outcome::Unknown,
        Err(error) => match error.downcast_ref::<reqwest::Error>() {
            Some(error) if error.is_connect() => Outcome::Failed,
            _ => Outcome::Unknown,
        },
    }
}
