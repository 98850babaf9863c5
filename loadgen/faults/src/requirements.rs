//! What a machine must have for faults. It asks by trying, in a place of its own.

use std::path::Path;

use super::fsync;
use super::kind::Needs;
use super::kinds::ALL;
use super::plan::Experiment;
use supervise::cgroup;
use supervise::disk;

impl Needs {
    /// Why this machine does not have it; nothing if it does. `folder` is where data will lie.
    ///
    /// # Errors
    /// If an attempt cannot be made or taken back.
    pub async fn lacking(self, folder: &Path) -> anyhow::Result<Option<String>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Disk => disk::lacks(folder).await,
            Self::Tracer => fsync::lacks().await,
            Self::CpuQuota => Ok(cgroup::lacking()),
        }
    }

    /// What is not possible without it.
    fn without(self) -> &'static str {
        match self {
            Self::Nothing => "nothing can be harmed",
            Self::Disk => "no disk of its own can be mounted",
            Self::Tracer => "fsyncs cannot be harmed",
            Self::CpuQuota => "no CPU quota can be given",
        }
    }

    /// For documents.
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Disk => "root, e2fsprogs",
            Self::Tracer => "strace",
            Self::CpuQuota => "root, control groups",
        }
    }

    /// The kinds that need it.
    #[must_use]
    pub fn kinds(self) -> Vec<&'static str> {
        let those = ALL.iter().filter(|sort| sort.facts.needs == self);
        those.map(|sort| sort.facts.name).collect()
    }
}

/// Why this scenario cannot be run here; nothing if it can. `folder` is where its data will lie.
///
/// # Errors
/// If an attempt cannot be made or taken back.
pub async fn lacks(experiment: &Experiment, folder: &Path) -> anyhow::Result<Option<String>> {
    let on_a_disk = experiment.scenario.data_disk().is_some();
    for needs in [Needs::Disk, Needs::Tracer, Needs::CpuQuota] {
        let needed = experiment.plan.needs(needs) || (needs == Needs::Disk && on_a_disk);
        if needed && let Some(why) = needs.lacking(folder).await? {
            return Ok(Some(format!("{}: {why}", needs.without())));
        }
    }
    Ok(None)
}
