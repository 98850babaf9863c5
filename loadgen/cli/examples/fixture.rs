//! Writes an invented run, then its report: `cargo run -p loadgen --example fixture -- FOLDER`.
#![expect(clippy::print_stdout, reason = "it prints where the report is")]

use std::path::PathBuf;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let folder: PathBuf = std::env::args_os().nth(1).context("expected a folder")?.into();
    record_fixture::write(&folder)?;
    let paths = report::write(&folder)?;
    println!("{}", paths.html.display());
    Ok(())
}
