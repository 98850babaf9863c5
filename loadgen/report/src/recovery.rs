//! How long put-off work stayed behind after the trouble was over: what the audit found, for the table.

use record::FaultRecovery;
use record::read::Trial;

/// What happened to the orders that were in work when the trouble was over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Backlog {
    /// No more than before the trouble.
    None,
    /// That many, gone after so many seconds.
    GoneAfter(f64),
    /// They were not gone at the end of the record.
    Stayed,
}

/// The backlog after the fault that was healed last, or after the phase `during` of a load without faults.
/// `None` if there was no trouble to recover from, or the record does not say.
pub(super) fn backlog(trial: &Trial) -> Option<Backlog> {
    let recovery = trial.audit.as_ref()?.recovery.as_ref()?;
    let last = recovery.faults.iter().chain(&recovery.phase);
    let last = last.max_by(|a, b| a.healed_s.total_cmp(&b.healed_s))?;
    match last {
        FaultRecovery { drained_after_s: Some(0.0), .. } => Some(Backlog::None),
        FaultRecovery { drained_after_s: Some(s), .. } => Some(Backlog::GoneAfter(*s)),
        // Without a level from before nobody knows what would be gone.
        FaultRecovery { before: Some(_), .. } => Some(Backlog::Stayed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{Recovery, Verdict};

    fn after(healed_s: f64, drained_after_s: Option<f64>) -> FaultRecovery {
        FaultRecovery { healed_s, drained_after_s, before: Some(2), ..FaultRecovery::default() }
    }

    fn trial(faults: Vec<FaultRecovery>, phase: Option<FaultRecovery>) -> Trial {
        let recovery = Recovery { faults, phase, ..Recovery::default() };
        let audit = Verdict { recovery: Some(recovery), ..Verdict::default() };
        Trial { audit: Some(audit), ..Trial::default() }
    }

    #[test]
    fn the_table_says_what_the_audit_found_after_the_last_fault() {
        let faults = vec![after(9.0, Some(1.4)), after(5.0, None)];
        assert_eq!(backlog(&trial(faults, None)), Some(Backlog::GoneAfter(1.4)));
        assert_eq!(backlog(&trial(vec![after(9.0, Some(0.0))], None)), Some(Backlog::None));
        assert_eq!(backlog(&trial(vec![after(9.0, None)], None)), Some(Backlog::Stayed));
        let spike = after(9.0, Some(2.0));
        assert_eq!(backlog(&trial(Vec::new(), Some(spike))), Some(Backlog::GoneAfter(2.0)));
    }

    #[test]
    fn what_nobody_knows_is_not_said() {
        assert_eq!(backlog(&Trial::default()), None);
        let unknown = FaultRecovery { before: None, ..after(9.0, None) };
        assert_eq!(backlog(&trial(vec![unknown], None)), None);
    }
}
