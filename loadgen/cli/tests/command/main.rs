//! The command as its users meet it: what it prints, what it leaves, how it ends.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test tells what it saw")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod aborted;
mod attack;
mod bad_input;
mod bench;
mod campaign;
mod capacity;
mod chaos;
mod controls;
mod decide;
mod disk;
mod ends;
mod every_fault;
mod families;
mod faults;
mod heal;
mod interrupted;
mod kept;
mod links;
mod old_records;
mod outputs;
mod proxies;
mod reproduced;
mod retries;
mod run;
mod secrets;
mod soak;
mod starts;
mod told;
mod trees;
mod wrong;
