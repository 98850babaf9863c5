//! A server that others wrote, started as its adapter says, again and again on the same data and port.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use brokers::Server as Recipe;

pub(crate) struct Server {
    folder: tempfile::TempDir,
    recipe: &'static Recipe,
    port: u16,
    pub(crate) child: Option<Child>,
    pub(crate) address: String,
}

/// Whether it can be started here; if not, that is said, and where it must be it fails.
pub(crate) fn is_installed(recipe: &Recipe) -> bool {
    let program = recipe.command[0];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        assert!(std::env::var_os("CI").is_none(), "CI runs scripts/install-servers first");
        println!("skipped: {program} is not installed (scripts/install-servers)");
    }
    found
}

impl Server {
    /// A place for one that is not started yet.
    pub(crate) fn away(recipe: &'static Recipe) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Free for now: whoever takes it meanwhile fails this test.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        Self { folder, recipe, port, child: None, address }
    }

    /// Starts it, on what it kept.
    pub(crate) fn start(&mut self) {
        let words = self.recipe.command.iter().map(|word| self.filled(word));
        let words: Vec<String> = words.collect();
        let child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    fn filled(&self, word: &str) -> String {
        let data: &Path = self.folder.path();
        word.replace("{port}", &self.port.to_string())
            .replace("{data}", &data.display().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
