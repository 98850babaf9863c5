//! What a machine must have for a fault. It asks by trying, in a place of its own.

use std::path::Path;

use super::fsync;
use crate::scenario::{FaultKind, Scenario};
use crate::{cgroup, disk};

/// Why this scenario cannot be run here; nothing if it can. `folder` is where its data will lie.
///
/// # Errors
/// If an attempt cannot be made or taken back.
pub async fn lacks(scenario: &Scenario, folder: &Path) -> anyhow::Result<Option<String>> {
    if scenario.data_disk().is_some()
        && let Some(why) = disk::lacks(folder).await?
    {
        return Ok(Some(format!("no disk of its own can be mounted: {why}")));
    }
    let traces = |kind| matches!(kind, FaultKind::SlowFsync | FaultKind::FailingFsync);
    if scenario.harms().any(|fault| traces(fault.kind))
        && let Some(why) = fsync::lacks().await?
    {
        return Ok(Some(format!("fsyncs cannot be harmed: {why}")));
    }
    if scenario.harms().any(|fault| fault.kind == FaultKind::Cpu)
        && let Some(why) = cgroup::lacking()
    {
        return Ok(Some(format!("no CPU quota can be given: {why}")));
    }
    Ok(None)
}
