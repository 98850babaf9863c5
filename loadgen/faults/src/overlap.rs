//! Which faults may be in force at the same time: those whose effect and healing do not meet.
//!
//! It knows roles and links. Which roles one process plays, the system's own check knows.

use super::planned::Planned;
use scenario::Target;

/// Its processes keep nothing on the system's disk.
const OUTSIDE: &str = "provider";

impl Planned {
    /// Whether both are in force at an instant. What is over when it is done may come where another
    /// ends, and two such at one instant come one after the other.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (since, until) = ((self.at, other.at), (self.until(), other.until()));
        let begins_with = since.0 == since.1 && until.0 != until.1;
        begins_with || (since.1 < until.0 && since.0 < until.1)
    }

    /// What both harm, whatever the system; nothing if they do not meet.
    fn meets(&self, other: &Self) -> Option<&'static str> {
        let on_the_disk = |target: &Target| match target {
            Target::Role(role) => role != OUTSIDE,
            Target::Link(_) | Target::Disk => false,
        };
        match (&self.target, &other.target) {
            (Target::Link(one), Target::Link(two)) => {
                (one == two).then_some("a link suffers one at a time")
            }
            (one, two) if one == two => Some("the healing of one would undo the other"),
            (Target::Disk, role) | (role, Target::Disk) => {
                on_the_disk(role).then_some(DISK_AND_ROLE)
            }
            _ => None,
        }
    }
}

const DISK_AND_ROLE: &str = "the healing of one would start processes whose disk is harmed, or wait for those that are down";

/// Nothing suffers two faults at a time: the second healing would be none, or the first one's.
pub(super) fn check(faults: &[Planned]) -> Result<(), String> {
    for (i, fault) in faults.iter().enumerate() {
        let earlier = faults[..i].iter().filter(|other| other.overlaps(fault));
        if let Some((other, why)) = earlier.filter_map(|o| Some((o, o.meets(fault)?))).next() {
            return Err(format!(
                "faults {} and {} overlap; {why}: let one begin when the other has ended",
                other.named(),
                fault.named()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::tests::plan;

    /// at, for (empty: at once), harm and the rest.
    type Line = (&'static str, &'static str, &'static str, &'static str);
    const KILL: &str = "kind = \"kill\"";
    const CUT: &str = "kind = \"power-cut\"";
    const SLOW: &str = "kind = \"provider\"\nlatency = \"constant:90ms\"";
    const RESET: &str = "kind = \"reset\"";

    /// In both orders of the file.
    #[track_caller]
    fn check(one: Line, other: Line, expected: Option<&str>) {
        for lines in [[one, other], [other, one]] {
            let faults = lines.map(|(at, lasts, harm, rest)| {
                let lasts =
                    if lasts.is_empty() { String::new() } else { format!("for = {lasts:?}\n") };
                format!("[[fault]]\nat = {at:?}\n{lasts}harm = {harm:?}\n{rest}\n")
            });
            let result = plan(&faults.concat()).map(|_| ());
            match (&result, expected) {
                (Ok(()), None) => {}
                (Err(text), Some(part)) if text.contains(part) => {}
                _ => panic!("{result:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn what_is_harmed_is_not_harmed_again_before_it_is_healed() {
        let undone = Some("the healing of one would undo the other");
        let slow: Line = ("5s", "20s", "provider", SLOW);
        check(slow, ("10s", "2s", "provider", KILL), undone);
        check(slow, ("10s", "2s", "provider", SLOW), undone);
        check(slow, ("25s", "2s", "provider", SLOW), None);
        check(slow, ("10s", "2s", "payments", KILL), None);
        let cpu: Line = ("5s", "9s", "orders", "kind = \"cpu\"\ncores = 0.1");
        check(cpu, ("6s", "2s", "orders", KILL), undone);
        check(cpu, ("6s", "", "orders", "kind = \"restart\""), undone);
        check(cpu, ("5s", "", "orders", "kind = \"restart\""), undone);
        check(cpu, ("14s", "", "orders", "kind = \"restart\""), None);
        let restart: Line = ("5s", "", "orders", "kind = \"restart\"");
        check(restart, ("5s", "", "orders", "kind = \"deploy\""), None);
        check(("5s", "3s", "orders", KILL), ("8s", "3s", "orders", KILL), None);
        check(("5s", "3s", "link:a", RESET), ("6s", "3s", "link:a", RESET), Some("a link suffers"));
        check(("5s", "3s", "link:a", RESET), ("6s", "3s", "link:b", RESET), None);
        check(("5s", "3s", "link:a", RESET), ("6s", "3s", "orders", KILL), None);
    }

    #[test]
    fn nobody_is_started_while_the_disk_is_harmed() {
        let cut: Line = ("10s", "10s", "disk", CUT);
        let met = Some("the healing of one would start processes whose disk is harmed");
        check(cut, ("8s", "4s", "orders", KILL), met);
        check(cut, ("12s", "", "broker", "kind = \"restart\""), met);
        check(("10s", "10s", "disk", "kind = \"full\""), ("8s", "4s", "orders", KILL), met);
        check(cut, ("20s", "4s", "orders", KILL), None);
        check(cut, ("8s", "4s", "provider", KILL), None);
        check(cut, ("8s", "4s", "link:a", RESET), None);
        check(cut, ("15s", "10s", "disk", CUT), Some("the healing of one would undo the other"));
    }
}
