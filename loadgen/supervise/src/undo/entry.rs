//! What an undo journal says: who wrote it, and what must be taken back.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The environment variable by which a process is known as one of a journal's, even if the harness
/// ended between starting it and writing its id down.
pub const MARK: &str = "TRIPTYCH_MARK";

/// What must be taken back. A process is named by its id and its start (clock ticks since boot,
/// proc(5) field 22 of stat), so that a later process with the same id is never touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Undo {
    /// A process of the system, by its keeper: all that descends from it is killed, then itself.
    Process {
        /// Its id.
        pid: u32,
        /// Its start.
        started: u64,
        /// Its name in the system file.
        name: String,
    },
    /// A stopped process, by its keeper: all that descends from it is continued.
    Resume {
        /// Its id.
        pid: u32,
        /// Its start.
        started: u64,
    },
    /// A tracer: ended by SIGTERM, which detaches it from whom it traces.
    Detach {
        /// Its id.
        pid: u32,
        /// Its start.
        started: u64,
    },
    /// A mount below the trial's folder.
    Unmount {
        /// Where it is.
        path: PathBuf,
    },
    /// A loop device over a file below the trial's folder.
    DetachLoop {
        /// Such as /dev/loop3.
        device: PathBuf,
    },
    /// A control group that carries the journal's mark in its name.
    RemoveCgroup {
        /// Its folder.
        path: PathBuf,
    },
    /// A file below the trial's folder.
    RemoveFile {
        /// Its path.
        path: PathBuf,
    },
}

/// An open entry of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry(pub(super) u64);

/// Who wrote a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Author {
    /// The harness.
    pub(super) pid: u32,
    pub(super) started: u64,
    /// Ids and starts mean nothing after a reboot.
    pub(super) boot: String,
    pub(super) mark: String,
    /// The trial's folder.
    pub(super) folder: PathBuf,
}

/// In the order of their writing.
pub(super) type Open = Vec<(Entry, Undo)>;

/// What cleaning up did, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CleanedUp {
    /// What was taken back.
    pub done: Vec<String>,
    /// What could not be; the next call tries again.
    pub failed: Vec<String>,
}

pub(super) fn boot() -> io::Result<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned())
}
