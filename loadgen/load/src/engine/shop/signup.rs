//! `signup`: POST /signup. Somebody new opens an account and does nothing more.

use super::account;
use super::{Judged, Outcome, Response, ShopTraffic};
use crate::workload::Job;

pub(super) fn render(shop: &ShopTraffic, job: &Job, host: &str, out: &mut Vec<u8>) {
    let email = format!("new-{}-{}@example.com", shop.key_prefix, job.seq);
    account::post(out, host, "signup", &email, "a new customer's password");
}

pub(super) fn judge(response: &Response<'_>) -> Judged {
    if response.status == 201 { Judged::plain(Outcome::Ok) } else { Judged::refusal(response) }
}
