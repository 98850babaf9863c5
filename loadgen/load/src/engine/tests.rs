//! The engine against servers with manners of their own.

mod again;
mod answers;
mod encrypted;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use super::{Engine, Flaw, Gauges, Pacing, Request, Schedule, Target, UrlTraffic};
use crate::workload::Workload;
use record::{Outcome, Sample};
use scenario::Mix;

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

/// Leaves connections unaccepted for half a second, then accepts all and answers none.
fn accept_late() -> SocketAddr {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(4).unwrap();
    let listener: TcpListener = socket.into();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        let kept: Vec<_> = listener.incoming().flatten().collect();
        drop(kept);
    });
    address
}

/// Serves whole requests on a free port, a thread per connection; without an answer it hangs up.
fn serve(answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || answer_all(stream, &*answer));
        }
    });
    address
}

fn answer_all(mut stream: TcpStream, answer: &dyn Fn(&str) -> Option<String>) -> Option<()> {
    loop {
        let request = read_request(&mut stream)?;
        stream.write_all(answer(&request)?.as_bytes()).ok()?;
    }
}

fn read_request(stream: &mut impl Read) -> Option<String> {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        text.push_str(std::str::from_utf8(&buffer[..count]).ok()?);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.split("Content-Length: ").nth(1).map_or("0", |rest| rest.lines().next().unwrap());
        if body.len() >= length.parse().ok()? {
            return Some(text);
        }
    }
}

/// A burst at second 0; what became of each request.
fn burst_on(target: impl Into<Target>, timeout: Duration) -> Vec<Sample> {
    let traffic = UrlTraffic::new(Request::get("server", "/"));
    let jobs = Workload::new(Mix { place: 1.0, ..Mix::default() }, 1, 1).take(BURST);
    let pacing = Pacing {
        start: Instant::now() + Duration::from_millis(50),
        in_flight: 4_000,
        timeout,
        drain: Duration::from_secs(30),
        alone: false,
        real_time: false,
        flaw: Flaw::None,
    };
    let (samples, recorded) = mpsc::sync_channel(BURST);
    let source = Schedule::new(jobs.map(|job| (0, job)));
    let gauges = Arc::new(Gauges::default());
    let engine =
        Engine::new(traffic, source, vec![target.into()], pacing, gauges, samples).unwrap();
    assert!(!engine.run().unwrap().interrupted);
    recorded.iter().flatten().collect()
}

/// Each connection that ends is replaced for those who wait for one.
#[test]
fn who_waits_for_a_connection_that_ends_gets_another() {
    let samples = burst_on(serve_once_each(), Duration::from_secs(30));
    let ends: Vec<Outcome> = samples.iter().map(|s| s.outcome).collect();
    assert_eq!(ends.len(), BURST);
    assert!(ends.iter().all(|end| *end == Outcome::Ok), "{ends:?}");
}

/// The wait for a connection is a part of the time that a request may take. Those that waited got
/// connections that were begun a second after they were sent (a lost SYN is sent again then).
#[test]
fn who_waited_for_a_connection_is_given_up_in_time() {
    let timeout = Duration::from_secs(3);
    let samples = burst_on(accept_late(), timeout);
    assert_eq!(samples.len(), BURST);
    let longest = samples.iter().map(|s| s.done_ns - s.sent_ns).max().unwrap();
    let late = Duration::from_nanos(longest).saturating_sub(timeout);
    assert!(late < Duration::from_millis(500), "given up {late:?} late");
    let unknown = samples.iter().filter(|s| s.outcome == Outcome::Unknown).count();
    assert!(unknown > 8, "{unknown} had a connection");
}
