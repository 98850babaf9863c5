//! The scenarios and systems of this folder, a line each.

use faults::Experiment;
use scenario::names;
use scenario::system::SystemSpec;

/// A table for the terminal; a file that does not read says why.
#[must_use]
pub fn text() -> String {
    let mut out = String::from("Scenarios (./scenarios):\n");
    for name in names("scenarios") {
        let about = Experiment::read(&name).map_or_else(
            |e| format!("cannot be read: {e}"),
            |e| format!("{} ({} s)", e.scenario.about, e.scenario.duration_s()),
        );
        out.push_str(&format!("  {name:<22} {about}\n"));
    }
    let mut controls = String::new();
    out.push_str("\nSystems (./systems):\n");
    for name in names("systems") {
        match SystemSpec::read(&name) {
            Ok(SystemSpec { about, expect_violation: Some(_), .. }) => {
                controls.push_str(&format!("  {name:<22} {about}\n"));
            }
            Ok(SystemSpec { about, .. }) => out.push_str(&format!("  {name:<22} {about}\n")),
            Err(e) => out.push_str(&format!("  {name:<22} cannot be read: {e}\n")),
        }
    }
    out.push_str(&format!("\nControls, which test the audit (decision 16):\n{controls}"));
    out
}
