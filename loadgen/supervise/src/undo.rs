//! The undo journal: how to clean up after every fault, written to the disk before the fault is injected.
//!
//! `undo.jsonl` lies in the trial's folder. Its first line names who wrote it and the mark that all
//! its processes carry in their environment; the others open and close entries. [`clean_up`] takes back
//! what is open in the journal of a harness that is no more.

mod entry;
mod take_back;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::mutex::lock;
use crate::tree::Member;
use entry::{Author, Open, boot};

pub use entry::{CleanedUp, Entry, MARK, Undo};

/// The journal's name in a trial's folder.
pub const JOURNAL: &str = "undo.jsonl";

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Begin(Author),
    Open {
        entry: Entry,
        #[serde(flatten)]
        undo: Undo,
    },
    Done {
        done: Entry,
    },
}

/// A journal that is being written.
pub struct UndoLog {
    author: Author,
    state: Mutex<State>,
}

struct State {
    file: File,
    next: u64,
    open: BTreeMap<Entry, Undo>,
}

impl UndoLog {
    /// Begins the journal in a folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(folder: &Path) -> io::Result<Self> {
        let pid = std::process::id();
        let author = Author {
            pid,
            started: started(pid).unwrap_or_default(),
            boot: boot()?,
            mark: format!("{:032x}", rand::random::<u128>()),
            // As the kernel's list of mounts has it: without links.
            folder: folder.canonicalize()?,
        };
        let mut file = File::options().create_new(true).append(true).open(folder.join(JOURNAL))?;
        append(&mut file, &Line::Begin(author.clone()))?;
        // The name must survive as the lines do.
        File::open(folder)?.sync_all()?;
        let state = State { file, next: 1, open: BTreeMap::new() };
        Ok(Self { author, state: Mutex::new(state) })
    }

    /// The word that the journal's processes carry in [`MARK`], and its control groups in their
    /// names.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.author.mark
    }

    /// Writes down what is about to be done; returns when that is on the disk.
    ///
    /// # Errors
    /// If it is not: then the fault must not be injected.
    pub fn before(&self, undo: Undo) -> io::Result<Entry> {
        let mut state = lock(&self.state);
        let entry = Entry(state.next);
        append(&mut state.file, &Line::Open { entry, undo: undo.clone() })?;
        state.next += 1;
        state.open.insert(entry, undo);
        Ok(entry)
    }

    /// Writes down that it has been taken back.
    ///
    /// # Errors
    /// If that cannot be written; the next [`clean_up`] finds nothing to do there.
    pub fn done(&self, entry: Entry) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.open.remove(&entry);
        append(&mut state.file, &Line::Done { done: entry })
    }

    /// Writes a process down that was just started, and that carries the mark.
    ///
    /// # Errors
    /// As [`Self::before`].
    pub fn process(&self, pid: u32, name: &str) -> io::Result<Entry> {
        let started = started(pid).unwrap_or_default();
        self.before(Undo::Process { pid, started, name: name.to_owned() })
    }

    /// Takes back whatever is still open, at the end of a trial; says what that was.
    #[must_use]
    pub fn sweep(&self) -> Vec<String> {
        let open: Open = lock(&self.state).open.clone().into_iter().collect();
        let (told, closed) = take_back::all(&self.author, &open);
        for entry in closed {
            let _ = self.done(entry);
        }
        [told.done, told.failed].concat()
    }
}

/// Takes back what the journals in and below `folder` hold open, unless their harness still runs.
///
/// # Errors
/// If the folder or a journal cannot be read, or a journal cannot be written.
pub fn clean_up(folder: &Path) -> anyhow::Result<CleanedUp> {
    let mut told = CleanedUp::default();
    for journal in left(folder)? {
        let (found, closed) = take_back::all(&journal.author, &journal.open);
        let named = |text: String| format!("{}: {text}", journal.path.display());
        told.done.extend(found.done.into_iter().map(named));
        told.failed.extend(found.failed.into_iter().map(named));
        let mut file = File::options().append(true).open(&journal.path)?;
        // A line that the end of the harness tore apart goes; nothing was done for it.
        let text = std::fs::read(&journal.path)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        for entry in closed {
            append(&mut file, &Line::Done { done: entry })?;
        }
    }
    Ok(told)
}

/// Whether the journal in a folder, if there is one, holds nothing open.
#[must_use]
fn is_closed(folder: &Path) -> bool {
    let path = folder.join(JOURNAL);
    !path.exists() || read(&path).is_ok_and(|found| found.is_none_or(|(_, open)| open.is_empty()))
}

/// Removes a folder whose trials came to nothing, unless a journal in or below it holds something
/// open or cannot be read: what is still harmed must stay known.
pub fn remove_if_closed(folder: &Path) {
    let closed = |path: &PathBuf| path.parent().is_some_and(is_closed);
    if journals(folder).is_ok_and(|journals| journals.iter().all(closed)) {
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// A journal with something left to take back.
pub struct Left {
    /// Its file.
    pub path: PathBuf,
    author: Author,
    open: Open,
}

/// The journals in and below `folder` whose harness has ended and left something.
///
/// # Errors
/// If the folder or a journal cannot be read.
pub fn left(folder: &Path) -> anyhow::Result<Vec<Left>> {
    let mut found = Vec::new();
    for path in journals(folder)? {
        let Some((author, open)) = read(&path)? else { continue };
        let own = boot()? == author.boot;
        let author_is = Member { pid: author.pid, started: author.started };
        let runs = own && author_is.lives();
        let marked = own && !take_back::marked(&author.mark).is_empty();
        if !runs && (!open.is_empty() || marked) {
            found.push(Left { path, author, open });
        }
    }
    Ok(found)
}

/// Deeper than any journal lies: below `results` a campaign has campaign/lane/system/run/scenario/
/// system/trial.
const DEPTH: usize = 12;

fn journals(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            // `latest` is a link to a folder that is met anyway.
            if entry.file_type()?.is_dir() && depth < DEPTH {
                folders.push((entry.path(), depth + 1));
            } else if entry.file_name() == JOURNAL {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The author and what is open; nothing if not even the first line is whole.
fn read(path: &Path) -> anyhow::Result<Option<(Author, Open)>> {
    let text = std::fs::read_to_string(path)?;
    let mut author = None;
    let mut open = BTreeMap::new();
    let whole = text.lines().zip(1..).filter(|(_, n)| *n <= text.matches('\n').count());
    for (line, number) in whole {
        match serde_json::from_str(line) {
            Ok(Line::Begin(begun)) => author = Some(begun),
            Ok(Line::Open { entry, undo }) => drop(open.insert(entry, undo)),
            Ok(Line::Done { done }) => drop(open.remove(&done)),
            Err(error) => anyhow::bail!(
                "{}:{number}: this is no line of an undo journal ({error}); look after what it names by hand, then remove the file",
                path.display()
            ),
        }
    }
    Ok(author.map(|author| (author, open.into_iter().collect())))
}

fn append(file: &mut File, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

/// When a process was started, in clock ticks since boot; nothing if it is not there.
pub fn started(pid: u32) -> Option<u64> {
    Member::of(pid).map(|member| member.started)
}

#[cfg(test)]
mod tests;
