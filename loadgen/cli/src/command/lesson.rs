//! `loadgen lesson`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use report::decided;

use super::decide;
use loadgen::terminal::show;

/// What courses tell of synchronous and asynchronous services, on two systems.
const CLAIMS: [&str; 4] = [
    "payment-outage-fails-orders",
    "slow-payment-slows-orders",
    "surge-reaches-payments",
    "customers-wait-less",
];
const BLOCKS: u32 = 7;

/// A laboratory lesson: put four classic claims to the test, and write a lab report of it
#[derive(clap::Args)]
#[command(
    after_help = "lesson.html has the answers folded away, lesson.md has them at its end; both are computed from the run.\nAn hour with 7 blocks. Exit codes as of `loadgen decide`.\n\nExamples:\n  loadgen lesson\n  loadgen lesson --blocks 3\n  loadgen lesson --of results/latest"
)]
#[group(skip)]
pub(crate) struct Args {
    /// Write the lab report of this decided run; nothing is run
    #[arg(long, value_name = "FOLDER")]
    of: Option<PathBuf>,
    #[command(flatten)]
    decide: decide::Args,
}

pub(crate) async fn lesson(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(folder) = &args.of {
        write(folder)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (code, folder) = decide::run(args.decide.unless_told(&CLAIMS, BLOCKS)).await?;
    folder.as_deref().map_or(Ok(()), write)?;
    Ok(code)
}

fn write(folder: &Path) -> anyhow::Result<()> {
    decided::write_lesson(folder)?;
    Ok(show(&format!("lab report: {}\n", folder.join(decided::LESSON).display()))?)
}
