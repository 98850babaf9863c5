//! A limit on its address space; lifted at the end.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::bounds::check_most;
use crate::kind::{Example, Facts, Kind};
use crate::limits::{Lowered, SPARE_MAX, What, lift, lower};
use crate::proof::Proof;
use crate::stage::Scene;

const MIB: u64 = 1 << 20;

/// A limit on its address space; lifted at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// How much more than now each process may map, MiB.
    pub spare_mib: u64,
}

impl Kind for Memory {
    const FACTS: Facts = Facts {
        name: "memory",
        state: "short of memory",
        about: "may map `spare_mib = 64` more than now",
        seen: "the limit read back, lower than before",
        healed: "the old limit read back, and it is ready",
        example: Example { target: "payments", lasts: "800ms", parameters: "spare_mib = 256" },
        ..Facts::ROLE
    };

    type Held = Vec<Lowered>;

    fn check(&self) -> Result<(), String> {
        check_most("spare_mib", self.spare_mib, SPARE_MAX)
    }

    async fn inject(&self, scene: &mut Scene<'_, '_>, held: &mut Vec<Lowered>) -> Proof {
        lower(scene, What::Memory, held, |pid| {
            // proc(5), statm: field 1 is the size of the address space in pages.
            let text = fs::read_to_string(format!("/proc/{pid}/statm"))?;
            let pages: u64 = text.split(' ').next().unwrap_or_default().parse()?;
            Ok(pages * rustix::param::page_size() as u64 + self.spare_mib * MIB)
        })
    }

    async fn heal(&self, scene: &mut Scene<'_, '_>, held: &mut Vec<Lowered>) -> Proof {
        lift(scene, held).await
    }
}
