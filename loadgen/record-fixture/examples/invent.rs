//! Writes the invented run into a folder, for `scripts/check-page`.

use std::path::Path;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1);
    let folder = folder.ok_or_else(|| anyhow::anyhow!("expected the folder to write into"))?;
    record_fixture::write(Path::new(&folder))
}
