//! The scenarios and systems of this folder, a line each.

use crate::scenario::{Scenario, names};
use crate::system::SystemSpec;

/// A table for the terminal; a file that does not read says why.
#[must_use]
pub fn text() -> String {
    let mut out = String::from("Scenarios (./scenarios):\n");
    for name in names("scenarios") {
        let about = Scenario::read(&name).map_or_else(
            |e| format!("cannot be read: {e}"),
            |s| format!("{} ({} s)", s.about, s.duration_s()),
        );
        out.push_str(&format!("  {name:<22} {about}\n"));
    }
    out.push_str("\nSystems (./systems):\n");
    for name in names("systems") {
        let about =
            SystemSpec::read(&name).map_or_else(|e| format!("cannot be read: {e}"), |s| s.about);
        out.push_str(&format!("  {name:<22} {about}\n"));
    }
    out
}
