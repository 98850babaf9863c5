//! The clients against real servers: the same results and errors as the ports behind them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fakes;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fakes::{Fake, TOKEN, served, user};
use http::{Request, Response, StatusCode};
use http_server::{Handler, json};
use shop::{
    Availability, Callbacks, CardNetwork, Charge, Charged, Error, Follower, Payments, Settled,
    Settlement, Stock, Verdict, Verify,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use web::Routes;
use web::client::{
    Base, Credential, Http, Patience, Probe, RemoteCallbacks, RemoteFollower, RemotePayments,
    RemoteProvider, RemoteStock, RemoteVerify,
};

fn credential() -> Credential {
    Credential::new(fakes::SERVICE_TOKEN)
}

fn charge(card: &str) -> Charge {
    Charge { key: "k".to_owned(), amount_cents: 900, card: card.to_owned() }
}

async fn services(fake: &Arc<Fake>) -> Base {
    let fake = || Arc::clone(fake);
    served(Arc::new(Routes::new().verify(fake()).charges(fake(), fakes::guard()))).await
}

#[tokio::test]
async fn a_remote_port_answers_like_the_local_one() {
    let fake = Arc::new(Fake::default());
    let base = services(&fake).await;
    let auth = RemoteVerify::new(Http::default(), &base);
    assert_eq!(auth.verify(TOKEN).await, Ok(user()));
    assert_eq!(auth.verify("bad").await, Err(Error::Unauthenticated("no".to_owned())));
    assert!(matches!(auth.verify("line\nbreak").await, Err(Error::Unauthenticated(_))));

    let payments = RemotePayments::new(Http::default(), &base, credential());
    let verdict = Verdict::Paid { charge_id: "ch-1".to_owned() };
    let paid = Settlement { key: "k".to_owned(), amount_cents: 900, verdict };
    assert_eq!(payments.charge(charge("4242")).await, Ok(Charged::Now(paid.clone())));
    let declined = Settlement { verdict: Verdict::Declined, ..paid };
    assert_eq!(payments.charge(charge("bad")).await, Ok(Charged::Now(declined)));
    let asked = fake.asked.lock().unwrap().clone();
    assert_eq!(asked[..3], ["verify good", "verify bad", "charge k 900 4242 3 None"]);
}

fn settled() -> Settled {
    Settled::of(&fakes::order(shop::OrderStatus::Paid), Some("http://c:1/x".to_owned())).unwrap()
}

#[tokio::test]
async fn a_remote_follower_is_told_like_a_local_one() {
    let fake = Arc::new(Fake::default());
    let routes = Routes::new().settlements(Arc::clone(&fake) as _, fakes::guard());
    let base = served(Arc::new(routes)).await;
    let follower = RemoteFollower::new(Http::default(), &base, credential());
    assert_eq!(follower.tell(&settled()).await, Ok(()));
    let asked = fake.asked.lock().unwrap().clone();
    assert_eq!(asked, ["tell k-1 paid Some(\"http://c:1/x\")"]);
    let down = Error::Unavailable("deaf".to_owned());
    *fake.failure.lock().unwrap() = Some(down.clone());
    assert_eq!(follower.tell(&settled()).await, Err(down));
    let other = RemoteFollower::new(Http::default(), &base, Credential::new("other"));
    assert!(matches!(other.tell(&settled()).await, Err(Error::Unauthenticated(_))));
}

#[tokio::test]
async fn a_remote_inventory_is_asked_like_a_local_one() {
    let fake = Arc::new(Fake::default());
    let routes = Routes::new().reservations(Arc::clone(&fake) as _, fakes::guard());
    let base = served(Arc::new(routes)).await;
    let items = fakes::order(shop::OrderStatus::Pending).items;
    let stock = RemoteStock::new(Http::default(), &base, credential());
    assert_eq!(stock.reserve("k", &items).await, Ok(Availability::Reserved));
    assert_eq!(stock.reserve("too much", &items).await, Ok(Availability::Lacking));
    assert_eq!(*fake.asked.lock().unwrap(), ["reserve k 1 tea", "reserve too much 1 tea"]);
    let other = RemoteStock::new(Http::default(), &base, Credential::new("other"));
    assert!(matches!(other.reserve("k", &items).await, Err(Error::Unauthenticated(_))));
}

/// Takes notifications, and shows what came.
struct Hook(std::sync::Mutex<Vec<String>>);

#[async_trait]
impl Handler for Hook {
    async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let signature = request.headers()["triptych-signature"].to_str().unwrap();
        let body = std::str::from_utf8(request.body()).unwrap();
        self.0.lock().unwrap().push(format!("{} {signature} {body}", request.uri()));
        let gone = request.uri().path() == "/gone";
        json(if gone { StatusCode::GONE } else { StatusCode::OK }, &())
    }

    fn route(&self, _: &http::Method, _: &str) -> &'static str {
        "other"
    }
}

#[tokio::test]
async fn a_notification_goes_to_the_allowed_server_alone() {
    let hook = Arc::new(Hook(std::sync::Mutex::default()));
    let base = served(Arc::clone(&hook) as _).await;
    let callbacks = RemoteCallbacks::new(Http::default(), base.clone());
    let post = |url: String| {
        let callbacks = &callbacks;
        async move { callbacks.post(&url, "{}".to_owned(), "t=1,v1=00").await }
    };
    assert_eq!(post(format!("{base}/hook?a=b")).await, Ok(()));
    assert_eq!(*hook.0.lock().unwrap(), ["/hook?a=b t=1,v1=00 {}"]);
    assert!(matches!(post(format!("{base}/gone")).await, Err(Error::Invalid(_))));
    for elsewhere in ["http://127.0.0.1:1/x", "https://c/", "x", ""] {
        let refused = post(elsewhere.to_owned()).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{elsewhere}: {refused:?}");
    }
    assert_eq!(hook.0.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_service_that_shows_another_credential_is_not_let_in() {
    let fake = Arc::new(Fake::default());
    let base = services(&fake).await;
    for credential in [Credential::new("other"), Credential::new("not\nto be sent")] {
        let payments = RemotePayments::new(Http::default(), &base, credential);
        let refused = payments.charge(charge("4242")).await;
        assert!(matches!(refused, Err(Error::Unauthenticated(_))), "{refused:?}");
    }
    assert!(fake.asked.lock().unwrap().is_empty());
    let shown = format!("{:?}", credential());
    assert!(!shown.contains(fakes::SERVICE_TOKEN), "{shown}");
}

#[tokio::test]
async fn a_settlement_may_come_later() {
    let base = services(&Arc::new(Fake { charge_later: true, ..Fake::default() })).await;
    let payments = RemotePayments::new(Http::default(), &base, credential());
    assert_eq!(payments.charge(charge("4242")).await, Ok(Charged::Later));
}

#[tokio::test]
async fn every_error_crosses_the_wire_as_itself() {
    let text = || "why".to_owned();
    for error in [
        Error::Unauthenticated(text()),
        Error::EmailTaken,
        Error::KeyReused,
        Error::NotFound,
        Error::Invalid(text()),
        Error::Busy(text()),
        Error::Unavailable(text()),
        Error::TimedOut(text()),
        Error::Internal(text()),
    ] {
        let base = services(&Fake::failing(error.clone())).await;
        let auth = RemoteVerify::new(Http::default(), &base);
        assert_eq!(auth.verify(TOKEN).await.err(), Some(error.clone()));
        let payments = RemotePayments::new(Http::default(), &base, credential());
        assert_eq!(payments.charge(charge("4242")).await.err(), Some(error));
    }
}

/// Passes a charge on, as the orders service does.
struct Middle(RemotePayments);

#[async_trait]
impl Handler for Middle {
    async fn handle(&self, _: Request<Bytes>) -> Response<Bytes> {
        match self.0.charge(charge("4242")).await {
            Ok(_) => json(StatusCode::OK, &()),
            Err(error) => web::problem::refusal(&error),
        }
    }
}

async fn ask(base: &Base, headers: &str) -> String {
    let address = base.to_string();
    let mut stream = TcpStream::connect(&address["http://".len()..]).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn deadline_and_trace_go_along_to_the_next_hop() {
    let fake = Arc::new(Fake::default());
    let base = services(&fake).await;
    let middle =
        served(Arc::new(Middle(RemotePayments::new(Http::default(), &base, credential())))).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let answer = ask(&middle, &format!("x-deadline-ms: 1900\r\ntraceparent: {trace}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let asked = fake.asked.lock().unwrap().clone();
    assert_eq!(asked, [format!("charge k 900 4242 2 Some({trace:?})")], "2 s are left, not 3");
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let base: Base = format!("http://{free}").parse().unwrap();
    let result =
        RemotePayments::new(Http::default(), &base, credential()).charge(charge("4242")).await;
    let Err(Error::Unavailable(text)) = result else { panic!("{result:?}") };
    assert!(text.contains("refused") && text.contains(&free.to_string()), "{text}");
    let told = Probe::alive(&Http::default(), &base).check().await.unwrap_err();
    assert!(told.to_string().contains("refused"), "{told}");
}

/// A server that accepts and says nothing.
async fn silent() -> (Base, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (format!("http://{}", listener.local_addr().unwrap()).parse().unwrap(), listener)
}

#[tokio::test(start_paused = true)]
async fn silence_is_timed_out_after_the_calls_own_limit() {
    let (base, _listener) = silent().await;
    let begun = tokio::time::Instant::now();
    let result =
        RemotePayments::new(Http::default(), &base, credential()).charge(charge("4242")).await;
    assert!(matches!(result, Err(Error::TimedOut(_))), "{result:?}");
    assert_eq!(begun.elapsed().as_secs(), 3);
    let begun = tokio::time::Instant::now();
    let result =
        RemoteProvider::new(Http::default(), &base, credential()).capture(&charge("4242")).await;
    assert!(matches!(result, Err(Error::TimedOut(_))), "{result:?}");
    assert_eq!(begun.elapsed().as_millis() / 100, 25);
}

#[tokio::test]
async fn a_request_without_time_left_asks_nobody() {
    let fake = Arc::new(Fake::default());
    let base = services(&fake).await;
    let middle =
        served(Arc::new(Middle(RemotePayments::new(Http::default(), &base, credential())))).await;
    let answer = ask(&middle, "x-deadline-ms: 0\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    assert!(fake.asked.lock().unwrap().is_empty());
}

/// A server that answers once per connection and closes when it is asked again.
async fn closing(answered: Arc<AtomicUsize>) -> Base {
    let (base, listener) = silent().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answered = Arc::clone(&answered);
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                let _ = stream.read(&mut bytes).await;
                let body = r#"{"user_id":"00000000-0000-0000-0000-000000000007"}"#;
                let status = "HTTP/1.1 200 OK";
                let text = format!("{status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(text.as_bytes()).await.unwrap();
                answered.fetch_add(1, Ordering::SeqCst);
                // The next request arrives, and the connection ends without an answer.
                let _ = stream.read(&mut bytes).await;
            });
        }
    });
    base
}

#[tokio::test]
async fn a_call_survives_a_connection_that_went_stale() {
    let answered = Arc::new(AtomicUsize::new(0));
    let auth = RemoteVerify::new(Http::default(), &closing(Arc::clone(&answered)).await);
    for _ in 0..3 {
        assert_eq!(auth.verify(TOKEN).await, Ok(user()));
    }
    assert_eq!(answered.load(Ordering::SeqCst), 3);
}

/// A card network that is slow to its first calls.
struct Slow {
    calls: AtomicUsize,
    slow: usize,
}

#[async_trait]
impl Handler for Slow {
    async fn handle(&self, _: Request<Bytes>) -> Response<Bytes> {
        if self.calls.fetch_add(1, Ordering::SeqCst) < self.slow {
            std::future::pending::<()>().await;
        }
        json(StatusCode::OK, &serde_json::json!({"key": "k", "status": "declined"}))
    }
}

#[tokio::test]
async fn who_ran_out_of_time_asks_again_as_often_as_patience_has_it() {
    for (slow, attempts, calls) in [(3, 4, 4), (9, 4, 4), (9, 1, 1), (0, 4, 1)] {
        let network = Arc::new(Slow { calls: AtomicUsize::new(0), slow });
        let base = served(Arc::clone(&network) as _).await;
        let provider = RemoteProvider::new(Http::default(), &base, credential());
        let call = Duration::from_millis(if slow == 0 { 20_000 } else { 50 });
        let patience = Patience { call, attempts, backoff: Duration::ZERO };
        let captured = provider.with_patience(patience).capture(&charge("4242")).await;
        match captured {
            Ok(Verdict::Declined) => assert!(slow < attempts as usize),
            Err(Error::TimedOut(_)) => assert!(slow >= attempts as usize),
            other => panic!("{other:?}"),
        }
        assert_eq!(network.calls.load(Ordering::SeqCst), calls);
    }
}

/// A card network of few words.
struct Network(StatusCode, serde_json::Value);

#[async_trait]
impl Handler for Network {
    async fn handle(&self, _: Request<Bytes>) -> Response<Bytes> {
        json(self.0, &self.1)
    }
}

async fn capture(status: u16, body: serde_json::Value) -> shop::Result<Verdict> {
    let base = served(Arc::new(Network(StatusCode::from_u16(status).unwrap(), body))).await;
    RemoteProvider::new(Http::default(), &base, credential()).capture(&charge("4242")).await
}

#[tokio::test]
async fn what_the_card_network_says_becomes_a_verdict_or_an_error() {
    let captured = serde_json::json!({"key": "k", "status": "captured", "charge_id": "ch-1"});
    assert_eq!(capture(200, captured).await, Ok(Verdict::Paid { charge_id: "ch-1".to_owned() }));
    let declined = serde_json::json!({"key": "k", "status": "declined"});
    assert_eq!(capture(200, declined).await, Ok(Verdict::Declined));
    let nothing = || serde_json::json!({});
    assert_eq!(capture(409, nothing()).await, Err(Error::KeyReused));
    assert!(matches!(capture(429, nothing()).await, Err(Error::Busy(_))));
    for passes in [401, 403, 500, 503] {
        let refused = capture(passes, nothing()).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{passes}: {refused:?}");
    }
    assert!(matches!(capture(504, nothing()).await, Err(Error::TimedOut(_))));
    assert!(matches!(capture(418, nothing()).await, Err(Error::Internal(_))));
    assert!(matches!(capture(200, nothing()).await, Err(Error::Internal(_))));
}

#[tokio::test]
async fn a_service_is_there_when_it_says_so() {
    let alive = served(Arc::new(Network(StatusCode::OK, serde_json::json!({})))).await;
    let ill = served(Arc::new(Network(StatusCode::BAD_GATEWAY, serde_json::json!({})))).await;
    let http = Http::default();
    assert_eq!(Probe::ready(&http, &alive).check().await, Ok(()));
    let told = Probe::ready(&http, &ill).check().await.unwrap_err().to_string();
    assert!(told.contains("502") && told.contains(&format!("{ill}/readyz")), "{told}");
    let told = Probe::alive(&http, &ill).check().await.unwrap_err().to_string();
    assert!(told.contains(&format!("{ill}/healthz")), "{told}");
}

#[tokio::test]
async fn a_pool_keeps_its_connection_between_calls() {
    let (base, listener) = silent().await;
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {
                    let text = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
                    stream.write_all(text).await.unwrap();
                }
            });
        }
    });
    let auth = RemoteVerify::new(Http::default(), &base);
    for _ in 0..20 {
        assert!(auth.verify(TOKEN).await.is_err());
    }
    // The client gives a connection back in a task of its own, which may once come too late.
    assert!(accepted.load(Ordering::SeqCst) <= 3, "{accepted:?}");
}
