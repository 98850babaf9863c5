//! Other settings for the card network; the scenario's own at the end.

use serde::{Deserialize, Serialize};

use crate::bounds::check_part;
use crate::kind::{Example, Facts, Kind, Targets};
use crate::proof::Proof;
use crate::provider::CardNetwork;
use crate::stage::{PROVIDER, Scene};
use scenario::Latency;

/// Other settings for the card network; what is not given stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// How long it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Its share of errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<f64>,
    /// Its share of refused cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_rate: Option<f64>,
    /// Charges it takes per second; 0 takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<u32>,
    /// Its share of decided charges that it does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_answers: Option<f64>,
}

impl Kind for Provider {
    const FACTS: Facts = Facts {
        name: "provider",
        targets: Targets::Only(PROVIDER, ""),
        state: "impaired",
        about: "the card network gets other settings: one of these at least",
        seen: "the card network's settings read back",
        healed: "its usual settings read back",
        example: Example { target: PROVIDER, lasts: "800ms", parameters: "error_rate = 0.5" },
        ..Facts::ROLE
    };

    type Held = ();

    fn check(&self) -> Result<(), String> {
        let Self { latency, error_rate, decline_rate, rate_limit, lost_answers } = self;
        let shares = [error_rate, decline_rate, lost_answers];
        if latency.is_none() && rate_limit.is_none() && shares.iter().all(|share| share.is_none()) {
            return Err(
                "kind = \"provider\" needs one of latency, error_rate, decline_rate, rate_limit, \
                 lost_answers"
                    .to_owned(),
            );
        }
        let names = ["error_rate", "decline_rate", "lost_answers"];
        names.iter().zip(shares).try_for_each(|(name, share)| check_part(name, *share))
    }

    async fn inject(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        let network = CardNetwork::of(scene.stage);
        let usual = network.usual;
        let settings = scenario::Provider {
            latency: self.latency.unwrap_or(usual.latency),
            decline_rate: self.decline_rate.unwrap_or(usual.decline_rate),
            error_rate: self.error_rate.unwrap_or(usual.error_rate),
            rate_limit: self.rate_limit.or(usual.rate_limit),
            lost_answers: self.lost_answers.unwrap_or(usual.lost_answers),
            mode: usual.mode,
            at_once: usual.at_once,
            queue: usual.queue,
        };
        network.set(&settings).await
    }

    async fn heal(&self, scene: &mut Scene<'_, '_>, (): &mut ()) -> Proof {
        CardNetwork::of(scene.stage).restore().await
    }
}
