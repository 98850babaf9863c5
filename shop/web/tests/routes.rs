//! What customers and other services are answered, for every status.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fakes;

use std::sync::Arc;

use bytes::Bytes;
use fakes::{Fake, guard, served};
use http::{Request, Response};
use http_server::Handler;
use serde_json::{Value, json};
use shop::{Error, OrderStatus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use web::Routes;

const ORDER: &str = r#"{"items":[{"sku":"tea","quantity":2,"price_cents":450}],"card":"4242"}"#;
const CREDENTIALS: &str = r#"{"email":"a@b","password":"long enough"}"#;
const CHARGE: &str = r#"{"key":"k","amount_cents":900,"card":"4242"}"#;

fn all(fake: &Arc<Fake>) -> Routes {
    let fake = || Arc::clone(fake);
    Routes::new().accounts(fake()).orders(fake()).verify(fake()).charges(fake(), guard())
}

async fn ask(routes: &Routes, line: &str, headers: &[(&str, &str)], body: &str) -> Response<Bytes> {
    let (method, uri) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    routes.handle(request.body(Bytes::from(body.to_owned())).unwrap()).await
}

const BEARER: (&str, &str) = ("authorization", "Bearer good");
const SERVICE: [(&str, &str); 2] =
    [("authorization", "Bearer service-token"), ("content-type", "application/json")];
const KEY: (&str, &str) = ("idempotency-key", "k-1");

fn read(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

/// What whoever may ask sends along.
fn headers(line: &str) -> &'static [(&'static str, &'static str)] {
    if ["POST /charges", "POST /cancellations"].contains(&line) { &SERVICE } else { &[BEARER, KEY] }
}

/// Asks a working shop and compares status and body.
async fn check(line: &str, body: &str, status: u16, expected: Value) {
    let response = ask(&all(&Arc::default()), line, headers(line), body).await;
    assert_eq!((response.status().as_u16(), read(&response)), (status, expected), "{line}");
}

#[tokio::test]
async fn what_goes_well() {
    let user = "00000000-0000-0000-0000-000000000007";
    let id = "00000000-0000-0000-0000-000000000009";
    check("POST /signup", CREDENTIALS, 201, json!({"user_id": user})).await;
    check("POST /login", CREDENTIALS, 200, json!({"token": "good", "expires_at": 5_000_000})).await;
    check("GET /verify", "", 200, json!({"user_id": user})).await;
    let order = |status: &str, settled: Value, charge: Value| {
        json!({
            "id": id, "key": "k-1", "status": status, "total_cents": 900,
            "items": [{"sku": "tea", "quantity": 2, "price_cents": 450}],
            "created_at": 1_000_001, "settled_at": settled, "charge_id": charge,
        })
    };
    let paid = order("paid", json!(1_000_002), json!("ch-1"));
    let declined = order("declined", json!(1_000_002), Value::Null);
    let pending = order("pending", Value::Null, Value::Null);
    check("POST /orders", ORDER, 201, paid).await;
    check(&format!("GET /orders/{id}"), "", 200, declined.clone()).await;
    check(&format!("POST /orders/{id}/cancel"), "", 200, declined).await;
    check("GET /orders", "", 200, json!({"orders": [pending], "next": id})).await;
    let settled = json!({"key": "k", "amount_cents": 900, "verdict": "paid", "charge_id": "ch-1"});
    check("POST /charges", CHARGE, 200, settled).await;
    let cancelled = json!({"key": "k", "amount_cents": 900, "verdict": "cancelled"});
    check("POST /cancellations", CHARGE, 200, cancelled).await;
}

#[tokio::test]
async fn a_pending_order_is_202_and_says_where_to_look() {
    let fake = Arc::new(Fake::default());
    *fake.status.lock().unwrap() = Some(OrderStatus::Pending);
    let response = ask(&all(&fake), "POST /orders", &[BEARER, KEY], ORDER).await;
    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["location"], "/orders/00000000-0000-0000-0000-000000000009");
    assert_eq!(read(&response)["status"], "pending");
    let text = String::from_utf8(response.body().to_vec()).unwrap();
    assert!(!text.contains("secret") && !text.contains("card"), "{text}");
    let line = "POST /orders/00000000-0000-0000-0000-000000000009/cancel";
    let response = ask(&all(&fake), line, &[BEARER], "").await;
    assert_eq!((response.status().as_u16(), &read(&response)["status"]), (202, &json!("pending")));
}

/// Sends a broken request and returns nothing of interest but the refusal.
async fn refused(line: &str, headers: &[(&str, &str)], body: &str, status: u16, part: &str) {
    let fake = Arc::new(Fake::default());
    let response = ask(&all(&fake), line, headers, body).await;
    let text = String::from_utf8(response.body().to_vec()).unwrap();
    assert_eq!(response.status(), status, "{line}: {text}");
    assert!(text.contains(part), "{part} is missing in {text}");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(*fake.asked.lock().unwrap(), Vec::<String>::new(), "the shop was asked");
}

#[tokio::test]
async fn what_never_reaches_the_shop() {
    refused("POST /orders", &[KEY], ORDER, 401, "bearer token").await;
    let cancel = "POST /orders/00000000-0000-0000-0000-000000000009/cancel";
    refused(cancel, &[], "", 401, "bearer token").await;
    refused("POST /orders/no-id/cancel", &[BEARER], "", 404, "no such order").await;
    refused("POST /orders/a/b/cancel", &[BEARER], "", 404, "no-such-path").await;
    refused(&cancel.replace("POST", "GET"), &[BEARER], "", 405, "POST").await;
    refused("POST /cancellations", &[BEARER], CHARGE, 401, "").await;
    refused("POST /orders", &[("authorization", "Basic x"), KEY], ORDER, 401, "bearer").await;
    refused("POST /orders", &[BEARER], ORDER, 422, "Idempotency-Key").await;
    refused("POST /orders", &[BEARER, KEY], "{", 400, "malformed").await;
    refused("POST /orders", &[BEARER, KEY], "", 400, "malformed").await;
    refused("POST /orders", &[BEARER, KEY], "{}", 422, "missing field").await;
    refused("POST /orders", &[BEARER, KEY], r#"{"cart":[]}"#, 422, "unknown field").await;
    refused("GET /orders", &[], "", 401, "bearer").await;
    refused("GET /orders?after=x", &[BEARER], "", 422, "after").await;
    refused("GET /orders?limit=-1", &[BEARER], "", 422, "limit").await;
    refused("GET /orders/17", &[BEARER], "", 404, "no such order").await;
    refused("GET /verify", &[], "", 401, "bearer").await;
    refused("POST /signup", &[], "[", 400, "malformed").await;
    refused("POST /login", &[], r#"{"email":"a@b"}"#, 422, "password").await;
    refused("POST /charges", &SERVICE, "{}", 422, "key").await;
    refused("POST /charges", &[BEARER, SERVICE[1]], CHARGE, 401, "bearer").await;
    refused("POST /charges", &[SERVICE[0], SERVICE[1], ("origin", "null")], CHARGE, 403, "Origin")
        .await;
    refused("POST /charges", &[SERVICE[0]], CHARGE, 415, "application/json").await;
    refused("DELETE /orders", &[BEARER], "", 405, "GET, POST").await;
    refused("GET /signup", &[], "", 405, "POST").await;
    refused("GET /", &[], "", 404, "no-such-path").await;
    refused("GET /orders/a/b", &[BEARER], "", 404, "no-such-path").await;
}

#[tokio::test]
async fn a_refusal_does_not_repeat_a_secret() {
    let body = r#"{"items":[],"card":42424242}"#;
    let response = ask(&all(&Arc::default()), "POST /orders", &[BEARER, KEY], body).await;
    let text = String::from_utf8(response.body().to_vec()).unwrap();
    assert_eq!(response.status(), 422, "{text}");
    assert!(!text.contains("42424242"), "{text}");
    assert!(text.contains("line 1"), "{text}");
}

#[tokio::test]
async fn what_the_shop_refuses_has_its_status_on_every_route() {
    let text = || "why".to_owned();
    let errors = [
        (Error::Unauthenticated(text()), 401),
        (Error::EmailTaken, 409),
        (Error::KeyReused, 409),
        (Error::NotFound, 404),
        (Error::Invalid(text()), 422),
        (Error::Busy(text()), 503),
        (Error::Unavailable(text()), 503),
        (Error::TimedOut(text()), 504),
        (Error::Internal(text()), 500),
    ];
    let requests = [
        ("POST /signup", CREDENTIALS),
        ("POST /login", CREDENTIALS),
        ("POST /orders", ORDER),
        ("GET /orders", ""),
        ("GET /orders/00000000-0000-0000-0000-000000000009", ""),
        ("GET /verify", ""),
        ("POST /charges", CHARGE),
    ];
    for (error, status) in errors {
        let routes = all(&Fake::failing(error.clone()));
        for (line, body) in requests {
            let response = ask(&routes, line, headers(line), body).await;
            assert_eq!(response.status(), status, "{line}: {error:?}");
            let none = response.headers().get("x-effect").is_some_and(|v| v == "none");
            assert_eq!(none, matches!(error, Error::Busy(_)), "{line}: {error:?}");
        }
    }
}

#[tokio::test]
async fn arguments_arrive_as_they_were_sent() {
    let fake = Arc::new(Fake::default());
    let routes = all(&fake);
    let with_callback = ORDER.replace("}]", "}],\"callback_url\":\"http://c\"");
    ask(&routes, "POST /orders", &[BEARER, KEY], &with_callback).await;
    let page = "GET /orders?after=00000000-0000-0000-0000-000000000003&limit=7";
    ask(&routes, page, &[("authorization", "bearer other")], "").await;
    ask(&routes, "GET /orders", &[BEARER], "").await;
    let expected =
        [r#"place good k-1 1 4242 Some("http://c")"#, "list other Some(3) 7", "list good None 100"];
    assert_eq!(*fake.asked.lock().unwrap(), expected);
}

#[tokio::test]
async fn what_was_given_up_is_listed_to_this_machine_as_brokers_list_dead_letters() {
    let fake = Arc::new(Fake::default());
    let routes = Routes::new().given_up(Arc::clone(&fake) as _);
    let host = [("host", "127.0.0.1:9")];
    let listed = ask(&routes, "GET /dead/notices?after=3&limit=2", &host, "").await;
    let letter = json!({"id": 7, "key": "k", "died_us": 5, "errors": [{"text": "410"}]});
    assert_eq!(read(&listed), json!({"topic": "notices", "dead": [letter]}));
    ask(&routes, "GET /dead/notices?limit=9999", &host, "").await;
    assert_eq!(*fake.asked.lock().unwrap(), ["given up 3 2", "given up 0 1000"]);
    let rebound = ask(&routes, "GET /dead/notices", &[("host", "evil.example")], "").await;
    assert_eq!(rebound.status(), 403);
    assert_eq!(ask(&routes, "GET /dead/notices?after=x", &host, "").await.status(), 422);
}

#[tokio::test]
async fn stock_is_listed_to_this_machine() {
    let fake = Arc::new(Fake::default());
    let routes = Routes::new().stock(Arc::clone(&fake) as _, Some(9));
    let host = [("host", "127.0.0.1:9")];
    let row = json!({"id": 7, "key": "k", "state": "sold", "quantities": {"tea": 2}});
    let listed = ask(&routes, "GET /stock/reservations?after=3", &host, "").await;
    assert_eq!(read(&listed), json!({"reservations": [row]}));
    let shelf = json!({"sku": "tea", "held": 1, "sold": 2, "released": 3, "stock": 9});
    let listed = ask(&routes, "GET /stock/shelves?after=a+b%C3%A9&limit=5", &host, "").await;
    assert_eq!(read(&listed), json!({"shelves": [shelf]}));
    assert_eq!(*fake.asked.lock().unwrap(), ["reservations 3 100", "shelves \"a bé\" 5"]);
    let rebound = ask(&routes, "GET /stock/shelves", &[("host", "evil.example")], "").await;
    assert_eq!(rebound.status(), 403);
}

#[tokio::test]
async fn orders_are_spread_further_for_who_shows_the_token_from_this_machine() {
    let fake = Arc::new(Fake::default());
    let routes = Routes::new().spread(Arc::clone(&fake) as _, guard());
    let ours = [SERVICE[0], SERVICE[1], ("host", "127.0.0.1:9")];
    let spread = json!({"orders": [3, 4, 0], "used": 2, "moving": null});
    let told = ask(&routes, "GET /shards", &ours, "").await;
    assert_eq!((told.status().as_u16(), read(&told)), (200, spread.clone()));
    for (how, widened) in
        [(r#"{"add": {}}"#, "widen Add"), (r#"{"split": {"of": 2}}"#, "widen Split { of: 2 }")]
    {
        let begun = ask(&routes, "POST /shards", &ours, how).await;
        assert_eq!((begun.status().as_u16(), read(&begun)), (202, spread.clone()));
        assert!(fake.asked.lock().unwrap().contains(&widened.to_owned()), "{widened}");
    }
    let asked = fake.asked.lock().unwrap().len();
    for (headers, body, status) in [
        (vec![SERVICE[1], ours[2]], r#"{"add": {}}"#, 401),
        (vec![SERVICE[0], SERVICE[1], ("host", "evil.example")], r#"{"add": {}}"#, 403),
        (vec![SERVICE[0], ours[2]], r#"{"add": {}}"#, 415),
        (ours.to_vec(), r#"{"remove": {}}"#, 422),
        (ours.to_vec(), "{", 400),
    ] {
        let refused = ask(&routes, "POST /shards", &headers, body).await;
        assert_eq!(refused.status(), status, "{headers:?} {body}");
    }
    assert_eq!(ask(&routes, "GET /shards", &[ours[2]], "").await.status(), 401);
    assert_eq!(ask(&routes, "DELETE /shards", &ours, "").await.status(), 405);
    assert_eq!(fake.asked.lock().unwrap().len(), asked, "nobody asked for anything");
    let one = Routes::new().orders(Arc::clone(&fake) as _);
    assert_eq!(ask(&one, "GET /shards", &ours, "").await.status(), 404);
}

#[tokio::test]
async fn a_process_serves_only_what_it_plays() {
    let fake = Arc::new(Fake::default());
    let routes = Routes::new().orders(Arc::clone(&fake) as _);
    assert_eq!(ask(&routes, "POST /orders", &[BEARER, KEY], ORDER).await.status(), 201);
    for line in ["POST /signup", "POST /login", "GET /verify", "POST /charges"] {
        assert_eq!(ask(&routes, line, &[BEARER], CREDENTIALS).await.status(), 404, "{line}");
    }
    let get = &http::Method::GET;
    assert_eq!(routes.route(get, "/orders/17"), "/orders/{id}");
    assert_eq!(routes.route(get, "/charges"), "other");
}

#[tokio::test]
async fn a_body_beyond_16_kib_is_413() {
    let base = served(Arc::new(all(&Arc::default()))).await.to_string();
    let mut stream = tokio::net::TcpStream::connect(&base["http://".len()..]).await.unwrap();
    let body = format!("{{\"card\":\"{}\"}}", "4".repeat(16 * 1024));
    let length = body.len();
    let head = format!(
        "POST /charges HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn the_published_contract_names_every_path_and_problem() {
    let contract = include_str!("../../../docs/openapi.yaml");
    let routes = all(&Arc::default());
    let get = &http::Method::GET;
    for path in ["/signup", "/login", "/orders", "/orders/{id}", "/orders/{id}/cancel"] {
        assert_eq!(routes.route(get, path), path);
        assert!(contract.contains(&format!("\n  {path}:\n")), "{path}");
    }
    let kinds = [
        "unauthenticated",
        "email-taken",
        "key-reused",
        "not-found",
        "invalid",
        "malformed",
        "busy",
        "unavailable",
        "timed-out",
        "internal",
        "body-too-long",
        "slow-body",
        "broken-body",
    ];
    for kind in kinds {
        assert!(contract.contains(&format!("`{kind}`")), "{kind}");
    }
}
