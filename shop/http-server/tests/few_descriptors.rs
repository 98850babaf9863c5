//! The soft limit on descriptors is raised, and the hard one bounds the connections. Alone in its file: the
//! limits that it sets are the process's.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use http_server::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The bound on connections under these limits, and the soft limit afterwards.
fn under(current: u64, maximum: u64) -> (usize, Option<u64>) {
    let limit = Rlimit { current: Some(current), maximum: Some(maximum) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let bound = Limits::default().within_descriptors().connections_max;
    (bound, getrlimit(Resource::Nofile).current)
}

#[test]
fn what_is_promised_can_be_kept() {
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(20_000);
    if hard >= 9_000 {
        assert_eq!(under(1_024, 9_000), (4_096, Some(9_000)));
    }
    assert_eq!(under(256, 1_024), ((1_024 - 128) / 2, Some(1_024)));
    assert_eq!(under(64, 100), (1, Some(100)));
}
