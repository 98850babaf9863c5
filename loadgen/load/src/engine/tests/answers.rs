//! Large answers, and hosts with more than one address.

use super::*;
use record::Trouble;

const PATIENCE: Duration = Duration::from_secs(30);

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn an_answer_of_more_than_is_kept_is_read_to_its_end() {
    let body = "x".repeat(5 << 20);
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let samples = burst_on(serve(move |_| Some(answer.clone())), PATIENCE);
    assert_eq!(samples.len(), BURST);
    assert!(
        samples.iter().all(|s| (s.outcome, s.status) == (Outcome::Ok, 200)),
        "{:?}",
        samples[0]
    );
}

#[test]
fn an_answer_without_bounds_has_its_reason() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_owned();
    let samples = burst_on(serve(move |_| Some(answer.clone())), PATIENCE);
    let ends = |s: &Sample| (s.outcome, s.trouble) == (Outcome::Unknown, Trouble::BodyTooLong);
    assert!(samples.len() == BURST && samples.iter().all(ends), "{:?}", samples[0]);
}

/// As where localhost is ::1 first and the server listens on 127.0.0.1.
#[test]
fn every_address_is_tried() {
    let good = serve(|_| Some("HTTP/1.1 204 N\r\n\r\n".to_owned()));
    let samples = burst_on(vec![nobody(), nobody(), good], PATIENCE);
    assert_eq!(samples.len(), BURST);
    assert!(samples.iter().all(|s| s.outcome == Outcome::Ok), "{:?}", samples[0]);
}

#[test]
fn a_request_is_refused_only_if_all_addresses_refuse() {
    let samples = burst_on(vec![nobody(), nobody()], PATIENCE);
    let refused = |s: &Sample| (s.outcome, s.trouble) == (Outcome::Failed, Trouble::Refused);
    assert!(samples.len() == BURST && samples.iter().all(refused), "{:?}", samples[0]);
}
