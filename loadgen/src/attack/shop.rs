//! The shop's traffic: jobs become HTTP requests, answers become receipts.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;

use super::answer::{self, Order};
use super::{Judged, Response, Traffic};
use crate::sample::{Outcome, Receipt, Told, Trouble};
use crate::workload::{Job, Known, Operation};

/// Orders that a customer remembers, to look them up.
const REMEMBERED: usize = 16;

/// Somebody who has signed up and in.
#[derive(Clone, Debug, Default)]
pub struct Customer {
    /// The account.
    pub email: String,
    /// Its password.
    pub password: String,
    /// The session.
    pub token: String,
    /// Ids of the newest orders, newest first; at least one.
    pub orders: VecDeque<(Arc<str>, Known)>,
}

/// Requests to the shop.
#[derive(Debug)]
pub struct ShopTraffic {
    customers: Vec<Customer>,
    /// Hosts of auth and orders, as in the Host header.
    hosts: [String; 2],
    key_prefix: String,
}

impl ShopTraffic {
    /// Traffic of these customers to auth (target 0) and orders (target 1).
    #[must_use]
    pub fn new(customers: Vec<Customer>, hosts: [String; 2], key_prefix: String) -> Self {
        Self { customers, hosts, key_prefix }
    }

    /// The idempotency key of the n-th request.
    #[must_use]
    pub fn key(prefix: &str, seq: u64) -> String {
        Known::Placed(seq).key(prefix, 0)
    }

    fn credentials(&self, job: &Job) -> (String, String) {
        match job.operation {
            Operation::Signup => {
                let email = format!("new-{}-{}@example.com", self.key_prefix, job.seq);
                (email, "a new customer's password".to_owned())
            }
            _ => {
                let customer = &self.customers[job.customer as usize];
                (customer.email.clone(), customer.password.clone())
            }
        }
    }
}

/// The body of an order.
#[must_use]
pub(crate) fn order_body(job: &Job) -> String {
    let item = |i: &crate::workload::Item| {
        format!(
            "{{\"sku\":\"sku-{}\",\"quantity\":{},\"price_cents\":{}}}",
            i.sku, i.quantity, i.price_cents
        )
    };
    let items: Vec<String> = job.items().iter().map(item).collect();
    format!("{{\"items\":[{}],\"card\":\"card-{}\"}}", items.join(","), job.customer)
}

impl Traffic for ShopTraffic {
    fn render(&mut self, job: &Job, out: &mut Vec<u8>) -> usize {
        let target = usize::from(matches!(job.operation, Operation::Place | Operation::Get));
        let host = &self.hosts[target];
        // Writing to memory cannot fail.
        let _ = match job.operation {
            Operation::Place => {
                let body = order_body(job);
                let token = &self.customers[job.customer as usize].token;
                write!(
                    out,
                    "POST /orders HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {}-{:08}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    self.key_prefix,
                    job.seq,
                    body.len()
                )
            }
            Operation::Get => {
                let customer = &self.customers[job.customer as usize];
                let id = customer.orders.get(self.back(job)).map_or("", |(id, _)| id);
                let token = &customer.token;
                out.extend_from_slice(b"GET /orders/");
                write_segment(out, id);
                write!(out, " HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n")
            }
            Operation::Login | Operation::Signup | Operation::Request => {
                let (email, password) = self.credentials(job);
                let body = serde_json::json!({"email": email, "password": password}).to_string();
                let path = job.operation.as_str();
                write!(
                    out,
                    "POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
        };
        target
    }

    fn about(&self, job: &Job) -> Option<Known> {
        if job.operation != Operation::Get {
            return None;
        }
        let orders = &self.customers[job.customer as usize].orders;
        orders.get(self.back(job)).map(|(_, known)| *known)
    }

    fn judge(&mut self, job: &Job, response: &Response<'_>) -> Judged {
        match (job.operation, response.status) {
            (Operation::Place, 201 | 202) => self.receipt(job, response),
            (Operation::Get, 200) => self.seen(job, response),
            (Operation::Login, 200) | (Operation::Signup, 201) => Judged::plain(Outcome::Ok),
            _ => Judged::refusal(response),
        }
    }
}

/// A text as one segment of a path (RFC 3986, 3.3): an id is the contestant's, whatever is in it.
fn write_segment(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            let digit = |n: u8| b"0123456789ABCDEF"[usize::from(n)];
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

impl ShopTraffic {
    /// Which of the customer's orders a get is about, from the newest.
    fn back(&self, job: &Job) -> usize {
        job.back() % self.customers[job.customer as usize].orders.len().max(1)
    }

    /// A look-up counts only if it shows the order that was asked for, in a state that exists.
    fn seen(&self, job: &Job, response: &Response<'_>) -> Judged {
        let asked = job.about.map(|known| known.key(&self.key_prefix, job.customer));
        read(response, asked.as_deref(), Receipt::parse)
    }

    /// An acknowledgement counts only if it names the order that was asked for.
    fn receipt(&mut self, job: &Job, response: &Response<'_>) -> Judged {
        let is_final = response.status == 201;
        let state = |status: &str| match Receipt::parse(status) {
            _ if !is_final => Receipt::Pending,
            Receipt::Pending => Receipt::None,
            receipt => receipt,
        };
        let key = Self::key(&self.key_prefix, job.seq);
        let judged = read(response, Some(&key), state);
        if let (Outcome::Ok, Some(told)) = (judged.outcome, &judged.told) {
            let orders = &mut self.customers[job.customer as usize].orders;
            orders.truncate(REMEMBERED - 1);
            orders.push_front((Arc::clone(&told.order), Known::Placed(job.seq)));
        }
        judged
    }
}

/// Reads an answer about the order with this key; `state` says what its state's word means.
fn read(response: &Response<'_>, key: Option<&str>, state: impl Fn(&str) -> Receipt) -> Judged {
    let order = match answer::order(response.body) {
        _ if response.is_cut => return Judged::not_understood(Trouble::AnswerTooLong),
        Ok(order) => order,
        Err(trouble) => return Judged::not_understood(trouble),
    };
    let trouble = match (key, state(&order.status)) {
        (Some(key), _) if key != order.key => Trouble::OtherOrder,
        (None, _) => Trouble::OtherOrder,
        (_, Receipt::None) => Trouble::StateUnknown,
        (_, receipt) => {
            return Judged { receipt, told: Some(told(&order)), ..Judged::plain(Outcome::Ok) };
        }
    };
    Judged { told: Some(told(&order)), ..Judged::not_understood(trouble) }
}

fn told(order: &Order<'_>) -> Told {
    Told { order: Arc::from(&*order.id), amount_cents: order.amount_cents }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Mix;
    use crate::workload::Workload;

    fn traffic() -> ShopTraffic {
        let customer = Customer {
            token: "t0".to_owned(),
            orders: [("order-0".into(), Known::Prepared)].into(),
            ..Customer::default()
        };
        ShopTraffic::new(
            vec![customer],
            ["auth:1".to_owned(), "orders:2".to_owned()],
            "1".to_owned(),
        )
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

    #[track_caller]
    fn check(operation: Operation, status: u16, body: &str, expected: (Outcome, Receipt)) {
        let judged = judged(operation, status, body);
        assert_eq!((judged.outcome, judged.receipt), expected);
    }

    #[test]
    fn answers() {
        let order = |status: &str| {
            format!(
                "{{\"id\":\"o\",\"key\":\"1-00000000\",\"status\":\"{status}\",\"total_cents\":5}}"
            )
        };
        use Outcome::{Failed, Ok, Unknown};
        check(Operation::Place, 201, &order("paid"), (Ok, Receipt::Paid));
        check(Operation::Place, 201, &order("declined"), (Ok, Receipt::Declined));
        check(Operation::Place, 202, &order("pending"), (Ok, Receipt::Pending));
        check(Operation::Place, 201, &order("pending"), (Unknown, Receipt::None));
        check(Operation::Place, 201, "{}", (Unknown, Receipt::None));
        check(
            Operation::Place,
            201,
            &order("paid").replace("1-0", "2-0"),
            (Unknown, Receipt::None),
        );
        check(Operation::Place, 422, "", (Failed, Receipt::None));
        check(Operation::Place, 503, "", (Unknown, Receipt::None));
        let known = order("paid").replace("1-00000000", "1-p0");
        check(Operation::Get, 200, &known, (Ok, Receipt::Paid));
        check(Operation::Get, 200, &order("pending"), (Unknown, Receipt::None));
        check(Operation::Get, 200, &known.replace("paid", "lent"), (Unknown, Receipt::None));
        check(Operation::Get, 200, "", (Unknown, Receipt::None));
        check(Operation::Get, 404, "", (Failed, Receipt::None));
        check(Operation::Signup, 201, "", (Ok, Receipt::None));
        check(Operation::Login, 500, "", (Unknown, Receipt::None));
        let shed = Response { status: 503, effect_none: true, ..Response::default() };
        assert_eq!(traffic().judge(&job(Operation::Place), &shed).outcome, Failed);
    }

    #[test]
    fn an_answer_that_is_not_understood_has_its_reason_and_what_it_told_is_kept() {
        let told = |key: &str, status: &str| {
            let body = format!(
                "{{\"id\":\"o\",\"key\":\"{key}\",\"status\":\"{status}\",\"total_cents\":5}}"
            );
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
        let cut =
            Response { status: 201, is_cut: true, body: b"{\"id\":\"o", ..Response::default() };
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
    fn an_accepted_order_can_be_looked_up() {
        let mut traffic = traffic();
        let body = br#"{"id":"order-1","key":"1-00000000","status":"pending"}"#;
        traffic
            .judge(&job(Operation::Place), &Response { status: 202, body, ..Response::default() });
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
        assert!(
            head.contains(&format!("Content-Length: {}\r\n", body.len()).trim_end().to_owned())
        );
        assert!(head.contains("Idempotency-Key: 1-00000000"));
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
    }
}
