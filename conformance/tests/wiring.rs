//! Wiring is short, or it is something else: an architecture is a choice of who answers the shop's ports.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file, its tests apart.
const LINES_MAX: usize = 80;
const WIRINGS: [&str; 4] =
    ["monolith", "microservices-sync", "microservices-async", "durable-steps"];
/// What is wrong on purpose is no wiring.
const CARELESS: &str = "careless";

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with(CARELESS) {
                sources(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

#[test]
fn no_file_of_a_wiring_is_long() {
    let mut found = Vec::new();
    for wiring in WIRINGS {
        sources(&Path::new("..").join(wiring).join("src"), &mut found);
    }
    assert!(found.len() > 20, "{found:?}");
    for path in found.iter().filter(|path| !path.ends_with("tests.rs")) {
        let text = fs::read_to_string(path).unwrap();
        let wiring = text.split("#[cfg(test)]").next().unwrap();
        let lines = wiring.lines().count();
        assert!(lines <= LINES_MAX, "{}: {lines} lines, of {LINES_MAX} at most", path.display());
    }
}
