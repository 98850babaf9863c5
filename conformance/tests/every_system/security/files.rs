//! What lies on the disk: for nobody else on the machine, and no card of an order that is final.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use scenario::Latency;
use serde_json::json;
use supervise::folder::{DATA, OUTSIDE};
use tokio::time::{Instant, sleep};

use crate::stand::Stand;

const CARD: &str = "4929123456789012";
/// SQLite's log is emptied 10 s after it was written to.
const PATIENCE: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(200);

pub(crate) async fn forget(stand: &Stand) -> anyhow::Result<()> {
    let shop = stand.shop()?;
    let token = shop.customer("cardholder@example.com", "correct horse battery").await?;
    let items = json!([{"sku": "tea", "quantity": 1, "price_cents": 500}]);
    let order = json!({"items": items, "card": CARD});
    for (key, decline_rate) in [("paid", 0.0), ("declined", 1.0)] {
        stand.provider(Latency::Constant { ms: 5.0 }, decline_rate).await?;
        let bought = shop.buy(&token, key, &order).await?;
        ensure!(bought["status"] == key, "{bought}");
    }
    let files = files(stand)?;
    let is_elsewhere = !stand.running.spec.players("database").is_empty();
    let is_here = files.iter().any(|path| path.extension().is_some_and(|e| e == "db"));
    ensure!(is_here || is_elsewhere, "{files:?}");
    for path in &files {
        let mode = path.metadata()?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "{} has the mode {mode:o}", path.display());
    }
    let deadline = Instant::now() + PATIENCE;
    while let Some(path) = holding(stand, CARD)? {
        ensure!(Instant::now() < deadline, "{} still holds the card", path.display());
        sleep(POLL).await;
    }
    Ok(())
}

/// All that the processes keep; what a server that others wrote keeps in a folder of its own is its own.
fn files(stand: &Stand) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in [DATA, OUTSIDE] {
        for entry in std::fs::read_dir(stand.folder().join(folder))? {
            files.extend(Some(entry?.path()).filter(|path| path.is_file()));
        }
    }
    Ok(files)
}

/// A file that holds this text.
fn holding(stand: &Stand, text: &str) -> anyhow::Result<Option<PathBuf>> {
    let holds = |path: &Path| {
        // One that is gone meanwhile holds nothing.
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(text.len()).any(|found| found == text.as_bytes())
    };
    Ok(files(stand)?.into_iter().find(|path| holds(path)))
}
