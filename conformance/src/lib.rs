//! One shopping script, every system, the same ledger. Tests only: see `tests/every_system`.
//!
//! It knows the shop's HTTP contract and the files in `systems/`, and no system.
