//! How commands end: when they are stopped, what they say last, with which code.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use loadgen::run::RunState;
use loadgen::terminal::{Terminal, warn};
use record::redact;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

pub(crate) const EXIT_CODES: &str = "Exit codes: 0 good, 1 error, 2 usage,
3 a measurement is invalid or was cut short (audit: unknown),
4 an audit is false or a threshold is broken, 5 a scenario was not run: the machine lacks something,
6 a verdict contradicts another run's (compare --verdicts).";
pub(crate) const USAGE: u8 = 2;
pub(crate) const INVALID: u8 = 3;
pub(crate) const VIOLATED: u8 = 4;
const NOT_RUN: u8 = 5;
/// A claim that two runs decided came out otherwise.
pub(crate) const CONTRADICTED: u8 = 6;
/// A reader of our lines has so long to take them after he has stopped us.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(2);

/// What a run or a search came to.
pub(crate) type Ran = anyhow::Result<(Option<PathBuf>, RunState)>;

/// Says where the report is, unless a document follows, and waits until all is said.
pub(crate) async fn conclude(
    ran: Ran,
    terminal: &Terminal,
    json: bool,
    interrupt: watch::Receiver<bool>,
) -> Ran {
    match &ran {
        Ok((Some(folder), outcome)) if outcome.unreported => {
            terminal.note(&format!("records: {}", folder.display()));
        }
        Ok((Some(folder), _)) if !json => {
            match report::scorecard(folder) {
                Ok(card) => card.lines().for_each(|line| terminal.say(line)),
                Err(error) => terminal.note(&format!("warning: no scorecard: {error:#}")),
            }
            terminal.say(&format!("report: {}", folder.join("report.html").display()));
        }
        Ok((None, outcome)) if outcome.not_run && !outcome.interrupted => {
            terminal.note("no scenario was run; there is nothing to report");
        }
        Ok((None, _)) => terminal.note("stopped before any load; there is nothing to report"),
        Ok((Some(_), _)) | Err(_) => {}
    }
    close(terminal, interrupt).await;
    ran
}

/// Waits for whoever reads what was said; not for long if he has stopped us.
pub(crate) async fn close(terminal: &Terminal, mut interrupt: watch::Receiver<bool>) {
    let stopped = async {
        let _ = interrupt.wait_for(|stop| *stop).await;
        sleep(LAST_WORDS_WITHIN).await;
    };
    let whole = tokio::select! {
        whole = terminal.flush() => whole,
        () = stopped => false,
    };
    if !whole {
        warn("warning: not all that was said could be written; the record has it");
    }
}

pub(crate) fn exit_code(outcome: RunState) -> ExitCode {
    if outcome.violated {
        ExitCode::from(VIOLATED)
    } else if outcome.invalid || outcome.interrupted {
        ExitCode::from(INVALID)
    } else if outcome.not_run {
        ExitCode::from(NOT_RUN)
    } else if outcome.unreported {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// The command line as it can be typed again, but for its secrets; the program by its name.
pub(crate) fn command_line() -> Vec<String> {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    std::iter::once("loadgen".to_owned()).chain(redact::command_line(words)).collect()
}

/// Becomes true on Ctrl-C, SIGTERM, or when the terminal is closed: everything is stopped, and what
/// was measured is written.
pub(crate) fn interruption(terminal: &Terminal) -> anyhow::Result<watch::Receiver<bool>> {
    let mut int = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    let (tell, told) = watch::channel(false);
    let terminal = terminal.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
        terminal.note("stopping; what was measured will be written");
        let _ = tell.send(true);
        // Kept alive: a closed channel would read as the last value for ever, which is right.
        std::future::pending::<()>().await;
    });
    Ok(told)
}
