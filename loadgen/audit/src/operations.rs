//! What the audit owes each operation: what an attempt of it says of an order, and how the order's life tells of
//! it. Each that speaks of orders is one file below; the compiler asks here for a new one.

mod cancel;
mod get;
mod place;

use super::story::{Heard, Story};
use record::{Attempt, Operation};

/// Adds what an attempt says to the story of its order.
pub(super) type Tell = fn(&mut Story, &Attempt, &Heard);

/// The key of the order that an attempt speaks of, and what it says; `None` if nothing follows from it.
pub(super) fn told<'a>(attempt: &'a Attempt, heard: &Heard) -> Option<(&'a str, Tell)> {
    match attempt.operation {
        Operation::Place => Some((attempt.key.as_str(), place::tell as Tell)),
        Operation::Get => get::about(attempt, heard).map(|key| (key, get::tell as Tell)),
        Operation::Cancel => cancel::about(attempt).map(|key| (key, cancel::tell as Tell)),
        // An account is no order, and of a server that is not ours nothing is known.
        Operation::Login | Operation::Signup | Operation::Request => None,
    }
}

/// What the customer does, in an order's life.
pub(super) fn asks(attempt: &Attempt) -> String {
    match attempt.operation {
        Operation::Place => place::asks(attempt),
        Operation::Get => get::ASKS.to_owned(),
        Operation::Cancel => cancel::ASKS.to_owned(),
        // They have no order in whose life they could stand.
        other @ (Operation::Login | Operation::Signup | Operation::Request) => {
            format!("asks for {other}")
        }
    }
}

/// What is answered, in an order's life.
pub(super) fn name(operation: Operation) -> &'static str {
    match operation {
        Operation::Place => place::NAME,
        Operation::Get => get::NAME,
        Operation::Cancel => cancel::NAME,
        Operation::Login | Operation::Signup | Operation::Request => operation.as_str(),
    }
}
