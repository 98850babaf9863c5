//! The engine against servers that encrypt: rustls' own, with a certificate of theirs.

use std::path::PathBuf;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::engine::{Tls, Trust};
use record::Trouble;

const WITHIN: Duration = Duration::from_secs(30);

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/engine/tests/tls").join(name)
}

/// Serves whole requests over TLS, a thread per connection.
fn serve_sealed(answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let certificate = CertificateDer::from_pem_file(file("certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("key.pem")).unwrap();
    let config = Arc::new(builder.with_single_cert(vec![certificate], key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (answer, config) = (Arc::clone(&answer), Arc::clone(&config));
            thread::spawn(move || {
                let connection = ServerConnection::new(config).unwrap();
                let mut stream = StreamOwned::new(connection, stream);
                while let Some(request) = read_request(&mut stream) {
                    let Some(answer) = answer(&request) else { return };
                    let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
                }
            });
        }
    });
    address
}

fn trusting(address: SocketAddr, trust: &Trust) -> Target {
    Target::from(address).with_tls(Some(Tls::new("localhost", trust).unwrap()))
}

fn ours() -> Trust {
    Trust::File(file("certificate.pem"))
}

#[test]
fn encrypted_requests_are_answered_on_connections_that_stay() {
    let large = "x".repeat(100_000);
    let address = serve_sealed(move |request| {
        assert!(request.starts_with("GET / HTTP/1.1\r\n"), "{request}");
        let length = large.len();
        Some(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{large}"))
    });
    for trust in [ours(), Trust::Anybody] {
        let samples = burst_on(trusting(address, &trust), WITHIN);
        let ends: Vec<_> = samples.iter().map(|s| (s.outcome, s.status)).collect();
        assert_eq!(ends, vec![(Outcome::Ok, 200); BURST]);
    }
}

#[test]
fn what_does_not_encrypt_or_is_not_believed_is_no_connection() {
    let plain = serve_once_each();
    let stranger = serve_sealed(|_| Some(String::from_utf8(ANSWER.to_vec()).unwrap()));
    for target in [trusting(plain, &ours()), {
        let other = Tls::new("elsewhere.example", &ours()).unwrap();
        Target::from(stranger).with_tls(Some(other))
    }] {
        let samples = burst_on(target, WITHIN);
        assert_eq!(samples.len(), BURST);
        for sample in &samples {
            assert_eq!((sample.outcome, sample.trouble), (Outcome::Failed, Trouble::Connect));
        }
    }
}

/// Whoever hangs up in the middle of an answer leaves its outcome unknown; whoever closes after each answer is asked
/// again on a new connection.
#[test]
fn ends_of_encrypted_connections_are_ends() {
    let half = serve_sealed(|_| Some("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal".to_owned()));
    let samples = burst_on(trusting(half, &ours()), Duration::from_millis(500));
    assert!(samples.iter().all(|s| s.outcome == Outcome::Unknown), "{:?}", samples.first());
    let closing = serve_sealed(|_| Some(String::from_utf8(ANSWER.to_vec()).unwrap()));
    let samples = burst_on(trusting(closing, &ours()), WITHIN);
    assert!(samples.iter().all(|s| s.outcome == Outcome::Ok), "{:?}", samples.first());
}

#[test]
fn one_try_says_how_it_is_encrypted_or_why_it_is_not() {
    let address = serve_sealed(|_| None);
    let tls = Tls::new("127.0.0.1", &ours()).unwrap();
    let said = tls.try_once(address, WITHIN).unwrap();
    assert!(said.starts_with("TLSv1_3, TLS13_"), "{said}");
    let elsewhere = Tls::new("elsewhere.example", &ours()).unwrap();
    let error = elsewhere.try_once(address, WITHIN).unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    let error = Tls::new("h", &Trust::File(file("key.pem"))).unwrap_err().to_string();
    assert!(error.contains("expected certificates in PEM"), "{error}");
}
