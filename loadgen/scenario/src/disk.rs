//! `[disk]`: a disk of the system's own. Who makes it stands elsewhere.

use serde::{Deserialize, Serialize};

/// Big enough for some hundred thousand orders.
const SIZE_MIB: u64 = 256;

/// `[disk]` of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskSpec {
    /// The image's size, MiB.
    pub size_mib: u64,
}

impl Default for DiskSpec {
    fn default() -> Self {
        Self { size_mib: SIZE_MIB }
    }
}
