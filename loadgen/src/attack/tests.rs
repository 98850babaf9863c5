//! The engine against a server that ends each connection after one answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use super::{Engine, Flaw, Gauges, Pacing, Schedule, UrlTraffic};
use crate::sample::Outcome;
use crate::scenario::Mix;
use crate::workload::Workload;

/// More than the connections that are there at first and those that are made at once.
const BURST: usize = 300;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

/// Answers one request per connection, one connection after another.
fn serve_once_each() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok_and(|read| read > 0) {
                let _ = stream.write_all(ANSWER);
            }
        }
    });
    address
}

/// Each connection that ends is replaced for those who wait for one.
#[test]
fn who_waits_for_a_connection_that_ends_gets_another() {
    let address = serve_once_each();
    let traffic = UrlTraffic::new("GET", &address.to_string(), "/", &[], b"");
    let jobs = Workload::new(Mix { place: 1.0, ..Mix::default() }, 1, 1).take(BURST);
    let pacing = Pacing {
        start: Instant::now() + Duration::from_millis(50),
        in_flight: 4_000,
        timeout: Duration::from_secs(30),
        drain: Duration::from_secs(30),
        alone: false,
        flaw: Flaw::None,
    };
    let (samples, recorded) = mpsc::sync_channel(BURST);
    let source = Schedule::new(jobs.map(|job| (0, job)));
    let gauges = Arc::new(Gauges::default());
    let engine = Engine::new(traffic, source, vec![address], pacing, gauges, samples).unwrap();
    let summary = engine.run().unwrap();
    let ends: Vec<Outcome> = recorded.iter().flatten().map(|s| s.outcome).collect();
    assert_eq!(ends.len(), BURST);
    assert!(ends.iter().all(|end| *end == Outcome::Ok), "{ends:?}");
    assert!(!summary.interrupted);
}
