//! Workflows by the real server: each step once, through failures, crashes of the server and of who has the orders.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "a test tells what it could not do")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http_server::Listen;
use restate::{Admin, Ingress, Restate};
use servers::{Output, Place, Running, recipe};
use shop::{
    Charge, Charged, Error, Executor, Order, OrderId, OrderStatus, Orders, Page, Payments,
    PlaceOrder, Result, Settlement, UserId, Verdict,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const DEADLINE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Who takes money and who has orders; what they did, and how often they fail yet.
#[derive(Default)]
struct World {
    did: Mutex<BTreeMap<String, u32>>,
    failures: Mutex<BTreeMap<String, u32>>,
}

impl World {
    fn fails(&self, what: &str, times: u32) {
        self.failures.lock().unwrap().insert(what.to_owned(), times);
    }

    /// Counts a deed, also one that fails.
    fn does(&self, what: &str) -> Result<()> {
        *self.did.lock().unwrap().entry(what.to_owned()).or_default() += 1;
        match self.failures.lock().unwrap().get_mut(what) {
            Some(left @ 1..) => {
                *left = left.saturating_sub(1);
                Err(Error::Unavailable(what.to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn did(&self, what: &str) -> u32 {
        self.did.lock().unwrap().get(what).copied().unwrap_or_default()
    }
}

#[async_trait]
impl Payments for World {
    async fn charge(&self, charge: Charge) -> Result<Charged> {
        self.does(&format!("charge {}", charge.key))?;
        let verdict = Verdict::Paid { charge_id: format!("ch-{}", charge.key) };
        let settlement = Settlement { key: charge.key, amount_cents: charge.amount_cents, verdict };
        Ok(Charged::Now(settlement))
    }
}

#[async_trait]
impl Orders for World {
    async fn place(&self, _: &str, _: PlaceOrder) -> Result<Order> {
        Err(Error::NotFound)
    }

    async fn settle(&self, settlement: Settlement) -> Result<Order> {
        let paid = Verdict::Paid { charge_id: format!("ch-{}", settlement.key) };
        assert_eq!(settlement.verdict, paid, "the result of the first step");
        self.does(&format!("settle {}", settlement.key))?;
        Ok(Order {
            id: OrderId(uuid::Uuid::nil()),
            key: settlement.key,
            customer: UserId(uuid::Uuid::nil()),
            fingerprint: String::new(),
            items: Vec::new(),
            total_cents: settlement.amount_cents,
            card: None,
            status: OrderStatus::Paid,
            charge_id: None,
            reason: None,
            created_at: 0,
            settled_at: None,
        })
    }

    async fn get(&self, _: &str, _: OrderId) -> Result<Order> {
        Err(Error::NotFound)
    }

    async fn list(&self, _: &str, _: Option<OrderId>, _: u32) -> Result<Page> {
        Err(Error::NotFound)
    }
}

/// A server, and a process of orders beside it.
struct Stand {
    place: Place,
    ports: [u16; 2],
    server: Option<Running>,
    world: Arc<World>,
    restate: Arc<Restate>,
    worker: JoinHandle<()>,
    /// Dropped last.
    _folder: TempDir,
}

impl Stand {
    /// None where there is no server; in CI there is.
    async fn start() -> Option<Self> {
        let known = recipe("restate").unwrap();
        if !known.is_installed() {
            assert!(std::env::var_os("CI").is_none(), "CI runs scripts/install-servers first");
            println!("skipped: restate is not installed ({})", known.install);
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let [ingress, admin, worker] = [(); 3].map(|()| servers::free_port().unwrap());
        let mut place = Place::durable(ingress, folder.path().to_owned());
        place.also = vec![format!("[admin]\nbind-port = {admin}\ndisable-web-ui = true")];
        let world = Arc::new(World::default());
        let (restate, task) = orders(ingress, worker, &world);
        let ports = [admin, worker];
        let mut stand =
            Self { place, ports, server: None, world, restate, worker: task, _folder: folder };
        stand.launch().await;
        Some(stand)
    }

    /// Starts the server on what it kept, and tells it of the service.
    async fn launch(&mut self) {
        let started = recipe("restate").unwrap().start(&self.place, Output::Kept).await;
        self.server = Some(started.unwrap());
        let [admin, worker] = self.ports;
        let admin = Admin::new(&format!("127.0.0.1:{admin}"));
        let deadline = Instant::now() + DEADLINE;
        while let Err(error) = admin.introduce(([127, 0, 0, 1], worker).into()).await {
            assert!(Instant::now() < deadline, "{error}\n{}", self.place.said());
            sleep(POLL).await;
        }
    }

    async fn kill(&mut self) {
        self.server.take().unwrap().kill().await.unwrap();
    }

    /// Begins or goes on with a workflow, until it has ended.
    fn finish(&self, key: &str) -> JoinHandle<()> {
        let (restate, key) = (Arc::clone(&self.restate), key.to_owned());
        tokio::spawn(async move {
            let deadline = Instant::now() + DEADLINE;
            let card = "4242424242424242".to_owned();
            let charge = Charge { key, amount_cents: 900, card };
            while let Err(error) = restate.finish(charge.clone()).await {
                assert!(Instant::now() < deadline, "{error}");
                sleep(POLL).await;
            }
        })
    }

    /// Until the server says this of why an invocation failed.
    async fn says(&self, why: &str) {
        let query = r#"{"query":"select last_failure from sys_invocation"}"#;
        let request = format!(
            "POST /query HTTP/1.1\r\nhost: restate\r\naccept: application/json\r\ncontent-type: application/json\r\n\
            connection: close\r\ncontent-length: {}\r\n\r\n{query}",
            query.len()
        );
        let deadline = Instant::now() + DEADLINE;
        loop {
            let mut line = TcpStream::connect(("127.0.0.1", self.ports[0])).await.unwrap();
            line.write_all(request.as_bytes()).await.unwrap();
            let mut told = Vec::new();
            line.read_to_end(&mut told).await.unwrap();
            let told = String::from_utf8_lossy(&told).into_owned();
            if told.contains(why) {
                return;
            }
            assert!(Instant::now() < deadline, "{told}");
            sleep(POLL).await;
        }
    }

    /// Until this was done so often.
    async fn has_done(&self, what: &str, times: u32) {
        let deadline = Instant::now() + DEADLINE;
        while self.world.did(what) < times {
            assert!(Instant::now() < deadline, "{what}: {} of {times}", self.world.did(what));
            sleep(POLL).await;
        }
    }
}

/// What a process of orders has of it.
fn orders(ingress: u16, worker: u16, world: &Arc<World>) -> (Arc<Restate>, JoinHandle<()>) {
    let restate = Arc::new(Restate::new(Ingress::new(&format!("127.0.0.1:{ingress}"))));
    let listen = Listen { listen: ([127, 0, 0, 1], worker).into(), any_address: false };
    let (payments, orders) = (Arc::clone(world) as _, Arc::clone(world) as _);
    let serving = restate::serve(listen.bind().unwrap(), &restate, payments, orders, |_| {});
    (restate, tokio::spawn(serving))
}

#[tokio::test]
async fn each_step_is_done_once_and_what_has_ended_is_not_begun_again() {
    let Some(stand) = Stand::start().await else { return };
    for key in ["a", "b", "a"] {
        stand.finish(key).await.unwrap();
    }
    for what in ["charge a", "settle a", "charge b", "settle b"] {
        assert_eq!(stand.world.did(what), 1, "{what}");
    }
}

#[tokio::test]
async fn a_step_that_fails_is_tried_again_and_the_one_before_it_is_not() {
    let Some(stand) = Stand::start().await else { return };
    stand.world.fails("charge a", 3);
    stand.world.fails("settle a", 2);
    stand.finish("a").await.unwrap();
    assert_eq!([stand.world.did("charge a"), stand.world.did("settle a")], [4, 3]);
}

#[tokio::test]
async fn a_server_that_is_killed_goes_on_where_it_was() {
    let Some(mut stand) = Stand::start().await else { return };
    stand.world.fails("settle a", u32::MAX);
    let ended = stand.finish("a");
    stand.has_done("settle a", 2).await;
    stand.kill().await;
    stand.world.fails("settle a", 0);
    stand.launch().await;
    ended.await.unwrap();
    assert_eq!(stand.world.did("charge a"), 1, "the journal was lost");
}

#[tokio::test]
async fn a_server_without_what_it_knew_begins_anew() {
    let Some(mut stand) = Stand::start().await else { return };
    stand.finish("a").await.unwrap();
    stand.kill().await;
    std::fs::remove_dir_all(stand.place.data.join("restate")).unwrap();
    stand.launch().await;
    stand.finish("a").await.unwrap();
    assert_eq!([stand.world.did("charge a"), stand.world.did("settle a")], [2, 2]);
}

#[tokio::test]
async fn a_workflow_waits_for_a_process_that_has_taken_up_its_order() {
    let Some(mut stand) = Stand::start().await else { return };
    stand.world.fails("settle a", u32::MAX);
    let ended = stand.finish("a");
    stand.has_done("settle a", 1).await;
    // The process dies, and with it what it held.
    ended.abort();
    stand.worker.abort();
    let _ = (ended.await, (&mut stand.worker).await);
    let before = stand.world.did("settle a");
    stand.world.fails("settle a", 0);
    (stand.restate, stand.worker) = orders(stand.place.port, stand.ports[1], &stand.world);
    // The server comes before the order is taken up, and is sent away.
    stand.says("nobody has taken up this order yet").await;
    assert_eq!(stand.world.did("settle a"), before);
    stand.finish("a").await.unwrap();
    assert_eq!([stand.world.did("charge a"), stand.world.did("settle a")], [1, before + 1]);
}
