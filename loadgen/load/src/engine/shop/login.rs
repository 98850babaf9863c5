//! `login`: POST /login. A customer signs in again; the session of before goes on.

use super::account;
use super::{Judged, Outcome, Response, ShopTraffic};
use crate::workload::Job;

pub(super) fn render(shop: &ShopTraffic, job: &Job, host: &str, out: &mut Vec<u8>) {
    let customer = shop.customer(job);
    account::post(out, host, "login", &customer.email, &customer.password);
}

pub(super) fn judge(response: &Response<'_>) -> Judged {
    if response.status == 200 { Judged::plain(Outcome::Ok) } else { Judged::refusal(response) }
}
