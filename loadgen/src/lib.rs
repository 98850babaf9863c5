//! Scenario in, record out; report from the record alone.
//!
//! It shares no type with the systems that it measures: it knows URLs, commands and files.

// what is asked, of whom, when
pub mod config;
pub mod profile;
pub mod scenario;
pub mod system;
pub mod workload;
// one trial
pub mod abort;
mod asking;
pub mod attack;
mod cgroup;
pub mod cores;
pub mod disk;
pub mod fault;
pub mod fsync;
pub mod http;
pub mod keeper;
pub mod launch;
pub mod link;
pub mod load;
pub mod prepare;
pub mod recorder;
mod second0;
pub mod tree;
pub mod trial;
pub mod truth;
pub mod undo;
pub mod watch;
pub mod witness;
// from the record
pub mod audit;
pub mod digest;
pub mod drift;
pub mod export;
pub mod record;
pub mod redact;
pub mod report;
pub mod threshold;
pub mod validity;
// whatever the bytes
#[cfg(test)]
mod hostile;
// commands
pub mod attack_url;
pub mod campaign;
pub mod capacity;
pub mod capacity_search;
pub mod doctor;
pub mod environment;
pub mod list;
mod results;
pub mod run;
pub mod selftest;
pub mod terminal;
