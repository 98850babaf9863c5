//! Writes macros that make a test of each file in `systems/`, so that a new system is tested without a line
//! of code here.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

const SYSTEMS: &str = "../systems";
/// What the names of clusters end with, and of a pair that differs from another in one setting: they need long to start, and
/// are asked less.
const ASKED_LESS: [&str; 2] = ["-3", "-asynchronous"];
/// What stands in the files of controls and exhibits, of which nothing must be true.
const CONTROL: &str = "expect_violation";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={SYSTEMS}");
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(SYSTEMS)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let is_control = fs::read_to_string(&path)?.lines().any(|l| l.starts_with(CONTROL));
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            names.extend(name.filter(|_| !is_control));
        }
    }
    names.sort();
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    let mut text = each("each_system", &names);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "const SYSTEMS: &[&str] = &{names:?};");
    names.retain(|name| !ASKED_LESS.iter().any(|end| name.ends_with(end)));
    text.push_str(&each("each_but_clusters", &names));
    fs::write(Path::new(&out).join("each_system.rs"), text)
}

fn each(called: &str, names: &[String]) -> String {
    let mut text = format!("macro_rules! {called} {{ ($check:path) => {{\n");
    for name in names {
        let function = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "#[test] fn {function}() -> anyhow::Result<()> {{ crate::run({name:?}, module_path!(), $check({name:?})) }}"
        );
    }
    text.push_str("} }\n");
    text
}
