//! For tests: valid files with something wrong in them, and what an error about one must say.

pub mod mutation;
