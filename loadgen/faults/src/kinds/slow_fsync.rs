//! Every fsync takes longer.

use serde::{Deserialize, Serialize};

use crate::bounds::check_delay;
use crate::fsync::{Fsyncs, TRACER, Tracer, injection};
use crate::kind::{Example, Facts, Kind};
use crate::proof::Proof;
use crate::stage::Scene;
use scenario::config::Span;

/// Every fsync takes longer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowFsync {
    /// By this.
    pub delay: Span,
}

impl Kind for SlowFsync {
    const FACTS: Facts = Facts {
        name: "slow-fsync",
        needs: Some(&TRACER),
        state: "slow to fsync",
        about: "every fsync takes `delay = \"50ms\"` longer",
        seen: "strace's own lines",
        healed: "nobody is traced, and it is ready",
        example: Example { lasts: "1s", parameters: "delay = \"20ms\"", ..Facts::ROLE.example },
        ..Facts::ROLE
    };

    type Held = Vec<Tracer>;

    fn check(&self) -> Result<(), String> {
        check_delay(self.delay)
    }

    async fn inject(&self, scene: &mut Scene<'_, '_>, held: &mut Vec<Tracer>) -> Proof {
        Fsyncs::of(scene).inject(&self.injection(), false, held).await
    }

    async fn heal(&self, scene: &mut Scene<'_, '_>, held: &mut Vec<Tracer>) -> Proof {
        let released = Fsyncs::of(scene).release(held).await?;
        scene.with_settings(released).await
    }
}

impl SlowFsync {
    fn injection(&self) -> String {
        injection(&format!("delay_enter={}", self.delay.0.as_micros()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strace_is_told_what_the_scenario_says() {
        let slow = SlowFsync { delay: "50ms".parse().unwrap() };
        assert_eq!(slow.injection(), "fsync,fdatasync:delay_enter=50000");
    }
}
