//! What lies where in a trial's folder, as far as the processes of a system know it.

/// Where a system keeps what it must not lose.
pub const DATA: &str = "data";
/// Where the card network keeps its journal: no fault of the disk reaches it.
pub const OUTSIDE: &str = "outside";
/// Where the processes write their logs.
pub const LOGS: &str = "logs";
