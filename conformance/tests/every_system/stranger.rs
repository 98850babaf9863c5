//! A stranger's tester, schemathesis, is let loose on the contract and every server of a system, but those that are started
//! like one of another system: it finds nothing that docs/openapi.yaml does not say. It knows the contract alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, ensure};
use scenario::system::SystemSpec;
use serde_json::Value;
use tokio::process::Command;

use crate::programs;
use crate::stand::Stand;

/// Which part of the contract is served by whom; the rest of it by every process.
const TAGS: [(&str, &str); 2] = [("auth", "accounts"), ("orders", "orders")];
const EVERYBODYS: &str = "process";

/// Of each system that is tested, the processes that are started unlike all those of the systems before it.
fn unlike_others() -> anyhow::Result<&'static BTreeMap<String, Vec<usize>>> {
    static FOUND: OnceLock<BTreeMap<String, Vec<usize>>> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found);
    }
    let (mut seen, mut found) = (BTreeSet::new(), BTreeMap::new());
    for name in programs::systems()? {
        if !programs::is_asked_less(&name) && matches!(programs::missing(&name), Ok(None)) {
            let processes = programs::read(&name)?.processes;
            let all = processes.iter().enumerate();
            let new = all.filter(|(_, process)| seen.insert(programs::likeness(process)));
            found.insert(name, new.map(|(index, _)| index).collect());
        }
    }
    Ok(FOUND.get_or_init(|| found))
}

/// Who was tested as a part of another system need not be tested again.
pub(crate) fn concerns(spec: &SystemSpec) -> anyhow::Result<bool> {
    Ok(unlike_others()?.get(&spec.name).is_some_and(|processes| !processes.is_empty()))
}

pub(crate) async fn test(system: &str) -> anyhow::Result<()> {
    let Some(python) = python() else { return Ok(()) };
    let stand = Stand::start(system).await?;
    let token = stand.shop()?.customer("ann@example.com", "correct horse battery").await?;
    let tester = Tester { python, stand: &stand, token };
    let servers = stand.servers();
    for index in unlike_others()?.get(system).into_iter().flatten() {
        let (name, address) = &servers[*index];
        tester.test(*index, address).await.with_context(|| name.clone())?;
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
