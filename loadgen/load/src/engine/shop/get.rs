//! `get`: GET /orders/{id}. A customer looks up one of the orders that he remembers.

use std::io::Write as _;
use std::sync::Arc;

use super::told::read;
use super::{Judged, Response, ShopTraffic};
use crate::workload::Job;
use record::{Known, Receipt};

/// The order that is looked up.
pub(super) fn about(shop: &ShopTraffic, job: &Job) -> Option<Known> {
    chosen(shop, job).map(|(_, known)| *known)
}

pub(super) fn render(shop: &ShopTraffic, job: &Job, host: &str, out: &mut Vec<u8>) {
    let id = chosen(shop, job).map_or("", |(id, _)| id);
    let token = &shop.customer(job).token;
    out.extend_from_slice(b"GET /orders/");
    write_segment(out, id);
    // Writing to memory cannot fail.
    let _ = write!(out, " HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
}

/// A look-up counts only if it shows the order that was asked for, in a state that exists.
pub(super) fn judge(shop: &ShopTraffic, job: &Job, response: &Response<'_>) -> Judged {
    if response.status != 200 {
        return Judged::refusal(response);
    }
    let asked = job.about.map(|known| known.key(&shop.key_prefix, job.customer));
    read(response, asked.as_deref(), Receipt::parse)
}

fn chosen<'a>(shop: &'a ShopTraffic, job: &Job) -> Option<&'a (Arc<str>, Known)> {
    let orders = &shop.customer(job).orders;
    orders.get(job.back() % orders.len().max(1))
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
