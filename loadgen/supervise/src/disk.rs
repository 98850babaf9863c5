//! A disk of the system's own: an ext4 image in the trial's folder, mounted where the data lies, so
//! that a fault of it reaches nobody else.
//!
//! It knows no processes: whoever writes there must be stopped before a cut, by its caller. Needs
//! root and the programs in [`PROGRAMS`]; [`lacks`] tries it.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::process::geteuid;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::undo::{Entry, Undo, UndoLog};
use scenario::DiskSpec;

/// What it is made, mounted and checked with; e2fsprogs and util-linux have them.
pub const PROGRAMS: [&str; 4] = ["mkfs.ext4", "e2fsck", "mount", "umount"];
/// Room for a file system, its journal and a canary; to try whether one can be had.
const TRIED_MIB: u64 = 16;
const MIB: u64 = 1 << 20;
/// The image, in the trial's folder.
pub const IMAGE: &str = "data.ext4";
/// The file that takes all room.
const BALLAST: &str = "ballast";
/// Written and fsynced before a cut: must be there after it.
const SYNCED: &str = "canary-synced";
/// Written just before a cut: must be gone after it.
const UNSYNCED: &str = "canary-unsynced";
/// A killed process may hold its files a moment longer than its parent knows.
const UNMOUNTED_WITHIN: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// An image, and where it is mounted.
pub struct Disk {
    image: PathBuf,
    mount_point: PathBuf,
    /// In the undo journal, while it is mounted.
    mounted: Option<Entry>,
}

impl Disk {
    /// Makes the image in `folder` and mounts it at `mount_point`, which is a folder below it.
    ///
    /// # Errors
    /// If there is no room, no right or no program for it; nothing is left mounted.
    pub async fn make(
        folder: &Path,
        mount_point: &Path,
        spec: DiskSpec,
        undo: &UndoLog,
    ) -> anyhow::Result<Self> {
        // The kernel's list of mounts has no links in it.
        let image = folder.canonicalize()?.join(IMAGE);
        let mount_point = mount_point.canonicalize()?;
        let file = File::create_new(&image)
            .with_context(|| format!("cannot make the disk image {}", image.display()))?;
        fallocate(&file, FallocateFlags::empty(), 0, spec.size_mib * MIB).with_context(|| {
            format!("no room for the disk image {} of {} MiB", image.display(), spec.size_mib)
        })?;
        // No lazy work in the background, no room that only root may use.
        let options = ["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"];
        run(program("mkfs.ext4")?.args(options).arg(&image)).await?;
        let mut disk = Self { image, mount_point, mounted: None };
        disk.mount(undo).await?;
        Ok(disk)
    }

    /// Mounts it; ext4 replays its journal. The loop device goes away with the mount.
    ///
    /// # Errors
    /// If mount(8) refuses, or the undo journal cannot be written.
    pub async fn mount(&mut self, undo: &UndoLog) -> anyhow::Result<()> {
        if self.mounted.is_some() {
            return Ok(());
        }
        let entry = undo.before(Undo::Unmount { path: self.mount_point.clone() })?;
        let mount = run(program("mount")?
            .args(["-t", "ext4", "-o", "loop,nodev,nosuid,noexec"])
            .args([&self.image, &self.mount_point]))
        .await;
        if let Err(error) = mount {
            undo.done(entry)?;
            return Err(error);
        }
        self.mounted = Some(entry);
        Ok(())
    }

    /// Unmounts it, as soon as nobody holds a file of it any more.
    ///
    /// # Errors
    /// If somebody still does after some seconds.
    pub async fn unmount(&mut self, undo: &UndoLog) -> anyhow::Result<()> {
        let Some(entry) = self.mounted else { return Ok(()) };
        let deadline = Instant::now() + UNMOUNTED_WITHIN;
        while let Err(error) = run(program("umount")?.arg(&self.mount_point)).await {
            if Instant::now() > deadline {
                return Err(error);
            }
            sleep(POLL).await;
        }
        self.mounted = None;
        undo.done(entry).context("the undo journal cannot be written")
    }

    /// Whether it is mounted.
    #[must_use]
    pub fn is_mounted(&self) -> bool {
        self.mounted.is_some()
    }

    /// Where it is mounted.
    #[must_use]
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// Writes the canary that must survive, with its name, to the disk.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn plant_synced(&self) -> std::io::Result<()> {
        let mut file = File::create(self.mount_point.join(SYNCED))?;
        file.write_all(SYNCED.as_bytes())?;
        file.sync_all()?;
        File::open(&self.mount_point)?.sync_all()
    }

    /// Writes a canary that must not survive, then cuts the power: whoever writes here has been
    /// stopped. Proof: the disk answers EIO.
    ///
    /// # Errors
    /// If the canary cannot be written, the kernel refuses, or the disk still takes writes.
    pub fn cut(&self) -> anyhow::Result<String> {
        std::fs::write(self.mount_point.join(UNSYNCED), UNSYNCED)?;
        power_cut::shut_down(&self.mount_point).context("FS_IOC_SHUTDOWN")?;
        match File::create(self.mount_point.join(BALLAST)) {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                Ok("FS_IOC_SHUTDOWN done, the disk answers EIO".to_owned())
            }
            Err(error) => Err(error).context("after FS_IOC_SHUTDOWN: expected EIO"),
            Ok(_) => bail!("after FS_IOC_SHUTDOWN the disk still takes a new file"),
        }
    }

    /// What the cut left, seen after the journal's replay; the canaries are removed.
    ///
    /// # Errors
    /// If what was not fsynced is there, or what was is not: then it was no power cut.
    pub fn read_canaries(&self) -> anyhow::Result<String> {
        let read = |name: &str| std::fs::read(self.mount_point.join(name)).unwrap_or_default();
        let (synced, unsynced) = (read(SYNCED), read(UNSYNCED));
        for name in [SYNCED, UNSYNCED] {
            let _ = std::fs::remove_file(self.mount_point.join(name));
        }
        ensure!(synced == SYNCED.as_bytes(), "the canary that was fsynced is gone: the disk lies");
        ensure!(
            unsynced != UNSYNCED.as_bytes(),
            "the canary that was not fsynced is still there: this was no power cut"
        );
        Ok("the fsynced canary is there, the other is gone".to_owned())
    }

    /// Checks the unmounted file system.
    ///
    /// # Errors
    /// If e2fsck finds a fault.
    pub async fn check(&self) -> anyhow::Result<String> {
        ensure!(self.mounted.is_none(), "e2fsck needs an unmounted disk");
        run(program("e2fsck")?.args(["-f", "-n"]).arg(&self.image)).await?;
        Ok("e2fsck: clean".to_owned())
    }

    /// Free bytes.
    ///
    /// # Errors
    /// If statvfs fails.
    pub fn free_bytes(&self) -> std::io::Result<u64> {
        let found = statvfs(&self.mount_point)?;
        Ok(found.f_bavail * found.f_frsize)
    }

    /// Takes all room. Proof: statvfs.
    ///
    /// # Errors
    /// If something stays free.
    pub fn fill(&self) -> anyhow::Result<String> {
        let file = File::create(self.mount_point.join(BALLAST))?;
        let before = self.free_bytes()?;
        let (mut length, mut piece) = (0, before.max(1));
        while piece > 0 {
            match fallocate(&file, FallocateFlags::empty(), length, piece) {
                Ok(()) => length += piece,
                // What it got before it failed stays allocated.
                Err(rustix::io::Errno::NOSPC) => piece /= 2,
                Err(error) => return Err(error).context("fallocate of the ballast"),
            }
        }
        let free = self.free_bytes()?;
        ensure!(free == 0, "{free} bytes are still free after the ballast took {length}");
        Ok(format!("statvfs: 0 bytes free, {before} before"))
    }

    /// Gives the room back. Proof: statvfs.
    ///
    /// # Errors
    /// If nothing is free afterwards.
    pub fn empty(&self) -> anyhow::Result<String> {
        match std::fs::remove_file(self.mount_point.join(BALLAST)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let free = self.free_bytes()?;
        ensure!(free > 0, "nothing is free after the ballast was removed");
        Ok(format!("statvfs: {free} bytes free"))
    }
}

/// Why this machine cannot have a disk of a system's own; nothing if it can. Tries it in `folder`.
///
/// # Errors
/// If the attempt leaves something that cannot be taken back.
pub async fn lacks(folder: &Path) -> anyhow::Result<Option<String>> {
    if !geteuid().is_root() {
        return Ok(Some("it needs root, to mount an image and to cut it off".to_owned()));
    }
    let missing: Vec<&str> = PROGRAMS.into_iter().filter(|p| find(p).is_none()).collect();
    if !missing.is_empty() {
        return Ok(Some(format!("not found: {}", missing.join(", "))));
    }
    let folder = folder.join(format!(".disk-{}", std::process::id()));
    let mount_point = folder.join("mounted");
    std::fs::create_dir_all(&mount_point)?;
    let undo = UndoLog::begin(&folder)?;
    let tried = attempt(&folder, &mount_point, &undo).await;
    let left = undo.sweep();
    std::fs::remove_dir_all(&folder).with_context(|| format!("left behind: {left:?}"))?;
    Ok(tried.err().map(|error| format!("{error:#}")))
}

async fn attempt(folder: &Path, mount_point: &Path, undo: &UndoLog) -> anyhow::Result<()> {
    let mut disk = Disk::make(folder, mount_point, DiskSpec { size_mib: TRIED_MIB }, undo).await?;
    disk.plant_synced()?;
    disk.cut()?;
    disk.unmount(undo).await?;
    disk.mount(undo).await?;
    disk.read_canaries()?;
    disk.unmount(undo).await?;
    disk.check().await.map(drop)
}

/// A program on the PATH, or where Debian keeps those of root.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn program(name: &str) -> anyhow::Result<Command> {
    let path = find(name).with_context(|| format!("the program {name} is not on the PATH"))?;
    let mut command = Command::new(path);
    command.kill_on_drop(true);
    Ok(command)
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().await;
    let shown = command.as_std();
    let name = Path::new(shown.get_program()).file_name().unwrap_or_default().to_string_lossy();
    let output = output.with_context(|| format!("cannot start {name}"))?;
    let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    ensure!(
        output.status.success(),
        "{name} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(said).trim().replace('\n', " | ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: DiskSpec = DiskSpec { size_mib: TRIED_MIB };

    /// A small disk; nothing on a user's machine that cannot have one.
    async fn disk(folder: &Path) -> Option<(Disk, UndoLog)> {
        if let Some(reason) = lacks(folder).await.unwrap() {
            assert!(std::env::var_os("CI").is_none() || !geteuid().is_root(), "{reason}");
            eprintln!("skipped: {reason}");
            return None;
        }
        let mount_point = folder.join("data");
        std::fs::create_dir(&mount_point).unwrap();
        let undo = UndoLog::begin(folder).unwrap();
        let disk = Disk::make(folder, &mount_point, SMALL, &undo).await.unwrap();
        Some((disk, undo))
    }

    fn is_mounted(folder: &Path) -> bool {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        mounts.contains(folder.to_str().unwrap())
    }

    #[tokio::test]
    async fn a_cut_keeps_what_was_fsynced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let Some((mut disk, undo)) = disk(folder.path()).await else { return };
        disk.plant_synced().unwrap();
        std::fs::write(disk.mount_point().join("a-process-wrote-this"), "x").unwrap();
        disk.cut().unwrap();
        disk.unmount(&undo).await.unwrap();
        disk.mount(&undo).await.unwrap();
        disk.read_canaries().unwrap();
        assert!(!disk.mount_point().join("a-process-wrote-this").exists());
        disk.unmount(&undo).await.unwrap();
        disk.check().await.unwrap();
        assert!(!is_mounted(folder.path()));
    }

    /// The kernel's list of mounts names no links.
    #[tokio::test]
    async fn a_sweep_unmounts_a_disk_that_was_made_through_a_link() {
        let (real, links) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let linked = links.path().join("results");
        std::os::unix::fs::symlink(real.path(), &linked).unwrap();
        let Some((_disk, undo)) = disk(&linked).await else { return };
        assert!(is_mounted(real.path()));
        let told = undo.sweep();
        assert!(told.len() == 1 && told[0].starts_with("unmounted"), "{told:?}");
        assert!(!is_mounted(real.path()));
    }

    /// The proof can fail: without a cut the second canary is still there.
    #[tokio::test]
    async fn a_clean_unmount_is_no_power_cut() {
        let folder = tempfile::tempdir().unwrap();
        let Some((mut disk, undo)) = disk(folder.path()).await else { return };
        disk.plant_synced().unwrap();
        std::fs::write(disk.mount_point().join(UNSYNCED), UNSYNCED).unwrap();
        disk.unmount(&undo).await.unwrap();
        disk.mount(&undo).await.unwrap();
        let error = disk.read_canaries().unwrap_err().to_string();
        assert!(error.contains("this was no power cut"), "{error}");
        let error = disk.read_canaries().unwrap_err().to_string();
        assert!(error.contains("the disk lies"), "{error}");
        disk.unmount(&undo).await.unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_has_no_byte_left_and_then_has() {
        let folder = tempfile::tempdir().unwrap();
        let Some((mut disk, undo)) = disk(folder.path()).await else { return };
        disk.fill().unwrap();
        let refused = std::fs::write(disk.mount_point().join("x"), [0; 8192]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        disk.empty().unwrap();
        std::fs::write(disk.mount_point().join("x"), [0; 8192]).unwrap();
        disk.unmount(&undo).await.unwrap();
    }

    /// What a harness that ended in the middle leaves is taken back from its journal.
    #[tokio::test]
    async fn a_mount_that_is_left_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let Some((disk, undo)) = disk(folder.path()).await else { return };
        drop(disk);
        assert!(is_mounted(folder.path()));
        let told = undo.sweep();
        assert!(told.iter().any(|text| text.contains("unmounted")), "{told:?}");
        assert!(!is_mounted(folder.path()));
    }
}
