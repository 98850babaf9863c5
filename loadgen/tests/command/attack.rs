//! `attack` against servers that misbehave: no answer is lost, and none is made better than it was.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use loadgen::history::{self, Attempt};
use loadgen::record::Manifest;
use tokio::time::Instant;

use crate::bench::{Bench, says};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const TIMEOUT: Duration = Duration::from_millis(400);
/// Requests of a run: 40 per second for 2 s, evenly spaced.
const REQUESTS: usize = 80;

/// What a server does with a request that it has read.
type Manners = dyn Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync;

/// Serves on a free port; a thread per connection.
fn serve(
    manners: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let manners: Arc<Manners> = Arc::new(manners);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let manners = Arc::clone(&manners);
            thread::spawn(move || {
                let mut request = [0; 4096];
                while stream.read(&mut request).is_ok_and(|read| read > 0) {
                    if manners(&mut stream).is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

struct Attacked {
    bench: Bench,
    manifest: Manifest,
    attempts: Vec<Attempt>,
    stdout: String,
}

async fn attack(url: &str, timeout: &str) -> Attacked {
    let bench = Bench::new();
    let load = ["--rate", "40", "--duration", "2s", "--arrivals", "constant"];
    let output = bench.call(&[&["attack", url, "--timeout", timeout][..], &load].concat()).await;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{stdout}{stderr}");
    let folder = trial(&bench);
    let text = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let manifest: Manifest = serde_json::from_str(&text).unwrap();
    let attempts: Vec<_> = history::read(&folder).unwrap().map(Result::unwrap).collect();
    let counts = manifest.requests["request"];
    assert!(counts.closes() && counts.scheduled as usize == REQUESTS, "{counts:?}");
    assert_eq!(attempts.len(), REQUESTS, "each is in the history");
    bench.is_deserted();
    Attacked { bench, manifest, attempts, stdout }
}

/// The only trial of an attack.
fn trial(bench: &Bench) -> PathBuf {
    let attack = bench.latest().join("attack");
    let target = std::fs::read_dir(attack).unwrap().next().unwrap().unwrap();
    target.path().join("1")
}

impl Attacked {
    /// All requests ended alike.
    #[track_caller]
    fn all(&self, outcome: &str, trouble: &str) {
        for attempt in &self.attempts {
            let found = (attempt.outcome.as_str(), attempt.trouble.as_str());
            assert_eq!(found, (outcome, trouble), "{attempt:?}");
        }
    }
}

fn response_time(attempt: &Attempt) -> Duration {
    Duration::from_nanos(attempt.done_ns - attempt.intended_ns)
}

#[tokio::test]
async fn a_good_server_is_good() {
    let attacked = attack(&serve(|stream| stream.write_all(OK)), "400ms").await;
    attacked.all("ok", "");
    assert_eq!(attacked.manifest.requests["request"].ok as usize, REQUESTS);
    assert!(attacked.stdout.contains("report: "), "{}", attacked.stdout);
}

#[tokio::test]
async fn without_an_answer_the_outcome_is_unknown_and_the_wait_is_counted() {
    let attacked = attack(&serve(|_| Ok(())), "400ms").await;
    attacked.all("unknown", "timeout");
    let shortest = attacked.attempts.iter().map(response_time).min().unwrap();
    assert!(shortest >= TIMEOUT, "{shortest:?}");
}

#[tokio::test]
async fn half_an_answer_is_none() {
    let attacked = attack(&serve(|stream| stream.write_all(&OK[..OK.len() - 1])), "400ms").await;
    attacked.all("unknown", "timeout");
}

#[tokio::test]
async fn an_abrupt_end_is_unknown() {
    let attacked = attack(&serve(|_| Err(std::io::ErrorKind::Other.into())), "400ms").await;
    attacked.all("unknown", "reset");
}

#[tokio::test]
async fn a_refused_connection_certainly_failed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    attack(&url, "400ms").await.all("failed", "refused");
}

/// Coordinated omission: a closed loop would see one slow answer per connection.
#[tokio::test]
async fn everybody_who_comes_during_a_stall_feels_it() {
    const STALL: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(1_500));
    let first = OnceLock::new();
    let url = serve(move |stream| {
        let since = first.get_or_init(Instant::now).elapsed();
        if since >= STALL.0 && since < STALL.1 {
            thread::sleep(STALL.1 - since);
        }
        stream.write_all(OK)
    });
    let attacked = attack(&url, "5s").await;
    attacked.all("ok", "");
    // 40 per second came in the first half of the stall and waited for its second half at least.
    let half = (STALL.1 - STALL.0) / 2;
    let felt = attacked.attempts.iter().filter(|a| response_time(a) >= half).count();
    assert!((19..=22).contains(&felt), "{felt} waited {half:?} or longer");
}

#[tokio::test]
async fn a_broken_record_is_named_and_its_report_stays() {
    let attacked = attack(&serve(|stream| stream.write_all(OK)), "400ms").await;
    let latest = attacked.bench.latest();
    let report = |name: &str| std::fs::read(latest.join(name)).unwrap();
    let before = (report("report.html"), report("summary.csv"));
    for name in ["manifest.json", "latency.hlog", "timeline.csv"] {
        let path = trial(&attacked.bench).join(name);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..whole.len() / 2], b"\xff{\x00"].concat()).unwrap();
        let output = attacked.bench.call(&["report", latest.to_str().unwrap()]).await;
        says(&output, 1, &[name]);
        assert!(before == (report("report.html"), report("summary.csv")), "half a report");
        std::fs::write(&path, whole).unwrap();
    }
    let again = attacked.bench.call(&["report", latest.to_str().unwrap()]).await;
    assert!(again.status.success(), "{again:?}");
}

/// The schedule's clock stands at 0 until it starts: what was sent before would take no time.
#[tokio::test]
async fn users_of_a_closed_loop_begin_at_second_0() {
    const WORK: Duration = Duration::from_millis(10);
    let url = serve(|stream| {
        thread::sleep(WORK);
        stream.write_all(OK)
    });
    let bench = Bench::new();
    let load = ["--users", "4", "--duration", "1s", "--no-report"];
    let output = bench.call(&[&["attack", &url][..], &load].concat()).await;
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    let attempts: Vec<_> = history::read(&trial(&bench)).unwrap().map(Result::unwrap).collect();
    let took = |a: &Attempt| Duration::from_nanos(a.done_ns - a.intended_ns);
    assert!(attempts.len() > 4, "{} attempts", attempts.len());
    assert!(attempts.iter().all(|a| took(a) >= WORK), "{:?}", attempts.first());
}
