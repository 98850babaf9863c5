use proptest::prelude::*;

use super::*;

const GOOD: &str = r#"sentence = "A surge in orders reaches payments."
source = { text = "someone, 2026" }
arms = { sync = "microservices-sync", async = { system = "microservices-async", replicas = { payments = 2 } } }
scenario = "spike"
set = { "provider.latency" = "constant:20ms" }
control = "async"
refuted_by = "charges that rise no more than in the asynchronous system"
[[expect]]
figure = "charges"
of = "sync@during / sync@before"
at_least = 4
[[expect]]
figure = "accepted share"
phase = "during"
of = "async"
at_least = 0.99
"#;

fn parse(text: &str) -> Result<Claim, String> {
    Claim::parse(Path::new("claims/surge.toml"), text).map_err(|error| error.to_string())
}

#[test]
fn a_claim_is_what_its_file_says() {
    let claim = parse(GOOD).unwrap();
    assert_eq!((claim.id.as_str(), claim.points(), claim.point(0)), ("surge", 1, None));
    assert_eq!(claim.arms["async"].replicas["payments"], 2);
    let of: Vec<String> = claim.expect.iter().map(|one| one.of.to_string()).collect();
    assert_eq!(of, ["sync during / sync before", "async during"]);
    assert_eq!(claim.expect[1].rule, Rule::Within(Bounds { low: Some(0.99), high: None }));
}

/// The first line of the good file is replaced, or one is added at its end.
#[track_caller]
fn refused(from: &str, to: &str, expected: &str) {
    assert!(GOOD.contains(from), "{from}");
    let said = parse(&GOOD.replacen(from, to, 1)).unwrap_err();
    assert!(said.starts_with("claims/surge.toml") && said.contains(expected), "{said}");
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    refused("control =", "controle =", ".toml:6: unknown key `controle`; did you mean `control`?");
    refused(
        "\"charges\"",
        "\"charge\"",
        ".toml:9: unknown figure `charge`; did you mean `charges`?",
    );
    refused(
        "sync@during /",
        "synch@during /",
        ".toml:10: unknown arm `synch`; did you mean `sync`?",
    );
    refused("at_least = 4", "", ".toml:10: expected at_least and at_most");
    refused(
        "at_least = 4",
        "at_least = 4\nwithin = 1.05",
        ".toml:10: expected at_least and at_most",
    );
    refused("at_least = 4", "at_least = 4\nat_most = 3", "the first no greater");
    refused("at_least = 4", "within = 0.05", "a factor above 1, such as 1.05");
    refused("at_least = 4", "trend = \"rises\"", "a trend needs a `sweep`");
    refused("at_least = 0.99", "at_least = 99", "a share is from 0 to 1");
    refused("of = \"async\"", "of = \"async / sync\"", "which has no ratio");
    refused("control = \"async\"", "control = \"asinc\"", ".toml:6: unknown arm `asinc`");
    refused(
        "replicas =",
        "replica =",
        ".toml:3: the arm async: unknown key `replica`; did you mean `replicas`?",
    );
    refused("async = {", "as_ync = {", "a name has letters, digits and -");
    refused("control = ", "blocks = 2\ncontrol = ", ".toml:6: blocks is 2; expected 3 to 1000");
    refused(
        "control = ",
        "predict = { timeout = \"0s\", attempts = 4 }\ncontrol = ",
        ".toml:6: predict: expected a timeout",
    );
    refused(
        "control = ",
        "sweep = { key = \"x\", values = [1, 2], across = { key = \"y\", values = [1] } }\ncontrol = ",
        ".toml:6: a sweep has two values at least, and so has `across`",
    );
    refused("scenario = \"spike\"", "", "expected `scenario`; or `needs`");
    refused("refuted_by =", "confounds =", "expected `refuted_by`");
    refused(
        "control = ",
        "sweep = { key = \"seed\", values = [1] }\ncontrol = ",
        ".toml:6: a sweep has two values",
    );
    let of = |of: &str| format!("sweep = {{ key = \"--n\", {of}, values = [1, 2] }}\ncontrol = ");
    refused("control = ", &of("of = { sync = \"payments\" }"), "no process of the arm async");
    refused("control = ", &of("of = { snyc = \"payments\" }"), "did you mean `sync`?");
    refused("control = ", &of("arm = \"sync\", of = { sync = \"a\", async = \"b\" }"), "not both");
    refused(
        "control = \"async\"",
        "control = \"sync\"\n[[expect]]\nfigure = \"lost\"\nof = \"sync\"\nat_most = 0\n",
        "a",
    );
}

#[test]
fn what_is_lacking_excuses_what_cannot_be_written_yet() {
    let text = "sentence = \"s\"\nsource = { text = \"t\" }\nneeds = \"a balancer\"\n";
    assert_eq!(parse(text).unwrap().needs.as_deref(), Some("a balancer"));
    assert!(parse(&text.replace("needs", "#")).is_err());
}

#[test]
fn the_smallest_change_of_a_trend_is_that_of_its_figure() {
    let trend = |figure: &str, of: &str, more: &str| {
        let sweep = "sweep = { key = \"start\", values = [1, 2] }\ncontrol = ";
        let text = GOOD.replacen("control = ", sweep, 1).replacen(
            "\"charges\"",
            &format!("\"{figure}\""),
            1,
        );
        let text = text.replacen("sync@during / sync@before", of, 1);
        parse(&text.replacen("at_least = 4", &format!("trend = \"falls\"\n{more}"), 1))
    };
    let change = |claim: Claim| match claim.expect[0].rule {
        Rule::Trend(change) => (change.margin, change.is_factor),
        Rule::Within(_) => unreachable!(),
    };
    assert_eq!(change(trend("charges", "sync / async", "").unwrap()), (1.05, true));
    assert_eq!(change(trend("accepted share", "sync", "").unwrap()), (0.01, false));
    assert_eq!(change(trend("accepted p50", "sync - async", "by = 3").unwrap()), (3.0, false));
    assert!(trend("accepted p50", "sync - async", "").unwrap_err().contains("needs `by`"));
    assert!(trend("accepted p50", "sync", "by = 0.5").unwrap_err().contains("is above 1"));
}

#[test]
fn a_point_has_a_name() {
    let sweep = "sweep = { key = \"scenario\", values = [\"spike\", \"steady\"] }\ncontrol = ";
    let claim = parse(&GOOD.replacen("control = ", sweep, 1)).unwrap();
    assert_eq!(claim.point(1).as_deref(), Some("scenario = steady"));
    assert_eq!((claim.points(), claim.point(2)), (2, None));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(at in 0..GOOD.len(), cut in 0..40_usize, text in "[ -~\n]{0,20}") {
        let end = (at + cut).min(GOOD.len());
        let _ = parse(&format!("{}{text}{}", &GOOD[..at], &GOOD[end..]));
    }
}
