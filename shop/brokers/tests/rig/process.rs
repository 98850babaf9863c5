//! The broker's own process, started, killed and started again on the same log and port.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use brokers::Broker;
use brokers::embedded::Client;

/// Opens and replays dead letters.
pub(crate) const CONTROL_TOKEN: &str = "control-token-of-this-test";

pub(crate) struct Process {
    dir: tempfile::TempDir,
    flags: Vec<String>,
    child: Child,
    pub(crate) address: String,
    pub(crate) http: String,
}

impl Process {
    pub(crate) fn start(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let flags: Vec<_> = flags.iter().map(ToString::to_string).collect();
        let store = dir.path().join("broker.log");
        let (child, address, http) = spawn(&store, "127.0.0.1:0", "127.0.0.1:0", &flags);
        Self { dir, flags, child, address, http }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("broker.log")
    }

    pub(crate) async fn client(&self) -> Arc<dyn Broker> {
        Arc::new(Client::connect(&self.address).await.unwrap())
    }

    /// SIGKILL: no destructor and no flush runs.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap()
    }

    pub(crate) fn restart(&mut self) {
        let (child, _, _) = spawn(&self.store(), &self.address, &self.http, &self.flags);
        self.child = child;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(store: &Path, listen: &str, http: &str, flags: &[String]) -> (Child, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_broker"))
        .env("TRIPTYCH_CONTROL_TOKEN", CONTROL_TOKEN)
        .args(["--listen", listen, "--http", http])
        .arg(format!("--store=log:{}", store.display()))
        .args(flags)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let addresses = line.trim().strip_prefix("listening on ");
    let (address, http) = addresses.and_then(|l| l.split_once(", http on ")).expect(&line);
    (child, address.to_owned(), http.to_owned())
}
