//! The order that a customer speaks of: one of those that he remembers, and its place in a path.

use std::sync::Arc;

use super::ShopTraffic;
use crate::workload::Job;
use record::Known;

/// The order that a job is about.
pub(super) fn about(shop: &ShopTraffic, job: &Job) -> Option<Known> {
    chosen(shop, job).map(|(_, known)| *known)
}

/// Writes the order's id as one segment of a path (RFC 3986, 3.3): it is the contestant's, whatever is in it.
pub(super) fn write_id(shop: &ShopTraffic, job: &Job, out: &mut Vec<u8>) {
    let id = chosen(shop, job).map_or("", |(id, _)| id);
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            let digit = |n: u8| b"0123456789ABCDEF"[usize::from(n)];
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

fn chosen<'a>(shop: &'a ShopTraffic, job: &Job) -> Option<&'a (Arc<str>, Known)> {
    let orders = &shop.customer(job).orders;
    orders.get(job.back() % orders.len().max(1))
}
