//! The one place that writes to standard output and standard error.
//!
//! What accompanies a run is written by a thread: a reader that is slow, gone or full delays nothing
//! and ends nothing. It knows lines, shares of a whole and times, not what they say.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// Lines that wait for a reader; a run of a thousand trials tells a few of each.
const LINES_MAX: usize = 16_384;
const REDRAW: Duration = Duration::from_millis(200);
/// The whole of a bar.
const STEPS: u64 = 1_000;
const TEMPLATE: &str = "{msg} {wide_bar} {percent:>3} % {prefix}";
/// The columns that every terminal has.
const WIDTH: usize = 80;
/// Of a name beside its bar.
const NAME_WIDTH: usize = 44;
/// How far what follows a line's first part is moved in.
const INDENT: usize = 6;

/// Where a line goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
}

enum Message {
    Line(Stream, String),
    Begin(String, Option<Left>),
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
        let writer = Writer { shown: Arc::clone(&shown), bar: None, left: None };
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

    /// A load of so many seconds begins; all that it is a part of takes `left_s` from now on, if that is
    /// known.
    pub fn begin(&self, name: &str, seconds: f64, left_s: Option<f64>) {
        self.shown.done.store(0, Ordering::Relaxed);
        // A bar would be nothing but noise in a file.
        let seen = !ProgressDrawTarget::stderr().is_hidden();
        if seen {
            let left = left_s.map(|seconds| Left { since: Instant::now(), seconds });
            self.send(Message::Begin(name.to_owned(), left));
        } else {
            let left = left_s.map(|left_s| format!("about {} left, ", spoken(left_s)));
            self.note(&format!("{name}: {}{seconds} s of load", left.unwrap_or_default()));
        }
    }

    /// So much of the load is over, 0 to 1.
    pub fn progress(&self, share: f64) {
        self.shown.done.store((share * STEPS as f64) as u64, Ordering::Relaxed);
    }

    /// The load is over.
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
    left: Option<Left>,
}

/// What was left at an instant.
#[derive(Clone, Copy)]
struct Left {
    since: Instant,
    seconds: f64,
}

impl Left {
    fn now_s(self) -> f64 {
        (self.seconds - self.since.elapsed().as_secs_f64()).max(0.0)
    }
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
            Message::Begin(name, left) => {
                self.left = left;
                self.bar = Some(bar(&name));
            }
            Message::End => drop(self.bar.take().map(|bar| bar.finish_and_clear())),
            Message::Flush(done) => drop(done.send(())),
        }
    }

    fn draw(&self) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.shown.done.load(Ordering::Relaxed));
            if let Some(left) = self.left {
                bar.set_prefix(format!("{} left", spoken(left.now_s())));
            }
        }
    }
}

fn bar(name: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    bar.set_message(name.chars().take(NAME_WIDTH).collect::<String>());
    bar
}

/// A time as people say it: to the second below ten minutes, to the minute above.
#[must_use]
pub fn spoken(seconds: f64) -> String {
    match seconds.max(0.0).round() as u64 {
        s @ 0..60 => format!("{s} s"),
        s @ 60..600 => format!("{} min {} s", s / 60, s % 60),
        s @ 600..3_600 => format!("{} min", (s + 30) / 60),
        s => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
    }
}

/// A line broken at spaces so that it fits a terminal's columns; what follows the first part is moved in.
#[must_use]
pub fn folded(line: &str) -> String {
    let (mut text, mut rest, mut indent) = (String::new(), line, 0);
    while let Some(cut) = cut(rest, WIDTH - indent) {
        text.push_str(rest[..cut].trim_end());
        text.push('\n');
        text.push_str(&" ".repeat(INDENT));
        rest = rest[cut..].trim_start();
        indent = INDENT;
    }
    text + rest
}

/// Where to break what is longer than so many columns: at the last space that fits, else at the next one.
fn cut(text: &str, columns: usize) -> Option<usize> {
    let (end, _) = text.char_indices().nth(columns)?;
    if text[end..].starts_with(' ') {
        return Some(end);
    }
    let fits = text[..end].rfind(' ').filter(|at| !text[..*at].trim().is_empty());
    fits.or_else(|| text[end..].find(' ').map(|at| end + at))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_broken_at_spaces_and_a_word_is_not() {
        assert_eq!(folded("short"), "short");
        let words = "    reason: ".to_owned() + &"twelve chars ".repeat(14);
        let text = folded(words.trim_end());
        assert!(
            text.lines().count() > 2 && text.lines().all(|l| l.chars().count() <= WIDTH),
            "{text}"
        );
        let joined: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(joined, words.split_whitespace().collect::<Vec<_>>(), "no word is lost");
        let word = "x".repeat(90);
        assert_eq!(folded(&word), word);
        assert_eq!(folded(&format!("    {word} end")), format!("    {word}\n      end"));
        let exact = format!("{} b", "a".repeat(WIDTH));
        assert_eq!(folded(&exact), format!("{}\n      b", "a".repeat(WIDTH)));
        // No byte of a character is a place to break.
        assert_eq!(folded(&"µ".repeat(WIDTH + 1)), "µ".repeat(WIDTH + 1));
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        let said = [0.4, 59.4, 61.0, 599.0, 601.0, 3_570.0, 3_700.0].map(spoken);
        assert_eq!(
            said,
            ["0 s", "59 s", "1 min 1 s", "9 min 59 s", "10 min", "60 min", "1 h 1 min"]
        );
    }
}
