//! How many orders were charged before others that had come before them.

use std::collections::HashMap;
use std::path::Path;

use record::{Operation, Outcome, history, ledger};

/// An order's time, ns on the generator's clock.
#[derive(Clone, Copy, Debug)]
struct Came {
    /// When its customer first asked.
    asked_ns: u64,
    /// When he had been told that it is accepted; never, if he was not.
    accepted_ns: u64,
}

impl Default for Came {
    fn default() -> Self {
        Self { asked_ns: u64::MAX, accepted_ns: u64::MAX }
    }
}

/// The number of charged orders, and of those among them that overtook another one: it was charged later, though it had
/// been accepted before they were asked for. `None` without charges.
///
/// # Errors
/// If history or journal cannot be read.
pub(super) fn count(folder: &Path) -> anyhow::Result<Option<(u64, u64)>> {
    let mut came: HashMap<String, Came> = HashMap::new();
    for passage in history::passages(folder)? {
        let passage = passage?;
        if passage.operation != Operation::Place {
            continue;
        }
        let order = came.entry(passage.key).or_default();
        order.asked_ns = order.asked_ns.min(passage.sent_ns);
        if passage.outcome == Outcome::Ok {
            order.accepted_ns = order.accepted_ns.min(passage.done_ns);
        }
    }
    // In the order in which the card network decided; what it repeats, it has decided before. Orders that are not of the
    // load have no history.
    let mut charged = Vec::new();
    for row in ledger::charges(folder)? {
        let row = row?;
        if matches!(row.event.as_str(), "captured" | "declined") {
            charged.extend(came.remove(&row.key));
        }
    }
    let all = charged.len() as u64;
    Ok((all > 0).then(|| (all, overtook(&charged))))
}

/// How many of these, in the order of their charges, overtook a later one.
fn overtook(charged: &[Came]) -> u64 {
    let (mut earliest_ns, mut count) = (u64::MAX, 0);
    for order in charged.iter().rev() {
        count += u64::from(earliest_ns < order.asked_ns);
        earliest_ns = earliest_ns.min(order.accepted_ns);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::ledger::{ChargeRow, Ledger};
    use record::{Attempt, files, write_table};

    /// Orders asked for and accepted at these ns, in the order of their charges.
    #[track_caller]
    fn check(charged: &[(u64, u64)], expected: u64) {
        let came = |&(asked_ns, accepted_ns): &(u64, u64)| Came { asked_ns, accepted_ns };
        let charged: Vec<Came> = charged.iter().map(came).collect();
        assert_eq!(overtook(&charged), expected, "{charged:?}");
    }

    #[test]
    fn who_was_asked_for_after_another_was_accepted_came_later() {
        check(&[(0, 1), (2, 3), (4, 5)], 0);
        check(&[(2, 3), (0, 1), (4, 5)], 1);
        check(&[(4, 5), (2, 3), (0, 1)], 2);
        check(&[(2, 3), (4, 5), (0, 1)], 2);
        // Nobody can say which of these came first.
        check(&[(1, 5), (0, 4)], 0);
        check(&[(4, 5), (0, 4)], 0);
        check(&[(4, 5), (0, u64::MAX)], 0);
    }

    #[test]
    fn it_is_read_from_history_and_journal() {
        let folder = tempfile::tempdir().unwrap();
        let attempt = |key: &str, sent_ns, done_ns, outcome| Attempt {
            key: key.to_owned(),
            operation: Operation::Place,
            sent_ns,
            done_ns,
            outcome,
            ..Attempt::default()
        };
        let attempts = [
            attempt("a", 0, 10, Outcome::Unknown),
            attempt("b", 20, 30, Outcome::Ok),
            attempt("c", 40, 50, Outcome::Ok),
            attempt("a", 60, 70, Outcome::Ok),
        ];
        write_table(&folder.path().join(files::HISTORY), &attempts).unwrap();
        let charge = |key: &str, event: &str| ChargeRow {
            key: key.to_owned(),
            event: event.to_owned(),
            ..ChargeRow::default()
        };
        let write = |charges| {
            Ledger { charges, ..Ledger::default() }.write(folder.path()).unwrap();
            count(folder.path()).unwrap()
        };
        // "a" was asked for first and accepted last: it overtakes nobody, and nobody it.
        let rows = [("c", "error"), ("p1", "captured"), ("c", "captured"), ("b", "declined")];
        let more = [("b", "repeated"), ("a", "captured"), ("c", "captured")];
        let rows = rows.into_iter().chain(more).map(|(key, event)| charge(key, event));
        assert_eq!(write(rows.collect()), Some((3, 1)));
        assert_eq!(write(vec![charge("b", "captured"), charge("c", "captured")]), Some((2, 0)));
        assert_eq!(write(Vec::new()), None);
    }
}
