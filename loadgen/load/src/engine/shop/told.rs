//! What an answer tells of an order, held against the order that was asked for.

use std::sync::Arc;

use super::super::answer::{self, Order};
use super::{Judged, Outcome, Response};
use record::{Receipt, Told, Trouble};

/// Reads an answer about the order with this key; `state` says what its state's word means.
pub(super) fn read(
    response: &Response<'_>,
    key: Option<&str>,
    state: impl Fn(&str) -> Receipt,
) -> Judged {
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
