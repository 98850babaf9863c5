//! `loadgen decide`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use loadgen::decide::{Decide, Ended};
use loadgen::terminal::{Terminal, show};
use report::decided;

use super::ending::{INVALID, VIOLATED, close, command_line, interruption};
use super::heal;
use super::run::Quietly;

/// Blocks at which facts are told.
const QUICK_BLOCKS: u32 = 3;
/// Blocks at which repetition may decide.
const BLOCKS: u32 = 7;

/// Put claims to the test: run what decides them, block by block, and say what holds
#[derive(clap::Args)]
#[command(
    after_help = "A claim is a file in ./claims (docs/methodology/decide.md).\n\nExit codes: 0 every claim asked for has a verdict and the run's controls are right; 3 some are\nundecided; 4 a control came out wrong, so that nothing is decided.\n\nExamples:\n  loadgen decide --quick\n  loadgen decide payment-outage-fails-orders ./my-claim.toml --blocks 9\n  loadgen decide --budget 120\n  loadgen decide --resume results/latest"
)]
pub(crate) struct Args {
    /// Names in ./claims, or paths of claim files. Without any, all that can be decided here
    claims: Vec<String>,
    /// Only what the counts of each block decide: 3 blocks
    #[arg(long)]
    quick: bool,
    /// Do without this control of the run (may be repeated); it is told as not judged
    #[arg(long, value_name = "CONTROL", conflicts_with = "resume")]
    without: Vec<String>,
    /// How many blocks, instead of 7 and of what a claim's file says: 7 at least decide what rests on repetition
    #[arg(long, conflicts_with = "quick", value_parser = clap::value_parser!(u32).range(1..=1000))]
    blocks: Option<u32>,
    /// Begin no block that would not fit into so many minutes; what decides most per minute comes first
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..))]
    budget: Option<u32>,
    /// Go on with the run in this folder: what it was asked is asked, what is there is kept
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["claims", "quick", "blocks"])]
    resume: Option<PathBuf>,
    /// How often a trial whose record is void is run again, after the trials that it is compared with
    #[arg(long, env = "LOADGEN_RERUNS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(..=10))]
    reruns: u32,
    #[command(flatten)]
    quiet: Quietly,
    /// The folder of all results
    #[arg(long, default_value = "results")]
    out: PathBuf,
    /// Print what each system made of the claims' scenarios, too
    #[arg(long)]
    figures: bool,
    /// Print the verdicts as JSON (docs/verdicts.schema.json) and the rest on standard error
    #[arg(long)]
    json: bool,
}

impl Args {
    /// The same with these claims and so many blocks, where the command line names none.
    pub(crate) fn unless_told(mut self, claims: &[&str], blocks: u32) -> Self {
        if self.resume.is_none() {
            if self.claims.is_empty() {
                self.claims = claims.iter().map(|&name| name.to_owned()).collect();
            }
            self.blocks = self.blocks.or((!self.quick).then_some(blocks));
        }
        self
    }
}

pub(crate) async fn decide(args: Args) -> anyhow::Result<ExitCode> {
    run(args).await.map(|(code, _)| code)
}

/// Runs it; the folder, if there is one.
pub(crate) async fn run(args: Args) -> anyhow::Result<(ExitCode, Option<PathBuf>)> {
    if args.resume.is_none() {
        heal::warn_of_leftovers(&args.out);
    }
    let terminal = Terminal::open(args.json)?;
    let blocks = if args.quick { QUICK_BLOCKS } else { args.blocks.unwrap_or(BLOCKS) };
    // Where a run is gone on with, its own folder lies among all results.
    let beside = args.resume.as_deref().map(beside).transpose()?;
    let (resume, out) = beside.map_or((None, args.out), |(folder, out)| (Some(folder), out));
    let decide = Decide {
        claims: args.claims,
        quick: args.quick,
        without: args.without,
        blocks,
        own_blocks: !args.quick && args.blocks.is_none(),
        budget: args.budget.map(|minutes| Duration::from_secs(u64::from(minutes) * 60)),
        resume,
        reruns: args.reruns,
        quiet: args.quiet.into(),
        out,
        terminal: terminal.clone(),
        command: command_line(),
    };
    let interrupt = interruption(&terminal)?;
    let ended = decide.run(interrupt.clone()).await;
    if let Ok(ended) = &ended {
        say(ended.as_ref(), &terminal, args.json, args.figures);
    }
    close(&terminal, interrupt).await;
    let Some(ended) = ended? else { return Ok((ExitCode::from(INVALID), None)) };
    if args.json
        && let Some(verdicts) = decided::last(&ended.folder)?
    {
        show(&(serde_json::to_string_pretty(&verdicts)? + "\n"))?;
    }
    Ok((exit_code(&ended), Some(ended.folder)))
}

/// The folder without links, and the one that it lies in.
fn beside(folder: &std::path::Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let whole = folder.canonicalize();
    let whole = whole.map_err(|error| anyhow::anyhow!("{}: {error}", folder.display()))?;
    let out = whole.parent().unwrap_or(&whole).to_owned();
    Ok((whole, out))
}

fn say(ended: Option<&Ended>, terminal: &Terminal, json: bool, figures: bool) {
    match ended {
        None => terminal.note("stopped before any load; nothing is decided"),
        Some(_) if json => {}
        Some(ended) => {
            if figures {
                match report::scorecard_of_claims(&ended.folder) {
                    Ok(card) => card.lines().for_each(|line| terminal.say(line)),
                    Err(error) => terminal.note(&format!("warning: no scorecard: {error:#}")),
                }
            }
            ended.decided.text().lines().for_each(|line| terminal.say(line));
            terminal.say(&format!("verdicts: {}", ended.folder.join(decided::DECISION).display()));
        }
    }
    if let Some(ended) = ended.filter(|ended| ended.interrupted) {
        let folder = ended.folder.display();
        terminal.note(&format!("stopped; go on with: loadgen decide --resume {folder}"));
    }
}

fn exit_code(ended: &Ended) -> ExitCode {
    let is_asked = |id: &str| ended.asked.iter().any(|asked| asked == id);
    if !ended.decided.decision.wrong.is_empty() {
        ExitCode::from(VIOLATED)
    } else if ended.interrupted || !ended.decided.has_all(is_asked) {
        ExitCode::from(INVALID)
    } else if ended.unreported {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
