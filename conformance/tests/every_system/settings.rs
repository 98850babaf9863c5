//! Every process says what settings it runs with, the ones that its flags set among them, and no secret.

use anyhow::{Context, ensure};

use crate::stand::Stand;

/// All that any process may be given.
const SECRETS: [&str; 10] = [
    "operator",
    "control",
    "network",
    "merchant",
    "token",
    "payments",
    "notifications",
    "inventory",
    "callback",
    "cluster",
];

const FORGETS: &str = "which keeps nothing over its end";

pub(crate) async fn tell(stand: &Stand) -> anyhow::Result<()> {
    let settings = stand.running.settings().await;
    for process in &stand.running.spec.processes {
        let told = settings.get(&process.name);
        let told = told.with_context(|| format!("{} says nothing of itself", process.name))?;
        ensure!(told.contains_key("version"), "{}: {told:?}", process.name);
        ensure!(told.contains_key("connections at once"), "{}: {told:?}", process.name);
        let is_kept = process.keeps_data;
        let store = told.get("store").map(String::as_str).unwrap_or_default();
        let is_durable = ["synchronous=FULL", "fsync before it answers"];
        let is_durable = is_durable.iter().any(|how| store.contains(how));
        // Who forgets says so himself, and so does the file of the system.
        let forgets = [store, &stand.running.spec.differs].map(|text| text.contains(FORGETS));
        ensure!(!is_kept || is_durable || forgets == [true; 2], "{}: {told:?}", process.name);
        if process.plays.iter().any(|role| role == "broker") {
            let lease = stand.running.spec.lease.context("a broker without a lease")?;
            let expected = format!("{} s", lease.as_s());
            ensure!(told["lease of a message"] == expected, "{told:?}, expected {expected}");
        }
    }
    let text = format!("{settings:?}");
    for name in SECRETS {
        ensure!(!text.contains(&stand.word(name)), "the secret {name} is told");
    }
    ensure!(!text.contains("[redacted]"), "somebody told a secret: {text}");
    Ok(())
}
