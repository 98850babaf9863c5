//! Why a trial is in no figure: one plain line for who looks, the record's own sentence for who doubts.

use record::Reason;
use record::read::Trial;

use super::compare::{Contestant, trusted};

/// The trial's plain line: "Excluded: the measuring machine was disturbed".
pub(super) fn of(trial: &Trial) -> String {
    let validity = &trial.manifest.validity;
    if validity.interrupted {
        return "Excluded: it was stopped before its end".to_owned();
    }
    let known = validity.reasons.iter().map(|reason| (weight(reason), plainly(reason)));
    match known.max_by_key(|(weight, _)| *weight) {
        Some((_, plain)) => format!("Excluded: {plain}"),
        None if trial.is_cut_off() => {
            "Excluded: the run ended in the middle of its block, which was run again as a whole"
                .to_owned()
        }
        None if trial.is_laid_aside() => {
            "Excluded: the measuring machine was disturbed, and it was run again".to_owned()
        }
        None => "Excluded: the record does not say why".to_owned(),
    }
}

/// The same for a system of which no trial is left; of several trials that of the first.
pub(super) fn of_all(one: &Contestant<'_>) -> Option<String> {
    one.trials.first().filter(|_| one.trusted().is_empty()).map(|trial| of(trial))
}

/// The same for a system of which any trial is left out, with how many are.
pub(super) fn of_some(one: &Contestant<'_>) -> Option<String> {
    let out: Vec<_> = one.trials.iter().filter(|trial| !trusted(trial)).collect();
    let first = of(out.first()?);
    let others = out.iter().filter(|trial| of(trial) != first).count();
    Some(if others > 0 { format!("{first}; {others} more for other reasons") } else { first })
}

/// Whether the machine or the system is to blame: what is worse is told.
fn weight(reason: &Reason) -> u8 {
    match reason {
        Reason::Aborted { .. } => 3,
        reason if plainly(reason) == DISTURBED => 1,
        _ => 2,
    }
}

const DISTURBED: &str = "the measuring machine was disturbed";

fn plainly(reason: &Reason) -> String {
    match reason {
        Reason::SendLag { .. }
        | Reason::RunQueue { .. }
        | Reason::Hiccup { .. }
        | Reason::Steal { .. }
        | Reason::StoodStill { .. }
        | Reason::Rivals { .. }
        | Reason::ClockDrift { .. } => DISTURBED.to_owned(),
        Reason::GeneratorCpu { .. } | Reason::Dropped { .. } => {
            "the load generator came to its limit".to_owned()
        }
        Reason::Interrupted => "it was stopped before its end".to_owned(),
        Reason::Aborted { at_s, .. } => format!("a condition of the scenario ended it at {at_s} s"),
        Reason::FaultUnproved { fault, on, .. } => {
            format!("nobody saw the fault {fault} on {on} come and go")
        }
        Reason::EndedByItself { process, .. } => format!("the process {process} ended by itself"),
        Reason::StillPending => "orders were still open when the drain ended".to_owned(),
        Reason::NotJudged { .. } => "the audit could not judge it".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(reasons: &[&str]) -> Trial {
        let mut trial = Trial::default();
        trial.manifest.validity.reasons = reasons.iter().map(|text| Reason::parse(text)).collect();
        trial
    }

    const LAG: &str = "send lag p99 is 4927 µs; the scenario allows 1000 µs";

    #[test]
    fn a_doubt_about_the_machine_is_told_in_plain_words() {
        assert_eq!(of(&trial(&[LAG])), "Excluded: the measuring machine was disturbed");
        let both = trial(&[LAG, "orders were still pending at the end of the drain"]);
        assert_eq!(of(&both), "Excluded: orders were still open when the drain ended");
        assert_eq!(of(&trial(&["the moon was full"])), "Excluded: the moon was full");
        let mut stopped = trial(&[LAG]);
        stopped.manifest.validity.interrupted = true;
        assert_eq!(of(&stopped), "Excluded: it was stopped before its end");
    }

    #[test]
    fn a_system_is_left_out_only_with_all_of_its_trials() {
        let (bad, other, mut good) = (trial(&[LAG]), trial(&["the moon was full"]), trial(&[]));
        good.manifest.validity.valid = true;
        let some = Contestant { name: "m", order: 0, trials: vec![&good, &bad, &other] };
        assert_eq!(of_all(&some), None);
        let told = "Excluded: the measuring machine was disturbed; 1 more for other reasons";
        assert_eq!(of_some(&some).as_deref(), Some(told));
        let none = Contestant { trials: vec![&bad], ..some };
        assert_eq!(of_all(&none), of_some(&none));
        assert_eq!(of_some(&Contestant { trials: vec![&good], ..none }), None);
    }
}
