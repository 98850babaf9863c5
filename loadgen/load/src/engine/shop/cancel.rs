//! `cancel`: POST /orders/{id}/cancel. A customer takes his newest order back, if it is not decided.

use std::io::Write as _;

use super::known;
use super::told::read;
use super::{Judged, Response, ShopTraffic};
use crate::workload::Job;
use record::Receipt;

pub(super) fn render(shop: &ShopTraffic, job: &Job, host: &str, out: &mut Vec<u8>) {
    let token = &shop.customer(job).token;
    out.extend_from_slice(b"POST /orders/");
    known::write_id(shop, job, out);
    // Writing to memory cannot fail.
    let _ = write!(
        out,
        "/cancel HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
    );
}

/// It counts if it tells what stands of the order, or that this will be known later.
pub(super) fn judge(shop: &ShopTraffic, job: &Job, response: &Response<'_>) -> Judged {
    if !matches!(response.status, 200 | 202) {
        return Judged::refusal(response);
    }
    let asked = job.about.map(|known| known.key(&shop.key_prefix, job.customer));
    let is_final = response.status == 200;
    read(response, asked.as_deref(), |status| {
        let state = Receipt::parse(status).unwrap_or_default();
        if state.is_final() == is_final { state } else { Receipt::None }
    })
}
