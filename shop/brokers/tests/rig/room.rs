//! A small disk of a server's own, and what takes its room.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

const MIB: u64 = 1 << 20;
const PAGE: usize = 4_096;
/// The file that takes all room.
const BALLAST: &str = "ballast";

/// Mounted where a server has its data, until it is dropped: in memory, where an fsync costs nothing.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Of so many MiB; none, with a word, on a machine where we may not mount.
    pub(crate) fn at(folder: &Path, mib: u32) -> Option<Self> {
        let size = format!("size={mib}m");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        let mounted = mount.is_ok_and(|mount| mount.status.success());
        let is_root = rustix::process::geteuid().is_root();
        assert!(mounted || !is_root || std::env::var_os("CI").is_none(), "root cannot mount");
        if !mounted {
            println!("skipped: no disk can be mounted; it needs root");
        }
        mounted.then(|| Self(folder.to_owned()))
    }

    /// Takes all room.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.0.join(BALLAST)).unwrap();
        let full = loop {
            if let Err(error) = file.write_all(&[0; PAGE]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
    }

    /// Takes all room but so many MiB.
    pub(crate) fn fill_but(&self, mib: u64) {
        self.fill();
        let file = File::options().write(true).open(self.0.join(BALLAST)).unwrap();
        file.set_len(file.metadata().unwrap().len() - mib * MIB).unwrap();
    }

    /// Gives it back.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.0.join(BALLAST)).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Its server may still be there; the disk goes with its last file.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
