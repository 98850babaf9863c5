use std::collections::BTreeMap;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::Figure;

/// Per arm, or arm and phase: a row of blocks for each point.
#[derive(Default)]
struct Table(BTreeMap<String, Vec<Vec<Option<Measured>>>>);

impl Results for Table {
    fn blocks(&self, _: &Claim, _: usize) -> Vec<u32> {
        let longest = self.0.values().flatten().map(Vec::len).max().unwrap_or(0);
        (0..longest as u32).collect()
    }

    fn figure(&self, asked: &Asked<'_>) -> Option<Measured> {
        let cell = match asked.phase {
            Some(phase) => format!("{}@{phase}", asked.arm),
            None => asked.arm.to_owned(),
        };
        *self.0.get(&cell)?.get(asked.point)?.get(asked.block as usize)?
    }
}

impl Table {
    /// One more arm: its values block by block, at one point after the other.
    fn arm(mut self, cell: &str, points: &[&[f64]]) -> Self {
        let measured = |value: &f64| Some(Measured { figure: (*value).into(), of: None });
        let rows = points.iter().map(|row| row.iter().map(measured).collect()).collect();
        self.0.insert(cell.to_owned(), rows);
        self
    }

    /// The same, each of so many arrivals.
    fn of(mut self, n: f64) -> Self {
        self.0.values_mut().flatten().flatten().flatten().for_each(|one| one.of = Some(n));
        self
    }

    /// What the machine leaves open of each value, to either side.
    fn doubt(mut self, by: f64) -> Self {
        for one in self.0.values_mut().flatten().flatten().flatten() {
            let value = one.figure.value;
            one.figure = Figure { value, least: value - by, most: value + by };
        }
        self
    }
}

/// A claim about the arms a and b; `lines` are its expectation, or begin with more of the claim.
fn claim(lines: &str) -> Claim {
    let (head, expect) = lines.split_once("---").unwrap_or(("", lines));
    let text = format!(
        "sentence = \"s\"\nsource = {{ text = \"t\" }}\narms = {{ a = \"x\", b = \"y\" }}\nscenario = \"z\"\n\
         refuted_by = \"r\"\n{head}\n[[expect]]\n{expect}"
    );
    Claim::parse(Path::new("c.toml"), &text).unwrap()
}

fn one(lines: &str, table: &Table) -> Verdict {
    decide(&[claim(lines)], table).verdicts.remove(0)
}

#[track_caller]
fn check(lines: &str, table: &Table, answer: &str, reason: &str) {
    let verdict = one(lines, table);
    let said = format!("{}\n{}", verdict.answer, verdict.reasons.join("\n"));
    assert!(said.starts_with(answer) && said.contains(reason), "{said}");
}

const SHARE: &str = "figure = \"accepted share\"\nphase = \"during\"\nof = \"a\"\n";
const RATIO: &str = "figure = \"accepted p50\"\nof = \"a / b\"\n";

#[test]
fn three_blocks_of_thousands_decide_and_two_do_not() {
    let few = |share: f64| Table::default().arm("a@during", &[&[share; 3]]).of(1_060.0);
    let at_most = format!("{SHARE}at_most = 0.05");
    let text = "accepted share, a during: 0.09 % [0 %, 0.93 %], expected at most 5 %; \
                so in 3 of 3 blocks, by their counts (n = 3180).";
    check(&at_most, &few(0.0009), "holds", text);
    check(&at_most, &few(0.5), "fails", "not so in 3 of 3 blocks");
    check(&at_most, &few(0.045), "undecided", "so in 0 and not so in 0 of 3");
    let two = Table::default().arm("a@during", &[&[0.0; 2]]).of(1_060.0);
    check(&at_most, &two, "undecided", "2 of the 3 blocks that it takes");
    let unlike = Table::default().arm("a@during", &[&[0.0, 0.0, 0.9]]).of(1_060.0);
    check(&at_most, &unlike, "undecided", "so in 2 and not so in 1 of 3");
}

#[test]
fn what_may_have_been_otherwise_counts_for_the_other_side() {
    let table = |by| Table::default().arm("a@during", &[&[0.01; 3]]).of(2_000.0).doubt(by);
    let at_most = format!("{SHARE}at_most = 0.05");
    check(&at_most, &table(0.01), "holds", "");
    check(&at_most, &table(0.05), "undecided", "");
}

#[test]
fn of_shares_the_difference_is_a_fact_too() {
    let table =
        Table::default().arm("a@during", &[&[1.0; 3]]).arm("b@during", &[&[0.14; 3]]).of(1_060.0);
    let lines = "figure = \"accepted share\"\nphase = \"during\"\nof = \"a - b\"\nat_least = 0.5";
    check(lines, &table, "holds", "86 points [81.5 points, 89.3 points]");
}

#[test]
fn one_lost_order_refutes_that_none_is() {
    let lines = "figure = \"lost\"\nof = \"a\"\nat_most = 0";
    check(lines, &Table::default().arm("a", &[&[0.0; 3]]).of(800.0), "holds", "(n = 2400)");
    check(lines, &Table::default().arm("a", &[&[0.0, 1.0]]), "fails", "not so in 1 of 2");
    check(lines, &Table::default().arm("a", &[&[0.0; 2]]), "undecided", "2 of the 3 blocks");
    let exact = "figure = \"dead-lettered\"\nof = \"a\"\nat_least = 3\nat_most = 3";
    check(exact, &Table::default().arm("a", &[&[3.0; 3]]), "holds", "at least 3 and at most 3");
}

const B: [f64; 7] = [20.0, 21.0, 22.0, 23.0, 24.0, 25.0, 26.0];

/// Seven blocks in which a takes so many times as long as b.
fn times(factors: [f64; 7]) -> Table {
    let a: Vec<f64> = B.iter().zip(factors).map(|(b, factor)| b * factor).collect();
    Table::default().arm("a", &[&a]).arm("b", &[&B])
}

#[test]
fn seven_pairs_alike_decide_alone() {
    let at_least = format!("{RATIO}at_least = 1.05");
    let table = times([1.2, 1.3, 1.25, 1.4, 1.22, 1.28, 1.35]);
    let text = "accepted p50, a / b: 1.28 × [1.2 ×, 1.4 ×], expected at least 1.05 ×; 7 of 7 blocks so, p = 0.016.";
    check(&at_least, &table, "holds", text);
    check(&at_least, &times([1.0; 7]), "fails", "7 of 7 blocks not so, p = 0.016");
    check(
        &at_least,
        &times([1.2, 1.3, 1.25, 1.4, 1.22, 1.28, 1.01]),
        "undecided",
        "6 of 7 blocks so, p = 0.12",
    );
    let mut six = times([1.2; 7]);
    six.0.get_mut("a").unwrap()[0][3] = None;
    let text = "6 of the 7 blocks that it takes; 1 block has no value.";
    check(&at_least, &six, "undecided", text);
}

/// A pair counts for a side only with its unfavourable end.
#[test]
fn doubt_is_carried_to_the_verdict() {
    let at_least = format!("{RATIO}at_least = 1.05");
    check(&at_least, &times([1.2; 7]).doubt(0.5), "holds", "[1.15 ×, 1.26 ×]");
    check(&at_least, &times([1.2; 7]).doubt(2.0), "undecided", "");
}

#[test]
fn alike_is_a_verdict_and_not_the_lack_of_one() {
    let within = format!("{RATIO}within = 1.05");
    check(
        &within,
        &times([1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.03]),
        "holds",
        "7 of 7 blocks so, p = 0.0078",
    );
    check(&within, &times([1.0, 1.2, 0.99, 1.02, 0.98, 0.8, 1.03]), "undecided", "");
    check(&within, &times([1.3; 7]), "fails", "7 of 7 blocks not so, p = 0.016");
}

#[test]
fn what_seven_blocks_show_alone_is_not_enough_beside_many_others() {
    let lines = format!("{RATIO}at_least = 1.05");
    let sure = claim(&lines);
    let open = claim("figure = \"completed p50\"\nof = \"a / b\"\nat_least = 1.2");
    struct Both;
    impl Results for Both {
        fn blocks(&self, _: &Claim, _: usize) -> Vec<u32> {
            (0..7).collect()
        }
        fn figure(&self, asked: &Asked<'_>) -> Option<Measured> {
            let is_open = asked.measure.name == "completed p50";
            let factor = if is_open && asked.block.is_multiple_of(2) { 1.1 } else { 1.3 };
            let value = if asked.arm == "a" { factor } else { 1.0 };
            Some(Measured { figure: value.into(), of: None })
        }
    }
    let mut family = vec![sure.clone()];
    family.extend(std::iter::repeat_n(open, 2));
    let decided = decide(&family, &Both);
    assert_eq!(decided.verdicts[0].answer, Answer::Holds, "{:?}", decided.verdicts[0].reasons);
    assert_eq!(decided.correction, Correction::Rate { findings: 3 });
    family.push(family[1].clone());
    let decided = decide(&family, &Both);
    assert_eq!(decided.verdicts[0].answer, Answer::Undecided);
    let reason = &decided.verdicts[0].reasons[0];
    assert!(
        reason.ends_with("7 of 7 blocks so, p = 0.016, beside all others = 0.062."),
        "{reason}"
    );
    assert_eq!(decide(&vec![sure; 30], &Both).verdicts[29].answer, Answer::Holds);
}

const SWEEP: &str = "sweep = { key = \"start\", values = [1, 2, 3] }\n---";

#[test]
fn a_sweep_says_where_it_holds() {
    let lines = format!("{SWEEP}{SHARE}at_least = 0.9");
    let at = |points: [f64; 3]| {
        let rows = points.map(|share| [share; 3]);
        Table::default().arm("a@during", &[&rows[0], &rows[1], &rows[2]]).of(1_000.0)
    };
    check(&lines, &at([1.0, 1.0, 1.0]), "holds\n", "start = 3: accepted share");
    check(&lines, &at([1.0, 0.99, 0.1]), "holds only if start = 1 or start = 2\n", "");
    check(&lines, &at([0.1, 0.1, 0.1]), "fails", "");
    check(&lines, &at([1.0, 0.9, 0.1]), "undecided", "");
}

#[test]
fn the_steps_of_a_map_lie_along_both_sides() {
    let map =
        "sweep = { key = \"x\", values = [1, 2], across = { key = \"y\", values = [3, 4] } }\n---";
    let rule = "figure = \"stuck after trigger\"\nof = \"a\"\ntrend = \"rises\"\nby = 0.9";
    let lines = format!("{map}{rule}");
    let seen = claim(&lines);
    assert_eq!(seen.steps(), [(0, 1), (2, 3), (0, 2), (1, 3)]);
    assert_eq!(seen.point(2).as_deref(), Some("x = 1, y = 4"));
    let at = |points: [f64; 4]| {
        let rows = points.map(|share| [share; 9]);
        Table::default().arm("a", &[&rows[0], &rows[1], &rows[2], &rows[3]])
    };
    // From the end of a row to the beginning of the next one is no step.
    check(&lines, &at([0.0, 1.0, 0.0, 1.0]), "holds", "9 of 9 blocks so");
    check(&lines, &at([0.0, 0.0, 1.0, 1.0]), "holds", "9 of 9 blocks so");
    check(&lines, &at([1.0, 0.0, 0.0, 1.0]), "fails", "");
    let against = lines.replace("0.9", "0.3");
    check(&against, &at([0.0, 1.0, 0.0, 0.5]), "undecided", "the step from point 2 to 4 goes");
    check(&against, &at([0.0, 0.0, 1.0, 0.5]), "undecided", "the step from point 3 to 4 goes");
}

#[test]
fn a_trend_goes_one_way_from_first_to_last() {
    let lines = format!("{SWEEP}{RATIO}trend = \"falls\"\nby = 1.2");
    let at = |points: [f64; 3]| {
        let rows = points.map(|factor| B.map(|b| b * factor));
        Table::default().arm("a", &[&rows[0], &rows[1], &rows[2]]).arm("b", &[&B, &B, &B])
    };
    let text = "0.5 × [0.5 ×, 0.5 ×], expected that it falls by 1.2 times at least; \
                from first to last point 7 of 7 blocks so, p = 0.016";
    check(&lines, &at([2.0, 1.5, 1.0]), "holds", text);
    check(&lines, &at([2.0, 2.1, 1.0]), "holds", "");
    check(
        &lines,
        &at([2.0, 2.5, 1.0]),
        "undecided",
        "but the step from point 1 to 2 goes the other way",
    );
    check(&lines, &at([1.0, 1.0, 1.0]), "fails", "");
    check(&lines, &at([1.0, 1.5, 2.0]), "fails", "");
}

#[test]
fn without_its_control_nothing_is_decided() {
    let lines = format!(
        "control = \"b\"\n---{SHARE}at_most = 0.05\n[[expect]]\nfigure = \"accepted share\"\nphase = \"during\"\nof = \"b\"\nat_least = 0.99"
    );
    let table = |b: f64| {
        Table::default().arm("a@during", &[&[0.0; 3]]).arm("b@during", &[&[b; 3]]).of(1_500.0)
    };
    check(&lines, &table(1.0), "holds", "Control: accepted share, b during");
    check(&lines, &table(0.2), "undecided", "Control: accepted share, b during");
}

#[test]
fn events_are_counted_over_blocks() {
    let lines = "figure = \"stuck after trigger\"\nof = \"a\"\nat_least = 0.5";
    let events = |came: usize, all: usize| {
        let row: Vec<f64> = (0..all).map(|block| f64::from(u8::from(block < came))).collect();
        Table::default().arm("a", &[&row])
    };
    check(lines, &events(30, 30), "holds", "it came in 30 of 30 blocks, p < 0.0001");
    check(lines, &events(0, 30), "fails", "it came in 0 of 30 blocks");
    check(lines, &events(16, 30), "undecided", "it came in 16 of 30 blocks");
    check(lines, &events(3, 3), "undecided", "3 of the 7 blocks");
    let rare = "figure = \"stuck after trigger\"\nof = \"a\"\nat_most = 0.1";
    check(rare, &events(0, 30), "undecided", "it came in 0 of 30 blocks, p = 0.085");
    check(rare, &events(0, 60), "holds", "it came in 0 of 60 blocks, p = 0.0036");
    check(rare, &events(0, 60).doubt(0.6), "undecided", "[0, 1]");
}

#[test]
fn what_cannot_be_decided_here_says_what_it_needs() {
    let verdict =
        one(&format!("needs = \"a balancer\"\n---{RATIO}at_least = 1.05"), &Table::default());
    assert_eq!(verdict.answer.to_string(), "not decidable here: needs a balancer");
    assert!(verdict.findings.is_empty());
}

/// A known nothing and a known difference, beside a claim that counts alone decide.
fn run(same: [f64; 7], slower: [f64; 7]) -> Decision {
    struct Run(Table, Table);
    impl Results for Run {
        fn blocks(&self, _: &Claim, _: usize) -> Vec<u32> {
            (0..7).collect()
        }
        fn figure(&self, asked: &Asked<'_>) -> Option<Measured> {
            match asked.claim.must {
                Some(Must::NotFail) => self.0.figure(asked),
                Some(Must::Hold) => self.1.figure(asked),
                None => Some(Measured { figure: 0.0.into(), of: Some(1_000.0) }),
            }
        }
    }
    let claims = [
        claim(&format!("must = \"not-fail\"\n---{RATIO}within = 1.05")),
        claim(&format!("{SHARE}at_most = 0.05")),
        claim("must = \"hold\"\n---figure = \"accepted p50\"\nof = \"a - b\"\nat_least = 0"),
    ];
    decide(&claims, &Run(times(same), times(slower)))
}

#[test]
fn a_run_whose_controls_are_wrong_decides_nothing() {
    let (alike, two_ms) = ([1.0, 1.01, 0.98, 1.1, 1.02, 0.99, 1.0], [1.08; 7]);
    let right = run(alike, two_ms);
    assert_eq!((right.wrong.len(), right.controls.len(), right.verdicts.len()), (0, 2, 1));
    assert_eq!(right.verdicts[0].answer, Answer::Holds);
    for (wrong, expected) in
        [(run([1.3; 7], two_ms), "c was not nothing"), (run(alike, alike), "c was not found")]
    {
        assert_eq!(wrong.verdicts[0].answer, Answer::Undecided);
        assert!(wrong.verdicts[0].reasons[0].contains(expected), "{:?}", wrong.verdicts[0].reasons);
    }
}

#[test]
fn three_blocks_are_too_few_for_a_control_that_takes_seven_and_wrong_is_none() {
    let control =
        claim("must = \"hold\"\n---figure = \"accepted p50\"\nof = \"a - b\"\nat_least = 0");
    let table = Table::default().arm("a", &[&[22.0; 3]]).arm("b", &[&[20.0; 3]]);
    let decided = decide(&[control], &table);
    assert_eq!((decided.wrong.len(), decided.unjudged.len()), (0, 1));
}

#[test]
fn a_line_about_a_claim_shows_what_decides_it() {
    let lines =
        format!("{SHARE}at_most = 0.05\n[[expect]]\nfigure = \"lost\"\nof = \"b\"\nat_most = 0");
    let table =
        Table::default().arm("a@during", &[&[0.0; 3]]).of(900.0).arm("b", &[&[0.0, 1.0, 0.0]]);
    let verdict = one(&lines, &table);
    assert_eq!(verdict.answer, Answer::Fails);
    assert_eq!(verdict.main().map(|found| found.what.as_str()), Some("lost, b"));
}

/// What a broken record may hold, too.
fn any_figure() -> impl Strategy<Value = Option<Measured>> {
    let any = || {
        select(vec![
            0.0,
            1.0,
            0.5,
            1e-300,
            1e300,
            -1.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            23.0,
        ])
    };
    let measured =
        |(value, least, most, of)| Measured { figure: Figure { value, least, most }, of };
    proptest::option::of((any(), any(), any(), proptest::option::of(any())).prop_map(measured))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_figures_make_it_panic(a in vec(any_figure(), 0..14), b in vec(any_figure(), 0..14)) {
        let rows = |cell: &str, row: &[Option<Measured>]| (cell.to_owned(), vec![row.to_vec(); 3]);
        let table = Table([rows("a", &a), rows("b", &b), rows("a@during", &a)].into());
        let event = "figure = \"stuck after trigger\"\nof = \"a\"\nat_least = 0.5".to_owned();
        let trend = format!("{SWEEP}{RATIO}trend = \"rises\"");
        let ratio = format!("{RATIO}within = 1.05");
        for lines in [format!("{SHARE}at_least = 0.9"), ratio, event, trend] {
            let verdict = one(&lines, &table);
            prop_assert!(verdict.findings.iter().all(|found| found.p.is_none_or(|p| (0.0..=1.0).contains(&p))));
        }
    }
}
