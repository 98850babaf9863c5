//! Whether faults can be done to a system: it has whom they harm, and no process of it suffers two.

use std::path::Path;

use super::kinds::Fault;
use super::planned::Planned;
use scenario::Target;
use scenario::config::{ConfigError, near};
use scenario::system::SystemSpec;

/// What one of these faults harms and this system does not have: then it has no part in them.
#[must_use]
pub fn lacking(system: &SystemSpec, faults: &[Planned]) -> Option<String> {
    faults.iter().find_map(|planned| match &planned.target {
        Target::Link(link) => {
            let none = !system.links.iter().any(|known| known.name == *link);
            none.then(|| format!("it has no link {link:?}"))
        }
        target => {
            let nobody = system.harmed(target).is_empty();
            nobody.then(|| format!("no process of it plays {:?}", target.to_string()))
        }
    })
}

/// Whether these faults can be done to this system.
///
/// # Errors
/// If no process plays a role, there is no such link, or two that overlap harm one process.
pub fn check(system: &SystemSpec, scenario: &Path, faults: &[Planned]) -> Result<(), ConfigError> {
    check_all(system, faults).map_err(|text| ConfigError::new(scenario, text))
}

/// What was drawn, as this system can suffer it: at a place of its work that no process of it names, it dies wherever it is.
pub(super) fn fitted(system: &SystemSpec, drawn: Planned) -> Planned {
    let players = system.harmed(&drawn.target);
    let mut players = players.iter().map(|index| &system.processes[*index]);
    if !matches!(drawn.fault, Fault::Crash(_))
        || players.all(|process| drawn.fault.check_process(process).is_ok())
    {
        return drawn;
    }
    Planned { fault: Fault::kill(), ..drawn }
}

fn check_all(system: &SystemSpec, faults: &[Planned]) -> Result<(), String> {
    for (i, planned) in faults.iter().enumerate() {
        check_one(system, planned)?;
        let mut together = faults[..i].iter().filter(|other| other.overlaps(planned));
        together.try_for_each(|other| check_apart(system, other, planned))?;
    }
    Ok(())
}

/// Two roles may be one process here: then the healing of one fault would undo the other.
fn check_apart(system: &SystemSpec, one: &Planned, other: &Planned) -> Result<(), String> {
    let players = system.harmed(&one.target);
    let both = system.harmed(&other.target).into_iter().find(|index| players.contains(index));
    both.map_or(Ok(()), |index| {
        Err(format!(
            "faults {} and {} overlap, and the process {} of the system {} suffers both; \
             let one begin when the other has ended, or leave this system out",
            one.named(),
            other.named(),
            system.processes[index].name,
            system.name
        ))
    })
}

fn check_one(system: &SystemSpec, planned: &Planned) -> Result<(), String> {
    let kind = planned.fault.facts().name;
    let harms = || format!("fault {kind} harms {:?}", planned.target.to_string());
    match &planned.target {
        Target::Link(link) => {
            system.check_link(link).map_err(|text| format!("{}: {text}", harms()))
        }
        Target::Disk => system.check_network(),
        role @ Target::Role(_) => {
            let players = system.harmed(role);
            if players.is_empty() {
                return Err(format!(
                    "fault {kind} harms a role that no process of the system {} plays: {}",
                    system.name,
                    near(&planned.target.to_string(), &system.played())
                ));
            }
            let mut processes = players.iter().map(|index| &system.processes[*index]);
            processes
                .try_for_each(|process| planned.fault.check_process(process))
                .map_err(|text| format!("fault {kind}: {text}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::plan;

    fn text(harm: &str, at_s: u64, kind: &str) -> String {
        format!("[[fault]]\nat = \"{at_s}s\"\nfor = \"5s\"\nharm = {harm:?}\nkind = {kind:?}\n")
    }

    fn system(name: &str) -> SystemSpec {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../systems");
        SystemSpec::read(&format!("{folder}/{name}.toml")).unwrap()
    }

    /// Two faults of 5 s, the second at a second.
    #[track_caller]
    fn check(name: &str, harm: [&str; 2], at_s: u64, expected: Option<&str>) {
        let text = text(harm[0], 5, "kill") + &text(harm[1], at_s, "kill");
        let result = check_all(&system(name), &plan(&text).unwrap().schedule(1));
        match (&result, expected) {
            (Ok(()), None) => {}
            (Err(text), Some(part)) if text.contains(part) => {}
            _ => panic!("{result:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn one_process_suffers_one_fault_at_a_time_whatever_roles_it_plays() {
        let both = Some(
            "kill on \"payments\" and kill on \"orders\" overlap, and the process monolith of the system monolith suffers both",
        );
        check("monolith", ["payments", "orders"], 8, both);
        check("monolith", ["payments", "orders"], 10, None);
        check("monolith", ["payments", "provider"], 8, None);
        check("microservices-sync", ["payments", "orders"], 8, None);
        check("microservices-async", ["payments", "broker"], 8, None);
    }

    #[test]
    fn only_what_is_named_in_the_data_can_be_lost() {
        let faults = plan(&text("orders", 5, "data-loss")).unwrap().schedule(1);
        let mut system = system("monolith");
        assert_eq!(check_all(&system, &faults), Ok(()));
        system.processes.iter_mut().for_each(|process| process.data.clear());
        let told = check_all(&system, &faults).unwrap_err();
        let expected = "fault data-loss: what the process monolith keeps is not known";
        assert!(told.contains(expected), "{told}");
    }

    #[test]
    fn a_drawn_crash_at_a_point_that_nobody_names_is_a_kill() {
        let kinds =
            r#"kinds = ["pause", { kind = "crash", harm = "orders", point = "mid-commit" }]"#;
        let plan = plan(&format!("[chaos]\n{kinds}\nevery = \"1s\"\nmax = \"2s\"\n")).unwrap();
        let drawn = plan.schedule(1);
        let names = |faults: &[Planned]| -> Vec<&str> {
            faults.iter().map(|planned| planned.fault.facts().name).collect()
        };
        let mut found = names(&drawn);
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, ["crash", "pause"]);
        let named = system("monolith");
        assert_eq!(plan.schedule_of(1, &named), drawn);
        let unnamed = system("monolith-postgres");
        let fitted = plan.schedule_of(1, &unnamed);
        let expected = names(&drawn).into_iter().map(|name| name.replace("crash", "kill"));
        assert_eq!(names(&fitted), expected.collect::<Vec<_>>());
        assert_eq!(check_all(&unnamed, &fitted), Ok(()));
        assert!(drawn.iter().zip(&fitted).all(|(a, b)| (a.at, a.lasts) == (b.at, b.lasts)));
    }

    #[test]
    fn a_crash_is_at_a_point_that_the_process_names() {
        let crash = |point: &str| {
            let text = text("orders", 5, "crash") + &format!("point = {point:?}\n");
            check_all(&system("monolith"), &plan(&text).unwrap().schedule(1))
        };
        assert_eq!(crash("mid-commit"), Ok(()));
        let told = crash("nowhere").unwrap_err();
        let expected = "fault crash: the process monolith has no crash point \"nowhere\"; it has ";
        assert!(told.starts_with(expected), "{told}");
    }

    #[test]
    fn who_lacks_what_is_harmed_has_no_part() {
        let lacks = |harm: &str| {
            let kind = if harm.starts_with("link:") { "reset" } else { "kill" };
            lacking(&system("monolith"), &plan(&text(harm, 5, kind)).unwrap().schedule(1))
        };
        assert_eq!(lacks("orders"), None);
        assert_eq!(lacks("broker").unwrap(), "no process of it plays \"broker\"");
        assert_eq!(lacks("link:entry"), None);
        assert_eq!(lacks("link:nowhere").unwrap(), "it has no link \"nowhere\"");
    }
}
