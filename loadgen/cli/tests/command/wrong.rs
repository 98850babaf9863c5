//! Contestants in another language that are wrong in one way each: the audit finds every one in its class,
//! and the honest one raises no alarm.

use std::process::Command;

use record::read::{Run, Trial};
use record::{Answer, Verdict};

use crate::bench::{Bench, root};

const SHOP: &str = "loadgen/cli/tests/command/wrong/shop.py";
const SCENARIO: &str = r#"about = "Orders and looks, for contestants of which most are wrong."
start = 40
stages = [{ duration = "2s", rate = 40 }]
warm_up = "0s"
drain = "3s"
customers = 2
mix = { place = 60, get = 40 }
limits = { timeout = "2s" }
provider = { latency = "constant:20ms", decline_rate = 0.2MODE }
"#;

/// The honest one; every other is named after its way to be wrong.
const HONEST: &str = "honest";

fn system(name: &str) -> String {
    let wrong = if name == HONEST { "" } else { name };
    let shop = root().join(SHOP);
    // Whose name says so is asked for notifications.
    let notifies = name.starts_with("notifies");
    let secret = |variable: &str| match notifies {
        true => format!(", {variable} = \"{{secret:callback}}\""),
        false => String::new(),
    };
    let (sent, received) = (secret("SHOP_CALLBACK"), secret("TRIPTYCH_CALLBACK_SECRET"));
    let stock = match name.starts_with("stocks") {
        true => "stock = \"http://127.0.0.1:{port:shop}/stock\"",
        false => "",
    };
    let callbacks = match notifies {
        true => "callbacks = \"http://127.0.0.1:{port:provider}/callbacks\"",
        false => "",
    };
    format!(
        r#"about = "A shop in another language, in memory: {name}."

[[process]]
name = "provider"
plays = ["provider"]
command = ["provider", "--listen", "127.0.0.1:{{port:provider}}", "--journal", "{{outside}}/provider.jsonl"]
ready = "http://127.0.0.1:{{port:provider}}/readyz"
env = {{ TRIPTYCH_CONTROL_TOKEN = "{{secret:control}}", TRIPTYCH_MERCHANT_TOKEN = "{{secret:merchant}}", TRIPTYCH_NETWORK_SECRET = "{{secret:network}}"{received} }}

[[process]]
name = "shop"
plays = ["auth", "orders", "payments"]
command = ["python3", "{}", "--port", "{{port:shop}}", "--provider", "http://127.0.0.1:{{port:provider}}", "--journal", "{{outside}}/provider.jsonl", "--wrong", "{wrong}"]
ready = "http://127.0.0.1:{{port:shop}}/readyz"
env = {{ SHOP_OPERATOR = "{{secret:operator}}", SHOP_MERCHANT = "{{secret:merchant}}"{sent} }}

[entry]
auth = "http://127.0.0.1:{{port:shop}}"
orders = "http://127.0.0.1:{{port:shop}}"
provider = "http://127.0.0.1:{{port:provider}}"
{callbacks}

[audit]
orders = "http://127.0.0.1:{{port:shop}}/orders"
journal = "{{outside}}/provider.jsonl"
{stock}
"#,
        shop.display()
    )
}

/// What must be found of a contestant.
#[derive(Clone, Copy, Debug)]
enum Found {
    /// Nothing: the verdict is true.
    Nothing,
    /// The verdict is true, and orders are in this legal class.
    Legal(&'static str),
    /// The verdict is false, and orders are in this class.
    Wrong(&'static str),
    /// It cannot be judged, for a reason with this text.
    Doubt(&'static str),
    /// The verdict is false in this class, beside a doubt with this text.
    Both(&'static str, &'static str),
}

/// Runs these contestants under the load, one after the other, and looks what is found of each.
async fn check(mode: &str, contestants: &[(&str, Found)]) {
    if Command::new("python3").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "python3 is missing");
        eprintln!("skipped: python3 is missing");
        return;
    }
    let bench = Bench::new();
    let scenario = bench.file("wrong.toml", &SCENARIO.replace("MODE", mode));
    let mut arguments = vec!["run".to_owned(), scenario];
    for (name, _) in contestants {
        arguments.extend(["-s".to_owned(), bench.file(&format!("{name}.toml"), &system(name))]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = bench.call(&arguments).await;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 3 | 4)), "{output:?}");
    bench.is_deserted();
    let trials = Run::read(&bench.latest()).unwrap().trials;
    for (name, expected) in contestants {
        let trial = trials.iter().find(|trial| trial.manifest.system == *name);
        let trial = trial.unwrap_or_else(|| panic!("no record of {name}: {told}"));
        judge(trial, *expected);
    }
}

#[track_caller]
fn judge(trial: &Trial, expected: Found) {
    let name = &trial.manifest.system;
    let audit = trial.audit.as_ref().unwrap();
    let (verdict, class, reason) = match expected {
        Found::Nothing => (Answer::True, None, None),
        Found::Legal(class) => (Answer::True, Some(class), None),
        Found::Wrong(class) => (Answer::False, Some(class), None),
        Found::Doubt(reason) => (Answer::Unknown, None, Some(reason)),
        Found::Both(class, reason) => (Answer::False, Some(class), Some(reason)),
    };
    let tells = || format!("{name}: {expected:?} expected, but found {}", brief(audit));
    assert_eq!(audit.verdict, verdict, "{}", tells());
    if let Some(class) = class {
        let all = audit.violations.iter().chain(&audit.oddities);
        let met = all.filter(|found| found.class == class).map(|found| found.count).sum::<u64>();
        assert!(met > 0, "{}", tells());
    }
    let said = |reason| audit.sentences().iter().any(|said| said.contains(reason));
    assert!(reason.is_none_or(said), "{}", tells());
    assert_eq!(reason.is_some(), !audit.reasons.is_empty(), "{}", tells());
}

fn brief(audit: &Verdict) -> String {
    let all = audit.violations.iter().chain(&audit.oddities).filter(|found| found.count > 0);
    let found: Vec<String> = all.map(|f| format!("{} {}", f.count, f.class)).collect();
    format!("{:?}: {}; {:?}", audit.verdict, found.join(", "), audit.reasons)
}

#[tokio::test]
async fn who_is_honest_raises_no_alarm() {
    let raw = ", mode = \"raw\"";
    check(
        "",
        &[(HONEST, Found::Nothing), ("errs-but-does", Found::Legal("told-error-then-charged"))],
    )
    .await;
    check(raw, &[(HONEST, Found::Nothing), ("charges-twice", Found::Wrong("double-charge"))]).await;
}

#[tokio::test]
async fn who_decides_alone_is_found() {
    check(
        "",
        &[
            ("charges-nobody", Found::Wrong("paid-without-charge")),
            ("declines-alone", Found::Wrong("decided-by-nobody")),
            ("voids-alone", Found::Wrong("decided-by-nobody")),
            ("tells-early", Found::Wrong("told-before-decided")),
            ("settles-early", Found::Wrong("told-before-decided")),
            ("charges-early", Found::Wrong("charged-before-asked")),
            ("charges-strangers", Found::Wrong("phantom")),
        ],
    )
    .await;
}

#[tokio::test]
async fn who_keeps_wrong_books_is_found() {
    check(
        "",
        &[
            ("loses", Found::Wrong("lost")),
            ("doubles", Found::Wrong("duplicated")),
            ("invents-reference", Found::Wrong("wrong-reference")),
            ("forgets-time", Found::Wrong("final-untimed")),
            ("creates-late", Found::Wrong("created-after-told")),
            ("never-settles", Found::Wrong("stuck")),
            ("huge-sums", Found::Wrong("wrong-amount")),
        ],
    )
    .await;
}

#[tokio::test]
async fn who_tells_customers_something_else_is_found() {
    check(
        "",
        &[
            ("answers-another", Found::Wrong("other-order")),
            ("tells-another-id", Found::Wrong("other-order")),
            ("changes-ids", Found::Wrong("answered-differently")),
            ("refuses-owner", Found::Wrong("refused")),
            ("denies", Found::Wrong("disappeared")),
            ("flips", Found::Wrong("illegal-transition")),
            ("adds-a-cent", Found::Wrong("wrong-amount")),
        ],
    )
    .await;
}

#[tokio::test]
async fn who_does_something_else_than_he_says_is_found() {
    check(
        "",
        &[
            ("charges-a-cent-more", Found::Wrong("wrong-amount")),
            ("fails-but-does", Found::Wrong("failed-but-happened")),
            ("hides-lists", Found::Wrong("misread")),
            ("shows-others", Found::Wrong("misread")),
            ("refuses-all", Found::Doubt("there is nothing to judge")),
        ],
    )
    .await;
}

#[tokio::test]
async fn who_notifies_nobody_or_of_something_else_is_found() {
    check(
        "",
        &[
            ("notifies", Found::Nothing),
            ("notifies-twice", Found::Legal("notified-again")),
            ("notifies-nobody", Found::Wrong("not-notified")),
            ("notifies-early", Found::Wrong("notified-falsely")),
            ("notifies-otherwise", Found::Wrong("notified-falsely")),
        ],
    )
    .await;
}

#[tokio::test]
async fn who_keeps_wrong_stock_is_found() {
    check(
        "",
        &[
            ("stocks", Found::Nothing),
            ("stocks-nothing", Found::Wrong("stock-left")),
            ("stocks-otherwise", Found::Wrong("stock-astray")),
            ("stocks-more", Found::Wrong("stock-leak")),
        ],
    )
    .await;
}

#[tokio::test]
async fn who_touches_the_witness_or_the_judge_is_found() {
    let seal = "do not bear the network's seal";
    check(
        "",
        &[
            ("forges", Found::Both("paid-without-charge", seal)),
            ("tears", Found::Doubt("lines are missing or were moved")),
            ("listing-without-end", Found::Doubt("the listing goes on after")),
            ("page-without-bound", Found::Doubt("with more than 33554432 bytes")),
        ],
    )
    .await;
}

/// Another time it might be better, so it is tried again; what is measured of the others is kept.
#[tokio::test]
async fn who_lets_no_customer_in_ends_no_run() {
    if Command::new("python3").arg("--version").output().is_err() {
        return;
    }
    let bench = Bench::new();
    let scenario = bench.file("wrong.toml", &SCENARIO.replace("MODE", ""));
    let honest = bench.file("honest.toml", &system(HONEST));
    let [shop, provider] =
        ["shop", "provider"].map(|of| format!("auth = \"http://127.0.0.1:{{port:{of}}}\""));
    let shut = bench.file("shut.toml", &system(HONEST).replace(&shop, &provider));
    let run = ["run", &scenario, "--reruns", "1", "-s", &shut, "-s", &honest];
    let output = bench.call(&run).await;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr).replace(['\n', ' '], "");
    assert_eq!(told.matches("couldnotbepreparedfortheload").count(), 2, "{output:?}");
    bench.is_deserted();
    let trials = Run::read(&bench.latest()).unwrap().trials;
    let systems: Vec<&str> = trials.iter().map(|trial| &*trial.manifest.system).collect();
    assert_eq!(systems, [HONEST]);
    let output = bench.call(&["run", &scenario, "--reruns", "0", "-s", &shut]).await;
    assert_eq!(
        output.status.code(),
        Some(1),
        "of a run with nothing else it is the error: {output:?}"
    );
}

/// Every way to be wrong is tried above.
#[test]
fn no_way_to_be_wrong_is_left_out() {
    let Ok(output) =
        Command::new("python3").arg(root().join(SHOP)).args(["--wrong", "list"]).output()
    else {
        return;
    };
    let told = String::from_utf8(output.stdout).unwrap();
    let ways: Vec<&str> = told.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(ways.len() >= 25, "{told}");
    let source = include_str!("wrong.rs");
    for way in ways {
        assert!(source.contains(&format!("(\"{way}\", Found::")), "{way} is never tried");
    }
}
