//! Some fsyncs answer EIO.

use serde::{Deserialize, Serialize};

use crate::bounds::{check_count, check_share};
use crate::fsync::{Fsyncs, TRACER, Tracer, injection};
use crate::kind::{Example, Facts, Kind};
use crate::proof::Proof;
use crate::stage::Scene;

/// Some fsyncs answer EIO; one of the two is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailingFsync {
    /// Of the fsyncs of each thread, those that do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// How many of each thread do, from the first on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

impl Kind for FailingFsync {
    const FACTS: Facts = Facts {
        name: "failing-fsync",
        needs: Some(&TRACER),
        state: "failing to fsync",
        about: "a `share = 0.25`, or the first `count = 3` of each thread, answers EIO",
        seen: "strace's own lines",
        healed: "nobody is traced, and it is ready",
        example: Example { lasts: "1s", parameters: "share = 0.3", ..Facts::ROLE.example },
        ..Facts::ROLE
    };

    type Held = Vec<Tracer>;

    fn check(&self) -> Result<(), String> {
        match (self.share, self.count) {
            (None, None) => {
                return Err("kind = \"failing-fsync\" needs one of share, count".to_owned());
            }
            (Some(_), Some(_)) => return Err("give share or count, not both".to_owned()),
            _ => {}
        }
        check_count(self.count)?;
        check_share(self.share)
    }

    async fn inject(&self, scene: &mut Scene<'_, '_>, held: &mut Vec<Tracer>) -> Proof {
        Fsyncs::of(scene).inject(&self.injection(), true, held).await
    }

    /// Proof: no thread is traced or stopped, and ready.
    async fn heal(&self, scene: &mut Scene<'_, '_>, held: &mut Vec<Tracer>) -> Proof {
        let released = Fsyncs::of(scene).release(held).await?;
        scene.with_settings(released).await
    }
}

impl FailingFsync {
    /// Counted for each thread, and one thread of a store does the work.
    fn injection(&self) -> String {
        let when = match (self.share, self.count) {
            (Some(share), _) => format!(":when=1+{}", (1.0 / share).round().max(1.0)),
            (None, Some(count)) => format!(":when=1..{count}"),
            (None, None) => String::new(),
        };
        injection(&format!("error=EIO{when}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(share: Option<f64>, count: Option<u32>, expected: &str) {
        let injection = FailingFsync { share, count }.injection();
        assert_eq!(injection, format!("fsync,fdatasync:error=EIO:when={expected}"));
    }

    #[test]
    fn strace_is_told_what_the_scenario_says() {
        check(Some(1.0), None, "1+1");
        check(Some(0.25), None, "1+4");
        check(None, Some(3), "1..3");
    }
}
