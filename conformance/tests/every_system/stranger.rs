//! A stranger's tester, schemathesis, is let loose on the contract and every server of a system: it finds
//! nothing that docs/openapi.yaml does not say. It knows the contract alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::stand::Stand;

/// Which part of the contract is served by whom; the rest of it by every process.
const TAGS: [(&str, &str); 2] = [("auth", "accounts"), ("orders", "orders")];
const EVERYBODYS: &str = "process";

pub(crate) async fn test(system: &str) -> anyhow::Result<()> {
    let Some(python) = python() else { return Ok(()) };
    let stand = Stand::start(system).await?;
    let token = stand.shop()?.customer("ann@example.com", "correct horse battery").await?;
    let tester = Tester { python, stand: &stand, token };
    let mut kept = BTreeSet::new();
    for (index, (name, address)) in stand.servers().iter().enumerate() {
        // Of replicas on one database the first: what it was asked for is there already when the next is asked.
        let command = &stand.running.spec.processes[index].command;
        let store = command.iter().skip_while(|word| *word != "--store").nth(1);
        if store.is_some_and(|store| !kept.insert(store)) {
            continue;
        }
        tester.test(index, address).await.with_context(|| name.clone())?;
    }
    stand.stop().await;
    Ok(())
}

/// Python with the tester, as scripts/install-schemathesis makes it. Without it a test is skipped, but in CI.
pub(crate) fn python() -> Option<PathBuf> {
    if beside("../target/schemathesis/requirements.txt").is_file() {
        return Some(beside("../target/schemathesis/bin/python"));
    }
    assert!(std::env::var_os("CI").is_none(), "CI runs scripts/install-schemathesis first");
    eprintln!("skipped: no schemathesis; scripts/install-schemathesis gets it");
    None
}

pub(crate) fn contract() -> PathBuf {
    beside("../docs/openapi.yaml")
}

/// A file, by its path from this package.
pub(crate) fn beside(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

struct Tester<'a> {
    python: PathBuf,
    stand: &'a Stand,
    token: String,
}

impl Tester<'_> {
    /// Tests all that a process serves; every operation must have gone well at least once.
    async fn test(&self, index: usize, address: &str) -> anyhow::Result<()> {
        let report = self.stand.folder().join(format!("contract-{index}.json"));
        let told = self.command(index, address, &report).output().await?;
        let text = String::from_utf8_lossy(&told.stdout);
        ensure!(told.status.success(), "{text}{}", String::from_utf8_lossy(&told.stderr));
        let report: Value = serde_json::from_slice(&std::fs::read(report)?)?;
        println!("{address}: {} cases, no finding", report["test_cases"]["generated"]);
        let operations = &report["operations"];
        ensure!(
            report["complete"] == true && operations["tested"] == operations["selected"],
            "{text}"
        );
        let tried = report["valid_rates"].as_object().context("a report without rates")?;
        let well = tried.values().filter(|phases| accepted(phases) > 0).count();
        ensure!(operations["selected"] == well, "not every operation went well once: {tried:?}");
        Ok(())
    }

    fn command(&self, index: usize, address: &str, report: &Path) -> Command {
        let mut command = Command::new(&self.python);
        command.args(["-m", "schemathesis.cli", "--config-file"]);
        command.arg(beside("tests/schemathesis/settings.toml"));
        command.arg("run").arg(contract());
        command.args(["--no-color", "--url", &format!("http://{address}")]);
        command.args(["--report", "json", "--report-json-path"]).arg(report);
        for (role, tag) in TAGS {
            if self.stand.running.spec.players(role).contains(&index) {
                command.args(["--include-tag", tag]);
            }
        }
        command.args(["--include-tag", EVERYBODYS]).current_dir(self.stand.folder());
        command.env("SCHEMATHESIS_HOOKS", beside("tests/schemathesis/hooks.py"));
        command.env("TRIPTYCH_CUSTOMER_TOKEN", &self.token);
        command.env("TRIPTYCH_OPERATOR_TOKEN", self.stand.operator_token());
        command.env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1").kill_on_drop(true);
        command
    }
}

/// How many legal requests were answered as the contract's good case, in all phases.
fn accepted(phases: &Value) -> u64 {
    let phases = phases.as_object().into_iter().flatten();
    phases.filter_map(|(_, counts)| counts["accepted"].as_u64()).sum()
}
