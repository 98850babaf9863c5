//! What an attacker on this machine may try, at every process of every system.

pub(crate) mod doors;
pub(crate) mod files;
pub(crate) mod idlers;
pub(crate) mod patience;
pub(crate) mod secrets;
pub(crate) mod tokens;
