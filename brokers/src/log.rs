//! Lines for whoever runs the process. A log that is full or closed ends nobody.

use std::fmt::Arguments;
use std::io::Write;

pub(crate) fn tell(line: Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
