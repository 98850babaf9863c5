//! `get`: GET /orders/{id}. A customer looks up one of the orders that he remembers.

use std::io::Write as _;

use super::known;
use super::told::read;
use super::{Judged, Response, ShopTraffic};
use crate::workload::Job;
use record::Receipt;

pub(super) fn render(shop: &ShopTraffic, job: &Job, host: &str, out: &mut Vec<u8>) {
    let token = &shop.customer(job).token;
    out.extend_from_slice(b"GET /orders/");
    known::write_id(shop, job, out);
    // Writing to memory cannot fail.
    let _ = write!(out, " HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
}

/// A look-up counts only if it shows the order that was asked for, in a state that exists.
pub(super) fn judge(shop: &ShopTraffic, job: &Job, response: &Response<'_>) -> Judged {
    if response.status != 200 {
        return Judged::refusal(response);
    }
    let asked = job.about.map(|known| known.key(&shop.key_prefix, job.customer));
    read(response, asked.as_deref(), |status| Receipt::parse(status).unwrap_or_default())
}
