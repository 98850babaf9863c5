//! What a kind of fault is: its parameters, its rules, what it does, how that is seen and taken back,
//! and what is said of it. Each kind is a file in `kinds/`, which knows all of it and no other kind.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::disk;
use super::need::Need;
use super::proof::Proof;
use super::stage::Scene;
use scenario::Target;
use scenario::system::{ProcessSpec, SystemSpec};

/// A kind of fault. The value is what a scenario gives it; serde's names are the keys, and those that a
/// kind can do without are optional.
pub(super) trait Kind: Clone + Debug + PartialEq + Serialize + DeserializeOwned {
    /// What is always true of it.
    const FACTS: Facts;

    /// What an injected fault keeps until it is healed.
    type Held: Default;

    /// Whether the parameters are in their bounds.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Whether it can be done to this process of a system.
    fn check_process(&self, _process: &ProcessSpec) -> Result<(), String> {
        Ok(())
    }

    /// Gives a system what the fault needs in it from its start.
    fn equip(&self, _system: &mut SystemSpec) {}

    /// How many orders it places, beside those of the load.
    fn orders(&self) -> u32 {
        0
    }

    /// Does it; returns the proof of its effect.
    async fn inject(&self, scene: &mut Scene<'_, '_>, held: &mut Self::Held) -> Proof;

    /// Is called again and again while it is in force.
    async fn tend(&self, _scene: &mut Scene<'_, '_>, _held: &mut Self::Held) {}

    /// Takes it back, also if it had no effect; returns the proof of that.
    async fn heal(&self, scene: &mut Scene<'_, '_>, held: &mut Self::Held) -> Proof;
}

/// What is always true of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Its name in scenarios and records.
    pub name: &'static str,
    /// What it can be done to.
    pub targets: Targets,
    /// Whether it has a duration.
    pub lasts: Lasts,
    /// What the machine must have for it, if it is not what every machine has.
    pub needs: Option<&'static Need>,
    /// Whether a scenario may have one at most, because its heal is for good.
    pub once: bool,
    /// Whether an answer that is given meanwhile may be of something that is lost by right.
    pub voids_answers: bool,
    /// What the harmed is meanwhile, to follow "the payments role is".
    pub state: &'static str,
    /// What happens to the harmed, for docs/scenarios.md.
    pub about: &'static str,
    /// In what its effect is seen, for docs/methodology/faults.md.
    pub seen: &'static str,
    /// In what its healing is seen.
    pub healed: &'static str,
    /// A fault of this kind that every system bears which has what it harms.
    pub example: Example,
}

/// A fault without its time, for tests and documents.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// Who or what is harmed.
    pub target: &'static str,
    /// For how long; empty if it is over when it is done.
    pub lasts: &'static str,
    /// Its parameters, lines of TOML.
    pub parameters: &'static str,
}

impl Facts {
    /// A kind that harms a role for a while and needs nothing; the rest is to be given.
    pub(super) const ROLE: Self = Self {
        name: "",
        targets: Targets::Role,
        lasts: Lasts::Must,
        needs: None,
        once: false,
        voids_answers: false,
        state: "",
        about: "",
        seen: "",
        healed: "it is ready again",
        example: Example { target: "orders", lasts: "800ms", parameters: "" },
    };

    /// A kind that harms a link.
    pub(super) const LINK: Self = Self {
        targets: Targets::Link,
        seen: "a look through the link, and the proxy's counts",
        healed: "a look that is answered as before",
        example: Example { target: "link:provider", lasts: "1s", parameters: "" },
        ..Self::ROLE
    };

    /// A kind that harms the disk.
    pub(super) const DISK: Self = Self {
        targets: Targets::Disk,
        needs: Some(&disk::OWN_DISK),
        healed: "every process that writes there is ready",
        example: Example { target: "disk", lasts: "1s", parameters: "" },
        ..Self::ROLE
    };
}

/// What a kind can be done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Any role.
    Role,
    /// This role only; the text says why.
    Only(&'static str, &'static str),
    /// Links.
    Link,
    /// The disk that the system's data lies on.
    Disk,
}

/// Whether a fault of a kind has a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// It is healed by time.
    Must,
    /// Without one it is healed as soon as it had its effect.
    May,
    /// It is over when it is done.
    Never,
}

impl Targets {
    /// The role that is meant where nobody is named, if only one can be.
    pub(super) fn only(self) -> Option<Target> {
        match self {
            Self::Only(role, _) => Some(Target::Role(role.to_owned())),
            Self::Role | Self::Link | Self::Disk => None,
        }
    }
}
