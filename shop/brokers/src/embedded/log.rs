//! The broker's log: what was changed, in order, in segments of one size whose blocks are there before they are needed.
//! A commit writes what waits and fsyncs once. It knows no message: what a frame says is its reader's business.
//!
//! Beside the file that is named, which tells whose log it is, stand its segments, `NAME.1` and so on: the oldest first,
//! the last one being written. What a segment says of a message is either repeated further on or does not matter any
//! more when it is let go, so any rest of the log tells the whole.

mod frames;
mod reading;
mod spare;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use group_commit::Synchronous;
use own_file::{Identity, OwnFile};

use crate::Micros;
use crate::clock::now_us;
use frames::{END_BYTES, Kind};
use spare::Spare;

/// Bytes of a segment: one that is made costs some milliseconds, one that is read as well.
pub(super) const SEGMENT_BYTES: usize = 8 << 20;
/// The end of a segment that is kept for settlements while no other segment can be had.
const RESERVE_BYTES: usize = 1 << 20;
/// A frame that has so much content takes no further change.
const FRAME_BYTES: usize = 64 << 10;
/// After a failure nothing is tried for so long: who asks meanwhile is told of it.
const AGAIN_US: Micros = 100_000;

/// What stands in a log.
pub(super) trait Content {
    /// All that a segment's reader must know of those before it.
    fn head(&self) -> Vec<u8>;

    /// Reads what `head` wrote; of the oldest segment's.
    ///
    /// # Errors
    /// If it is none.
    fn begin(&mut self, head: &[u8]) -> Result<(), String>;

    /// Makes the changes of this frame; returns the messages that it holds whole.
    ///
    /// # Errors
    /// If they are none.
    fn change(&mut self, changes: &[u8], frame: u64) -> Result<Vec<i64>, String>;
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is another process's, or cannot be opened.
    #[error(transparent)]
    File(#[from] own_file::Error),
    /// The system refuses.
    #[error("cannot use {path}: {source}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path} is no file of this broker: {found}; name another file, or move this one away")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// Something is missing or is not as it was written. Nothing was changed.
    #[error(
        "{path}: {what}; nothing was changed: put back what is missing, or move the whole log away to begin anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// A log that is open.
pub(super) struct Log {
    place: OwnFile,
    /// Where the file is, which may have been named by a link.
    path: PathBuf,
    folder: File,
    epoch: u64,
    synchronous: Synchronous,
    /// The last is written.
    segments: VecDeque<Segment>,
    file: File,
    identity: Identity,
    /// Where in it the next frame begins, and with which checksum.
    at: usize,
    sum: u32,
    /// What is not durable.
    waiting: VecDeque<Frame>,
    waiting_bytes: usize,
    /// How many frames there have been, those that wait apart.
    written: u64,
    buffer: Vec<u8>,
    spare: Spare,
    failed: Option<(String, Micros)>,
    /// Segments up to this one are to be let go: what was done in them is to be forgotten.
    forgets: u64,
}

/// A segment of the log.
struct Segment {
    number: u64,
    first_frame: u64,
    /// Messages that it holds whole, or did.
    ids: VecDeque<i64>,
    /// Whether one of them is done, or moved.
    stale: bool,
}

/// Changes that stand together.
#[derive(Default)]
struct Frame {
    content: Vec<u8>,
    ids: Vec<i64>,
}

impl Log {
    /// Tells this log from all others.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Adds a change to what waits; returns the number of its frame. `whole` is the message that the change holds whole.
    pub(super) fn push(&mut self, whole: Option<i64>, encode: impl FnOnce(&mut Vec<u8>)) -> u64 {
        if self.waiting.back().is_none_or(|frame| frame.content.len() >= FRAME_BYTES) {
            self.waiting.push_back(Frame::default());
        }
        if let Some(frame) = self.waiting.back_mut() {
            let before = frame.content.len();
            encode(&mut frame.content);
            frame.ids.extend(whole);
            self.waiting_bytes += frame.content.len() - before;
        }
        self.written + self.waiting.len() as u64 - 1
    }

    /// Bytes that wait.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Whether something waits.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Why no message can be added, though what is there can be settled.
    pub(super) fn full(&self) -> Option<String> {
        let used = self.at + self.waiting_bytes + RESERVE_BYTES;
        if used <= SEGMENT_BYTES || self.spare.is_there() {
            return None;
        }
        let why = self.spare.failure()?;
        Some(format!("its log is full: {} cannot grow: {why}", self.path.display()))
    }

    /// Writes what was left by a commit that failed.
    ///
    /// # Errors
    /// If that fails again, or has failed a moment ago.
    pub(super) fn mend(&mut self, content: &impl Content) -> Result<(), String> {
        match &self.failed {
            None => Ok(()),
            Some((why, at_us)) if now_us() - at_us < AGAIN_US => Err(why.clone()),
            Some(_) => self.commit(content),
        }
    }

    /// Makes durable what waits. After an error it still waits: it may have had an effect, and will have one if the next
    /// commit succeeds.
    ///
    /// # Errors
    /// If it cannot be written, or nobody would find it again.
    pub(super) fn commit(&mut self, content: &impl Content) -> Result<(), String> {
        let ended = self.write_all(content).map_err(|error| {
            let why =
                if error.kind() == io::ErrorKind::StorageFull { "its log is full: " } else { "" };
            format!("{why}{}: {error}", self.path.display())
        });
        let ended = ended.and_then(|()| self.gone().map_or(Ok(()), Err));
        self.failed = ended.as_ref().err().map(|why| (why.clone(), now_us()));
        ended
    }

    fn write_all(&mut self, content: &impl Content) -> io::Result<()> {
        let is_last_to_go = self.segments.back().is_some_and(|last| last.number <= self.forgets);
        if is_last_to_go && self.spare.is_ready() {
            self.roll(content)?;
        }
        while self.is_waiting() {
            match self.gather() {
                (0, _) => self.roll(content)?,
                (frames, sum) => self.write(frames, sum)?,
            }
        }
        if self.at > SEGMENT_BYTES / 2 {
            self.spare.want();
        }
        Ok(())
    }

    /// Puts what fits into the buffer; returns how many frames, and the last one's checksum.
    fn gather(&mut self) -> (usize, u32) {
        self.buffer.clear();
        let (mut sum, mut frames) = (self.sum, 0);
        for frame in &self.waiting {
            let end = self.at + self.buffer.len() + frames::size(frame.content.len());
            if end + END_BYTES > SEGMENT_BYTES {
                break;
            }
            sum = frames::put(Kind::Changes, &frame.content, sum, &mut self.buffer);
            frames += 1;
        }
        (frames, sum)
    }

    fn write(&mut self, frames: usize, sum: u32) -> io::Result<()> {
        crash_point::reach(crash_point::MID_COMMIT);
        self.file.write_all_at(&self.buffer, self.at as u64)?;
        if self.synchronous == Synchronous::Full {
            self.file.sync_data()?;
        }
        (self.at, self.sum) = (self.at + self.buffer.len(), sum);
        self.written += frames as u64;
        for Frame { content, ids } in self.waiting.drain(..frames) {
            self.waiting_bytes -= content.len();
            if let Some(last) = self.segments.back_mut() {
                last.ids.extend(ids);
            }
        }
        Ok(())
    }

    /// Goes on in the next segment, when all before it is on the disk.
    fn roll(&mut self, content: &impl Content) -> io::Result<()> {
        self.buffer.clear();
        frames::put(Kind::End, &[], self.sum, &mut self.buffer);
        self.file.write_all_at(&self.buffer, self.at as u64)?;
        self.settle(&self.file)?;
        let number = self.segments.back().map_or(0, |last| last.number) + 1;
        let (named, seed) = (segment(&self.path, number), frames::seed(self.epoch, number));
        let mut head = Vec::new();
        let sum = frames::put(Kind::Head, &content.head(), seed, &mut head);
        let (file, identity) = self.spare.take(|file| {
            file.write_all_at(&head, 0)?;
            self.settle(file)?;
            std::fs::rename(self.spare.path(), &named)?;
            self.settle(&self.folder)?;
            Identity::at(&named).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        })?;
        (self.file, self.identity, self.at, self.sum) = (file, identity, head.len(), sum);
        let (first_frame, ids) = (self.written, VecDeque::new());
        self.segments.push_back(Segment { number, first_frame, ids, stale: false });
        Ok(())
    }

    /// To the disk, unless that was given up.
    fn settle(&self, file: &File) -> io::Result<()> {
        if self.synchronous == Synchronous::Off { Ok(()) } else { file.sync_all() }
    }

    /// What is not there any more, as it is told.
    fn gone(&self) -> Option<String> {
        let last = self.segments.back().map(|last| segment(&self.path, last.number));
        let gone = match last {
            _ if !self.place.is_there() => self.place.path().to_owned(),
            Some(last) if Identity::at(&last) != Some(self.identity) => last,
            Some(_) | None => return None,
        };
        Some(format!(
            "{} is not there any more: it was removed, moved or replaced; start again to go on with what is there",
            gone.display()
        ))
    }

    /// What this frame holds of a message matters no more, and is to be forgotten.
    pub(super) fn outdated(&mut self, frame: u64) {
        let after = self.segments.partition_point(|segment| segment.first_frame <= frame);
        if let Some(segment) = after.checked_sub(1).and_then(|at| self.segments.get_mut(at)) {
            segment.stale = true;
        }
    }

    /// Has all segments go in which something is to be forgotten; whether there are some, and room for what is alive in
    /// them.
    pub(super) fn forget(&mut self) -> bool {
        let stale = self.segments.iter().rev().find(|segment| segment.stale);
        self.forgets = stale.map_or(self.forgets, |segment| segment.number.max(self.forgets));
        let is_there = self.segments.front().is_some_and(|first| first.number <= self.forgets);
        if is_there {
            self.spare.want();
        }
        is_there && self.spare.failure().is_none()
    }

    /// Whether the oldest segment is to go: something in it is to be forgotten, or the log is much longer than what it
    /// holds, which is so many bytes; and whether there is room for what has to be moved.
    pub(super) fn is_to_go(&self, held_bytes: u64) -> bool {
        let segment = SEGMENT_BYTES as u64;
        let is_long = self.segments.len() as u64 * segment > 2 * held_bytes + 3 * segment;
        let is_first = self.segments.front().is_some_and(|first| first.number <= self.forgets);
        (is_long || is_first) && self.spare.failure().is_none()
    }

    /// The next message of which the oldest segment may hold the last word, and the first frame that is not that
    /// segment's.
    pub(super) fn oldest(&self) -> Option<(i64, u64)> {
        let (first, next) = (self.segments.front()?, self.segments.get(1)?);
        first.ids.front().map(|id| (*id, next.first_frame))
    }

    /// The oldest segment does not matter for this message any more, once what waits is durable.
    pub(super) fn pass(&mut self) {
        if let Some(first) = self.segments.front_mut() {
            first.ids.pop_front();
        }
    }

    /// Lets segments go that matter for nobody. To be called while nothing waits.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn let_go(&mut self) -> io::Result<()> {
        while let [first, _, ..] = self.segments.make_contiguous()
            && first.ids.is_empty()
        {
            let named = segment(&self.path, first.number);
            match File::options().read(true).write(true).open(&named) {
                Ok(file) => self.spare.keep(file, &named, &self.folder)?,
                // Its name went before, and the disk failed then.
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.folder.sync_all()?,
                Err(error) => return Err(error),
            }
            self.segments.pop_front();
        }
        Ok(())
    }
}

/// Where the segment of this number is.
fn segment(path: &Path, number: u64) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}
