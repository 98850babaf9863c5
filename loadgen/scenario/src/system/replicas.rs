//! Several processes of one `[[process]]`: `{index}` becomes a number in each. It starts nothing.

use super::process::ProcessSpec;
use super::spec::SystemSpec;
use super::wrong::{At, Wrong};

const INDEX: &str = "{index}";
/// More on one machine compare nothing.
const REPLICAS_MAX: u32 = 64;

/// Puts replicas in the place of what they are made of; returns each one's name, and whose it was.
///
/// # Errors
/// If there are none or too many, if they would listen at one address, or if an index stands where none is.
pub(super) fn expand(spec: &mut SystemSpec) -> Result<Vec<(String, String)>, Wrong> {
    let mut made = Vec::new();
    let mut processes = Vec::new();
    for process in std::mem::take(&mut spec.processes) {
        let Some(replicas) = process.replicas else {
            check_none(&process)?;
            processes.push(process);
            continue;
        };
        let of = process.name.clone();
        let all = replicate(&process, replicas)
            .map_err(|text| Wrong { at: At::Process(of.clone()), text })?;
        let names: Vec<String> = all.iter().map(|process| process.name.clone()).collect();
        for link in &mut spec.links {
            if let Some(at) = link.from.iter().position(|from| *from == of) {
                link.from.splice(at..=at, names.clone());
            }
        }
        made.extend(names.into_iter().map(|name| (name, of.clone())));
        processes.extend(all);
    }
    spec.processes = processes;
    Ok(made)
}

fn replicate(process: &ProcessSpec, replicas: u32) -> Result<Vec<ProcessSpec>, String> {
    if !(1..=REPLICAS_MAX).contains(&replicas) {
        let name = &process.name;
        return Err(format!("process {name:?}: {replicas} replicas; expected 1 to {REPLICAS_MAX}"));
    }
    if replicas > 1 && !process.ready.contains(INDEX) {
        return Err(format!(
            "process {:?}: its replicas would listen at one address, {:?}; write {INDEX} into the name of its \
             port, as in {{port:orders-{INDEX}}}",
            process.name, process.ready
        ));
    }
    Ok((1..=replicas).map(|index| replica(process, index)).collect())
}

fn replica(process: &ProcessSpec, index: u32) -> ProcessSpec {
    let mut replica = process.clone();
    replica.replicas = None;
    if !replica.name.contains(INDEX) {
        replica.name.push_str("-{index}");
    }
    let index = index.to_string();
    replica.name = replica.name.replace(INDEX, &index);
    let plays = replica.plays.clone().into_iter();
    replica.plays = plays.map(|role| role.replace(INDEX, &index)).collect();
    replica.texts_mut().for_each(|text| *text = text.replace(INDEX, &index));
    replica
}

fn check_none(process: &ProcessSpec) -> Result<(), Wrong> {
    let kept = process.data.iter().chain(&process.plays);
    let mut texts = process.texts().chain([&process.name, &process.ready]).chain(kept);
    texts.find(|text| text.contains(INDEX)).map_or(Ok(()), |found| {
        let text = format!(
            "process {:?}: {found:?} names {INDEX}, but there is no replicas = 2",
            process.name
        );
        Err(Wrong { at: At::Process(process.name.clone()), text })
    })
}
