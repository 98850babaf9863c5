//! The shop's traffic: jobs become HTTP requests, answers become receipts.

use std::collections::VecDeque;
use std::io::Write;

use serde::Deserialize;

use super::{Judged, Response, Traffic};
use crate::sample::{Outcome, Receipt};
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
    pub orders: VecDeque<(String, Known)>,
}

/// Requests to the shop.
#[derive(Debug)]
pub struct ShopTraffic {
    customers: Vec<Customer>,
    /// Hosts of auth and orders, as in the Host header.
    hosts: [String; 2],
    key_prefix: String,
}

#[derive(Deserialize)]
struct OrderBody<'a> {
    id: &'a str,
    key: &'a str,
    status: &'a str,
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
                let id = customer.orders.get(self.back(job)).map_or("", |(id, _)| id.as_str());
                let token = &customer.token;
                write!(
                    out,
                    "GET /orders/{id} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
                )
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

/// Not the answer to what was asked.
const UNREADABLE: Judged =
    Judged { outcome: Outcome::Unknown, receipt: Receipt::None, readable: false };

impl ShopTraffic {
    /// Which of the customer's orders a get is about, from the newest.
    fn back(&self, job: &Job) -> usize {
        job.back() % self.customers[job.customer as usize].orders.len().max(1)
    }

    /// A look-up counts only if it shows the order that was asked for, in a state that exists.
    fn seen(&self, job: &Job, response: &Response<'_>) -> Judged {
        let Ok(order) = serde_json::from_slice::<OrderBody<'_>>(response.body) else {
            return UNREADABLE;
        };
        let asked = job.about.map(|known| known.key(&self.key_prefix, job.customer));
        match Receipt::parse(order.status) {
            Receipt::None => UNREADABLE,
            _ if asked.is_none_or(|key| key != order.key) => UNREADABLE,
            receipt => Judged { outcome: Outcome::Ok, receipt, readable: true },
        }
    }

    /// An acknowledgement counts only if it names the order that was asked for.
    fn receipt(&mut self, job: &Job, response: &Response<'_>) -> Judged {
        let Ok(order) = serde_json::from_slice::<OrderBody<'_>>(response.body) else {
            return UNREADABLE;
        };
        let receipt = match (response.status, Receipt::parse(order.status)) {
            (201, receipt @ (Receipt::Paid | Receipt::Declined)) => receipt,
            (202, _) => Receipt::Pending,
            _ => return UNREADABLE,
        };
        if order.key != Self::key(&self.key_prefix, job.seq) {
            return UNREADABLE;
        }
        let orders = &mut self.customers[job.customer as usize].orders;
        orders.truncate(REMEMBERED - 1);
        orders.push_front((order.id.to_owned(), Known::Placed(job.seq)));
        Judged { outcome: Outcome::Ok, receipt, readable: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Mix;
    use crate::workload::Workload;

    fn traffic() -> ShopTraffic {
        let customer = Customer {
            token: "t0".to_owned(),
            orders: [("order-0".to_owned(), Known::Prepared)].into(),
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

    #[track_caller]
    fn check(operation: Operation, status: u16, body: &str, expected: (Outcome, Receipt)) {
        let response = Response { status, effect_none: false, body: body.as_bytes() };
        let mut traffic = traffic();
        let mut job = job(operation);
        job.about = traffic.about(&job);
        let judged = traffic.judge(&job, &response);
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
        let shed = Response { status: 503, effect_none: true, body: b"" };
        assert_eq!(traffic().judge(&job(Operation::Place), &shed).outcome, Failed);
    }

    #[test]
    fn an_accepted_order_can_be_looked_up() {
        let mut traffic = traffic();
        let body = br#"{"id":"order-1","key":"1-00000000","status":"pending"}"#;
        traffic.judge(&job(Operation::Place), &Response { status: 202, effect_none: false, body });
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
