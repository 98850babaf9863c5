//! Requests as they are written, and answers as they are judged.

use super::*;
use crate::workload::Workload;
use record::{Receipt, Trouble};
use scenario::Mix;

fn traffic() -> ShopTraffic {
    let customer = Customer {
        token: "t0".to_owned(),
        orders: [("order-0".into(), Known::Prepared)].into(),
        ..Customer::default()
    };
    let hosts = [vec!["auth:1".to_owned()], vec!["orders:2".to_owned(), "orders:3".to_owned()]];
    ShopTraffic::new(vec![customer], hosts, "1".to_owned())
}

fn job(operation: Operation) -> Job {
    Workload::new(Mix { place: 1.0, ..Mix::default() }, 1, 1).job(operation, 0)
}

fn judged(operation: Operation, status: u16, body: &str) -> Judged {
    let response = Response { status, body: body.as_bytes(), ..Response::default() };
    let mut traffic = traffic();
    let mut job = job(operation);
    job.about = traffic.about(&job);
    traffic.judge(&job, &response)
}

#[test]
fn requests_go_around_the_addresses_that_serve_them() {
    let traffic = traffic();
    let target = |operation, seq| {
        let mut job = job(operation);
        job.seq = seq;
        let (target, host) = traffic.target(&job);
        (target, host.to_owned())
    };
    assert_eq!(target(Operation::Login, 1), (0, "auth:1".to_owned()));
    let turns: Vec<_> = (0..4).map(|seq| target(Operation::Place, seq)).collect();
    let [two, three] = [(1, "orders:2".to_owned()), (2, "orders:3".to_owned())];
    assert_eq!(turns, [two.clone(), three.clone(), two, three]);
    assert_eq!(target(Operation::Get, 2).0, 1);
}

#[track_caller]
fn check(operation: Operation, status: u16, body: &str, expected: (Outcome, Receipt)) {
    let judged = judged(operation, status, body);
    assert_eq!((judged.outcome, judged.receipt), expected);
}

#[test]
fn answers() {
    let order = |status: &str| {
        format!("{{\"id\":\"o\",\"key\":\"1-00000000\",\"status\":\"{status}\",\"total_cents\":5}}")
    };
    use Outcome::{Failed, Ok, Unknown};
    check(Operation::Place, 201, &order("paid"), (Ok, Receipt::Paid));
    check(Operation::Place, 201, &order("declined"), (Ok, Receipt::Declined));
    check(Operation::Place, 202, &order("pending"), (Ok, Receipt::Pending));
    check(Operation::Place, 201, &order("pending"), (Unknown, Receipt::None));
    check(Operation::Place, 201, "{}", (Unknown, Receipt::None));
    check(Operation::Place, 201, &order("paid").replace("1-0", "2-0"), (Unknown, Receipt::None));
    check(Operation::Place, 422, "", (Failed, Receipt::None));
    check(Operation::Place, 503, "", (Unknown, Receipt::None));
    let known = order("paid").replace("1-00000000", "1-p0");
    check(Operation::Get, 200, &known, (Ok, Receipt::Paid));
    check(Operation::Get, 200, &order("pending"), (Unknown, Receipt::None));
    check(Operation::Get, 200, &known.replace("paid", "lent"), (Unknown, Receipt::None));
    check(Operation::Get, 200, "", (Unknown, Receipt::None));
    check(Operation::Get, 404, "", (Failed, Receipt::None));
    check(Operation::Cancel, 200, &known.replace("paid", "declined"), (Ok, Receipt::Declined));
    check(Operation::Cancel, 200, &known, (Ok, Receipt::Paid));
    check(Operation::Cancel, 202, &known.replace("paid", "pending"), (Ok, Receipt::Pending));
    check(Operation::Cancel, 202, &known, (Unknown, Receipt::None));
    check(Operation::Cancel, 200, &known.replace("paid", "pending"), (Unknown, Receipt::None));
    check(Operation::Cancel, 200, &order("declined"), (Unknown, Receipt::None));
    check(Operation::Cancel, 404, "", (Failed, Receipt::None));
    check(Operation::Signup, 201, "", (Ok, Receipt::None));
    check(Operation::Login, 500, "", (Unknown, Receipt::None));
    let shed = Response { status: 503, effect_none: true, ..Response::default() };
    assert_eq!(traffic().judge(&job(Operation::Place), &shed).outcome, Failed);
}

#[test]
fn an_answer_that_is_not_understood_has_its_reason_and_what_it_told_is_kept() {
    let told = |key: &str, status: &str| {
        let body =
            format!("{{\"id\":\"o\",\"key\":\"{key}\",\"status\":\"{status}\",\"total_cents\":5}}");
        let judged = judged(Operation::Place, 201, &body);
        let told = judged.told.unwrap();
        assert_eq!((&*told.order, told.amount_cents), ("o", Some(5)));
        (judged.outcome, judged.trouble)
    };
    assert_eq!(told("1-00000000", "paid"), (Outcome::Ok, Trouble::None));
    assert_eq!(told("1-00000001", "paid"), (Outcome::Unknown, Trouble::OtherOrder));
    assert_eq!(told("1-00000000", "lent"), (Outcome::Unknown, Trouble::StateUnknown));
    assert_eq!(judged(Operation::Place, 201, "{}").trouble, Trouble::FieldMissing);
    assert_eq!(judged(Operation::Get, 200, "<html>").trouble, Trouble::NotJson);
    let cut = Response { status: 201, is_cut: true, body: b"{\"id\":\"o", ..Response::default() };
    let judged = traffic().judge(&job(Operation::Place), &cut);
    assert_eq!((judged.outcome, judged.trouble), (Outcome::Unknown, Trouble::AnswerTooLong));
}

#[test]
fn an_id_cannot_leave_its_segment_of_the_path() {
    let mut traffic = traffic();
    traffic.customers[0].orders = [("a/../b c\r\nx: ü%".into(), Known::Prepared)].into();
    let mut out = Vec::new();
    traffic.render(&job(Operation::Get), &mut out);
    let text = String::from_utf8(out).unwrap();
    let first = text.lines().next().unwrap();
    assert_eq!(first, "GET /orders/a%2F..%2Fb%20c%0D%0Ax%3A%20%C3%BC%25 HTTP/1.1");
    assert_eq!(text.matches("\r\n").count(), 4, "{text}");
}

#[test]
fn a_customer_cancels_his_newest_order() {
    let mut traffic = traffic();
    traffic.customers[0].orders =
        [("new".into(), Known::Prepared), ("old".into(), Known::Prepared)].into();
    let mut out = Vec::new();
    assert_eq!(traffic.render(&job(Operation::Cancel), &mut out), 1);
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("POST /orders/new/cancel HTTP/1.1\r\n"), "{text}");
    assert!(text.contains("Content-Length: 0\r\n") && text.ends_with("\r\n\r\n"), "{text}");
}

#[test]
fn an_accepted_order_can_be_looked_up() {
    let mut traffic = traffic();
    let body = br#"{"id":"order-1","key":"1-00000000","status":"pending"}"#;
    traffic.judge(&job(Operation::Place), &Response { status: 202, body, ..Response::default() });
    let mut out = Vec::new();
    let mut get = job(Operation::Get);
    assert_eq!(traffic.render(&get, &mut out), 1);
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("GET /orders/order-") && text.contains("Bearer t0"), "{text}");
    get = job(Operation::Place);
    let mut out = Vec::new();
    traffic.render(&get, &mut out);
    let text = String::from_utf8(out).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len()).trim_end().to_owned()));
    assert!(head.contains("Idempotency-Key: 1-00000000"));
    assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
}
