//! What people write: scenarios, systems, traces and intensities.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use hostile_input::mutation;

use super::{cases, useful};
use crate::decide::{asked, layout::Layout};
use faults::Experiment;
use load::profile::Profile;
use scenario::config::ConfigError;
use scenario::system::SystemSpec;

/// Every key that there is, so that a change can hit each.
const SCENARIO: &str = r#"about = "all keys"
seed = 7
arrivals = "poisson"
start = 10
stages = [{ duration = "30s", rate = 10 }, { duration = "20s", rate = 50, amplitude = 40, period = "5s" }]
warm_up = "5s"
drain = "30s"
objective = "2s"
customers = 10
mix = { place = 70, get = 28, login = 1.5, signup = 0.5 }
limits = { in_flight = 4000, timeout = "5s", send_lag = "1ms" }
session = { steps = ["login", "place", "get"], think = "250ms" }

[provider]
latency = "lognormal:20ms,80ms"
decline_rate = 0.02
error_rate = 0.0
mode = "dedupe"

[[phase]]
name = "before"
from = "5s"
to = "20s"

[[fault]]
at = "20s"
for = "10s"
harm = "provider"
kind = "provider"
latency = "constant:2s"
error_rate = 0.5

[[threshold]]
expect = "p(99) < 200ms"
operation = "place"
phase = "before"
"#;

#[track_caller]
fn check(
    name: &str,
    files: &[(&str, &str)],
    changed: &str,
    read: impl Fn(&Path) -> Result<(), ConfigError>,
) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let start = folder.path().join(name);
    read(&start).unwrap();
    let valid = fs::read(folder.path().join(changed)).unwrap();
    let bytes = prop_oneof![1 => vec(any::<u8>(), 0..300), 4 => mutation::of(valid)];
    let outcome = cases(1).run(&bytes, |bytes| {
        fs::write(folder.path().join(changed), bytes).unwrap();
        if let Err(error) = read(&start) {
            let about_the_other = error.path == start && name != changed;
            useful(&error, if about_the_other { &start } else { &error.path });
        }
        Ok(())
    });
    outcome.unwrap();
}

fn scenario(path: &Path) -> Result<(), ConfigError> {
    let Experiment { scenario, plan } = Experiment::read(path.to_str().unwrap())?;
    assert!(plan.schedule(scenario.seed).iter().all(|planned| planned.to_json().is_object()));
    let profile = Profile::new(&scenario);
    assert!(profile.total().is_finite() && profile.peak_per_s().is_finite());
    let instants = profile.instants(scenario.arrivals, scenario.seed).take(200);
    assert!(instants.is_sorted());
    let _ = (scenario.phases(), scenario.form(), scenario.duration_s());
    let _ = serde_json::to_string(&scenario.provider).unwrap();
    Ok(())
}

#[test]
fn scenarios() {
    check("s.toml", &[("s.toml", SCENARIO)], "s.toml", scenario);
}

#[test]
fn closed_scenarios() {
    let text =
        "about = 'x'\nmix = { place = 1 }\nclosed = { users = 5, think = '1s', duration = '9s' }\n";
    check("s.toml", &[("s.toml", text)], "s.toml", scenario);
}

/// What people write, and what is laid out for it.
#[test]
fn claims() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../claims");
    for name in ["finer-split-costs-more-under-load.toml", "control-two-milliseconds.toml"] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        check(name, &[(name, &text)], name, |path| {
            let asked = asked::read(path.to_str().unwrap())?;
            let laid_out = Layout::of(&[asked], false, &|_, _| None);
            laid_out.map(drop).map_err(|error| ConfigError::new(path, error.to_string()))
        });
    }
}

/// A scenario with a few keys otherwise.
#[test]
fn varied_scenarios() {
    let set = toml::from_str("\"stages.0.rate\" = 40\nprovider = { latency = \"constant:2ms\" }")
        .unwrap();
    check("s.toml", &[("s.toml", SCENARIO)], "s.toml", |path| {
        scenario::vary(path, &scenario::config::load(path)?, &set).map(drop)
    });
}

#[test]
fn traces() {
    let toml = "about = 'x'\nmix = { place = 1 }\nwarm_up = '0s'\ntrace = 't.csv'\n";
    let csv = "second\n0.5\n0.5\n2\n3.75\n4\n9.999\n";
    check("s.toml", &[("s.toml", toml), ("t.csv", csv)], "t.csv", scenario);
}

#[test]
fn intensities() {
    let toml = "about = 'x'\nmix = { place = 1 }\nwarm_up = '0s'\nintensity = 'i.csv'\n";
    let csv = "second,rate\n0,10\n5.5,20\n5.5,0\n8,0\n10,40.5\n";
    check("s.toml", &[("s.toml", toml), ("i.csv", csv)], "i.csv", scenario);
}

#[test]
fn systems() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systems");
    for name in ["monolith.toml", "microservices-async.toml"] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        check(name, &[(name, &text)], name, |path| {
            SystemSpec::read(path.to_str().unwrap()).map(drop)
        });
    }
    let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let (base, variant) = (text("microservices-async.toml"), text("control-fenced.toml"));
    let files = [("microservices-async.toml", &*base), ("control-fenced.toml", &*variant)];
    check("control-fenced.toml", &files, "control-fenced.toml", |path| {
        SystemSpec::read(path.to_str().unwrap()).map(drop)
    });
}
