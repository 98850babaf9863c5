//! `place`: POST /orders. An acknowledgement is a receipt, and its customer remembers the order.

use std::io::Write as _;
use std::sync::Arc;

use super::told::read;
use super::{Judged, Response, ShopTraffic};
use crate::workload::{Item, Job};
use record::{Known, Outcome, Receipt};

/// Orders that a customer remembers, to look them up.
const REMEMBERED: usize = 16;

/// The body of an order, which asks for a notification at this URL.
#[must_use]
pub fn order_body(job: &Job, callback_url: Option<&str>) -> String {
    let item = |i: &Item| {
        format!(
            "{{\"sku\":\"sku-{}\",\"quantity\":{},\"price_cents\":{}}}",
            i.sku, i.quantity, i.price_cents
        )
    };
    let items: Vec<String> = job.items().iter().map(item).collect();
    let callback = callback_url.map(|url| format!(",\"callback_url\":\"{url}\""));
    let callback = callback.unwrap_or_default();
    format!("{{\"items\":[{}],\"card\":\"card-{}\"{callback}}}", items.join(","), job.customer)
}

pub(super) fn render(shop: &ShopTraffic, job: &Job, host: &str, out: &mut Vec<u8>) {
    let body = order_body(job, shop.callback_url.as_deref());
    let token = &shop.customer(job).token;
    // Writing to memory cannot fail.
    let _ = write!(
        out,
        "POST /orders HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {}-{:08}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        shop.key_prefix,
        job.seq,
        body.len()
    );
}

/// An acknowledgement counts only if it names the order that was asked for.
pub(super) fn judge(shop: &mut ShopTraffic, job: &Job, response: &Response<'_>) -> Judged {
    let is_final = match response.status {
        201 => true,
        202 => false,
        _ => return Judged::refusal(response),
    };
    let state = |status: &str| match Receipt::parse(status) {
        _ if !is_final => Receipt::Pending,
        Some(receipt) if receipt.is_final() => receipt,
        _ => Receipt::None,
    };
    let key = Known::Placed(job.seq).key(&shop.key_prefix, job.customer);
    let judged = read(response, Some(&key), state);
    if let (Outcome::Ok, Some(told)) = (judged.outcome, &judged.told) {
        let orders = &mut shop.customers[job.customer as usize].orders;
        orders.truncate(REMEMBERED - 1);
        orders.push_front((Arc::clone(&told.order), Known::Placed(job.seq)));
    }
    judged
}
