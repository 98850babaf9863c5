//! What a scenario may say of each kind, and where it is told that it may not.

use std::path::Path;

use super::*;
use scenario::Scenario;
use scenario::config;

const LOAD: &str = "about = \"x\"\nstart = 10\nstages = [{ duration = \"30s\", rate = 10 }]\n\
                    mix = { place = 1 }\n";

/// The faults of a scenario of 30 s with these tables, from line 5 on.
pub(super) fn plan(tables: &str) -> Result<Plan, String> {
    let (path, text) = (Path::new("s.toml"), format!("{LOAD}{tables}"));
    let scenario: Scenario = config::parse(path, &text).map_err(|error| error.to_string())?;
    let scenario = Scenario { path: path.to_owned(), text, ..scenario };
    Plan::of(&scenario).map_err(|error| error.to_string())
}

/// A fault with these keys, in a load of 30 s.
#[track_caller]
fn check(keys: &str, expected: Result<(), &str>) {
    let result = plan(&format!("[[fault]]\n{keys}\n")).map(|_| ());
    match (&result, expected) {
        (Ok(()), Ok(())) => {}
        (Err(text), Err(part)) if text.contains(part) => {}
        _ => panic!("{result:?} instead of {expected:?}"),
    }
}

#[track_caller]
fn lasting(target: &str, kind: &str, rest: &str, expected: Result<(), &str>) {
    let keys = format!("at = \"6s\"\nfor = \"5s\"\nharm = {target:?}\nkind = {kind:?}\n{rest}");
    check(&keys, expected);
}

#[test]
fn each_kind_takes_its_own_parameters() {
    for kind in ["kill", "pause", "terminate"] {
        lasting("orders", kind, "", Ok(()));
        lasting("orders", kind, "error_rate = 0.5", Err("`error_rate` does not belong to"));
    }
    lasting("payments", "kil", "", Err("did you mean `kill`?"));
    lasting("orders", "kill", "poin = \"x\"", Err("did you mean `point`?"));
    lasting("orders", "kill", "point = \"x\"", Err("its parameters: none"));
    lasting("orders", "crash", "", Err("kind = \"crash\" needs the key `point`"));
    lasting("orders", "crash", "point = \"x\"", Ok(()));
    lasting("orders", "cpu", "", Err("needs the key `cores`"));
    lasting("orders", "cpu", "cores = 0.2", Ok(()));
    lasting("orders", "cpu", "cores = 0", Err("cores is 0; expected 0.01 to 64"));
    lasting("orders", "memory", "spare_mib = 8", Ok(()));
    lasting("orders", "memory", "spare_mib = -8", Err("-8"));
    lasting("orders", "files", "spare_files = 0", Ok(()));
    lasting("orders", "files", "cores = 1", Err("needs the key `spare_files`"));
    lasting("provider", "provider", "", Err("needs one of latency, error_rate, decline_rate"));
    lasting("provider", "provider", "error_rate = 0.5", Ok(()));
    lasting("provider", "provider", "error_rate = 1.5", Err("error_rate is 1.5"));
    lasting("provider", "provider", "rate_limit = 0", Ok(()));
    lasting("provider", "provider", "lost_answers = 2.0", Err("lost_answers is 2"));
    lasting("provider", "provider", "latency = \"constant:80\"", Err("\"80\" is not of the form"));
    lasting("orders", "provider", "error_rate = 0.5", Err("\"provider\" only"));
    lasting("link:a", "latency", "delay = \"9ms\"\njitter = \"8ms\"", Ok(()));
    lasting("link:a", "latency", "delay = \"9ms\"\njitter = \"9ms\"", Err("jitter is 9ms"));
    lasting("link:a", "latency", "", Err("needs the key `delay`"));
    lasting("link:a", "latency", "delay = \"1ms\"\njitter = \"2ms\"", Err("jitter is 2ms"));
    lasting("link:a", "latency", "delay = \"2m\"", Err("delay is 120s; expected at most 60s"));
    lasting("link:a", "blackhole", "direction = \"to-client\"", Ok(()));
    lasting("link:a", "blackhole", "direction = \"back\"", Err("Valid: both, to-upstream"));
    lasting("link:a", "reply-lost", "share = 0", Err("share is 0; expected more than 0"));
    lasting("link:a", "slice", "size_bytes = 0\ndelay = \"1ms\"", Err("size_bytes is 0"));
    lasting("broker", "data-loss", "", Ok(()));
    lasting("disk", "data-loss", "", Err("goes with kind = \"power-cut\" or \"full\""));
    lasting("link:a", "kill", "", Err("harms a role, not a link"));
    lasting("orders", "reset", "", Err("harms a link; expected harm = \"link:NAME\""));
    lasting("disk", "power-cut", "", Ok(()));
    lasting("orders", "power-cut", "", Err("write harm = \"disk\""));
    lasting("disk", "full", "", Ok(()));
    lasting("disk", "kill", "", Err("goes with kind = \"power-cut\" or \"full\""));
    lasting("orders", "slow-fsync", "", Err("needs the key `delay`"));
    lasting("orders", "slow-fsync", "delay = \"50ms\"", Ok(()));
    lasting("orders", "slow-fsync", "delay = \"0s\"", Err("delay is 0s; expected at most 60s"));
    lasting("orders", "failing-fsync", "", Err("needs one of share, count"));
    lasting("orders", "failing-fsync", "share = 0.0", Err("share is 0"));
    lasting("orders", "failing-fsync", "share = 0.1", Ok(()));
    lasting("orders", "failing-fsync", "share = 0.1\ncount = 3", Err("not both"));
    lasting("orders", "failing-fsync", "count = 0", Err("count is 0"));
    lasting("payments", "poison", "count = 2\neffect = \"abort\"", Ok(()));
    lasting("payments", "poison", "count = 2", Err("needs the key `effect`"));
    lasting("payments", "poison", "count = 101\neffect = \"error\"", Err("count is 101"));
    lasting("orders", "poison", "count = 2\neffect = \"panic\"", Err("\"payments\" only"));
}

#[test]
fn a_fault_lies_within_the_load() {
    let at = |at: &str, rest: &str| format!("at = {at:?}\nharm = \"orders\"\n{rest}");
    check(&at("6s", "kind = \"kill\""), Err("needs the key `for`"));
    check(&at("29s", "for = \"5s\"\nkind = \"kill\""), Err("at 29s for 5s does not lie within"));
    check(&at("29s", "for = \"0s\"\nkind = \"kill\""), Err("does not lie within"));
    check(&at("25s", "for = \"5s\"\nkind = \"kill\""), Ok(()));
    check(&at("6s", "kind = \"restart\""), Ok(()));
    check(&at("6s", "for = \"1s\"\nkind = \"restart\""), Err("`for` does not belong to"));
    check(&at("30s", "kind = \"deploy\""), Err("at 30s does not lie within the load (30 s)"));
    check(&at("6s", "kind = \"crash\"\npoint = \"x\""), Ok(()));
}

/// Each line of the file's own.
#[test]
fn a_mistake_is_told_with_its_line() {
    let at = |keys: &str| plan(&format!("[[fault]]\nat = \"6s\"\nharm = \"orders\"\n{keys}\n"));
    let told = at("kind = \"restart\"\nsize_byte = 3").unwrap_err();
    let expected = "s.toml:9: unknown key `size_byte`; did you mean `size_bytes`? Valid: ";
    let keys: Vec<&str> = told.strip_prefix(expected).expect(&told).split(", ").collect();
    assert_eq!(keys[..5], ["at", "for", "harm", "kind", "point"]);
    assert_eq!(keys.iter().filter(|key| **key == "delay").count(), 1, "{keys:?}");
    let check = |keys: &str, expected: &str| assert_eq!(at(keys).unwrap_err(), expected);
    check(
        "kind = \"restart\"\nspare_mib = 3",
        "s.toml:9: fault restart on \"orders\": the key `spare_mib` does not belong to kind = \"restart\"; its parameters: none",
    );
    check(
        "for = \"1s\"\nkind = \"memory\"\nspare_mib = -3",
        "s.toml:10: invalid value: integer `-3`, expected u64",
    );
    check(
        "for = \"1s\"\nkind = \"memory\"",
        "s.toml:9: fault memory on \"orders\": kind = \"memory\" needs the key `spare_mib`",
    );
    check(
        "for = \"soon\"\nkind = \"kill\"",
        "s.toml:8: the duration \"soon\" is not of the form 250ms, 15s, 2m or 1h",
    );
    check("for = \"1s\"", "s.toml:5: missing field `kind`");
}

#[test]
fn poison_is_given_once() {
    let one = "[[fault]]\nat = \"6s\"\nfor = \"2s\"\nharm = \"payments\"\nkind = \"poison\"\n\
               count = 1\neffect = \"error\"\n";
    assert!(plan(one).is_ok());
    let told = plan(&[one, &one.replace("6s", "9s")].concat()).unwrap_err();
    assert!(told.contains("more than one fault is of kind = \"poison\""), "{told}");
}

#[test]
fn the_example_of_a_kind_is_one_of_it() {
    for facts in facts() {
        let Example { target, lasts, parameters } = facts.example;
        let lasts = if lasts.is_empty() { String::new() } else { format!("for = {lasts:?}\n") };
        let text = format!(
            "[[fault]]\nat = \"6s\"\n{lasts}harm = {target:?}\nkind = {:?}\n{parameters}\n",
            facts.name
        );
        let planned = plan(&text).unwrap().schedule(1).remove(0);
        assert_eq!(planned.fault.facts().name, facts.name);
        let words = [facts.state, facts.about, facts.seen, facts.healed];
        assert!(words.iter().all(|words| !words.is_empty()), "{}", facts.name);
        let written = planned.to_json();
        let table = text.lines().skip(1).filter(|line| !line.is_empty()).count();
        assert_eq!(written.as_object().unwrap().len(), table, "{written}");
    }
}
