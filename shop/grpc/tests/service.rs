//! A server and a client of ours, over loopback.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use grpc::{GrpcPayments, serve};
use http_server::{Guard, remaining};
use shop::{Charge, Charged, Error, Payments, Result, Settlement, Verdict};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use web::client::Credential;

const DEADLINE: Duration = Duration::from_secs(20);

/// Does as the card says, and remembers what was granted.
#[derive(Default)]
struct Fake {
    granted: Mutex<Vec<Option<Duration>>>,
}

fn settled(charge: &Charge, verdict: Verdict) -> Charged {
    let Charge { key, amount_cents, .. } = charge.clone();
    Charged::Now(Settlement { key, amount_cents, verdict })
}

#[async_trait]
impl Payments for Fake {
    async fn charge(&self, charge: Charge) -> Result<Charged> {
        self.granted.lock().unwrap().push(remaining());
        match charge.card.as_str() {
            "declined" => Ok(settled(&charge, Verdict::Declined)),
            "later" => Ok(Charged::Later),
            "busy" => Err(Error::Busy("64 wait".to_owned())),
            "invalid" => Err(Error::Invalid("no such card".to_owned())),
            "hang" => std::future::pending().await,
            "slow" => {
                sleep(Duration::from_millis(200)).await;
                Ok(settled(&charge, Verdict::Declined))
            }
            _ => Ok(settled(&charge, Verdict::Paid { charge_id: "ch-1".to_owned() })),
        }
    }

    async fn cancel(&self, charge: Charge) -> Result<Charged> {
        Ok(settled(&charge, Verdict::Cancelled))
    }
}

struct Rig {
    fake: Arc<Fake>,
    address: String,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

impl Rig {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel();
        let fake = Arc::new(Fake::default());
        let guard = Guard::new(Some("secret".to_owned()));
        let served = serve(listener, Arc::clone(&fake) as _, guard, async {
            let _ = stopped.await;
        });
        let served = tokio::spawn(async { served.await.unwrap() });
        Self { fake, address, stop, served }
    }

    fn client(&self, token: &str) -> GrpcPayments {
        GrpcPayments::new(&self.address, Credential::new(token)).unwrap()
    }
}

fn charge(card: &str) -> Charge {
    Charge { key: "key-1".to_owned(), amount_cents: 900, card: card.to_owned() }
}

#[tokio::test]
async fn charges_and_cancellations_cross_as_they_are() {
    let rig = Rig::start().await;
    let payments = rig.client("secret");
    let paid = Verdict::Paid { charge_id: "ch-1".to_owned() };
    let good = charge("4242424242424242");
    assert_eq!(payments.charge(good.clone()).await, Ok(settled(&good, paid)));
    let declined = charge("declined");
    let told = payments.charge(declined.clone()).await;
    assert_eq!(told, Ok(settled(&declined, Verdict::Declined)));
    assert_eq!(payments.charge(charge("later")).await, Ok(Charged::Later));
    assert_eq!(payments.cancel(good.clone()).await, Ok(settled(&good, Verdict::Cancelled)));
    let busy = payments.charge(charge("busy")).await;
    assert!(matches!(&busy, Err(Error::Busy(text)) if text.contains("64 wait")), "{busy:?}");
    let invalid = payments.charge(charge("invalid")).await;
    assert!(matches!(invalid, Err(Error::Invalid(_))), "{invalid:?}");
}

#[tokio::test]
async fn who_shows_no_token_is_not_let_in() {
    let rig = Rig::start().await;
    for token in ["wrong", ""] {
        let refused = rig.client(token).charge(charge("4242424242424242")).await;
        assert!(matches!(refused, Err(Error::Unauthenticated(_))), "{token}: {refused:?}");
    }
    assert!(rig.fake.granted.lock().unwrap().is_empty(), "nothing was asked of it");
}

#[tokio::test]
async fn what_is_too_long_is_refused() {
    let rig = Rig::start().await;
    let refused = rig.client("secret").charge(charge(&"4".repeat(20_000))).await;
    assert!(refused.is_err(), "{refused:?}");
    assert!(rig.fake.granted.lock().unwrap().is_empty());
    let paid = rig.client("secret").charge(charge("4242424242424242")).await;
    assert!(paid.is_ok(), "{paid:?}");
}

#[tokio::test]
async fn nobody_waits_longer_than_a_request_lives_and_the_server_knows() {
    let rig = Rig::start().await;
    let begun = Instant::now();
    let late = timeout(DEADLINE, rig.client("secret").charge(charge("hang"))).await.unwrap();
    assert!(matches!(late, Err(Error::TimedOut(_))), "{late:?}");
    assert!(begun.elapsed() >= http_server::REQUEST - Duration::from_millis(50));
    let granted = rig.fake.granted.lock().unwrap()[0].unwrap();
    assert!(granted <= http_server::REQUEST, "{granted:?}");
    assert!(granted > http_server::REQUEST / 2, "{granted:?}");
}

#[tokio::test]
async fn who_takes_connections_and_is_silent_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let payments = GrpcPayments::new(&address, Credential::new("secret")).unwrap();
    let begun = Instant::now();
    let late = timeout(DEADLINE, payments.charge(charge("4242424242424242"))).await.unwrap();
    assert!(matches!(late, Err(Error::TimedOut(_))), "{late:?}");
    assert!(begun.elapsed() >= http_server::REQUEST - Duration::from_millis(50));
}

#[tokio::test]
async fn a_server_may_come_later_and_again() {
    let rig = Rig::start().await;
    let payments = rig.client("secret");
    assert!(payments.charge(charge("4242424242424242")).await.is_ok());
    rig.stop.send(()).unwrap();
    timeout(DEADLINE, rig.served).await.unwrap().unwrap();
    let away = payments.charge(charge("4242424242424242")).await;
    assert!(matches!(away, Err(Error::Unavailable(_))), "{away:?}");
    let listener = TcpListener::bind(&rig.address).await.unwrap();
    let guard = Guard::new(Some("secret".to_owned()));
    let fake: Arc<dyn Payments> = Arc::new(Fake::default());
    tokio::spawn(serve(listener, fake, guard, std::future::pending()));
    let again = timeout(DEADLINE, async {
        loop {
            match payments.charge(charge("4242424242424242")).await {
                Err(Error::Unavailable(_)) => sleep(Duration::from_millis(5)).await,
                other => return other,
            }
        }
    });
    assert!(again.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_stop_finishes_what_is_under_way() {
    let rig = Rig::start().await;
    let payments = Arc::new(rig.client("secret"));
    let asked = tokio::spawn(async move { payments.charge(charge("slow")).await });
    timeout(DEADLINE, async {
        while rig.fake.granted.lock().unwrap().is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
    rig.stop.send(()).unwrap();
    assert!(asked.await.unwrap().is_ok());
    timeout(DEADLINE, rig.served).await.unwrap().unwrap();
}

#[test]
fn what_is_no_address_is_refused() {
    let refused = GrpcPayments::new("no address", Credential::new("secret"));
    assert!(matches!(refused.err(), Some(Error::Invalid(text)) if text.contains("HOST:PORT")));
}
