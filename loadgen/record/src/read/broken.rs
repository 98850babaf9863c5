//! The one error of reading a record: where, what was expected, what was found, what to do.

use std::path::{Path, PathBuf};

use crate::bounded;

/// A file of the record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: expected {expected}, found {found}: {remedy}", self.place())]
pub struct Broken {
    file: PathBuf,
    line: Option<u64>,
    expected: String,
    found: String,
    remedy: String,
}

impl Broken {
    /// An error in `file`; the rest is filled in by the methods below.
    #[must_use]
    pub fn at(file: &Path) -> Self {
        Self {
            file: file.to_path_buf(),
            line: None,
            expected: "a record of a trial".to_owned(),
            found: "something else".to_owned(),
            remedy: "restore the file, or remove its trial's folder and run the report again"
                .to_owned(),
        }
    }

    /// The line, from 1.
    #[must_use]
    pub fn line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    /// What should stand there.
    #[must_use]
    pub fn expected(mut self, expected: &str) -> Self {
        expected.clone_into(&mut self.expected);
        self
    }

    /// What stands there.
    #[must_use]
    pub fn found(mut self, found: &str) -> Self {
        self.found = bounded::message(found);
        self
    }

    /// What the reader of the message can do.
    #[must_use]
    pub fn remedy(mut self, remedy: &str) -> Self {
        remedy.clone_into(&mut self.remedy);
        self
    }

    fn place(&self) -> String {
        let file = self.file.display();
        self.line.map_or_else(|| file.to_string(), |line| format!("{file}:{line}"))
    }
}
