//! A limit on its file descriptors; lifted at the end.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::bounds::check_most;
use crate::kind::{Example, Facts, Kind};
use crate::limits::{Lowered, SPARE_MAX, What, lift, lower};
use crate::proof::Proof;
use crate::stage::Scene;

/// A limit on its file descriptors; lifted at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// How many more descriptors than now each process may have.
    pub spare_files: u64,
}

impl Kind for Files {
    const FACTS: Facts = Facts {
        name: "files",
        state: "short of descriptors",
        about: "may have `spare_files = 16` more descriptors than now",
        seen: "the limit read back, lower than before",
        healed: "the old limit read back, and it is ready",
        example: Example { parameters: "spare_files = 2", ..Facts::ROLE.example },
        ..Facts::ROLE
    };

    type Held = Vec<Lowered>;

    fn check(&self) -> Result<(), String> {
        check_most("spare_files", self.spare_files, SPARE_MAX)
    }

    async fn inject(&self, scene: &mut Scene<'_, '_>, held: &mut Vec<Lowered>) -> Proof {
        lower(scene, What::Files, held, |pid| {
            let open = fs::read_dir(format!("/proc/{pid}/fd"))?.flatten();
            let numbers = open.filter_map(|fd| fd.file_name().to_str()?.parse::<u64>().ok());
            Ok(numbers.max().map_or(0, |highest| highest + 1) + self.spare_files)
        })
    }

    async fn heal(&self, scene: &mut Scene<'_, '_>, held: &mut Vec<Lowered>) -> Proof {
        lift(scene, held).await
    }
}
