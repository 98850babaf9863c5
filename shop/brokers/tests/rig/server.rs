//! A server that others wrote, started as system files start it, again and again on the same data and port.

use std::path::PathBuf;

use servers::{Output, Place, Recipe, Running};

pub(crate) struct Server {
    folder: tempfile::TempDir,
    recipe: &'static Recipe,
    port: u16,
    pub(crate) running: Option<Running>,
    pub(crate) address: String,
}

/// How it is started, where it can be; if not, that is said, and where it must be it fails.
pub(crate) fn installed(name: &str) -> Option<&'static Recipe> {
    let recipe = servers::recipe(name).expect(name);
    if recipe.is_installed() {
        return Some(recipe);
    }
    let expected = std::env::var_os("CI").is_some() && !servers::ELSEWHERE.contains(&name);
    assert!(!expected, "CI runs scripts/install-servers first");
    println!("skipped: {name} is not installed ({})", recipe.install);
    None
}

impl Server {
    /// A place for one that is not started yet.
    pub(crate) fn away(recipe: &'static Recipe) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Free for now: whoever takes it meanwhile fails this test.
        let port = servers::free_port().unwrap();
        let address = format!("127.0.0.1:{port}");
        Self { folder, recipe, port, running: None, address }
    }

    /// Where it is, and what is wanted of it.
    pub(crate) fn place(&self) -> Place {
        Place::durable(self.port, PathBuf::from(self.folder.path()))
    }

    /// Starts it, on what it kept.
    pub(crate) async fn start(&mut self) {
        self.start_in(&self.place()).await;
    }

    /// Starts it with other wishes.
    pub(crate) async fn start_in(&mut self, place: &Place) {
        self.running = Some(self.recipe.start(place, Output::Kept).await.unwrap());
    }
}
