//! The scenarios and systems of this folder, a line each.

use faults::Experiment;
use scenario::config::ConfigError;
use scenario::names;
use scenario::system::{FOLDER, SystemSpec};

/// The width of names, with the indent of a family.
const NAME: usize = 26;

/// A table for the terminal; a file that does not read says why.
#[must_use]
pub fn text() -> String {
    let mut out = String::from("Scenarios (./scenarios):\n");
    for name in names("scenarios") {
        let about = Experiment::read(&name).map_or_else(
            |e| cannot(&e),
            |e| format!("{} ({} s)", e.scenario.about, e.scenario.duration_s()),
        );
        out.push_str(&line(0, &name, &about));
    }
    let mut controls = String::new();
    out.push_str("\nSystems (./systems):\n");
    for (name, read) in systems() {
        match read {
            Ok(SystemSpec { about, expect_violation: Some(_), .. }) => {
                controls.push_str(&line(0, &name, &about));
            }
            Ok(SystemSpec { about, .. }) => out.push_str(&line(0, &name, &about)),
            Err(e) => out.push_str(&line(0, &name, &cannot(&e))),
        }
    }
    out.push_str(&format!("\nControls, which test the audit (decision 16):\n{controls}"));
    out
}

/// The systems as families: below each the ones that extend it, with what differs.
#[must_use]
pub fn tree() -> String {
    let (mut known, mut broken) = (Vec::new(), String::new());
    for (name, read) in systems() {
        match read {
            Ok(system) => known.push(system),
            Err(e) => broken.push_str(&line(0, &name, &cannot(&e))),
        }
    }
    let mut out = String::from("Systems (./systems), below each what extends it:\n");
    // A base that lies in another folder has no line of its own: then its variants stand alone.
    for root in known.iter().filter(|system| !known.iter().any(|base| system.extends(base))) {
        branch(&mut out, 0, root, &known);
    }
    out + &broken
}

fn branch(out: &mut String, depth: usize, system: &SystemSpec, known: &[SystemSpec]) {
    let says = if depth == 0 { &system.about } else { &system.differs };
    out.push_str(&line(depth, &system.name, says));
    for variant in known.iter().filter(|other| other.extends(system)) {
        branch(out, depth + 1, variant, known);
    }
}

fn systems() -> impl Iterator<Item = (String, Result<SystemSpec, ConfigError>)> {
    names(FOLDER).into_iter().map(|name| {
        let read = SystemSpec::read(&name);
        (name, read)
    })
}

fn line(depth: usize, name: &str, about: &str) -> String {
    let indent = 2 + 2 * depth;
    format!("{:indent$}{name:<width$} {about}\n", "", width = NAME.saturating_sub(2 * depth))
}

fn cannot(error: &ConfigError) -> String {
    format!("cannot be read: {error}")
}
