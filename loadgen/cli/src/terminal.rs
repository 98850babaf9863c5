//! The one place that writes to standard output and standard error.
//!
//! What accompanies a run is written by a thread: a reader that is slow, gone or full delays nothing
//! and ends nothing. It knows lines and shares of a whole, not what they say.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Lines that wait for a reader; a run of a thousand trials tells a few of each.
const LINES_MAX: usize = 16_384;
const REDRAW: Duration = Duration::from_millis(200);
/// The whole of a bar.
const STEPS: u64 = 1_000;
const TEMPLATE: &str = "{msg:44} {wide_bar} {percent:>3} % {elapsed}";

/// Where a line goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
}

enum Message {
    Line(Stream, String),
    Begin(String),
    End,
    Flush(oneshot::Sender<()>),
}

/// A hand on the terminal; its copies write to the same one.
#[derive(Clone)]
pub struct Terminal {
    to: SyncSender<Message>,
    results: Stream,
    shown: Arc<Shown>,
}

/// What writer and tellers share.
#[derive(Default)]
struct Shown {
    /// Of the trial that runs, in [`STEPS`].
    done: AtomicU64,
    /// A line could not be written, or found no room to wait in.
    lost: AtomicBool,
}

impl Terminal {
    /// Begins; if `quiet`, results go to standard error and leave standard output to a document.
    ///
    /// # Errors
    /// If its thread cannot be started.
    pub fn open(quiet: bool) -> io::Result<Self> {
        let (to, from) = sync_channel(LINES_MAX);
        let shown = Arc::new(Shown::default());
        let writer = Writer { shown: Arc::clone(&shown), bar: None };
        thread::Builder::new().name("terminal".to_owned()).spawn(move || writer.write(&from))?;
        let results = if quiet { Stream::Err } else { Stream::Out };
        Ok(Self { to, results, shown })
    }

    /// A line of what was found.
    pub fn say(&self, line: &str) {
        self.send(Message::Line(self.results, format!("{line}\n")));
    }

    /// A line for whoever watches.
    pub fn note(&self, line: &str) {
        self.send(Message::Line(Stream::Err, format!("{line}\n")));
    }

    /// A trial of so many seconds begins.
    pub fn begin(&self, name: &str, seconds: f64) {
        self.shown.done.store(0, Ordering::Relaxed);
        // A bar would be nothing but noise in a file.
        let seen = !ProgressDrawTarget::stderr().is_hidden();
        if seen {
            self.send(Message::Begin(name.to_owned()));
        } else {
            self.note(&format!("{name}: {seconds} s of load"));
        }
    }

    /// So much of the trial is over, 0 to 1.
    pub fn progress(&self, share: f64) {
        self.shown.done.store((share * STEPS as f64) as u64, Ordering::Relaxed);
    }

    /// The trial is over.
    pub fn end(&self) {
        self.send(Message::End);
    }

    /// Waits until all lines are written or cannot be; says whether they all were.
    pub async fn flush(&self) -> bool {
        let (done, flushed) = oneshot::channel();
        let mut message = Message::Flush(done);
        while let Err(TrySendError::Full(back)) = self.to.try_send(message) {
            message = back;
            sleep(REDRAW).await;
        }
        flushed.await.is_ok() && !self.shown.lost.load(Ordering::Relaxed)
    }

    fn send(&self, message: Message) {
        if self.to.try_send(message).is_err() {
            self.shown.lost.store(true, Ordering::Relaxed);
        }
    }
}

/// The thread's side.
struct Writer {
    shown: Arc<Shown>,
    bar: Option<ProgressBar>,
}

impl Writer {
    fn write(mut self, from: &Receiver<Message>) {
        loop {
            match self.next(from) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => self.draw(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn next(&self, from: &Receiver<Message>) -> Result<Message, RecvTimeoutError> {
        match self.bar {
            Some(_) => from.recv_timeout(REDRAW),
            None => from.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Line(stream, text) => {
                let write = || put(stream, &text);
                let written = self.bar.as_ref().map_or_else(write, |bar| bar.suspend(write));
                if written.is_err() {
                    self.shown.lost.store(true, Ordering::Relaxed);
                }
            }
            Message::Begin(name) => self.bar = Some(bar(name)),
            Message::End => drop(self.bar.take().map(|bar| bar.finish_and_clear())),
            Message::Flush(done) => drop(done.send(())),
        }
    }

    fn draw(&self) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.shown.done.load(Ordering::Relaxed));
        }
    }
}

fn bar(name: String) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    bar.set_message(name);
    bar
}

/// A reader that has seen enough (`| head`) has lost nothing.
fn put(stream: Stream, text: &str) -> io::Result<()> {
    let written = match stream {
        Stream::Out => write_to(&mut io::stdout().lock(), text),
        Stream::Err => write_to(&mut io::stderr().lock(), text),
    };
    written.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

fn write_to(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Prints what a command was called for.
///
/// # Errors
/// If it cannot be written; a reader that has seen enough is no error.
pub fn show(text: &str) -> io::Result<()> {
    put(Stream::Out, text)
}

/// Prints a line for whoever watches; nobody need.
pub fn warn(line: &str) {
    // There is no other place to say that this one is gone.
    let _ = put(Stream::Err, &format!("{line}\n"));
}
