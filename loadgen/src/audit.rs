//! What became of every order and every charge: the history held against the ledger.
//!
//! Reads the record only. A client's view has three values (acknowledged, certainly failed,
//! unknown), and so has the verdict: a doubt is never a pass.

use std::collections::{BTreeMap, HashMap};

use crate::history::Attempt;
use crate::ledger::{ChargeRow, Ledger, OrderRow};
use crate::record::{Answer, AuditCounts, Finding, Verdict};

/// Keys shown per class.
const EXAMPLES: usize = 48;

/// The classes of violation, in the order of the table.
const VIOLATIONS: [(&str, &str); 10] = [
    ("lost", "acknowledged, but there is no order"),
    ("duplicated", "more than one order for one key"),
    ("double-charge", "captured more than once for one key"),
    ("orphan-charge", "captured, but the order is not paid"),
    ("paid-without-charge", "paid, but nothing was captured"),
    ("phantom", "an order or a capture that nobody asked for"),
    ("failed-but-happened", "the client was told that nothing happened, but it did"),
    ("wrong-amount", "order or capture differ from the sum that was asked for"),
    ("receipt-mismatch", "the final state differs from the one that was acknowledged"),
    ("stuck", "no final state after the drain"),
];

/// Legal, and worth counting.
const ODDITIES: [(&str, &str); 3] = [
    ("recovered", "the client got no answer, but the order was taken up and finished"),
    ("vanished", "the client got no answer, and nothing happened"),
    ("repeated", "asked of the provider again; answered with the first result"),
];

/// The names of all classes.
pub fn classes() -> impl Iterator<Item = &'static str> {
    VIOLATIONS.iter().chain(&ODDITIES).map(|(class, _)| *class)
}

/// What the customer was told of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Acknowledged,
    Failed,
    Unknown,
}

/// Everything known of one key.
#[derive(Default)]
struct Story<'a> {
    told: Option<Told>,
    /// None for orders of the preparation, whose sums are not in the history.
    amount_cents: Option<i64>,
    receipt: &'a str,
    orders: Vec<&'a OrderRow>,
    captures: Vec<&'a ChargeRow>,
    repeated: u64,
}

/// Judges a record: attempts, ledger, and the keys that the preparation placed (acknowledged).
/// `waited` says whether pending orders had all the time that the scenario grants them; if not, they
/// are a doubt and no violation.
#[must_use]
pub fn judge(attempts: &[Attempt], ledger: &Ledger, prepared: &[String], waited: bool) -> Verdict {
    let stories = stories(attempts, ledger, prepared);
    let mut findings: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (key, story) in &stories {
        story.judge(waited, |class| findings.entry(class).or_default().push(key));
    }
    let violations = table(&VIOLATIONS, &findings);
    let counts = counts(&stories);
    let mut reasons = Vec::new();
    if counts.acknowledged == 0 {
        reasons.push("nothing was acknowledged: there is nothing to judge".to_owned());
    }
    if !waited && counts.pending > 0 {
        reasons
            .push(format!("{} orders were still pending and were not waited for", counts.pending));
    }
    let verdict = if violations.iter().any(|v| v.count > 0) {
        Answer::False
    } else if reasons.is_empty() {
        Answer::True
    } else {
        Answer::Unknown
    };
    Verdict { verdict, reasons, counts, violations, oddities: table(&ODDITIES, &findings) }
}

/// The verdict when the record cannot be read.
#[must_use]
pub fn unreadable(reason: String) -> Verdict {
    Verdict { verdict: Answer::Unknown, reasons: vec![reason], ..Verdict::default() }
}

fn stories<'a>(
    attempts: &'a [Attempt],
    ledger: &'a Ledger,
    prepared: &'a [String],
) -> BTreeMap<&'a str, Story<'a>> {
    let mut stories: HashMap<&str, Story<'_>> = HashMap::new();
    for key in prepared {
        stories.entry(key).or_default().told = Some(Told::Acknowledged);
    }
    for attempt in attempts.iter().filter(|a| a.operation == "place" && a.outcome != "dropped") {
        let story = stories.entry(&attempt.key).or_default();
        story.amount_cents = Some(attempt.amount_cents);
        story.told = Some(match attempt.outcome.as_str() {
            "ok" => Told::Acknowledged,
            "failed" => Told::Failed,
            _ => Told::Unknown,
        });
        story.receipt = &attempt.receipt;
    }
    for order in &ledger.orders {
        stories.entry(&order.key).or_default().orders.push(order);
    }
    for charge in &ledger.charges {
        let story = stories.entry(&charge.key).or_default();
        match charge.event.as_str() {
            "captured" => story.captures.push(charge),
            "repeated" => story.repeated += 1,
            _ => {}
        }
    }
    stories.into_iter().collect()
}

impl Story<'_> {
    fn judge<'s>(&self, waited: bool, mut found: impl FnMut(&'s str)) {
        let pending = self.orders.iter().any(|o| !is_final(o));
        let paid = self.orders.iter().any(|o| o.status == "paid");
        let happened = !self.orders.is_empty() || !self.captures.is_empty();
        let mut when = |condition: bool, class| {
            if condition {
                found(class);
            }
        };
        when(self.told == Some(Told::Acknowledged) && self.orders.is_empty(), "lost");
        when(self.orders.len() > 1, "duplicated");
        when(self.captures.len() > 1, "double-charge");
        when(!self.captures.is_empty() && !paid && (waited || !pending), "orphan-charge");
        when(paid && self.captures.is_empty(), "paid-without-charge");
        when(self.told.is_none() && happened, "phantom");
        when(self.told == Some(Told::Failed) && happened, "failed-but-happened");
        when(self.amounts_differ(), "wrong-amount");
        when(self.receipt_differs(), "receipt-mismatch");
        when(pending && waited, "stuck");
        let unknown = self.told == Some(Told::Unknown);
        when(unknown && self.orders.iter().any(|o| is_final(o)), "recovered");
        when(unknown && !happened, "vanished");
        when(self.repeated > 0, "repeated");
    }

    fn amounts_differ(&self) -> bool {
        let orders = self.orders.iter().map(|o| o.total_cents);
        let mut found = orders.chain(self.captures.iter().map(|c| c.amount_cents));
        let Some(expected) = self.amount_cents.or_else(|| found.next()) else { return false };
        found.any(|cents| cents != expected)
    }

    fn receipt_differs(&self) -> bool {
        matches!(self.receipt, "paid" | "declined")
            && self.orders.iter().any(|o| o.status != self.receipt)
    }
}

fn is_final(order: &OrderRow) -> bool {
    matches!(order.status.as_str(), "paid" | "declined")
}

fn table(classes: &[(&str, &str)], findings: &BTreeMap<&str, Vec<&str>>) -> Vec<Finding> {
    let finding = |(class, meaning): &(&str, &str)| {
        let keys = findings.get(class).map(Vec::as_slice).unwrap_or_default();
        Finding {
            class: (*class).to_owned(),
            meaning: (*meaning).to_owned(),
            count: keys.len() as u64,
            examples: keys.iter().take(EXAMPLES).map(|k| (*k).to_owned()).collect(),
        }
    };
    classes.iter().map(finding).collect()
}

fn counts(stories: &BTreeMap<&str, Story<'_>>) -> AuditCounts {
    let mut counts = AuditCounts::default();
    for story in stories.values() {
        match story.told {
            Some(Told::Acknowledged) => counts.acknowledged += 1,
            Some(Told::Failed) => counts.failed += 1,
            Some(Told::Unknown) => counts.unknown += 1,
            None => {}
        }
        counts.asked += u64::from(story.told.is_some());
        counts.orders += story.orders.len() as u64;
        counts.captures += story.captures.len() as u64;
        counts.captured_cents += story.captures.iter().map(|c| c.amount_cents).sum::<i64>();
        for order in &story.orders {
            match order.status.as_str() {
                "paid" => {
                    counts.paid += 1;
                    counts.paid_cents += order.total_cents;
                }
                "declined" => counts.declined += 1,
                _ => counts.pending += 1,
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(outcome: &str, receipt: &str) -> Attempt {
        Attempt {
            seq: 1,
            key: "k".to_owned(),
            operation: "place".to_owned(),
            customer: 0,
            amount_cents: 500,
            intended_ns: 0,
            sent_ns: 0,
            done_ns: 1,
            outcome: outcome.to_owned(),
            status: 0,
            trouble: String::new(),
            receipt: receipt.to_owned(),
        }
    }

    fn order(status: &str, total_cents: i64) -> OrderRow {
        OrderRow {
            key: "k".to_owned(),
            id: "o".to_owned(),
            status: status.to_owned(),
            total_cents,
            created_at: 0,
            settled_at: None,
            charge_id: None,
        }
    }

    fn charge(event: &str, amount_cents: i64) -> ChargeRow {
        ChargeRow {
            at_us: 0,
            event: event.to_owned(),
            key: "k".to_owned(),
            amount_cents,
            charge_id: None,
        }
    }

    #[track_caller]
    fn check(attempts: &[Attempt], orders: &[OrderRow], charges: &[ChargeRow], expected: &[&str]) {
        let ledger = Ledger { orders: orders.to_vec(), charges: charges.to_vec() };
        let verdict = judge(attempts, &ledger, &["p".to_owned()][..0], true);
        let all = verdict.violations.iter().chain(&verdict.oddities);
        let found: Vec<&str> = all.filter(|f| f.count > 0).map(|f| f.class.as_str()).collect();
        assert_eq!(found, expected);
        let wrong = verdict.violations.iter().any(|f| f.count > 0);
        assert_eq!(verdict.verdict == Answer::False, wrong);
    }

    #[test]
    fn every_class_is_found_and_nothing_else() {
        let (ok, paid) = (attempt("ok", "paid"), [order("paid", 500)]);
        let captured = [charge("captured", 500)];
        let accepted = attempt("ok", "pending");
        let (failed, unknown) = (attempt("failed", ""), attempt("unknown", ""));
        let one = std::slice::from_ref;
        check(one(&ok), &paid, &captured, &[]);
        check(one(&accepted), &paid, &captured, &[]);
        check(
            one(&attempt("ok", "declined")),
            &[order("declined", 500)],
            &[charge("declined", 500)],
            &[],
        );
        check(one(&ok), &[], &[], &["lost"]);
        check(one(&accepted), &[], &[], &["lost"]);
        check(one(&ok), &[paid[0].clone(), paid[0].clone()], &captured, &["duplicated"]);
        check(one(&ok), &paid, &[captured[0].clone(), captured[0].clone()], &["double-charge"]);
        check(one(&unknown), &[], &captured, &["orphan-charge"]);
        check(one(&accepted), &[order("declined", 500)], &captured, &["orphan-charge"]);
        check(one(&ok), &paid, &[], &["paid-without-charge"]);
        check(&[], &paid, &captured, &["phantom"]);
        check(one(&attempt("dropped", "")), &paid, &captured, &["phantom"]);
        check(one(&failed), &paid, &captured, &["failed-but-happened"]);
        check(one(&failed), &[order("declined", 500)], &[], &["failed-but-happened"]);
        check(one(&failed), &[], &[], &[]);
        check(one(&ok), &[order("paid", 501)], &captured, &["wrong-amount"]);
        check(one(&ok), &paid, &[charge("captured", 499)], &["wrong-amount"]);
        check(one(&ok), &[order("declined", 500)], &[], &["receipt-mismatch"]);
        check(one(&accepted), &[order("pending", 500)], &[], &["stuck"]);
        check(one(&unknown), &[order("pending", 500)], &[], &["stuck"]);
        check(one(&unknown), &paid, &captured, &["recovered"]);
        check(one(&unknown), &[], &[], &["vanished"]);
        check(one(&ok), &paid, &[captured[0].clone(), charge("repeated", 500)], &["repeated"]);
    }

    #[test]
    fn nothing_acknowledged_is_unknown_and_the_preparation_is_judged_too() {
        let none = judge(&[attempt("failed", "")], &Ledger::default(), &[], true);
        assert_eq!(none.verdict, Answer::Unknown);
        let prepared = ["p".to_owned()];
        let lost = judge(&[], &Ledger::default(), &prepared, true);
        assert_eq!(lost.verdict, Answer::False);
        assert_eq!(lost.violations[0].examples, prepared);
    }

    #[test]
    fn what_was_not_waited_for_is_a_doubt() {
        let ledger = |status| Ledger {
            orders: vec![order(status, 500)],
            charges: vec![charge("captured", 500)],
        };
        let told = [attempt("ok", "pending")];
        let doubt = judge(&told, &ledger("pending"), &[], false);
        assert_eq!(doubt.verdict, Answer::Unknown);
        assert!(doubt.reasons[0].contains("1 orders were still pending"), "{:?}", doubt.reasons);
        assert_eq!(judge(&told, &ledger("paid"), &[], false).verdict, Answer::True);
        assert_eq!(judge(&told, &ledger("declined"), &[], false).verdict, Answer::False);
    }
}
