//! What a machine must have for some faults. What it is, and how it is tried, stands beside the faults that
//! need it.

use std::path::Path;
use std::pin::Pin;

/// Something that not every machine has. Two with the same words are the same.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// What must be there, for documents and messages.
    pub words: &'static str,
    /// What is not possible without it.
    pub without: &'static str,
    /// Asks by trying, in a place of its own.
    pub(super) lacks: Ask,
}

/// Why this machine does not have it; nothing if it does. The folder is where data will lie.
pub(super) type Ask = for<'a> fn(&'a Path) -> Answer<'a>;
/// The answer, as soon as it is known.
pub(super) type Answer<'a> =
    Pin<Box<dyn Future<Output = anyhow::Result<Option<String>>> + Send + 'a>>;

impl Need {
    /// Why this machine does not have it; nothing if it does. `folder` is where data will lie.
    ///
    /// # Errors
    /// If an attempt cannot be made or taken back.
    pub async fn lacking(&self, folder: &Path) -> anyhow::Result<Option<String>> {
        (self.lacks)(folder).await
    }
}

impl PartialEq for Need {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl Eq for Need {}
