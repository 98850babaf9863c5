//! `scripts/reproduce`: what it asks `loadgen` for, which is a script here that notes that.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Notes its arguments, and leaves a run that was stopped, or one that is whole.
const LOADGEN: &str = r#"#!/bin/sh
echo "$@" >> asked
[ "$1" = decide ] || exit 0
run=results/reproduced-quick/one
mkdir -p "$run"
touch "$run/decided.json"
[ ! -e stops ] || { echo '{"stopped": "by a signal"}' > "$run/environment.json"; rm stops; exit 3; }
echo '{}' > "$run/environment.json"
echo '{}' > "$run/verdicts.json"
"#;

fn reproduce(clone: &Path) -> (Option<i32>, String) {
    let script = clone.join("scripts/reproduce");
    let run = Command::new("bash")
        .arg(&script)
        .arg("--quick")
        .env("LOADGEN", clone.join("loadgen"))
        .output()
        .unwrap();
    (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
}

#[test]
fn the_first_begins_and_what_was_stopped_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let clone = folder.path();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/reproduce");
    fs::create_dir_all(clone.join("scripts")).unwrap();
    fs::copy(script, clone.join("scripts/reproduce")).unwrap();
    fs::create_dir_all(clone.join("results/reference")).unwrap();
    fs::write(clone.join("results/reference/verdicts.json"), "{}").unwrap();
    fs::write(clone.join("loadgen"), LOADGEN).unwrap();
    fs::set_permissions(clone.join("loadgen"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(clone.join("stops"), "").unwrap();

    let (code, said) = reproduce(clone);
    assert_eq!(code, Some(3), "{said}");
    let (code, said) = reproduce(clone);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("going on with results/reproduced-quick/one"), "{said}");
    let asked = fs::read_to_string(clone.join("asked")).unwrap();
    let expected = "decide --quick --budget 20 --out results/reproduced-quick\n\
        decide --resume results/reproduced-quick/one --budget 20\n\
        compare results/reference results/reproduced-quick/one --verdicts\n";
    assert_eq!(asked, expected);
}
