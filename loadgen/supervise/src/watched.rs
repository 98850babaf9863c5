//! Who is in force at an instant: whoever starts processes says it, whoever samples them reads it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The processes in force, by their names.
pub type InForce = Arc<Mutex<BTreeMap<String, Watched>>>;

/// Who is meant by a process's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// This one.
    Alone(u32),
    /// All that descends from this one, which is none of them.
    Below(u32),
}
