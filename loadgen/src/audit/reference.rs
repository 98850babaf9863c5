//! The same verdict by plain, slow means: for each key, look at every fact again. Written from the
//! table of classes and not from the audit's code, so that an error must be made twice.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::cases::{Facts, Found, charge, dead, found, order};
use crate::history::Attempt;
use crate::ledger::{ChargeRow, OrderRow};
use crate::record::{Answer, FaultRow};

/// The verdict, and the keys of each class.
pub(super) fn judge(facts: &Facts) -> (Answer, Found) {
    let mut all = Found::new();
    for key in keys(facts) {
        for class in classes(facts, &key) {
            all.entry(class.to_owned()).or_default().insert(key.clone());
        }
    }
    const LEGAL: [&str; 6] =
        ["recovered", "vanished", "repeated", "indeterminate", "dead-but-done", "poisoned"];
    let answer = if all.keys().any(|class| !LEGAL.contains(&class.as_str())) {
        Answer::False
    } else if is_doubtful(facts) {
        Answer::Unknown
    } else {
        Answer::True
    };
    (answer, all)
}

fn keys(facts: &Facts) -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = facts.prepared.iter().cloned().collect();
    keys.extend(facts.attempts.iter().flat_map(|a| [a.key.clone(), a.about.clone()]));
    keys.extend(facts.orders.iter().map(|row| row.key.clone()));
    keys.extend(facts.replicas.iter().flatten().map(|row| row.key.clone()));
    keys.extend(facts.charges.iter().map(|row| row.key.clone()));
    keys.extend(facts.dead.iter().map(|row| row.key.clone()));
    keys.remove("");
    keys
}

fn in_cut(facts: &Facts, a: &Attempt) -> bool {
    let done_s = a.done_ns as f64 / 1e9;
    facts.faults.iter().any(|fault| {
        fault.kind == "power-cut"
            && done_s >= fault.commanded_s
            && fault.healed_s.is_none_or(|healed_s| done_s <= healed_s)
    })
}

/// The attempts to place this key that were sent.
fn placed<'a>(facts: &'a Facts, key: &str) -> Vec<&'a Attempt> {
    let mine = |a: &&Attempt| a.operation == "place" && a.key == key && a.outcome != "dropped";
    facts.attempts.iter().filter(mine).collect()
}

fn acknowledgements<'a>(facts: &'a Facts, key: &str) -> Vec<&'a Attempt> {
    let sure = |a: &&Attempt| a.outcome == "ok" && !in_cut(facts, a);
    placed(facts, key).into_iter().filter(sure).collect()
}

/// The look-ups of this key that prove something.
fn looks<'a>(facts: &'a Facts, key: &str) -> Vec<&'a Attempt> {
    let mine = |a: &&Attempt| a.operation == "get" && a.about == key && !in_cut(facts, a);
    facts.attempts.iter().filter(mine).collect()
}

fn is_final(status: &str) -> bool {
    status == "paid" || status == "declined"
}

/// acknowledged, failed, unknown; empty if it was never asked for.
fn told(facts: &Facts, key: &str) -> &'static str {
    let attempts = placed(facts, key);
    if facts.prepared.iter().any(|p| p == key) || !acknowledgements(facts, key).is_empty() {
        "acknowledged"
    } else if attempts.is_empty() {
        ""
    } else if attempts.iter().all(|a| a.outcome == "failed") {
        "failed"
    } else {
        "unknown"
    }
}

fn classes(facts: &Facts, key: &str) -> Vec<&'static str> {
    let orders: Vec<&OrderRow> = facts.orders.iter().filter(|row| row.key == key).collect();
    let charges: Vec<&ChargeRow> = facts.charges.iter().filter(|row| row.key == key).collect();
    let captures: Vec<_> = charges.iter().filter(|row| row.event == "captured").collect();
    let dead = facts.dead.iter().any(|row| row.key == key);
    let paid = orders.iter().any(|row| row.status == "paid");
    let open = orders.iter().any(|row| !is_final(&row.status));
    let ended = orders.iter().any(|row| is_final(&row.status));
    let happened = !orders.is_empty() || !captures.is_empty() || dead;
    let told = told(facts, key);
    let shown: Vec<&Attempt> = looks(facts, key)
        .into_iter()
        .filter(|a| a.outcome == "ok" && !a.receipt.is_empty())
        .collect();
    let known = told == "acknowledged" || !shown.is_empty();
    let waited = !facts.not_waited;
    let mut classes = Vec::new();
    let mut when = |condition: bool, class| classes.extend(condition.then_some(class));
    when(known && orders.is_empty(), "lost");
    when(orders.len() >= 2, "duplicated");
    when(captures.len() >= 2, "double-charge");
    when(!captures.is_empty() && !paid && (waited || !open || dead), "orphan-charge");
    when(paid && captures.is_empty(), "paid-without-charge");
    when(told.is_empty() && happened, "phantom");
    when(told == "failed" && happened, "failed-but-happened");
    when(wrong_amount(facts, key), "wrong-amount");
    let receipts = acknowledgements(facts, key);
    let contradicts =
        |a: &&Attempt| is_final(&a.receipt) && orders.iter().any(|row| row.status != a.receipt);
    when(receipts.iter().any(contradicts), "receipt-mismatch");
    when(
        shown.iter().any(contradicts) || goes_back(&[&receipts[..], &shown].concat()),
        "illegal-transition",
    );
    when(disappears(facts, key, &[&receipts[..], &shown].concat()), "disappeared");
    when(diverges(facts, key, &orders), "diverged");
    let placed_so = facts.attempts.iter().any(|a| a.operation == "place" && a.key == key);
    let excused = placed_so && facts.poisoned.iter().any(|p| p == key) && captures.is_empty();
    let stuck = open && waited && !dead;
    when(stuck && !excused, "stuck");
    let given_up = dead && (open || orders.is_empty());
    when(given_up && !excused, "dead-lettered");
    when(excused && (stuck || given_up), "poisoned");
    when(told == "unknown" && ended, "recovered");
    when(told == "unknown" && !happened && !known, "vanished");
    when(charges.iter().any(|row| row.event == "repeated"), "repeated");
    let in_time = |a: &&Attempt| a.outcome == "ok" && in_cut(facts, a);
    when(placed(facts, key).iter().any(in_time), "indeterminate");
    when(dead && !given_up, "dead-but-done");
    classes
}

fn wrong_amount(facts: &Facts, key: &str) -> bool {
    let orders = facts.orders.iter().filter(|row| row.key == key).map(|row| row.total_cents);
    let captured = |row: &&ChargeRow| row.key == key && row.event == "captured";
    let charges = facts.charges.iter().filter(captured).map(|row| row.amount_cents);
    let met: Vec<i64> = orders.chain(charges).collect();
    match placed(facts, key).last() {
        Some(asked) => met.iter().any(|cents| *cents != asked.amount_cents),
        None => met.iter().any(|cents| *cents != met[0]),
    }
}

/// Every pair of observations: two final states that differ, or one that began after the other ended
/// and says less.
fn goes_back(observed: &[&Attempt]) -> bool {
    observed.iter().any(|a| {
        observed.iter().any(|b| {
            let (first, second) = (a.receipt.as_str(), b.receipt.as_str());
            let changed = is_final(first) && is_final(second) && first != second;
            let back = is_final(first) && !is_final(second) && b.sent_ns > a.done_ns;
            changed || back
        })
    })
}

fn disappears(facts: &Facts, key: &str, observed: &[&Attempt]) -> bool {
    let missing = |a: &&Attempt| a.outcome != "ok" && [404, 410].contains(&a.status);
    looks(facts, key).iter().filter(|a| missing(a)).any(|absent| {
        let prepared = facts.prepared.iter().any(|p| p == key) && absent.sent_ns > 0;
        prepared || observed.iter().any(|seen| absent.sent_ns > seen.done_ns)
    })
}

fn diverges(facts: &Facts, key: &str, orders: &[&OrderRow]) -> bool {
    let sorted = |mut rows: Vec<&OrderRow>| {
        rows.sort_by_key(|row| format!("{row:?}"));
        rows.into_iter().cloned().collect::<Vec<_>>()
    };
    let first = sorted(orders.to_vec());
    let listings: Vec<Vec<OrderRow>> = facts
        .replicas
        .iter()
        .map(|rows| sorted(rows.iter().filter(|row| row.key == key).collect()))
        .collect();
    let open = listings.iter().flatten().chain(&first).any(|row| !is_final(&row.status));
    listings.iter().any(|rows| *rows != first) && (!facts.not_waited || !open)
}

fn is_doubtful(facts: &Facts) -> bool {
    let all = keys(facts);
    let of = |key: &str, event: &str| {
        facts.charges.iter().any(|row| row.key == key && row.event == event)
    };
    let unfounded =
        |key: &String| of(key, "repeated") && !of(key, "captured") && !of(key, "declined");
    let left = |key: &String| {
        let dead = facts.dead.iter().any(|row| row.key == *key);
        !dead && facts.orders.iter().any(|row| row.key == *key && !is_final(&row.status))
    };
    !facts.doubts.is_empty()
        || !all.iter().any(|key| told(facts, key) == "acknowledged")
        || (facts.not_waited && all.iter().any(left))
        || all.iter().any(unfounded)
        || contradicts_itself(&facts.charges)
}

fn contradicts_itself(lines: &[ChargeRow]) -> bool {
    let pair = |first: &ChargeRow, second: &ChargeRow| {
        let both = first.event != "unreadable" && second.event != "unreadable";
        let twice = first.event == "captured"
            && second.event == "captured"
            && first.charge_id.is_some()
            && first.charge_id == second.charge_id;
        both && (twice || first.at_us - second.at_us > 1_000_000)
    };
    lines.iter().any(|line| line.event == "unreadable")
        || lines
            .iter()
            .enumerate()
            .any(|(n, second)| lines[..n].iter().any(|first| pair(first, second)))
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(ToOwned::to_owned)
}

fn word(words: &[&'static str]) -> impl Strategy<Value = &'static str> + use<> {
    prop::sample::select(words.to_vec())
}

fn attempts() -> impl Strategy<Value = Attempt> {
    let outcome = word(&["ok", "ok", "ok", "failed", "unknown", "unfinished", "dropped"]);
    let receipt = word(&["paid", "paid", "pending", "declined"]);
    let status = prop::sample::select(vec![404_u16, 404, 410, 401, 0]);
    let times = (0_u64..8, 0_u64..3);
    (key(), any::<bool>(), outcome, receipt, status, times).prop_map(
        |(key, placed, outcome, receipt, status, (sent, lasts))| Attempt {
            seq: 1,
            key: if placed { key.clone() } else { String::new() },
            operation: if placed { "place" } else { "get" }.to_owned(),
            amount_cents: 500,
            sent_ns: sent * 1_000_000_000,
            done_ns: (sent + lasts) * 1_000_000_000,
            outcome: outcome.to_owned(),
            status: if outcome == "ok" { 200 } else { status },
            receipt: if outcome == "ok" { receipt } else { "" }.to_owned(),
            about: if placed { String::new() } else { key },
            ..Attempt::default()
        },
    )
}

fn rows() -> impl Strategy<Value = OrderRow> {
    let status = word(&["paid", "paid", "paid", "declined", "pending"]);
    let cents = word(&["500", "500", "500", "7"]);
    (key(), status, cents).prop_map(|(key, status, cents)| order(&key, status, &[cents]))
}

fn lines() -> impl Strategy<Value = ChargeRow> {
    let event =
        word(&["captured", "captured", "captured", "declined", "repeated", "error", "unreadable"]);
    let cents = word(&["500", "500", "500", "7"]);
    let id = word(&["id=1", "id=2", "id=3", "id=4", "id=5"]);
    let at = word(&["at=0", "at=0", "at=0", "at=1", "at=2"]);
    (key(), event, cents, id, at).prop_map(|(key, event, cents, id, at)| {
        let key = if event == "unreadable" { "" } else { &key };
        charge(key, event, &[cents, id, at])
    })
}

fn cuts() -> impl Strategy<Value = FaultRow> {
    (word(&["power-cut", "kill"]), 0_u32..8, prop::option::of(0_u32..3)).prop_map(
        |(kind, from, lasts)| FaultRow {
            kind: kind.to_owned(),
            commanded_s: f64::from(from),
            healed_s: lasts.map(|lasts| f64::from(from + lasts)),
            ..FaultRow::default()
        },
    )
}

prop_compose! {
    fn histories()(
        attempts in prop::collection::vec(attempts(), 0..6),
        prepared in prop::collection::vec(key(), 0..2),
        poisoned in prop::collection::vec(key(), 0..2),
        orders in prop::collection::vec(rows(), 0..4),
        copies in prop::collection::vec(prop::option::of(prop::collection::vec(rows(), 0..3)), 0..3),
        charges in prop::collection::vec(lines(), 0..4),
        letters in prop::collection::vec(key(), 0..2),
        faults in prop::collection::vec(cuts(), 0..2),
        (not_waited, doubt) in (any::<bool>(), 0_u8..8),
    ) -> Facts {
        // A replica is often the same as the first.
        let replicas = copies.into_iter().map(|copy| copy.unwrap_or_else(|| orders.clone())).collect();
        let dead = letters.iter().map(|key| dead(key)).collect();
        let doubts = if doubt == 0 { vec!["a doubt".to_owned()] } else { Vec::new() };
        Facts {
            attempts,
            prepared,
            poisoned,
            orders,
            replicas,
            charges,
            dead,
            faults,
            not_waited,
            doubts,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn audit_and_reference_agree(facts in histories()) {
        let verdict = facts.judge();
        prop_assert!(verdict.counts.closes());
        prop_assert_eq!((verdict.verdict, found(&verdict)), judge(&facts));
    }

    #[test]
    fn the_order_of_the_facts_makes_no_difference(facts in histories()) {
        let mut turned = facts.clone();
        turned.attempts.reverse();
        turned.orders.reverse();
        turned.dead.reverse();
        prop_assert_eq!(found(&turned.judge()), found(&facts.judge()));
    }
}
