//! `loadgen selftest`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use load::engine::Flaw;
use loadgen::selftest;
use loadgen::terminal::Terminal;

use super::ending::INVALID;

/// Test the generator itself: stalls of known truth, arrivals, pacing, its ceiling
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where temporary records are written
    #[arg(long, default_value = "results")]
    out: PathBuf,
    /// Break the generator on purpose, to see that the test finds it
    #[arg(long, value_enum, default_value_t = Broken::None, hide = true)]
    flaw: Broken,
}

#[derive(Clone, Copy, ValueEnum)]
enum Broken {
    None,
    CoordinatedOmission,
    DropUnfinished,
    TokioTimer,
}

pub(crate) async fn examine(Args { out, flaw }: &Args) -> anyhow::Result<ExitCode> {
    let flaw = match flaw {
        Broken::None => Flaw::None,
        Broken::CoordinatedOmission => Flaw::CoordinatedOmission,
        Broken::DropUnfinished => Flaw::DropUnfinished,
        Broken::TokioTimer => Flaw::TokioTimer,
    };
    let folder = out.join(format!(".selftest-{}", std::process::id()));
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let terminal = Terminal::open(false)?;
    let tell = |check: &selftest::Check| {
        terminal.say(&format!("{} {}", if check.passed { "ok  " } else { "FAIL" }, check.text));
    };
    let passed = selftest::examine(&folder, flaw, &tell).await;
    let _ = std::fs::remove_dir_all(&folder);
    terminal.flush().await;
    Ok(if passed? { ExitCode::SUCCESS } else { ExitCode::from(INVALID) })
}
