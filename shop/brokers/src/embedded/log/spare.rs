//! The segment that comes next: made ready by a thread of its own, or one that nobody needs any more. Its blocks are
//! there, so that writing to it changes no file system and needs no room.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use super::SEGMENT_BYTES;
use crate::Micros;
use crate::clock::now_us;

/// How soon it is tried again after it failed.
const AGAIN_US: Micros = 100_000;
/// Zeros that are written at once.
const PIECE: usize = 1 << 20;
const OWNER_ALONE: u32 = 0o600;

/// At most one segment that waits for its turn.
pub(super) struct Spare {
    path: PathBuf,
    shared: Arc<Shared>,
    wanted: mpsc::Sender<Task>,
}

/// What the thread is to do.
enum Task {
    /// Makes a spare.
    Make,
    /// Overwrites one that was used: it is the spare then.
    Wipe(File),
    /// Overwrites one that was used and has no name any more.
    Forget(File),
}

#[derive(Default)]
struct Shared {
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    /// It is being made; with why it could not be the last time.
    Making(Option<String>),
    Ready(File),
    /// It could not be made.
    Failed(String, Micros),
}

impl Spare {
    /// The spare of the log at `path`; what is left there of an earlier one is removed.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let beside = |suffix: &str| {
            let mut name = OsString::from(path);
            name.push(suffix);
            PathBuf::from(name)
        };
        let (path, unfinished) = (beside(".spare"), beside(".unfinished"));
        for left in [&path, &unfinished] {
            if let Err(error) = fs::remove_file(left)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(error);
            }
        }
        let (wanted, asked) = mpsc::channel();
        let shared: Arc<Shared> = Arc::default();
        let (making, target) = (Arc::clone(&shared), path.clone());
        thread::Builder::new().name("log-spare".to_owned()).spawn(move || {
            while let Ok(task) = asked.recv() {
                let made = match task {
                    Task::Make => make(&unfinished, &target),
                    Task::Wipe(file) => wipe(&file).map(|()| file),
                    Task::Forget(file) => {
                        // If this fails, nobody finds it by a name all the same.
                        let _ = wipe(&file);
                        continue;
                    }
                };
                making.put(match made {
                    Ok(file) => Slot::Ready(file),
                    Err(error) => Slot::Failed(error.to_string(), now_us()),
                });
            }
        })?;
        Ok(Self { path, shared, wanted })
    }

    /// Where it stands while it is spare.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Has one made, unless there is one, or it failed a moment ago.
    pub(super) fn want(&self) {
        let mut slot = self.shared.slot();
        let failed = match &*slot {
            Slot::Empty => None,
            Slot::Failed(why, at_us) if now_us() - at_us >= AGAIN_US => Some(why.clone()),
            Slot::Failed(..) | Slot::Making(_) | Slot::Ready(_) => return,
        };
        if self.wanted.send(Task::Make).is_ok() {
            *slot = Slot::Making(failed);
        }
    }

    /// Whether there is one.
    pub(super) fn is_ready(&self) -> bool {
        matches!(&*self.shared.slot(), Slot::Ready(_))
    }

    /// Whether there is one when what is being made is made.
    pub(super) fn is_there(&self) -> bool {
        self.want();
        let is_making = |slot: &mut Slot| matches!(slot, Slot::Making(None));
        let slot = self.shared.changed.wait_while(self.shared.slot(), is_making);
        matches!(&*slot.unwrap_or_else(PoisonError::into_inner), Slot::Ready(_))
    }

    /// Why there is none: what was wrong the last time.
    pub(super) fn failure(&self) -> Option<String> {
        match &*self.shared.slot() {
            Slot::Failed(why, _) | Slot::Making(Some(why)) => Some(why.clone()),
            Slot::Empty | Slot::Making(None) | Slot::Ready(_) => None,
        }
    }

    /// Waits until it is made, if it must be. It is no spare any more when `place` has succeeded.
    pub(super) fn take<T>(
        &self,
        place: impl FnOnce(&File) -> io::Result<T>,
    ) -> io::Result<(File, T)> {
        self.want();
        let slot = self.shared.slot();
        let making = |slot: &mut Slot| matches!(slot, Slot::Making(_));
        let waited = self.shared.changed.wait_while(slot, making);
        let mut slot = waited.unwrap_or_else(PoisonError::into_inner);
        match std::mem::take(&mut *slot) {
            Slot::Ready(file) => match place(&file) {
                Ok(value) => Ok((file, value)),
                Err(error) => {
                    // It may have got its new name: then another takes its place.
                    *slot = if self.path.exists() { Slot::Ready(file) } else { Slot::Empty };
                    Err(error)
                }
            },
            Slot::Failed(why, at_us) => {
                *slot = Slot::Failed(why.clone(), at_us);
                Err(io::Error::new(io::ErrorKind::StorageFull, why))
            }
            other @ (Slot::Empty | Slot::Making(_)) => {
                *slot = other;
                Err(io::Error::other("the thread that makes segments is gone"))
            }
        }
    }

    /// Keeps a segment that nobody needs any more, unless there is a spare or one is being made: then it is removed. It
    /// is overwritten: what is done is nobody's business any more.
    /// Its old name is off the disk before anybody overwrites it, and before that of the next one.
    pub(super) fn keep(&self, file: File, named: &Path, folder: &File) -> io::Result<()> {
        let mut slot = self.shared.slot();
        if matches!(&*slot, Slot::Making(_) | Slot::Ready(_)) {
            fs::remove_file(named)?;
            folder.sync_all()?;
            // Without the thread it is gone by its name alone.
            let _ = self.wanted.send(Task::Forget(file));
            return Ok(());
        }
        fs::rename(named, &self.path)?;
        folder.sync_all()?;
        if self.wanted.send(Task::Wipe(file)).is_ok() {
            *slot = Slot::Making(None);
        }
        Ok(())
    }
}

impl Shared {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, made: Slot) {
        *self.slot() = made;
        self.changed.notify_all();
    }
}

/// A file of zeros, all of its blocks on the disk. Of one that could not be finished nothing is left.
pub(super) fn make(unfinished: &Path, target: &Path) -> io::Result<File> {
    let filled = fill(unfinished).and_then(|file| fs::rename(unfinished, target).map(|()| file));
    if filled.is_err() {
        // It takes the room that others need.
        let _ = fs::remove_file(unfinished);
    }
    filled
}

/// Overwrites all of a segment.
fn wipe(mut file: &File) -> io::Result<()> {
    file.seek(io::SeekFrom::Start(0))?;
    let zeros = vec![0; PIECE];
    for _ in 0..SEGMENT_BYTES / PIECE {
        file.write_all(&zeros)?;
    }
    file.sync_data()
}

fn fill(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(OWNER_ALONE);
    let mut file = options.open(path)?;
    let zeros = vec![0; PIECE];
    for _ in 0..SEGMENT_BYTES / PIECE {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    Ok(file)
}
