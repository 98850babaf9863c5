//! Shuts a mounted file system down as a power cut would: what was not on the disk is lost.
//!
//! The only crate of the workspace with an `unsafe` line. It knows nothing of faults: who may be
//! harmed is its caller's business.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::fstatfs;
use rustix::ioctl::{Setter, ioctl, opcode};

/// `FS_IOC_SHUTDOWN`, `_IOR('X', 125, __u32)` in linux/fs.h (6.18; ext4 and XFS had the number
/// before). In spite of its name it reads the word that it is given.
const SHUTDOWN: rustix::ioctl::Opcode = opcode::read::<u32>(b'X', 125);
/// `FS_SHUTDOWN_FLAGS_NOLOGFLUSH`: at once, without writing pending transactions or dirty pages.
const NO_LOG_FLUSH: u32 = 2;
/// `EXT4_SUPER_MAGIC`.
const EXT4: rustix::fs::FsWord = 0xef53;

/// Shuts down the ext4 file system mounted at `mount_point`: its journal and all dirty pages are
/// dropped, and every later call fails with EIO until it is unmounted. Needs root.
///
/// # Errors
/// If the folder cannot be opened, is not the root of a file system of its own, is not ext4, or the
/// kernel refuses.
pub fn shut_down(mount_point: &Path) -> io::Result<()> {
    let folder = File::open(mount_point)?;
    refuse_others(&folder, mount_point)?;
    cut(&folder)
}

/// A slip of the path must not take the machine's own disk down.
fn refuse_others(folder: &File, mount_point: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let shown = mount_point.display();
    let above = mount_point.join("..").metadata()?;
    let here = folder.metadata()?;
    if above.dev() == here.dev() {
        return Err(io::Error::other(format!(
            "{shown} is not the mount point of a file system below another"
        )));
    }
    let kind = fstatfs(folder)?.f_type;
    if kind != EXT4 {
        return Err(io::Error::other(format!("{shown} is not ext4 but {kind:#x}")));
    }
    Ok(())
}

#[expect(unsafe_code, reason = "an ioctl: the kernel's contract is all that there is")]
fn cut(folder: &File) -> io::Result<()> {
    // SAFETY: FS_IOC_SHUTDOWN takes a pointer to a u32 and reads it: `Setter` passes one that lives
    // for the call. The kernel writes nothing back, and no memory of this process changes its
    // meaning.
    Ok(unsafe { ioctl(folder, Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH)) }?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number is the header's, on every architecture with the generic encoding.
    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn the_number_is_the_kernels() {
        assert_eq!(SHUTDOWN, 0x8004_587d);
    }

    #[test]
    fn no_file_system_but_a_mounted_ext4_is_harmed() {
        let refused = |path: &str| shut_down(Path::new(path)).err().map(|e| e.to_string());
        assert!(refused("/").is_some_and(|text| text.contains("not the mount point")));
        assert!(refused("/usr/bin").is_some());
        assert!(refused("/proc").is_some_and(|text| text.contains("not ext4")));
        assert!(refused("/no/such/folder").is_some());
    }
}
