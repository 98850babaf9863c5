//! Ten thousand connections that say nothing: bounded, and forgotten when they go.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};
use scenario::Latency;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::stand::Stand;

const IDLERS: usize = 10_000;
/// Of this process: the connections, and all else it has open.
const DESCRIPTORS: u64 = 12_000;
const AT_ONCE: usize = 250;
/// Descriptors that a process is granted unless it asks for more.
const USUAL: u32 = 1_024;
/// What a server has open besides: databases, other services, its listener.
const OTHERS: usize = 400;
/// Connections that a server of ours takes (http-server's limit).
const TAKEN_MAX: usize = 4_096;
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// Two sieges would need more descriptors than this process may have.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

pub(crate) async fn bear(system: &str) -> anyhow::Result<()> {
    if !may_open()? {
        return Ok(());
    }
    let _alone = ONE_AT_A_TIME.lock().await;
    let stand = Stand::of_a_shell(system, USUAL).await?;
    stand.provider(Latency::Constant { ms: 5.0 }, 0.0).await?;
    let token = stand.shop()?.customer("ann@example.com", "correct horse battery").await?;
    let victim = stand.running.spec.players("orders")[0];
    let (name, address) = stand.servers().swap_remove(victim);
    let idlers = idle(&address).await?;
    ensure!(idlers.len() > TAKEN_MAX, "only {} connected: this proves nothing", idlers.len());
    let mut open = 0;
    for member in stand.running.members(victim) {
        open += std::fs::read_dir(format!("/proc/{}/fd", member.pid))?.count();
    }
    ensure!(open > TAKEN_MAX / 2, "only {open} are open in {name}: this proves nothing");
    ensure!(open < TAKEN_MAX + OTHERS, "{open} descriptors are open in {name}");
    for (other, address) in stand.servers().into_iter().filter(|(other, _)| *other != name) {
        serves(&address).await.with_context(|| format!("{other}, while {name} is besieged"))?;
    }
    drop(idlers);
    serves(&address).await.with_context(|| format!("{name}, afterwards"))?;
    let items = json!([{"sku": "tea", "quantity": 1, "price_cents": 500}]);
    let order = json!({"items": items, "card": "4242424242424242"});
    let bought = stand.shop()?.buy(&token, "after", &order).await?;
    ensure!(bought["status"] == "paid", "{bought}");
    stand.stop().await;
    Ok(())
}

/// Raises this process's limit; false, with the reason, if it cannot.
fn may_open() -> anyhow::Result<bool> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_none_or(|most| most >= DESCRIPTORS) {
        limit.current = limit.maximum.or(Some(DESCRIPTORS));
        setrlimit(Resource::Nofile, limit)?;
        return Ok(true);
    }
    if std::env::var_os("CI").is_some() {
        bail!("the limit on descriptors is {:?}; {DESCRIPTORS} are needed", limit.maximum);
    }
    println!("skipped: the limit on descriptors is {:?}, not {DESCRIPTORS}", limit.maximum);
    Ok(false)
}

async fn idle(address: &str) -> anyhow::Result<Vec<TcpStream>> {
    let mut idlers = Vec::with_capacity(IDLERS);
    for _ in 0..IDLERS / AT_ONCE {
        let mut connecting = JoinSet::new();
        for _ in 0..AT_ONCE {
            let address = address.to_owned();
            connecting.spawn(async move { timeout(PATIENCE, TcpStream::connect(address)).await });
        }
        while let Some(connected) = connecting.join_next().await {
            // One that is refused is bounded already.
            if let Ok(Ok(stream)) = connected? {
                idlers.push(stream);
            }
        }
    }
    Ok(idlers)
}

/// Answers a new connection, in a while.
async fn serves(address: &str) -> anyhow::Result<()> {
    let http = supervise::http::client(Duration::from_secs(2))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = http.get(format!("http://{address}/healthz")).send().await;
        if answer.as_ref().is_ok_and(|answer| answer.status() == 200) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{answer:?}");
        sleep(POLL).await;
    }
}
