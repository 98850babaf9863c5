//! Each process is given the secrets of the roles that it plays, and no other.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, ensure};

use crate::stand::{SECRETS, Stand};

/// What whoever plays a role may know.
const NEEDED: [(&str, &[&str]); 9] = [
    ("auth", &["token"]),
    ("orders", &["token", "operator", "payments", "notifications", "inventory"]),
    ("payments", &["payments", "merchant"]),
    ("broker", &["control", "cluster"]),
    ("database", &[]),
    ("journal", &[]),
    ("provider", &["control", "merchant", "callback"]),
    ("notifications", &["notifications", "callback"]),
    ("inventory", &["inventory"]),
];

pub(crate) async fn spread(stand: &Stand) -> anyhow::Result<()> {
    let mut all = BTreeSet::new();
    for process in &stand.running.spec.processes {
        let plays = |role: &str| process.plays.iter().any(|played| played == role);
        let needed: BTreeSet<&str> = NEEDED
            .into_iter()
            .filter(|(role, _)| plays(role))
            .flat_map(|(_, n)| n)
            .copied()
            .collect();
        let given = stand.found(&process.name, "environ")?;
        ensure!(given.is_subset(&needed), "{} knows {given:?}, needs {needed:?}", process.name);
        let shown = stand.found(&process.name, "cmdline")?;
        ensure!(shown.is_empty(), "the command line of {} shows {shown:?}", process.name);
        all.extend(given);
    }
    ensure!(all.is_superset(&BTreeSet::from(["token", "operator", "control"])), "only {all:?}");
    Ok(())
}

impl Stand {
    /// The names of the secrets that a file of this process in /proc holds.
    fn found(&self, process: &str, file: &str) -> anyhow::Result<BTreeSet<&'static str>> {
        let index = self.running.spec.processes.iter().position(|p| p.name == process);
        let mut text = String::new();
        for member in self.running.members(index.context("no such process")?) {
            let bytes = std::fs::read(PathBuf::from(format!("/proc/{}/{file}", member.pid)))?;
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
        Ok(SECRETS.into_iter().filter(|name| text.contains(&self.word(name))).collect())
    }
}
