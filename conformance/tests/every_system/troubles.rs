//! What goes wrong is written down for whoever runs the processes: as JSON, not too often, without a secret.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::programs::all_of;
use crate::shop::answer;
use crate::stand::Stand;

const CARD: &str = "4242424242424242";
const ORDERS: usize = 40;
/// Beyond the age from which the recovery takes orders up.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

pub(crate) async fn tell(system: &str) -> anyhow::Result<()> {
    let mut stand = Stand::start(system).await?;
    let shop = stand.shop()?;
    let token = shop.customer("ann@example.com", "correct horse battery").await?;
    let queued = !stand.running.spec.players("broker").is_empty();
    // A queue that is in one process with orders cannot die alone.
    let inside = stand.queues_inside();
    for role in ["provider", "broker"] {
        for index in all_of(&stand.running.spec, role).into_iter().filter(|i| !inside.contains(i)) {
            stand.running.kill(index).await?;
        }
    }
    let items = json!([{"sku": "tea", "quantity": 1, "price_cents": 500}]);
    let order = json!({"items": items, "card": CARD});
    for n in 0..ORDERS {
        let told = answer(shop.place(&token, &format!("in-vain-{n}"), &order)).await?;
        ensure!(told.status == if stand.answers_later() { 202 } else { 503 }, "{told:?}");
    }
    let expected: &[&str] = match (queued, inside.is_empty()) {
        (true, true) => &["relay-failed"],
        (true, false) => &["no-work-succeeds"],
        (false, _) if stand.answers_later() => &["step-failed"],
        (false, _) => &["answered-5xx", "recovery-failed"],
    };
    let deadline = Instant::now() + PATIENCE;
    let lines = loop {
        let lines = lines(&stand)?;
        if expected.iter().all(|event| lines.iter().any(|line| line["event"] == *event)) {
            break lines;
        }
        ensure!(Instant::now() < deadline, "not all of {expected:?} in {lines:?}");
        sleep(POLL).await;
    };
    for line in &lines {
        ensure!(line["at_us"].is_u64(), "{line}");
    }
    for line in lines.iter().filter(|line| line["route"] == "/orders") {
        ensure!(line["event"] == "answered-5xx" && line["status"] == 503, "{line}");
        ensure!(line["kind"] == "unavailable" && line["detail"].is_string(), "{line}");
    }
    silence(&stand, &token)?;
    stand.stop().await;
    Ok(())
}

fn lines(stand: &Stand) -> anyhow::Result<Vec<Value>> {
    let logs = stand.logs()?;
    let lines = logs.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

fn silence(stand: &Stand, token: &str) -> anyhow::Result<()> {
    let (logs, mut secrets) = (stand.logs()?, stand.secrets());
    secrets.extend([CARD, token, "correct horse"].map(str::to_owned));
    let told = secrets.iter().filter(|secret| logs.contains(secret.as_str())).count();
    ensure!(told == 0, "{told} secrets are written down");
    Ok(())
}
