//! Processes of a trial, and whatever they need of the machine: started, watched, asked, and ended with all
//! that descends from them. What was changed on the machine is written down first, and taken back.

pub mod asking;
pub mod cgroup;
pub mod cores;
pub mod disk;
pub mod energy;
pub mod folder;
pub mod foreign;
pub mod http;
pub mod keeper;
pub mod launch;
mod logs;
pub mod mutex;
pub mod tree;
pub mod undo;
pub mod watch;
pub mod watched;
pub mod witness;
