//! The same verdict by plain, slow means: for each key, look at every fact again. Written from the
//! table of classes and not from the audit's code, so that an error must be made twice.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::cases::{Facts, Found, charge, dead, found, order, reserved};
use record::ledger::{ChargeRow, FORGED, OrderRow, ReservationRow, ShelfRow};
use record::reads::{How, ReadRow};
use record::{Answer, Attempt, FaultRow, Operation, Outcome, Receipt, Trouble};

const LEGAL: [&str; 10] = [
    "told-error-then-charged",
    "told-error-then-declined",
    "recovered",
    "vanished",
    "repeated",
    "indeterminate",
    "dead-but-done",
    "poisoned",
    "notified-again",
    "taken-back",
];
/// What two readings of clocks may be apart, where nobody says: a millisecond.
const WITHIN_US: i64 = 1_000;

/// The verdict, and the keys of each class.
pub(super) fn judge(facts: &Facts) -> (Answer, Found) {
    let mut all = Found::new();
    for key in keys(facts) {
        for class in classes(&Known::of(facts, &key)) {
            all.entry(class.to_owned()).or_default().insert(key.clone());
        }
    }
    for sku in leaks(facts) {
        all.entry("stock-leak".to_owned()).or_default().insert(sku);
    }
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
    keys.extend(lines(facts).map(|row| row.key.clone()));
    keys.extend(facts.dead.iter().map(|row| row.key.clone()));
    keys.extend(facts.reads.iter().flat_map(|row| [row.about.clone(), row.key.clone()]));
    keys.extend(facts.reservations.iter().map(|row| row.key.clone()));
    keys.remove("");
    keys
}

/// The journal's lines that the network wrote.
fn lines(facts: &Facts) -> impl Iterator<Item = &ChargeRow> {
    let known = [
        "captured",
        "declined",
        "voided",
        "repeated",
        "error",
        "notified-paid",
        "notified-declined",
    ];
    facts.charges.iter().filter(move |row| known.contains(&row.event.as_str()))
}

fn in_cut(facts: &Facts, a: &Attempt) -> bool {
    let done_s = a.done_ns as f64 / 1e9;
    facts.faults.iter().any(|fault| {
        fault.kind == "power-cut"
            && fault.effective_s.is_some()
            && done_s >= fault.commanded_s
            && fault.healed_s.is_some_and(|healed_s| done_s <= healed_s)
    })
}

fn is_final(status: &str) -> bool {
    status == "paid" || status == "declined"
}

/// All facts about one key.
struct Known<'a> {
    facts: &'a Facts,
    key: &'a str,
    /// The attempts to place it that were sent.
    placed: Vec<&'a Attempt>,
    acknowledgements: Vec<&'a Attempt>,
    /// The look-ups that prove something.
    looks: Vec<&'a Attempt>,
    shown: Vec<&'a Attempt>,
    orders: Vec<&'a OrderRow>,
    lines: Vec<&'a ChargeRow>,
    captures: Vec<&'a ChargeRow>,
    dead: bool,
    is_prepared: bool,
}

impl<'a> Known<'a> {
    fn of(facts: &'a Facts, key: &'a str) -> Self {
        let attempts = || facts.attempts.iter().filter(|a| a.outcome != Outcome::Dropped);
        let placed: Vec<_> =
            attempts().filter(|a| a.operation == Operation::Place && a.key == key).collect();
        let sure = |a: &&&Attempt| !in_cut(facts, a);
        let of_known = [Operation::Get, Operation::Cancel];
        // Who knows no cancellations says nothing of the order.
        let unknown =
            |a: &&Attempt| a.operation == Operation::Cancel && [404, 410].contains(&a.status);
        let looked = attempts()
            .filter(|a| of_known.contains(&a.operation) && a.about == key)
            .filter(|a| !unknown(a));
        let looks: Vec<_> = looked.filter(|a| sure(&a)).collect();
        let is_shown = |a: &&&Attempt| a.outcome == Outcome::Ok && a.receipt != Receipt::None;
        let lines: Vec<_> = lines(facts).filter(|row| row.key == key).collect();
        Self {
            facts,
            key,
            acknowledgements: placed
                .iter()
                .filter(|a| a.outcome == Outcome::Ok)
                .filter(sure)
                .copied()
                .collect(),
            shown: looks.iter().filter(is_shown).copied().collect(),
            placed,
            looks,
            orders: facts.orders.iter().filter(|row| row.key == key).collect(),
            captures: lines.iter().filter(|row| row.event == "captured").copied().collect(),
            lines,
            dead: facts.dead.iter().any(|row| row.key == key),
            is_prepared: facts.prepared.iter().any(|p| p == key),
        }
    }

    /// acknowledged, failed, unknown; empty if it was never asked for.
    fn told(&self) -> &'static str {
        if self.is_prepared || !self.acknowledgements.is_empty() {
            "acknowledged"
        } else if self.placed.is_empty() {
            ""
        } else if self.placed.iter().all(|a| a.outcome == Outcome::Failed) {
            "failed"
        } else {
            "unknown"
        }
    }

    /// What customers were told of it, and believe.
    fn observed(&self) -> Vec<&'a Attempt> {
        [&self.acknowledgements[..], &self.shown].concat()
    }

    fn is_known(&self) -> bool {
        self.told() == "acknowledged" || !self.shown.is_empty()
    }

    fn happened(&self) -> bool {
        !self.orders.is_empty() || !self.captures.is_empty() || self.dead
    }

    fn has(&self, status: &str) -> bool {
        self.orders.iter().any(|row| row.status == status)
    }

    fn is_open(&self) -> bool {
        self.orders.iter().any(|row| !is_final(&row.status))
    }
}

fn classes(k: &Known<'_>) -> Vec<&'static str> {
    let parts = [of_orders(k), of_money(k), of_answers(k), of_instants(k), of_ends(k)];
    parts.into_iter().chain([of_notices(k), of_stock(k), of_silence(k)]).flatten().collect()
}

/// The classes whose conditions hold.
fn held(classes: &[(bool, &'static str)]) -> Vec<&'static str> {
    classes.iter().filter(|(holds, _)| *holds).map(|(_, class)| *class).collect()
}

fn of_orders(k: &Known<'_>) -> Vec<&'static str> {
    let untimed = |row: &&OrderRow| is_final(&row.status) != row.settled_at.is_some();
    let listed = k.facts.reads.iter().any(|row| row.how == How::List && row.key == k.key);
    let traced = k.happened() || !k.lines.is_empty() || listed;
    held(&[
        (k.is_known() && k.orders.is_empty(), "lost"),
        (k.orders.len() >= 2, "duplicated"),
        (k.told().is_empty() && traced, "phantom"),
        (k.told() == "failed" && k.happened(), "failed-but-happened"),
        (diverges(k), "diverged"),
        (k.orders.iter().any(untimed), "final-untimed"),
        (is_misread(k), "misread"),
    ])
}

fn of_money(k: &Known<'_>) -> Vec<&'static str> {
    let (paid, captured) = (k.has("paid"), !k.captures.is_empty());
    let over = !k.facts.not_waited || !k.is_open() || k.dead;
    let whole = is_whole(k.facts);
    let declined = k.has("declined") || k.observed().iter().any(|a| a.receipt == Receipt::Declined);
    let never = !k.lines.iter().any(|row| is_decline(row));
    let is_capture_of = |id: &Option<String>| k.captures.iter().any(|row| row.charge_id == *id);
    let strange = |row: &&OrderRow| row.status == "paid" && !is_capture_of(&row.charge_id);
    let first_decline = k.lines.iter().position(|row| is_decline(row));
    let last_capture = k.lines.iter().rposition(|row| row.event == "captured");
    let after = first_decline.zip(last_capture).is_some_and(|(decline, capture)| decline < capture);
    held(&[
        (k.captures.len() >= 2, "double-charge"),
        (captured && !paid && over, "orphan-charge"),
        (paid && !captured && whole, "paid-without-charge"),
        ((declined && never && whole && !refused(k)) || is_voided_unasked(k), "decided-by-nobody"),
        (after, "charged-after-decline"),
        (captured && whole && k.orders.iter().any(strange), "wrong-reference"),
        (has_wrong_amount(k), "wrong-amount"),
    ])
}

/// Whether it was voided, and nobody asked for that.
fn is_voided_unasked(k: &Known<'_>) -> bool {
    let asked = |a: &Attempt| {
        a.operation == Operation::Cancel && a.outcome != Outcome::Dropped && a.about == k.key
    };
    k.lines.iter().any(|row| row.event == "voided") && !k.facts.attempts.iter().any(asked)
}

fn is_capture(row: &ChargeRow) -> bool {
    row.event == "captured"
}

fn is_decline(row: &ChargeRow) -> bool {
    row.event == "declined" || row.event == "voided"
}

fn of_answers(k: &Known<'_>) -> Vec<&'static str> {
    let contradicts = |a: &&Attempt| {
        let told = a.receipt.as_str();
        is_final(told) && k.orders.iter().any(|row| row.status != told)
    };
    let observed = k.observed();
    let named: BTreeSet<&str> =
        observed.iter().map(|a| a.order.as_str()).filter(|id| !id.is_empty()).collect();
    let strange = |id: &&str| !k.orders.is_empty() && k.orders.iter().all(|row| row.id != *id);
    let other = |a: &&Attempt| a.trouble == Trouble::OtherOrder && !in_cut(k.facts, a);
    let other = k.placed.iter().any(other) || k.looks.iter().any(other);
    let good = |a: &Attempt| k.facts.tokens_until_ns.is_some_and(|until| a.done_ns < until);
    let barred = |a: &&Attempt| {
        a.outcome != Outcome::Ok && (a.status == 403 || (a.status == 401 && good(a)))
    };
    held(&[
        (k.acknowledgements.iter().any(contradicts), "receipt-mismatch"),
        (k.shown.iter().any(contradicts) || goes_back(&observed), "illegal-transition"),
        (disappears(k), "disappeared"),
        (other || (named.len() == 1 && named.iter().any(strange)), "other-order"),
        (named.len() >= 2, "answered-differently"),
        (k.looks.iter().any(barred), "refused"),
    ])
}

fn of_instants(k: &Known<'_>) -> Vec<&'static str> {
    // Second 0 is 0 on the wall, unless nobody knows.
    let wall = |ns: u64| (!k.facts.no_clock).then_some((ns / 1_000) as i64);
    let before = |one: i64, other: i64| one + WITHIN_US < other;
    let early = |state: &str, decides: fn(&ChargeRow) -> bool| {
        let decided = k.lines.iter().filter(|row| decides(row)).map(|row| row.at_us).min();
        let told = k.observed().into_iter().filter(|a| a.receipt.as_str() == state);
        let settled = k.orders.iter().filter(|row| row.status == state);
        let mut at =
            told.filter_map(|a| wall(a.done_ns)).chain(settled.filter_map(|row| row.settled_at));
        decided.is_some_and(|decided| at.any(|at| before(at, decided)))
    };
    let asked = k.placed.iter().map(|a| a.sent_ns).min().filter(|_| !k.is_prepared).and_then(wall);
    let unasked = asked.is_some_and(|asked| k.lines.iter().any(|row| before(row.at_us, asked)));
    let mut known: Vec<u64> = k.observed().iter().map(|a| a.done_ns).collect();
    known.extend(k.is_prepared.then_some(0));
    let known = known.into_iter().min().and_then(wall);
    let late = known.is_some_and(|known| k.orders.iter().any(|row| before(known, row.created_at)));
    held(&[
        (early("paid", is_capture) || early("declined", is_decline), "told-before-decided"),
        (unasked, "charged-before-asked"),
        (late, "created-after-told"),
    ])
}

fn of_ends(k: &Known<'_>) -> Vec<&'static str> {
    let placed_so =
        k.facts.attempts.iter().any(|a| a.operation == Operation::Place && a.key == k.key);
    let poisoned = k.facts.poisoned.iter().any(|p| p == k.key);
    let excused = placed_so && poisoned && k.captures.is_empty();
    let stuck = k.is_open() && !k.facts.not_waited && !k.dead;
    let given_up = k.dead && (k.is_open() || k.orders.is_empty());
    let in_time = |a: &&Attempt| a.outcome == Outcome::Ok && in_cut(k.facts, a);
    held(&[
        (stuck && !excused, "stuck"),
        (given_up && !excused, "dead-lettered"),
        (excused && (stuck || given_up), "poisoned"),
        (k.dead && !given_up, "dead-but-done"),
        (k.lines.iter().any(|row| row.event == "repeated"), "repeated"),
        (k.captures.is_empty() && k.lines.iter().any(|row| row.event == "voided"), "taken-back"),
        (k.placed.iter().any(in_time), "indeterminate"),
    ])
}

/// Articles of which shelf and reservations differ, or more is gone than there was.
fn leaks(facts: &Facts) -> BTreeSet<String> {
    let mut skus: BTreeSet<String> = facts.shelves.iter().map(|row| row.sku.clone()).collect();
    skus.extend(facts.reservations.iter().map(|row| row.sku.clone()));
    let reserved = |sku: &str, state: &str| -> i64 {
        let rows = facts.reservations.iter().filter(|row| row.sku == sku && row.state == state);
        rows.map(|row| row.quantity).sum()
    };
    skus.retain(|sku| {
        let shelf = facts.shelves.iter().filter(|row| row.sku == *sku);
        let said = shelf.fold([0; 3], |[held, sold, released], row| {
            [held + row.held, sold + row.sold, released + row.released]
        });
        let differ = said != ["held", "sold", "released"].map(|state| reserved(sku, state));
        let over = |row: &ShelfRow| row.stock.is_some_and(|stock| row.held + row.sold > stock);
        let oversold = facts.shelves.iter().any(|row| row.sku == *sku && over(row));
        facts.stocked && (differ || oversold)
    });
    skus
}

fn reservations(k: &Known<'_>, state: &str) -> usize {
    let rows = k.facts.reservations.iter().filter(|row| row.key == k.key);
    rows.filter(|row| row.state == state).count()
}

fn leaves_stock(k: &Known<'_>) -> bool {
    let over = ["sold", "released", "lacking"].iter().map(|state| reservations(k, state));
    let over = over.sum::<usize>();
    !k.orders.is_empty() && !k.is_open() && (reservations(k, "held") > 0 || over == 0)
}

/// Whether something that it needs was not there.
fn refused(k: &Known<'_>) -> bool {
    k.facts.stocked && reservations(k, "lacking") > 0
}

fn has_had(k: &Known<'_>) -> bool {
    ["held", "sold", "released"].iter().any(|state| reservations(k, state) > 0)
}

fn of_stock(k: &Known<'_>) -> Vec<&'static str> {
    if !k.facts.stocked {
        return Vec::new();
    }
    let any = k.facts.reservations.iter().any(|row| row.key == k.key);
    let astray = (reservations(k, "sold") > 0 && !k.has("paid"))
        || (reservations(k, "released") > 0 && !k.has("declined"))
        || (refused(k) && (k.has("paid") || has_had(k)))
        || (any && k.orders.is_empty());
    held(&[(astray, "stock-astray"), (leaves_stock(k) && !k.facts.not_waited, "stock-left")])
}

fn of_notices(k: &Known<'_>) -> Vec<&'static str> {
    let of = |event: &str| k.lines.iter().filter(|row| row.event == event).collect::<Vec<_>>();
    let told = [("paid", of("notified-paid")), ("declined", of("notified-declined"))];
    let falsely = told.iter().any(|(state, notices)| {
        let orders: Vec<_> = k.orders.iter().filter(|row| row.status == *state).collect();
        let settled = orders.iter().filter_map(|row| row.settled_at).min();
        let early = |at_us: i64| settled.is_some_and(|settled| at_us + WITHIN_US < settled);
        notices.iter().any(|row| orders.is_empty() || early(row.at_us))
    });
    let count: usize = told.iter().map(|(_, notices)| notices.len()).sum();
    let asked = k.facts.notified && !k.facts.not_waited && is_whole(k.facts);
    held(&[
        (asked && !k.orders.is_empty() && !k.is_open() && count == 0, "not-notified"),
        (falsely, "notified-falsely"),
        (count >= 2, "notified-again"),
    ])
}

fn of_silence(k: &Known<'_>) -> Vec<&'static str> {
    if k.told() != "unknown" {
        return Vec::new();
    }
    let error = k.placed.iter().any(|a| a.outcome == Outcome::Unknown && a.status >= 400);
    let charged = !k.captures.is_empty();
    let ended = k.has("paid") || k.has("declined");
    held(&[
        (error && charged, "told-error-then-charged"),
        (error && !charged && k.has("declined"), "told-error-then-declined"),
        (!error && ended, "recovered"),
        (!k.happened() && !k.is_known(), "vanished"),
    ])
}

/// Of several attempts those with the strongest answers say what was asked for.
fn has_wrong_amount(k: &Known<'_>) -> bool {
    let orders = k.orders.iter().map(|row| row.total_cents);
    let captures = k.captures.iter().map(|row| row.amount_cents);
    let notices = k.lines.iter().filter(|row| row.event.starts_with("notified"));
    let captures = captures.chain(notices.map(|row| row.amount_cents));
    let told = k.observed();
    let met: Vec<i64> =
        orders.chain(captures).chain(told.iter().filter_map(|a| a.amount)).collect();
    let maybe = |a: &&&Attempt| a.outcome != Outcome::Failed;
    let possible: Vec<&Attempt> = k.placed.iter().filter(maybe).copied().collect();
    let asked = match (k.acknowledgements.is_empty(), possible.is_empty()) {
        (false, _) => &k.acknowledgements,
        // An acknowledgement of the preparation is stronger, and its sum is not known.
        _ if k.is_prepared => &Vec::new(),
        (true, false) => &possible,
        (true, true) => &k.placed,
    };
    let all: Vec<i64> = met.iter().copied().chain(asked.iter().map(|a| a.amount_cents)).collect();
    !met.is_empty() && all.iter().any(|cents| *cents != all[0])
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

fn disappears(k: &Known<'_>) -> bool {
    let missing = |a: &&&Attempt| a.outcome != Outcome::Ok && [404, 410].contains(&a.status);
    k.looks.iter().filter(missing).any(|absent| {
        let prepared = k.is_prepared && absent.sent_ns > 0;
        prepared || k.observed().iter().any(|seen| absent.sent_ns > seen.done_ns)
    })
}

fn diverges(k: &Known<'_>) -> bool {
    let sorted = |mut rows: Vec<&OrderRow>| {
        rows.sort_by_key(|row| format!("{row:?}"));
        rows.into_iter().cloned().collect::<Vec<_>>()
    };
    let first = sorted(k.orders.clone());
    let listings: Vec<Vec<OrderRow>> = k
        .facts
        .replicas
        .iter()
        .map(|rows| sorted(rows.iter().filter(|row| row.key == k.key).collect()))
        .collect();
    let open = listings.iter().flatten().chain(&first).any(|row| !is_final(&row.status));
    listings.iter().any(|rows| *rows != first) && (!k.facts.not_waited || !open)
}

/// Who asked for it; of several, whoever did so last.
fn customer(k: &Known<'_>) -> Option<u32> {
    let prepared = k.facts.prepared.iter().rposition(|p| p == k.key).map(|n| n as u32);
    k.placed.last().map(|a| a.customer).or(prepared)
}

fn is_misread(k: &Known<'_>) -> bool {
    let comparable = k.orders.len() <= 1 && !k.is_open();
    let own = customer(k);
    let reads: Vec<&ReadRow> = k
        .facts
        .reads
        .iter()
        .filter(|row| match row.how {
            How::Get => row.about == k.key,
            How::List => row.status == 200 && row.key == k.key,
            How::End => false,
        })
        .collect();
    let wrong = |row: &&ReadRow| match row.status {
        200 => {
            let differs = k.orders.iter().all(|order| **order != row.order());
            own != Some(row.customer) || (comparable && differs)
        }
        status => [401, 403, 404, 410].contains(&status),
    };
    let listed = reads.iter().filter(|row| row.how == How::List).count();
    let ends = |row: &ReadRow| row.how == How::End && own == Some(row.customer);
    let short = k.facts.reads.iter().any(ends) && listed != k.orders.len();
    short || reads.iter().any(wrong)
}

/// Whether the journal has all of its lines, as far as can be known.
fn is_whole(facts: &Facts) -> bool {
    let numbers: Vec<u64> = lines(facts).filter_map(|row| row.n).collect();
    let follows = (1..).zip(&numbers).all(|(n, number)| n == *number);
    let enough = facts.network_lines.is_none_or(|n| n <= numbers.last().copied().unwrap_or(0));
    follows && enough && facts.charges.iter().all(|row| row.event != "unreadable")
}

fn is_doubtful(facts: &Facts) -> bool {
    let all = keys(facts);
    let of = |key: &str, event: &str| lines(facts).any(|row| row.key == key && row.event == event);
    let unfounded = |key: &String| {
        of(key, "repeated") && !of(key, "captured") && !of(key, "declined") && !of(key, "voided")
    };
    let left = |key: &String| {
        let dead = facts.dead.iter().any(|row| row.key == *key);
        !dead && facts.orders.iter().any(|row| row.key == *key && !is_final(&row.status))
    };
    // Neither the preparation nor poison is the load.
    let accepted = |key: &String| {
        let apart = facts.prepared.contains(key) || facts.poisoned.contains(key);
        !apart && !Known::of(facts, key).acknowledgements.is_empty()
    };
    let unread = |row: &ReadRow| match row.how {
        How::Get => ![200, 401, 403, 404, 410].contains(&row.status),
        How::List => row.status != 200,
        How::End => false,
    };
    let unnotified = |key: &String| {
        let known = Known::of(facts, key);
        let notified = known.lines.iter().any(|row| row.event.starts_with("notified"));
        facts.notified && !known.orders.is_empty() && !known.is_open() && !notified
    };
    let left_stock = |key: &String| leaves_stock(&Known::of(facts, key));
    !facts.doubts.is_empty()
        || (facts.not_waited && all.iter().any(unnotified))
        || (facts.not_waited && facts.stocked && all.iter().any(left_stock))
        || !all.iter().any(accepted)
        || (facts.not_waited && all.iter().any(left))
        || all.iter().any(unfounded)
        || facts.reads.iter().any(unread)
        || !is_whole(facts)
        || lines(facts).count() < facts.charges.len()
        || contradicts_itself(&lines(facts).cloned().collect::<Vec<_>>())
}

fn contradicts_itself(lines: &[ChargeRow]) -> bool {
    let pair = |first: &ChargeRow, second: &ChargeRow| {
        let twice = first.event == "captured"
            && second.event == "captured"
            && first.charge_id.is_some()
            && first.charge_id == second.charge_id;
        twice || first.at_us - second.at_us > 1_000_000
    };
    lines.iter().enumerate().any(|(n, second)| lines[..n].iter().any(|first| pair(first, second)))
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(ToOwned::to_owned)
}

fn word(words: &[&'static str]) -> impl Strategy<Value = &'static str> + use<> {
    prop::sample::select(words.to_vec())
}

fn attempts() -> impl Strategy<Value = Attempt> {
    use Outcome::{Dropped, Failed, Ok, Unfinished, Unknown};
    use Receipt::{Declined, Paid, Pending};
    let outcome = prop::sample::select(vec![Ok, Ok, Ok, Failed, Unknown, Unfinished, Dropped]);
    let receipt = prop::sample::select(vec![Paid, Paid, Pending, Declined]);
    let status = prop::sample::select(vec![404_u16, 404, 410, 401, 403, 503, 0]);
    let times = (0_u64..8, 0_u64..3);
    let sums = (word(&["500", "500", "500", "7"]), word(&["", "500", "500", "7"]));
    let trouble = [Trouble::None, Trouble::None, Trouble::None, Trouble::OtherOrder];
    let names = (word(&["", "o", "o", "x"]), prop::sample::select(trouble.to_vec()), 0_u32..2);
    (key(), any::<bool>(), outcome, receipt, status, times, sums, names).prop_map(
        |(key, placed, outcome, receipt, status, (sent, lasts), (asked, told), names)| Attempt {
            seq: 1,
            key: if placed { key.clone() } else { String::new() },
            operation: match (placed, sent % 2) {
                (true, _) => Operation::Place,
                (false, 0) => Operation::Get,
                (false, _) => Operation::Cancel,
            },
            customer: names.2,
            amount_cents: asked.parse().unwrap(),
            sent_ns: sent * 1_000_000_000,
            done_ns: (sent + lasts) * 1_000_000_000,
            outcome,
            status: if outcome == Ok { 200 } else { status },
            trouble: if outcome == Unknown { names.1 } else { Trouble::None },
            receipt: if outcome == Ok { receipt } else { Receipt::None },
            about: if placed { String::new() } else { key },
            order: if outcome == Ok { names.0 } else { "" }.to_owned(),
            amount: told.parse().ok().filter(|_| outcome == Ok),
            ..Attempt::default()
        },
    )
}

fn rows() -> impl Strategy<Value = OrderRow> {
    let status = word(&["paid", "paid", "paid", "declined", "pending"]);
    let more = [
        word(&["500", "500", "500", "7"]).boxed(),
        word(&["id=o", "id=o", "id=x"]).boxed(),
        word(&["charge=1", "charge=1", "charge=2"]).boxed(),
        word(&["created=0", "created=0", "created=3"]).boxed(),
    ];
    let settled = word(&["", "", "", "settled=-", "settled=0", "settled=1", "settled=9"]);
    (key(), status, more, settled).prop_map(|(key, status, more, settled)| {
        let settled = (!settled.is_empty()).then_some(settled);
        order(&key, status, &more.into_iter().chain(settled).collect::<Vec<_>>())
    })
}

fn journal() -> impl Strategy<Value = Vec<ChargeRow>> {
    let event = word(&[
        "captured",
        "captured",
        "captured",
        "captured",
        "declined",
        "declined",
        "voided",
        "repeated",
        "error",
        "unreadable",
        FORGED,
        "refunded",
        "notified-paid",
        "notified-paid",
        "notified-declined",
    ]);
    let cents = word(&["500", "500", "500", "7"]);
    let id = word(&["id=1", "id=1", "id=2", "id=3", "id=4", "id=5"]);
    let at = word(&["at=0", "at=0", "at=0", "at=1", "at=2"]);
    let line = (key(), event, cents, id, at).prop_map(|(key, event, cents, id, at)| {
        let key = if event == "unreadable" { "" } else { &key };
        charge(key, event, &[cents, id, at])
    });
    // Mostly numbered as they must be, or not at all.
    (prop::collection::vec(line, 0..4), 0_u8..4, 1_u64..4).prop_map(|(mut lines, how, first)| {
        for (n, line) in (if how == 0 { first } else { 1 }..).zip(&mut lines) {
            line.n = (how < 3).then_some(n);
        }
        lines
    })
}

fn reads() -> impl Strategy<Value = ReadRow> {
    let how = prop::sample::select(vec![How::Get, How::Get, How::List, How::List, How::End]);
    let status = prop::sample::select(vec![200_u16, 200, 200, 404, 403, 503]);
    (0_u32..2, how, status, key(), rows()).prop_map(|(customer, how, status, about, row)| {
        let shown = (status == 200 && how != How::End).then_some(row);
        let status = if how == How::End { 200 } else { status };
        let about = if how == How::Get { about } else { String::new() };
        ReadRow::new(customer, how, status, &about, shown)
    })
}

fn cuts() -> impl Strategy<Value = FaultRow> {
    let healed = prop::option::weighted(0.8, 0_u32..3);
    (word(&["power-cut", "power-cut", "kill"]), 0_u32..8, healed, any::<bool>()).prop_map(
        |(kind, from, lasts, seen)| FaultRow {
            kind: kind.to_owned(),
            commanded_s: f64::from(from),
            effective_s: seen.then_some(f64::from(from)),
            healed_s: lasts.map(|lasts| f64::from(from + lasts)),
            ..FaultRow::default()
        },
    )
}

/// Whether there is an inventory, and what it says: often the same of articles as of orders.
fn stock() -> impl Strategy<Value = (bool, Vec<ReservationRow>, Vec<ShelfRow>)> {
    let state = word(&["held", "sold", "sold", "sold", "released", "lacking"]);
    let row = (key(), state, word(&["tea", "cup"]), 1_i64..3)
        .prop_map(|(key, state, sku, quantity)| reserved(&key, state, sku, quantity));
    let rows = prop::collection::vec(row, 0..4);
    let count = || 0_i64..3;
    let shelf = (word(&["tea", "cup"]), count(), count(), count(), prop::option::of(0_i64..5));
    let shelf = shelf.prop_map(|(sku, held, sold, released, stock)| ShelfRow {
        sku: sku.to_owned(),
        held,
        sold,
        released,
        stock,
    });
    let shelves = prop::collection::vec(shelf, 0..3);
    (any::<bool>(), rows, shelves, any::<bool>()).prop_map(|(stocked, rows, shelves, honest)| {
        let of = |row: &ReservationRow| {
            let n = |state: &str| if row.state == state { row.quantity } else { 0 };
            let (held, sold, released) = (n("held"), n("sold"), n("released"));
            ShelfRow { sku: row.sku.clone(), held, sold, released, stock: None }
        };
        let shelves = if honest { rows.iter().map(of).collect() } else { shelves };
        (stocked, rows, shelves)
    })
}

prop_compose! {
    fn histories()(
        attempts in prop::collection::vec(attempts(), 0..6),
        prepared in prop::collection::vec(key(), 0..2),
        poisoned in prop::collection::vec(key(), 0..2),
        orders in prop::collection::vec(rows(), 0..4),
        copies in prop::collection::vec(prop::option::of(prop::collection::vec(rows(), 0..3)), 0..3),
        charges in journal(),
        letters in prop::collection::vec(key(), 0..2),
        reads in prop::collection::vec(reads(), 0..3),
        honest in any::<bool>(),
        faults in prop::collection::vec(cuts(), 0..2),
        network_lines in prop::option::weighted(0.3, 0_u64..4),
        (tokens_until_s, (stocked, reservations, shelves)) in (prop::option::of(0_u64..8), stock()),
        (not_waited, no_clock, notified, doubt) in (any::<bool>(), any::<bool>(), any::<bool>(), 0_u8..8),
    ) -> Facts {
        // A replica is often the same as the first, and what is read the same as the ledger.
        let replicas = copies.into_iter().map(|copy| copy.unwrap_or_else(|| orders.clone())).collect();
        let told = |mut row: ReadRow| {
            if let Some(order) = orders.first().filter(|_| honest && row.status == 200) {
                row = ReadRow::new(row.customer, row.how, 200, &row.about, Some(order.clone()));
            }
            row
        };
        let reads = reads.into_iter().map(told).collect();
        let dead = letters.iter().map(|key| dead(key)).collect();
        let doubts = if doubt == 0 { vec!["a doubt".to_owned()] } else { Vec::new() };
        let tokens_until_ns = tokens_until_s.map(|s| s * 1_000_000_000);
        Facts {
            attempts,
            prepared,
            poisoned,
            orders,
            replicas,
            charges,
            dead,
            reads,
            faults,
            not_waited,
            no_clock,
            tokens_until_ns,
            network_lines,
            notified,
            stocked,
            shelves,
            reservations,
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
        // Whoever asked last is whose it is: keys are not shared.
        turned.attempts.iter_mut().for_each(|a| a.customer = 0);
        let facts = turned.clone();
        turned.attempts.reverse();
        turned.orders.reverse();
        turned.dead.reverse();
        turned.reads.reverse();
        prop_assert_eq!(found(&turned.judge()), found(&facts.judge()));
    }
}
