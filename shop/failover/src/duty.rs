//! What a server does about what it was told.

use crate::words::{Data, Order, Role};

/// What of it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// Nothing.
    Nothing,
    /// A server that can be written to.
    Primary,
    /// A server that copies.
    Replica,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Nothing: it is what it is to be.
    Stay,
    /// To end what runs.
    End,
    /// To be started as the one that writes, on what it has; with nothing it begins.
    Serve,
    /// To be started as one that copies, on what it has.
    Follow,
    /// What it has is of another term: to be copied anew.
    Copy,
    /// To end copying, and be the one that writes.
    Promote,
    /// What it has is not what it should have; nothing is done, so that nothing is lost.
    Refuse,
}

/// What this order asks of a server with this data, of which this runs.
#[must_use]
pub fn duty(order: &Order, data: Data, runs: Runs) -> Duty {
    let has_the_term_before = |data| matches!(data, Data::Replica(term) if term + 1 == order.term);
    match (order.role, runs) {
        (Role::Primary, Runs::Primary) if data == Data::Primary(order.term) => Duty::Stay,
        (Role::Primary, Runs::Replica) if has_the_term_before(data) => Duty::Promote,
        (Role::Replica, Runs::Replica) if data == Data::Replica(order.term) => Duty::Stay,
        (_, Runs::Primary | Runs::Replica) => Duty::End,
        (Role::Primary, Runs::Nothing) => match data {
            Data::Primary(term) if term == order.term => Duty::Serve,
            Data::None if order.first => Duty::Serve,
            data if has_the_term_before(data) => Duty::Follow,
            Data::None | Data::Primary(_) | Data::Replica(_) => Duty::Refuse,
        },
        (Role::Replica, Runs::Nothing) if data == Data::Replica(order.term) => Duty::Follow,
        (Role::Replica, Runs::Nothing) => Duty::Copy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn order(term: u64, role: Role, first: bool) -> Order {
        let (lease_ms, synchronous, waits, followed) = (0, true, false, false);
        Order { term, role, lease_ms, synchronous, waits, first, followed }
    }

    #[test]
    fn what_is_told_and_had_decides() {
        use Duty::{Copy, End, Follow, Promote, Refuse, Serve, Stay};
        use Role::{Primary, Replica};
        let rows = [
            (order(1, Primary, true), Data::None, Runs::Nothing, Serve),
            (order(1, Primary, false), Data::None, Runs::Nothing, Refuse),
            (order(1, Primary, false), Data::Primary(1), Runs::Nothing, Serve),
            (order(1, Primary, false), Data::Primary(1), Runs::Primary, Stay),
            (order(1, Replica, true), Data::None, Runs::Nothing, Copy),
            (order(1, Replica, false), Data::Replica(1), Runs::Nothing, Follow),
            (order(1, Replica, false), Data::Replica(1), Runs::Replica, Stay),
            (order(2, Primary, false), Data::Replica(1), Runs::Replica, Promote),
            (order(2, Primary, false), Data::Replica(1), Runs::Nothing, Follow),
            (order(3, Primary, false), Data::Replica(1), Runs::Replica, End),
            (order(3, Primary, false), Data::Replica(1), Runs::Nothing, Refuse),
            (order(3, Primary, false), Data::Primary(1), Runs::Nothing, Refuse),
            (order(3, Primary, false), Data::Primary(1), Runs::Primary, End),
            (order(2, Replica, false), Data::Primary(1), Runs::Primary, End),
            (order(2, Replica, false), Data::Primary(1), Runs::Nothing, Copy),
            (order(2, Replica, false), Data::Replica(1), Runs::Replica, End),
            (order(2, Replica, false), Data::Replica(1), Runs::Nothing, Copy),
        ];
        for (order, data, runs, expected) in rows {
            assert_eq!(duty(&order, data, runs), expected, "{order:?} {data:?} {runs:?}");
        }
    }

    /// Whoever is told to copy ends in copying, and never has what was not copied served.
    #[test]
    fn nobody_serves_what_is_of_another_term() {
        for term in 1..4 {
            for data in [Data::None, Data::Primary(2), Data::Replica(2)] {
                for first in [false, true] {
                    let found = duty(&order(term, Role::Primary, first), data, Runs::Nothing);
                    let is_own = data == Data::Primary(term) || (data == Data::None && first);
                    assert_eq!(found == Duty::Serve, is_own, "{term} {data:?} {first}");
                }
            }
        }
    }
}
