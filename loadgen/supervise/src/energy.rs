//! The energy that the machine's processors count, where they do: RAPL, as Linux shows it under `/sys/class/powercap`.
//! It is the whole machine's, who measures and the card network included.

use std::fs;
use std::path::{Path, PathBuf};

const ZONES: &str = "/sys/class/powercap";
/// Processors are `intel-rapl:0`, `intel-rapl:1`, … (AMD's, too); what has a further colon is a part of one.
const PREFIX: &str = "intel-rapl:";

/// Counters of energy at an instant.
#[derive(Debug)]
pub struct Energy(Vec<Zone>);

#[derive(Debug)]
struct Zone {
    path: PathBuf,
    uj: u64,
    /// Where the counter begins again.
    most_uj: u64,
}

impl Energy {
    /// Now; `None` where nothing counts, or it may not be read.
    #[must_use]
    pub fn begin() -> Option<Self> {
        Self::of(Path::new(ZONES))
    }

    fn of(zones: &Path) -> Option<Self> {
        let names = fs::read_dir(zones).ok()?.flatten().map(|entry| entry.path());
        let is_whole = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.strip_prefix(PREFIX).is_some_and(|rest| !rest.contains(':'))
        };
        let zones: Option<Vec<Zone>> = names.filter(is_whole).map(Zone::read).collect();
        zones.filter(|zones| !zones.is_empty()).map(Self)
    }

    /// Since then, J. A counter may have begun again once; it is to be asked more often than it does.
    #[must_use]
    pub fn spent_j(&self) -> Option<f64> {
        let spent = |zone: &Zone| {
            let now = number(&zone.path, "energy_uj")?;
            let wrapped = || (zone.most_uj - zone.uj).checked_add(now);
            now.checked_sub(zone.uj).or_else(wrapped)
        };
        let sum: Option<u64> = self.0.iter().map(spent).sum();
        sum.map(|uj| uj as f64 / 1e6)
    }
}

impl Zone {
    fn read(path: PathBuf) -> Option<Self> {
        let (uj, most_uj) = (number(&path, "energy_uj")?, number(&path, "max_energy_range_uj")?);
        Some(Self { uj: uj.min(most_uj), most_uj, path })
    }
}

fn number(folder: &Path, name: &str) -> Option<u64> {
    fs::read_to_string(folder.join(name)).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_added_up_and_their_parts_are_not() {
        let zones = tempfile::tempdir().unwrap();
        let put = |zone: &str, uj: u64| {
            let path = zones.path().join(zone);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("energy_uj"), format!("{uj}\n")).unwrap();
            fs::write(path.join("max_energy_range_uj"), "10000000\n").unwrap();
        };
        assert!(Energy::of(zones.path()).is_none());
        put("intel-rapl", 1);
        put("intel-rapl:0:0", 1);
        assert!(Energy::of(zones.path()).is_none());
        put("intel-rapl:0", 1_000_000);
        put("intel-rapl:1", 9_000_000);
        let energy = Energy::of(zones.path()).unwrap();
        put("intel-rapl:0", 3_500_000);
        put("intel-rapl:0:0", 2_000_000);
        // This one began again.
        put("intel-rapl:1", 500_000);
        assert_eq!(energy.spent_j(), Some(4.0));
        fs::remove_file(zones.path().join("intel-rapl:1/energy_uj")).unwrap();
        assert_eq!(energy.spent_j(), None);
        assert!(Energy::of(zones.path()).is_none());
        assert!(Energy::of(&zones.path().join("none")).is_none());
    }
}
