//! Hand-written histories, a readable line per fact, and what must be found in each. The files are in
//! `cases/`; the reference implementation must find the same.
//!
//! ```text
//! case what it is about
//!   place KEY OUTCOME [RECEIPT] [CENTS] [SENT-DONE] [status=N] [id=ID] [told=CENTS] [by=CUSTOMER] [other-order]
//!   get|cancel KEY OUTCOME [SHOWN] [SENT-DONE] [STATUS] [id=ID] [told=CENTS] [other-order]
//!   order KEY STATUS [CENTS] [id=ID] [charge=ID] [created=S] [settled=S|-]     replica …     next-replica
//!   prepared KEY     poisoned KEY     fine KEY     dead KEY
//!   charge KEY EVENT [CENTS] [id=ID] [at=S] [n=N]     unreadable     forged KEY     network-lines N
//!   read CUSTOMER get|list KEY [STATUS [CENTS] …]|404     read CUSTOMER end
//!   cut FROM TO|never     unseen-cut FROM TO     fault KIND FROM TO     tokens-until S
//!   reserved KEY held|sold|released|lacking SKU N     shelf SKU HELD SOLD RELEASED [STOCK]
//!   not-waited     doubt WHY     no-clock     notified     stocked
//!   expect VERDICT [CLASS …]
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::reference;
use super::{Audit, Clock, Setting, Window};
use record::ledger::{
    ChargeRow, DeadRow, FORGED, Ledger, OrderRow, ReservationRow, ShelfRow, UNREADABLE,
};
use record::reads::{How, ReadRow};
use record::{Answer, Attempt, Doubt, FaultRow, Operation, Outcome, Receipt, Trouble, Verdict};

const FILES: [(&str, &str); 14] = [
    ("acknowledged", include_str!("cases/acknowledged.txt")),
    ("unanswered", include_str!("cases/unanswered.txt")),
    ("seen", include_str!("cases/seen.txt")),
    ("answers", include_str!("cases/answers.txt")),
    ("instants", include_str!("cases/instants.txt")),
    ("ends", include_str!("cases/ends.txt")),
    ("reads", include_str!("cases/reads.txt")),
    ("power_cuts", include_str!("cases/power_cuts.txt")),
    ("journal", include_str!("cases/journal.txt")),
    ("witness", include_str!("cases/witness.txt")),
    ("poisoned", include_str!("cases/poisoned.txt")),
    ("notices", include_str!("cases/notices.txt")),
    ("stock", include_str!("cases/stock.txt")),
    ("cancelled", include_str!("cases/cancelled.txt")),
];
const CENTS: i64 = 500;

/// The facts of a record. Second 0 is 0 on the wall, too.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) attempts: Vec<Attempt>,
    pub(super) prepared: Vec<String>,
    /// Keys whose attempts poison.
    pub(super) poisoned: Vec<String>,
    pub(super) orders: Vec<OrderRow>,
    pub(super) replicas: Vec<Vec<OrderRow>>,
    pub(super) charges: Vec<ChargeRow>,
    pub(super) dead: Vec<DeadRow>,
    pub(super) reads: Vec<ReadRow>,
    pub(super) faults: Vec<FaultRow>,
    pub(super) not_waited: bool,
    pub(super) no_clock: bool,
    pub(super) tokens_until_ns: Option<u64>,
    pub(super) network_lines: Option<u64>,
    /// Every order asked for a notification.
    pub(super) notified: bool,
    /// An inventory told what it holds.
    pub(super) stocked: bool,
    pub(super) shelves: Vec<ShelfRow>,
    pub(super) reservations: Vec<ReservationRow>,
    pub(super) doubts: Vec<String>,
}

/// What is found: keys by class.
pub(super) type Found = BTreeMap<String, BTreeSet<String>>;

impl Facts {
    fn setting(&self) -> Setting {
        Setting {
            windows: Window::of(&self.faults),
            clock: if self.no_clock { Clock::default() } else { Clock::new(0, None, 0) },
            tokens_until_ns: self.tokens_until_ns,
            network_lines: self.network_lines,
            waited: !self.not_waited,
            notified: self.notified,
            stocked: self.stocked,
            doubts: self.doubts.iter().cloned().map(Doubt::from).collect(),
        }
    }

    pub(super) fn judge(&self) -> Verdict {
        let mut audit = Audit::new(self.setting());
        (0..).zip(&self.prepared).for_each(|(customer, key)| audit.prepared(key, customer));
        for row in &self.attempts {
            if row.operation == Operation::Place && self.poisoned.contains(&row.key) {
                audit.poisoned(row);
            } else {
                audit.attempt(row);
            }
        }
        self.orders.iter().for_each(|row| audit.order(row));
        for rows in &self.replicas {
            audit.replica(rows.iter().cloned().map(Ok::<_, ()>)).unwrap();
        }
        self.charges.iter().for_each(|row| audit.charge(row));
        self.dead.iter().for_each(|row| audit.dead(row));
        self.reads.iter().for_each(|row| audit.read(row));
        self.shelves.iter().for_each(|row| audit.shelf(row));
        self.reservations.iter().for_each(|row| audit.reservation(row));
        audit.judge()
    }
}

/// The classes with their keys, as far as the verdict shows them.
pub(super) fn found(verdict: &Verdict) -> Found {
    let all = verdict.violations.iter().chain(&verdict.oddities);
    let met = all.filter(|finding| finding.count > 0);
    met.map(|f| {
        assert_eq!(f.count, f.examples.len() as u64, "{f:?}");
        (f.class.clone(), f.examples.iter().cloned().collect())
    })
    .collect()
}

struct Case {
    name: String,
    facts: Facts,
    verdict: Answer,
    classes: BTreeSet<String>,
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "case" {
            let (name, facts) = (rest.to_owned(), Facts::default());
            cases.push(Case { name, facts, verdict: Answer::Unknown, classes: BTreeSet::new() });
            continue;
        }
        let case = cases.last_mut().expect("a case comes first");
        let words: Vec<&str> = rest.split_whitespace().collect();
        if word == "expect" {
            case.verdict = serde_json::from_value(words[0].into()).unwrap();
            case.classes = words[1..].iter().map(|class| (*class).to_owned()).collect();
        } else {
            read(&mut case.facts, word, rest, &words);
        }
    }
    cases
}

fn read(facts: &mut Facts, word: &str, rest: &str, words: &[&str]) {
    match (word, words) {
        ("place" | "get" | "cancel", [key, outcome, more @ ..]) => {
            let (operation, outcome) = (word.parse().unwrap(), outcome.parse().unwrap());
            facts.attempts.push(attempt(operation, key, outcome, more));
        }
        ("poisoned", [key]) => facts.poisoned.push((*key).to_owned()),
        ("prepared", [key]) => facts.prepared.push((*key).to_owned()),
        ("order", [key, status, more @ ..]) => {
            let row = order(key, status, more);
            facts.orders.push(settled_in_time(facts, row));
        }
        ("replica", [key, status, more @ ..]) => {
            if facts.replicas.is_empty() {
                facts.replicas.push(Vec::new());
            }
            let row = settled_in_time(facts, order(key, status, more));
            facts.replicas.last_mut().unwrap().push(row);
        }
        ("next-replica", []) => facts.replicas.push(Vec::new()),
        ("charge", [key, event, more @ ..]) => {
            let row = charge(key, event, more);
            let at_us = row.at_us.max(asked_us(facts, key).filter(|_| row.at_us == 0).unwrap_or(0));
            facts.charges.push(ChargeRow { at_us, ..row });
        }
        ("unreadable", []) => facts.charges.push(charge("", UNREADABLE, &[])),
        ("forged", [key]) => facts.charges.push(charge(key, FORGED, &[])),
        ("network-lines", [n]) => facts.network_lines = Some(n.parse().unwrap()),
        ("read", [customer, how, more @ ..]) => facts.reads.push(read_by(customer, how, more)),
        ("tokens-until", [s]) => facts.tokens_until_ns = Some(ns(s)),
        ("no-clock", []) => facts.no_clock = true,
        ("dead", [key]) => facts.dead.push(dead(key)),
        ("fine", [key]) => {
            facts.attempts.push(attempt(Operation::Place, key, Outcome::Ok, &["paid"]));
            facts.orders.push(order(key, "paid", &[]));
            facts.charges.push(charge(key, "captured", &[]));
        }
        ("cut", [from, to]) => facts.faults.push(fault("power-cut", from, to)),
        ("unseen-cut", [from, to]) => {
            let cut = fault("power-cut", from, to);
            facts.faults.push(FaultRow { effective_s: None, ..cut });
        }
        ("fault", [kind, from, to]) => facts.faults.push(fault(kind, from, to)),
        ("notified", []) => facts.notified = true,
        ("stocked", []) => facts.stocked = true,
        ("reserved", [key, state, sku, quantity]) => {
            facts.reservations.push(reserved(key, state, sku, quantity.parse().unwrap()));
        }
        ("shelf", [sku, held, sold, released, stock @ ..]) => {
            let [held, sold, released] = [held, sold, released].map(|n| n.parse().unwrap());
            let stock = stock.first().map(|n| n.parse().unwrap());
            facts.shelves.push(ShelfRow { sku: (*sku).to_owned(), held, sold, released, stock });
        }
        ("not-waited", []) => facts.not_waited = true,
        ("doubt", _) => facts.doubts.push(rest.to_owned()),
        _ => panic!("{word} {rest}: not a fact"),
    }
}

/// When it was first asked for, as far as is told already.
fn asked_us(facts: &Facts, key: &str) -> Option<i64> {
    let placed = facts.attempts.iter().filter(|a| a.operation == Operation::Place && a.key == key);
    placed.map(|a| (a.sent_ns / 1_000) as i64).min()
}

/// What no line says otherwise was charged and settled as soon as it was asked for.
fn settled_in_time(facts: &Facts, row: OrderRow) -> OrderRow {
    let at =
        row.settled_at.map(|at| if at == 0 { asked_us(facts, &row.key).unwrap_or(0) } else { at });
    OrderRow { settled_at: at, ..row }
}

fn attempt(operation: Operation, key: &str, outcome: Outcome, more: &[&str]) -> Attempt {
    let key = if key == "-" { "" } else { key };
    let (placed, about) = if operation == Operation::Place { (key, "") } else { ("", key) };
    let mut row = Attempt {
        seq: 1,
        key: placed.to_owned(),
        operation,
        amount_cents: CENTS,
        done_ns: 100_000_000,
        outcome,
        about: about.to_owned(),
        ..Attempt::default()
    };
    for word in more {
        match word.split_once('=') {
            Some(("status", status)) => row.status = status.parse().unwrap(),
            Some(("id", id)) => row.order = id.to_owned(),
            Some(("told", cents)) => row.amount = Some(cents.parse().unwrap()),
            Some(("by", customer)) => row.customer = customer.parse().unwrap(),
            _ => plain_word(&mut row, word),
        }
    }
    row
}

fn plain_word(row: &mut Attempt, word: &str) {
    if word == Trouble::OtherOrder.as_str() {
        row.trouble = Trouble::OtherOrder;
    } else if let Ok(number) = word.parse::<u16>() {
        if row.operation == Operation::Place {
            row.amount_cents = i64::from(number);
        } else {
            row.status = number;
        }
    } else if let Some((sent, done)) = word.split_once('-').filter(|_| word.len() > 1) {
        (row.sent_ns, row.done_ns) = (ns(sent), ns(done));
    } else if word != "-" {
        row.receipt = Receipt::parse(word).unwrap();
    }
}

fn ns(text: &str) -> u64 {
    (text.parse::<f64>().unwrap() * 1e9).round() as u64
}

fn us(text: &str) -> i64 {
    (text.parse::<f64>().unwrap() * 1e6).round() as i64
}

fn read_by(customer: &str, how: &str, more: &[&str]) -> ReadRow {
    let how = match how {
        "get" => How::Get,
        "list" => How::List,
        _ => How::End,
    };
    let about = more.first().copied().unwrap_or_default();
    let (status, shown) = match more {
        [key, state, rest @ ..] if state.parse::<u16>().is_err() => {
            // Another order may be shown than was asked for.
            let (key, rest) = match rest {
                [shown, rest @ ..] if shown.starts_with("as=") => (&shown[3..], rest),
                rest => (*key, rest),
            };
            (200, Some(order(key, state, rest)))
        }
        [_, status, ..] => (status.parse().unwrap(), None),
        _ => (200, None),
    };
    ReadRow::new(customer.parse().unwrap(), how, status, about, shown)
}

pub(super) fn order(key: &str, status: &str, more: &[&str]) -> OrderRow {
    let mut row = OrderRow {
        key: key.to_owned(),
        id: "o".to_owned(),
        status: status.to_owned(),
        total_cents: CENTS,
        settled_at: matches!(status, "paid" | "declined").then_some(0),
        ..OrderRow::default()
    };
    for word in more {
        match word.split_once('=') {
            Some(("id", id)) => row.id = id.to_owned(),
            Some(("charge", id)) => row.charge_id = Some(id.to_owned()),
            Some(("created", s)) => row.created_at = us(s),
            Some(("settled", s)) => row.settled_at = (s != "-").then(|| us(s)),
            _ => row.total_cents = word.parse().unwrap(),
        }
    }
    row
}

pub(super) fn charge(key: &str, event: &str, more: &[&str]) -> ChargeRow {
    let mut row = ChargeRow {
        event: event.to_owned(),
        key: key.to_owned(),
        amount_cents: CENTS,
        ..ChargeRow::default()
    };
    for word in more {
        match word.split_once('=') {
            Some(("id", id)) => row.charge_id = Some(id.to_owned()),
            Some(("at", s)) => row.at_us = us(s),
            Some(("n", n)) => row.n = Some(n.parse().unwrap()),
            _ => row.amount_cents = word.parse().unwrap(),
        }
    }
    row
}

pub(super) fn reserved(key: &str, state: &str, sku: &str, quantity: i64) -> ReservationRow {
    let [key, state, sku] = [key, state, sku].map(str::to_owned);
    ReservationRow { key, state, sku, quantity }
}

pub(super) fn dead(key: &str) -> DeadRow {
    DeadRow { key: key.to_owned(), ..DeadRow::default() }
}

fn fault(kind: &str, from: &str, to: &str) -> FaultRow {
    FaultRow {
        kind: kind.to_owned(),
        commanded_s: from.parse().unwrap(),
        effective_s: Some(from.parse().unwrap()),
        healed_s: (to != "never").then(|| to.parse().unwrap()),
        ..FaultRow::default()
    }
}

#[test]
fn every_case_is_judged_right_and_so_by_the_reference() {
    let mut number = 0;
    for (file, text) in FILES {
        for case in cases(text) {
            let name = format!("{file}: {}", case.name);
            let verdict = case.facts.judge();
            let classes = found(&verdict);
            assert_eq!(classes.keys().cloned().collect::<BTreeSet<_>>(), case.classes, "{name}");
            assert_eq!(verdict.verdict, case.verdict, "{name}: {:?}", verdict.reasons);
            assert_eq!(reference::judge(&case.facts), (verdict.verdict, classes), "{name}");
            assert!(verdict.counts.closes(), "{name}");
            number += 1;
        }
    }
    assert!(number >= 130, "{number} cases");
}

#[test]
fn every_class_has_a_case_of_its_own() {
    let all: Vec<Case> = FILES.iter().flat_map(|(_, text)| cases(text)).collect();
    for class in record::classes() {
        let alone = |case: &&Case| case.classes.len() == 1 && case.classes.contains(class);
        assert!(all.iter().any(|case| alone(&case)), "{class}");
    }
}

#[test]
fn what_is_in_memory_is_judged_the_same_way() {
    for case in FILES.iter().flat_map(|(_, text)| cases(text)) {
        let Facts { attempts, prepared, orders, replicas, charges, dead, .. } = case.facts.clone();
        let ledger = Ledger { orders, charges, replicas, dead };
        let facts = Facts {
            faults: Vec::new(),
            doubts: Vec::new(),
            poisoned: Vec::new(),
            reads: Vec::new(),
            no_clock: true,
            tokens_until_ns: None,
            network_lines: None,
            notified: false,
            stocked: false,
            shelves: Vec::new(),
            reservations: Vec::new(),
            ..case.facts
        };
        let told = super::judge(&attempts, &ledger, &prepared, !facts.not_waited);
        assert_eq!(told, facts.judge(), "{}", case.name);
    }
}

/// The facts of the first case of this text.
fn facts(text: &str) -> Facts {
    cases(text).remove(0).facts
}

#[test]
fn safety_and_liveness_are_told_apart() {
    let stuck = facts("case\n place k ok pending\n order k pending").judge();
    assert_eq!((stuck.safety, stuck.liveness), (Answer::True, Answer::False));
    let lost = facts("case\n place k ok pending").judge();
    assert_eq!((lost.safety, lost.liveness), (Answer::False, Answer::True));
    let doubt = facts("case\n place k ok paid\n doubt x").judge();
    assert_eq!((doubt.safety, doubt.liveness), (Answer::False, Answer::Unknown));
}

#[test]
fn the_sums_are_those_of_the_facts() {
    let text = "case\n fine z\n fine y\n place a ok declined\n order a declined\n place b unknown
        order b pending\n place c failed\n place d ok pending\n order d pending\n dead d\n prepared p
        order p paid 7\n charge p captured 7\n charge p repeated\n place e dropped\n order z paid";
    let c = facts(text).judge().counts;
    assert_eq!((c.asked, c.acknowledged, c.failed, c.unknown), (7, 5, 1, 1));
    assert_eq!((c.orders, c.paid, c.declined, c.pending, c.dead), (7, 4, 1, 1, 1));
    assert_eq!((c.captures, c.captured_cents, c.paid_cents), (3, 1_007, 1_507));
    assert!(c.closes());
}

#[test]
fn doubts_name_the_line_and_the_number() {
    let reason = |text: &str| facts(text).judge().sentences().join("; ");
    let one = "case\n fine z\n unreadable\n unreadable";
    assert!(reason(one).contains("2 lines cannot be read, first line 2"), "{}", reason(one));
    let back = "case\n fine z\n charge z repeated at=9.0\n charge z repeated at=7.0";
    assert!(reason(back).contains("1 lines are more than 1 s older"), "{}", reason(back));
    assert!(reason(back).contains("first line 3"), "{}", reason(back));
    let open = "case\n place k ok pending\n order k pending\n not-waited";
    assert_eq!(reason(open), "1 orders were still pending and were not waited for");
    assert!(reason("case\n charge k repeated").contains("of 1 keys"));
}

#[test]
fn the_first_48_keys_are_shown_and_all_are_counted() {
    let text: String = (0..60).rev().map(|n| format!(" place k{n:02} ok paid\n")).collect();
    let lost = facts(&format!("case\n{text}")).judge().violations.swap_remove(0);
    assert_eq!((lost.class.as_str(), lost.count, lost.examples.len()), ("lost", 60, 48));
    assert!(lost.examples.iter().enumerate().all(|(n, key)| *key == format!("k{n:02}")));
    let all: String = (0..48).map(|n| format!(" place k{n:02} ok paid\n")).collect();
    let lost = facts(&format!("case\n{all}")).judge().violations.swap_remove(0);
    assert_eq!((lost.count, lost.examples.len()), (48, 48));
}
