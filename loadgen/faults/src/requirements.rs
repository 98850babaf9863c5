//! What a machine must have for faults: all of it, or what a scenario needs.

use std::path::Path;

use super::disk::OWN_DISK;
use super::kinds::ALL;
use super::need::Need;
use super::plan::Experiment;

/// Whatever some kind needs, with the names of the kinds that do.
#[must_use]
pub fn all() -> Vec<(&'static Need, Vec<&'static str>)> {
    let mut found: Vec<(&'static Need, Vec<&'static str>)> = Vec::new();
    for facts in ALL.iter().map(|sort| &sort.facts) {
        let Some(need) = facts.needs else { continue };
        match found.iter_mut().find(|(known, _)| *known == need) {
            Some((_, kinds)) => kinds.push(facts.name),
            None => found.push((need, vec![facts.name])),
        }
    }
    found
}

/// Why this scenario cannot be run here; nothing if it can. `folder` is where its data will lie.
///
/// # Errors
/// If an attempt cannot be made or taken back.
pub async fn lacks(experiment: &Experiment, folder: &Path) -> anyhow::Result<Option<String>> {
    let on_a_disk = experiment.scenario.data_disk().is_some();
    let needed = |need: &Need| {
        let some = experiment.plan.faults().any(|fault| fault.facts().needs == Some(need));
        some || (on_a_disk && *need == OWN_DISK)
    };
    for (need, _) in all().into_iter().filter(|(need, _)| needed(need)) {
        if let Some(why) = need.lacking(folder).await? {
            return Ok(Some(format!("{}: {why}", need.without)));
        }
    }
    Ok(None)
}
