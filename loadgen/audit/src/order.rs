//! The life of one order: every attempt, look-up, row, charge and dead letter, and the faults around
//! them, on one clock.

use super::operations;
use record::ledger::{ChargeRow, DeadRow, FORGED, OrderRow};
use record::{Attempt, FaultRow, Trouble};

/// Faults this close to the order's life are told too.
const AROUND_S: f64 = 5.0;

/// Something that happened to an order, or around it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Event {
    /// When, s since second 0.
    pub at_s: f64,
    /// Who tells: customer, orders, replica N, provider, broker, fault.
    pub who: String,
    /// What.
    pub what: String,
}

/// Everything that a record holds, as far as it is about one order.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    /// Attempts to place it and to look it up.
    pub attempts: Vec<Attempt>,
    /// Its rows: who tells, and what.
    pub orders: Vec<(String, OrderRow)>,
    /// Its lines in the provider's journal.
    pub charges: Vec<ChargeRow>,
    /// Its dead letters.
    pub dead: Vec<DeadRow>,
    /// All faults.
    pub faults: Vec<FaultRow>,
    /// The wall clock at second 0, µs.
    pub started_at_us: i64,
}

/// The events of an order, by time; none if the record does not know it.
#[must_use]
pub fn order(traces: &Traces) -> Vec<Event> {
    let mut events = Vec::new();
    let mut put = |at_s: f64, who: &str, what: String| {
        events.push(Event { at_s, who: who.to_owned(), what });
    };
    let wall_s = |at_us: i64| at_us.saturating_sub(traces.started_at_us) as f64 / 1e6;
    for a in &traces.attempts {
        put(a.sent_ns as f64 / 1e9, "customer", operations::asks(a));
        put(a.done_ns as f64 / 1e9, "customer", answered(a));
    }
    for (who, row) in &traces.orders {
        put(
            wall_s(row.created_at),
            who,
            format!("accepted, {} cents, id {}", row.total_cents, row.id),
        );
        match row.settled_at {
            Some(at_us) => put(wall_s(at_us), who, format!("{} (final)", row.status)),
            None => put(wall_s(row.created_at), who, format!("{} at the end", row.status)),
        }
    }
    for row in &traces.charges {
        let id = row.charge_id.as_deref().map(|id| format!(", {id}")).unwrap_or_default();
        let what = format!("{}, {} cents{id}", row.event, row.amount_cents);
        let who = if row.event == FORGED { "somebody" } else { "provider" };
        put(wall_s(row.at_us), who, what);
    }
    for row in &traces.dead {
        let what = format!("dead letter after {} deliveries: {}", row.attempts, row.error);
        put(wall_s(row.died_us), "broker", what);
    }
    let first = events.iter().map(|e| e.at_s).fold(f64::INFINITY, f64::min);
    let last = events.iter().map(|e| e.at_s).fold(f64::NEG_INFINITY, f64::max);
    events.extend(around(&traces.faults, first - AROUND_S, last + AROUND_S));
    events.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    events
}

fn answered(a: &Attempt) -> String {
    let mut what = format!("{}: {}", operations::name(a.operation), a.outcome);
    for (shown, text) in [
        (a.status > 0, format!(", status {}", a.status)),
        (a.receipt.is_told(), format!(", {}", a.receipt)),
        (a.trouble != Trouble::None, format!(", {}", a.trouble)),
        (a.again, "; to be asked for again".to_owned()),
    ] {
        if shown {
            what += &text;
        }
    }
    what
}

/// The steps of the faults that overlap this time.
fn around(faults: &[FaultRow], from_s: f64, to_s: f64) -> Vec<Event> {
    let mut events = Vec::new();
    for fault in faults {
        let end_s = fault.healed_s.unwrap_or(f64::INFINITY);
        if fault.commanded_s > to_s || end_s < from_s {
            continue;
        }
        let name = format!("{} on {}", fault.kind, fault.harm);
        let steps = [
            (Some(fault.commanded_s), format!("{name}: commanded")),
            (fault.effective_s, format!("{name}: in effect ({})", fault.effect_proof)),
            (fault.heal_commanded_s, format!("{name}: healing commanded")),
            (fault.healed_s, format!("{name}: healed ({})", fault.heal_proof)),
        ];
        for (at_s, what) in steps {
            events.extend(at_s.map(|at_s| Event { at_s, who: "fault".to_owned(), what }));
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{Operation, Outcome, Receipt};

    fn fault(commanded_s: f64, healed_s: Option<f64>) -> FaultRow {
        let (kind, harm) = ("kill".to_owned(), "orders".to_owned());
        FaultRow { kind, harm, commanded_s, healed_s, ..FaultRow::default() }
    }

    fn traces(faults: Vec<FaultRow>) -> Traces {
        let attempt = Attempt {
            seq: 1,
            key: "k".to_owned(),
            operation: Operation::Place,
            amount_cents: 500,
            intended_ns: 9_900_000_000,
            sent_ns: 10_000_000_000,
            done_ns: 11_000_000_000,
            outcome: Outcome::Unknown,
            trouble: Trouble::Reset,
            again: true,
            ..Attempt::default()
        };
        let once_more = Attempt {
            sent_ns: 11_500_000_000,
            done_ns: 11_600_000_000,
            outcome: Outcome::Failed,
            status: 503,
            trouble: Trouble::None,
            retry: 1,
            again: false,
            ..attempt.clone()
        };
        let look = Attempt {
            operation: Operation::Get,
            again: false,
            sent_ns: 14_000_000_000,
            done_ns: 15_000_000_000,
            outcome: Outcome::Ok,
            status: 200,
            trouble: Trouble::None,
            receipt: Receipt::Paid,
            ..attempt.clone()
        };
        let row = OrderRow {
            key: "k".to_owned(),
            id: "o".to_owned(),
            status: "paid".to_owned(),
            total_cents: 500,
            created_at: 1_010_500_000,
            settled_at: Some(1_013_000_000),
            charge_id: None,
        };
        let charge = ChargeRow {
            at_us: 1_012_000_000,
            event: "captured".to_owned(),
            key: "k".to_owned(),
            amount_cents: 500,
            charge_id: Some("c".to_owned()),
            n: None,
        };
        Traces {
            attempts: vec![look, attempt, once_more],
            orders: vec![("orders".to_owned(), row)],
            charges: vec![charge],
            dead: vec![DeadRow { died_us: 1_020_000_000, attempts: 8, ..DeadRow::default() }],
            faults,
            started_at_us: 1_000_000_000,
        }
    }

    #[test]
    fn a_life_is_told_in_its_order_on_one_clock() {
        let told: Vec<String> = order(&traces(vec![fault(10.7, Some(10.9))]))
            .iter()
            .map(|e| format!("{} {}: {}", e.at_s, e.who, e.what))
            .collect();
        let expected = [
            "10 customer: asks for it, 500 cents",
            "10.5 orders: accepted, 500 cents, id o",
            "10.7 fault: kill on orders: commanded",
            "10.9 fault: kill on orders: healed ()",
            "11 customer: order: unknown, reset; to be asked for again",
            "11.5 customer: asks for it again, 500 cents",
            "11.6 customer: order: failed, status 503",
            "12 provider: captured, 500 cents, c",
            "13 orders: paid (final)",
            "14 customer: looks it up",
            "15 customer: look-up: ok, status 200, paid",
            "20 broker: dead letter after 8 deliveries: ",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn faults_are_told_if_they_are_near() {
        let faults = |fault: FaultRow| {
            order(&traces(vec![fault])).iter().filter(|e| e.who == "fault").count()
        };
        assert_eq!(faults(fault(1.0, Some(4.9))), 0);
        assert_eq!(faults(fault(1.0, Some(5.0))), 2);
        assert_eq!(faults(fault(1.0, None)), 1);
        assert_eq!(faults(fault(25.0, None)), 1);
        assert_eq!(faults(fault(25.1, None)), 0);
        let unknown = Traces { faults: vec![fault(1.0, None)], ..Traces::default() };
        assert_eq!(order(&unknown), [], "an order that nobody knows has no life");
    }
}
