//! How large the files of a trial are while its load runs. It knows no file: what lies at the top of a
//! folder is shown by its name, what lies deeper is added up.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::folder::{DATA, LOGS, OUTSIDE};
use record::FileRow;

/// Files grow by the order, not by the second.
const EVERY: Duration = Duration::from_secs(5);
/// A database may keep a file for each table; its folder is looked through at each sample.
const ENTRIES_MAX: usize = 20_000;
/// Names of a table; what lies beside more of them is added up.
const NAMES_MAX: usize = 64;
const OTHERS: &str = "(others)";

/// Samples the sizes of what lies in a trial's folder.
pub(super) struct Sizes {
    folder: PathBuf,
    start: Instant,
    due: Instant,
    pub(super) rows: Vec<FileRow>,
}

impl Sizes {
    /// Begins with a sample at `start`.
    pub(super) fn new(folder: PathBuf, start: Instant) -> Self {
        Self { folder, start, due: start, rows: Vec::new() }
    }

    pub(super) fn sample_when_due(&mut self) {
        if Instant::now() >= self.due {
            self.sample();
            self.due += EVERY;
        }
    }

    pub(super) fn sample(&mut self) {
        let t_s = Instant::now().saturating_duration_since(self.start).as_secs_f64();
        let sizes = measure(&self.folder);
        self.rows.extend(sizes.into_iter().map(|(file, bytes)| FileRow { t_s, file, bytes }));
    }
}

/// Sizes by name, as data/shop.db.
fn measure(folder: &Path) -> BTreeMap<String, u64> {
    let mut sizes = BTreeMap::new();
    let mut left = ENTRIES_MAX;
    for place in [DATA, OUTSIDE, LOGS] {
        let entries = fs::read_dir(folder.join(place)).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        // The same names at each sample.
        paths.sort();
        for (n, path) in paths.iter().enumerate() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name = if n < NAMES_MAX { &*name } else { OTHERS };
            *sizes.entry(format!("{place}/{name}")).or_default() += size(path, &mut left);
        }
    }
    sizes
}

/// Of a file, or of all below a folder; links are not followed.
fn size(path: &Path, left: &mut usize) -> u64 {
    let Ok(found) = fs::symlink_metadata(path) else { return 0 };
    if *left == 0 {
        return 0;
    }
    *left -= 1;
    if !found.is_dir() {
        return found.len();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size(&entry.path(), left)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_their_size_and_folders_that_of_all_below_them() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: usize| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![0; bytes]).unwrap();
        };
        put("data/shop.db", 7);
        put("data/pg/base/1/2", 5);
        put("data/pg/base/3", 4);
        put("logs/shop.log", 1);
        put("history.csv.zst", 99);
        std::os::unix::fs::symlink("/", folder.path().join("data/root")).unwrap();
        let sizes = measure(folder.path());
        let names: Vec<&str> = sizes.keys().map(String::as_str).collect();
        assert_eq!(names, ["data/pg", "data/root", "data/shop.db", "logs/shop.log"]);
        assert_eq!((sizes["data/pg"], sizes["data/shop.db"], sizes["data/root"]), (9, 7, 1));
        (0..NAMES_MAX + 5).for_each(|n| put(&format!("outside/{n}"), 2));
        let sizes = measure(folder.path());
        assert_eq!(sizes["outside/(others)"], 10);
    }
}
