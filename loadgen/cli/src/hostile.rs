//! Every file that is read, made hostile: arbitrary bytes, and valid files with something wrong in
//! them. Nothing may panic, hang or fill the memory, and every error names its file.

mod config;
mod record;

use std::fmt::Display;
use std::path::Path;

use proptest::test_runner::{Config, TestRunner};

/// A message that fits a terminal, whatever the file holds.
const MESSAGE_MAX: usize = 1_500;

/// An error must name the file, and say something, but not repeat the file.
#[track_caller]
fn useful(error: &impl Display, file: &Path) {
    let text = format!("{error:#}");
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(text.contains(name), "does not name {name}: {text}");
    assert!(text.len() > name.len() + 10, "says nothing: {text}");
    assert!(text.len() < MESSAGE_MAX + file.as_os_str().len(), "{} bytes: {text}", text.len());
}

/// One in `share` of the usual number of cases (256, or the environment's `PROPTEST_CASES`).
fn cases(share: u32) -> TestRunner {
    let config = Config::default();
    let cases = (config.cases / share).max(2);
    TestRunner::new(Config { cases, failure_persistence: None, ..config })
}
