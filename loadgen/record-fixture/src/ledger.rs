//! Writes invented events as attempts, orders and charges.

use std::path::Path;

use super::shop::Event;
use record::files;
use record::ledger::{ChargeRow, Ledger, OrderRow};
use record::{Attempt, Operation, Outcome, Receipt, Trouble, write_table};

const CENTS: i64 = 1_250;

fn key(seq: usize) -> String {
    format!("2a-{seq:08x}")
}

pub(super) fn write(folder: &Path, events: &[Event], started_at_us: i64) -> anyhow::Result<()> {
    let attempts: Vec<_> = events.iter().enumerate().map(attempt).collect();
    write_table(&folder.join(files::HISTORY), &attempts)?;
    let mut ledger = Ledger::default();
    for (seq, event) in events.iter().enumerate() {
        let Some(final_s) = event.final_s else { continue };
        let wall = |at_s: f64| started_at_us + (at_s * 1e6) as i64;
        ledger.orders.push(OrderRow {
            key: key(seq),
            id: format!("o{seq}"),
            status: "paid".to_owned(),
            total_cents: CENTS,
            created_at: wall(event.done_s),
            settled_at: Some(wall(final_s)),
            charge_id: Some(format!("c{seq}")),
        });
        ledger.charges.push(ChargeRow {
            at_us: wall(final_s - 0.001),
            event: "captured".to_owned(),
            key: key(seq),
            amount_cents: CENTS,
            charge_id: Some(format!("c{seq}")),
            n: None,
        });
    }
    ledger.write(folder)
}

fn attempt((seq, event): (usize, &Event)) -> Attempt {
    let places = event.operation == Operation::Place;
    let is_ok = event.outcome == Outcome::Ok;
    let nanos = |at_s: f64| (at_s * 1e9) as u64;
    Attempt {
        seq: seq as u64,
        key: if places { key(seq) } else { String::new() },
        operation: event.operation,
        amount_cents: if places { CENTS } else { 0 },
        intended_ns: nanos(event.intended_s),
        sent_ns: nanos(event.sent_s),
        done_ns: nanos(event.done_s),
        outcome: event.outcome,
        status: if is_ok { 202 } else { 0 },
        trouble: if is_ok { Trouble::None } else { Trouble::Timeout },
        receipt: if is_ok && places { Receipt::Pending } else { Receipt::None },
        ..Attempt::default()
    }
}
