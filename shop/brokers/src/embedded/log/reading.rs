//! Opening a log: whose it is, and what stands in it.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use group_commit::Synchronous;
use own_file::{Identity, OwnFile};
use process_log::tell;

use super::frames::{self, Frames, Kind};
use super::spare::{self, Spare};
use super::{Content, Log, OpenError, Segment, segment};

/// What the file that is named begins with; its epoch follows.
const MAGIC: &[u8] = b"Triptych broker log 1\n";
const EPOCH_BYTES: usize = size_of::<u64>();
/// The last byte of the file: the first segment is on the disk.
const BEGUN: u8 = b'!';

/// Where the last segment ends.
struct End {
    file: File,
    at: usize,
    sum: u32,
}

impl Log {
    /// Opens or creates a log, for this process alone, and reads it.
    ///
    /// # Errors
    /// If it cannot be opened, is another's or something else, or is not as it was written.
    pub(in super::super) fn open(
        path: &Path,
        synchronous: Synchronous,
        content: &mut impl Content,
    ) -> Result<Self, OpenError> {
        let place = OwnFile::open(path)?;
        let refused = |source| OpenError::Refused { path: path.to_owned(), source };
        let path = path.canonicalize().map_err(refused)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let folder = File::open(folder).map_err(refused)?;
        let numbers = numbers(&path).map_err(refused)?;
        let epoch = whose(&path, &fs::read(&path).map_err(refused)?, &numbers)?;
        let new = rand::random();
        let (segments, written, end) = match epoch {
            Some(epoch) => read(&path, epoch, &numbers, synchronous, content)?,
            None => begin(&path, new, &place, &folder, content).map_err(refused)?,
        };
        if synchronous != Synchronous::Off {
            // A name that is not on the disk yet is lost with all that is written below it.
            folder.sync_all().map_err(refused)?;
        }
        let number = segments.back().map_or(1, |last| last.number);
        let identity = Identity::at(&segment(&path, number));
        let identity = identity.ok_or_else(|| refused(io::ErrorKind::NotFound.into()))?;
        let spare = Spare::of(&path).map_err(refused)?;
        let End { file, at, sum } = end;
        Ok(Self {
            place,
            path,
            folder,
            epoch: epoch.unwrap_or(new),
            synchronous,
            segments,
            file,
            identity,
            at,
            sum,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            written,
            buffer: Vec::new(),
            spare,
            failed: None,
            forgets: 0,
        })
    }
}

/// The segments that are there, oldest first.
fn numbers(path: &Path) -> io::Result<Vec<u64>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let found = entry?.file_name();
        let number = found.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
        let number = number
            .and_then(|rest| str::from_utf8(rest).ok()?.strip_prefix('.')?.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The epoch of the log that this file is; none if it is to begin.
fn whose(path: &Path, bytes: &[u8], numbers: &[u64]) -> Result<Option<u64>, OpenError> {
    let damaged = |what: String| OpenError::Damaged { path: path.to_owned(), what };
    let whole = bytes.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk::<EPOCH_BYTES>());
    match whole {
        Some((epoch, [BEGUN])) if !numbers.is_empty() => Ok(Some(u64::from_le_bytes(*epoch))),
        Some((_, [BEGUN])) => Err(damaged("its segments are missing".to_owned())),
        // It was not served yet: a start was cut short.
        Some((epoch, [])) if is_unused(path, u64::from_le_bytes(*epoch), numbers) => Ok(None),
        Some((_, [])) => Err(damaged("its end is missing".to_owned())),
        None if MAGIC.starts_with(bytes) || bytes.starts_with(MAGIC) => match numbers {
            [] => Ok(None),
            [first, ..] => {
                let first = segment(path, *first);
                Err(damaged(format!("it is new, but there is {} of another log", first.display())))
            }
        },
        Some(_) | None => {
            let found = format!("it has {} bytes that are not its own", bytes.len());
            Err(OpenError::Foreign { path: path.to_owned(), found })
        }
    }
}

/// Whether no segment is there, or the first alone, in which nothing was changed.
fn is_unused(path: &Path, epoch: u64, numbers: &[u64]) -> bool {
    let bytes = || fs::read(segment(path, 1)).unwrap_or_default();
    let is_bare =
        || Frames::new(&bytes(), frames::seed(epoch, 1)).all(|(kind, _)| kind == Kind::Head);
    numbers.is_empty() || (numbers == [1] && is_bare())
}

type Opened = (VecDeque<Segment>, u64, End);

fn begin(
    path: &Path,
    epoch: u64,
    place: &OwnFile,
    folder: &File,
    content: &impl Content,
) -> io::Result<Opened> {
    let named = segment(path, 1);
    if named.exists() {
        // Of a start that was cut short; off the disk before it is nobody's any more.
        fs::remove_file(&named)?;
        folder.sync_all()?;
    }
    let mut own = place.file();
    own.set_len(0)?;
    own.write_all(&[MAGIC, &epoch.to_le_bytes()].concat())?;
    own.sync_all()?;
    folder.sync_all()?;
    let file = spare::make(&named.with_extension("unfinished"), &named)?;
    let mut head = Vec::new();
    let sum = frames::put(Kind::Head, &content.head(), frames::seed(epoch, 1), &mut head);
    file.write_all_at(&head, 0)?;
    file.sync_all()?;
    folder.sync_all()?;
    own.write_all(&[BEGUN])?;
    own.sync_all()?;
    let first = Segment { number: 1, first_frame: 0, ids: VecDeque::new(), stale: false };
    Ok((VecDeque::from([first]), 0, End { file, at: head.len(), sum }))
}

fn read(
    path: &Path,
    epoch: u64,
    numbers: &[u64],
    synchronous: Synchronous,
    content: &mut impl Content,
) -> Result<Opened, OpenError> {
    if let Some(pair) = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1) {
        let missing = segment(path, pair[0] + 1);
        return Err(OpenError::Damaged { path: missing, what: "it is missing".to_owned() });
    }
    let (mut segments, mut frame, mut end) = (VecDeque::new(), 0, None);
    for (place, &number) in numbers.iter().enumerate() {
        let named = segment(path, number);
        let refused = |source| OpenError::Refused { path: named.clone(), source };
        let bytes = fs::read(&named).map_err(refused)?;
        let mut reader =
            Reader { named: &named, frames: Frames::new(&bytes, frames::seed(epoch, number)) };
        let mut is_last = place + 1 == numbers.len();
        let first_frame = frame;
        let found = reader.read(content, &mut frame)?;
        let is_whole = found.as_ref().is_some_and(|found| is_last || found.is_ended);
        if !is_whole {
            let is_kept = usize::from(found.is_some());
            if synchronous != Synchronous::Off || place + is_kept == 0 {
                let what =
                    format!("it is not as it was written, from byte {} on", reader.frames.at);
                return Err(OpenError::Damaged { path: named, what });
            }
            // Nothing was promised: what is there is taken as far as it goes.
            drop_all(path, &numbers[place + is_kept..]);
            is_last = true;
        }
        let Some(Found { ids, at, sum, .. }) = found else { break };
        // What was done in it is not counted again.
        segments.push_back(Segment { number, first_frame, ids, stale: true });
        let file = File::options().read(true).write(true).open(&named).map_err(refused)?;
        if is_last && synchronous != Synchronous::Off {
            // After an fsync that failed the system may show what the disk does not have.
            file.write_all_at(&bytes[..at], 0).map_err(refused)?;
            file.sync_all().map_err(refused)?;
        }
        end = Some(End { file, at, sum });
        if is_last {
            break;
        }
    }
    let missing = || OpenError::Damaged { path: path.to_owned(), what: "it is empty".to_owned() };
    Ok((segments, frame, end.ok_or_else(missing)?))
}

fn drop_all(path: &Path, numbers: &[u64]) {
    for named in numbers.iter().map(|number| segment(path, *number)) {
        tell("log-cut-short", || [("segment", named.display().to_string().into())]);
        // One that stays is met again at the next start.
        let _ = fs::remove_file(named);
    }
}

struct Reader<'a> {
    named: &'a PathBuf,
    frames: Frames<'a>,
}

struct Found {
    ids: VecDeque<i64>,
    /// Where its end is, or would be, and with which checksum.
    at: usize,
    sum: u32,
    is_ended: bool,
}

impl Reader<'_> {
    /// None if it has no head.
    fn read(
        &mut self,
        content: &mut impl Content,
        frame: &mut u64,
    ) -> Result<Option<Found>, OpenError> {
        let damaged = |what| OpenError::Damaged { path: self.named.clone(), what };
        match self.frames.next() {
            // Of each segment: a head may name what no frame before it does, if it was the last that was written.
            Some((Kind::Head, head)) => content.begin(head).map_err(damaged)?,
            Some(_) | None => return Ok(None),
        }
        let mut found = Found { ids: VecDeque::new(), at: 0, sum: 0, is_ended: false };
        loop {
            (found.at, found.sum) = (self.frames.at, self.frames.sum);
            match self.frames.next() {
                Some((Kind::Changes, changes)) => {
                    found.ids.extend(content.change(changes, *frame).map_err(damaged)?);
                    *frame += 1;
                }
                Some((Kind::End, _)) => found.is_ended = true,
                Some((Kind::Head, _)) | None => return Ok(Some(found)),
            }
            if found.is_ended {
                return Ok(Some(found));
            }
        }
    }
}
