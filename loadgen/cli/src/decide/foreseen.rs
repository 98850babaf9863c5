//! What a model foresees of a claim's points, before anything is run: from scenario and claim alone.

use decide::Predict;
use decide::storm::Storm;
use scenario::{Arrivals, Latency, Scenario};

/// Seeds of the model at each point: its share is then within 0.03 of what all seeds would give, 95 times of 100.
const SEEDS: u32 = 1_000;

/// In what share of seeds a system is stuck after the trigger of this scenario, if its card network is asked so.
///
/// # Errors
/// If the scenario is none that the model knows.
pub(super) fn stuck_share(scenario: &Scenario, predict: Predict) -> Result<f64, String> {
    storm(scenario, predict).map(|storm| storm.stuck_share(SEEDS)).ok_or_else(|| {
        "`predict` foresees a scenario of one rate whose card network works on so many at once \
         (provider.at_once), for a constant latency, which one fault of the kind `provider` changes, with the phases \
         before and after"
            .to_owned()
    })
}

fn storm(scenario: &Scenario, predict: Predict) -> Option<Storm> {
    let seconds = |latency: &Latency| match latency {
        Latency::Constant { ms } => Some(ms / 1e3),
        Latency::Exponential { .. } | Latency::Lognormal { .. } => None,
    };
    let [fault] = scenario.faults.as_slice() else { return None };
    let slow = fault.what.parameters.iter().find(|one| one.key == "latency")?;
    let slow: Latency = slow.value.clone().try_into().ok()?;
    let from_s = fault.at.as_s();
    let is_even = match scenario.arrivals {
        Arrivals::Constant => Some(true),
        Arrivals::Poisson => Some(false),
        Arrivals::Jitter => None,
    };
    let is_flat = scenario.closed.is_none()
        && !scenario.stages.is_empty()
        && scenario.stages.iter().all(|stage| stage.rate == scenario.start);
    let phases = scenario.phases();
    let part = |name: &str| {
        let phase = phases.iter().find(|phase| phase.name == name)?;
        Some((f64::from(phase.from_s), f64::from(phase.to_s)))
    };
    let [before, after] = decide::AROUND_TRIGGER.map(part);
    let has_one_kind = fault.what.kind == "provider" && fault.what.parameters.len() == 1;
    (is_flat && has_one_kind).then_some(())?;
    Some(Storm {
        load_per_s: scenario.start,
        even: is_even?,
        at_once: scenario.provider.at_once.filter(|_| scenario.provider.queue.is_none())?,
        work_s: seconds(&scenario.provider.latency)?,
        slow_work_s: seconds(&slow)?,
        trigger: (from_s, from_s + fault.lasts?.as_s()),
        timeout_s: predict.timeout.as_s(),
        attempts: predict.attempts,
        around: [before?, after?],
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use scenario::config;

    const TEXT: &str = include_str!("../../../../scenarios/metastable-retries.toml");

    fn found(text: &str) -> Result<f64, String> {
        let scenario: Scenario = config::parse(Path::new("s.toml"), text).unwrap();
        let predict = Predict { timeout: "200ms".parse().unwrap(), attempts: 4 };
        stuck_share(&scenario, predict)
    }

    #[test]
    fn the_published_scenario_is_foreseen_and_another_is_refused() {
        assert_eq!(found(TEXT), Ok(1.0));
        assert_eq!(found(&TEXT.replace("650ms", "600ms")), Ok(0.0));
        let chance = found(&TEXT.replace("\"constant\"", "\"poisson\"")).unwrap();
        assert!((0.5..0.8).contains(&chance), "{chance}");
        for (from, to) in [
            ("at_once = 4", ""),
            ("\"constant:100ms\"", "\"lognormal:100ms,200ms\""),
            ("rate = 50", "rate = 60"),
            ("kind = \"provider\"", "kind = \"provider\"\nerror_rate = 0.5"),
            ("\"before\"", "\"early\""),
            ("at_once = 4", "at_once = 4\nqueue = 9"),
        ] {
            assert!(TEXT.contains(from), "{from}");
            assert!(found(&TEXT.replace(from, to)).unwrap_err().contains("`predict`"), "{to}");
        }
    }
}
