//! `attack` against servers that misbehave: no answer is lost, and none is made better than it was.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use record::history;
use record::{Attempt, Manifest, Operation, Outcome, Reason, Trouble};
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

/// As [`serve`], with the text of each request; each is one reading long.
fn serve_requests(
    manners: impl Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let manners = Arc::new(manners);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let manners = Arc::clone(&manners);
            thread::spawn(move || {
                let mut request = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut request) {
                    if manners(&String::from_utf8_lossy(&request[..read]), &mut stream).is_err() {
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
    code: Option<i32>,
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
    let counts = manifest.requests[&Operation::Request];
    assert!(counts.closes() && counts.scheduled as usize == REQUESTS, "{counts:?}");
    assert_eq!(attempts.len(), REQUESTS, "each is in the history");
    bench.is_deserted();
    Attacked { bench, manifest, attempts, stdout, code: output.status.code() }
}

/// The only trial of an attack.
fn trial(bench: &Bench) -> PathBuf {
    let attack = bench.only().join("attack");
    let target = std::fs::read_dir(attack).unwrap().next().unwrap().unwrap();
    target.path().join("1")
}

impl Attacked {
    /// All requests ended alike.
    #[track_caller]
    fn all(&self, outcome: Outcome, trouble: Trouble) {
        for attempt in &self.attempts {
            let found = (attempt.outcome, attempt.trouble);
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
    attacked.all(Outcome::Ok, Trouble::None);
    assert_eq!(attacked.manifest.requests[&Operation::Request].ok as usize, REQUESTS);
    assert!(attacked.stdout.contains("report: "), "{}", attacked.stdout);
}

#[tokio::test]
async fn an_attack_does_not_take_the_place_of_the_latest_results() {
    let attacked = attack(&serve(|stream| stream.write_all(OK)), "400ms").await;
    assert!(!attacked.bench.latest().is_symlink(), "latest is of run and capacity");
}

#[tokio::test]
async fn a_load_of_which_nothing_succeeds_is_not_quietly_good() {
    const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    let attacked = attack(&serve(|stream| stream.write_all(NOT_FOUND)), "400ms").await;
    let reason = "none of 80 requests was answered as asked: 80 with status 404";
    assert!(
        attacked.manifest.validity.sentences().iter().any(|r| r == reason),
        "{}",
        attacked.stdout
    );
    assert!(attacked.stdout.contains(reason), "{}", attacked.stdout);
    let code = |reasons: &[Reason]| if reasons.is_empty() { 0 } else { 3 };
    assert_eq!(attacked.code, Some(code(&attacked.manifest.validity.reasons)));
}

#[tokio::test]
async fn options_that_make_no_request_are_a_usage_error() {
    let bench = Bench::new();
    let url = "http://127.0.0.1:1/";
    for (arguments, part) in [
        (&[url, "--method", "GET /x"][..], "\"GET /x\" is no method"),
        (&[url, "--method", "CONNECT"], "CONNECT is not supported"),
        (&[url, "--timeout", "0s"], "a time in which an answer can come"),
        (&[url, "--in-flight", "0"], "0 is not in 1..=20000"),
        (&[url, "--header", ""], "there is no colon"),
        (&[url, "--header", "Accept"], "there is no colon"),
        (&[url, "--header", "A: b\r\nC: d"], "a line's end"),
        (
            &[url, "--header", "Content-Length: 7"],
            "Content-Length is \"7\" and the body has 0 bytes",
        ),
        (&[url, "--header", "Host: a", "--header", "host: b"], "Host is given twice"),
        (&["ftp://127.0.0.1/"], "expected http:// or https://"),
        (&["127.0.0.1"], "is not a URL"),
        (&[url, "--rate", "0"], "--rate is 0"),
        (&[url, "--users", "50", "--in-flight", "10"], "50 users need --in-flight 50"),
    ] {
        let output = bench.call(&[&["attack"], arguments].concat()).await;
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.starts_with("error: ") && told.contains(part), "{arguments:?}: {told}");
    }
    bench.is_clean();
}

#[tokio::test]
async fn a_users_headers_reach_the_server_as_he_wrote_them() {
    let (tell, told) = std::sync::mpsc::channel();
    let url = serve_requests(move |request, stream| {
        let _ = tell.send(request.to_owned());
        stream.write_all(OK)
    });
    let url = url.replace("http://", "http://me:pass%20word@");
    let bench = Bench::new();
    let load = ["--rate", "20", "--duration", "1s", "--method", "PUT", "--body", "hello"];
    let headers = ["--header", "Host: shop.example", "--header", "Connection: close"];
    let chunks = ["--header", "Transfer-Encoding: chunked", "--no-report"];
    let arguments = [&["attack", url.as_str()][..], &load, &headers, &chunks].concat();
    let output = bench.call(&arguments).await;
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    let expected = "PUT / HTTP/1.1\r\nAuthorization: Basic bWU6cGFzcyB3b3Jk\r\nHost: shop.example\r\n\
                    Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let requests: Vec<String> = told.try_iter().collect();
    assert!(requests.len() > 5 && requests.iter().all(|r| r == expected), "{requests:?}");
    let attempts: Vec<_> = history::read(&trial(&bench)).unwrap().map(Result::unwrap).collect();
    assert!(attempts.iter().all(|a| a.outcome == Outcome::Ok), "{attempts:?}");
}

/// Said before any load, and no record is left.
#[tokio::test]
async fn who_does_not_encrypt_is_not_attacked_encrypted() {
    let url = serve(|stream| stream.write_all(OK)).replace("http:", "https:");
    let bench = Bench::new();
    for trust in [&["--insecure"][..], &["--timeout", "2s"]] {
        let output = bench.call(&[&["attack", &url][..], trust].concat()).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        // Where no certificate at all is trusted, that is said.
        assert!(told.contains("no encrypted connection") || told.contains("--cacert"), "{told}");
    }
    bench.is_clean();
}

/// Its answers announce bodies that do not come: another answer may follow each.
#[tokio::test]
async fn heads_are_asked_for_on_connections_that_stay() {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 12345\r\n\r\n";
    let (tell, told) = std::sync::mpsc::channel();
    let url = serve_requests(move |request, stream| {
        let _ = tell.send((request.to_owned(), stream.peer_addr()?));
        stream.write_all(HEAD)
    });
    let bench = Bench::new();
    let load = ["--rate", "40", "--duration", "1s", "--method", "HEAD", "--no-report"];
    let output = bench.call(&[&["attack", &url][..], &load].concat()).await;
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    let attempts: Vec<_> = history::read(&trial(&bench)).unwrap().map(Result::unwrap).collect();
    assert!(
        attempts.len() > 20 && attempts.iter().all(|a| a.outcome == record::Outcome::Ok),
        "{attempts:?}"
    );
    let asked: Vec<_> = told.try_iter().collect();
    assert!(
        asked.iter().all(|(text, _)| text.starts_with("HEAD / ") && text.ends_with("\r\n\r\n"))
    );
    let mut peers: Vec<_> = asked.iter().map(|(_, peer)| *peer).collect();
    peers.sort_unstable();
    peers.dedup();
    assert!(peers.len() < asked.len() / 2, "{} connections for {}", peers.len(), asked.len());
}

#[tokio::test]
async fn a_body_is_what_is_in_its_file_and_redirects_are_told() {
    const MOVED: &[u8] = b"HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n";
    let (tell, told) = std::sync::mpsc::channel();
    let url = serve_requests(move |request, stream| {
        let _ = tell.send(request.to_owned());
        stream.write_all(MOVED)
    });
    let bench = Bench::new();
    let body = format!("@{}", bench.file("body.txt", "two\nlines\n"));
    let load = ["--rate", "20", "--duration", "1s", "--method", "POST", "--body", &body];
    let output = bench.call(&[&["attack", &url][..], &load, &["--no-report"]].concat()).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("× 302 Found (ok)") && text.contains("were not followed"), "{text}");
    assert!(text.contains("/s answered as asked, of"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80 || line.starts_with("records: ")));
    let asked: Vec<String> = told.try_iter().collect();
    let whole = |request: &String| {
        request.contains("Content-Length: 10\r\n") && request.ends_with("\r\n\r\ntwo\nlines\n")
    };
    assert!(asked.len() > 5 && asked.iter().all(whole), "{asked:?}");
    let missing = bench.call(&["attack", &url, "--body", "@/no/such/file"]).await;
    says(&missing, 1, &["--body @/no/such/file: cannot read", "No such file"]);
}

/// 64 users asked a closed port 28,000 times a second.
#[tokio::test]
async fn users_who_find_nobody_do_not_spin() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let bench = Bench::new();
    let load = ["--users", "64", "--duration", "2s", "--no-report"];
    let output = bench.call(&[&["attack", &url][..], &load].concat()).await;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let attempts = history::read(&trial(&bench)).unwrap().count();
    // 10 + 20 + 40 … ms: nine rounds in two seconds, and a few that have begun.
    assert!((64..=64 * 12).contains(&attempts), "{attempts} attempts");
}

#[tokio::test]
async fn without_an_answer_the_outcome_is_unknown_and_the_wait_is_counted() {
    let attacked = attack(&serve(|_| Ok(())), "400ms").await;
    attacked.all(Outcome::Unknown, Trouble::Timeout);
    let shortest = attacked.attempts.iter().map(response_time).min().unwrap();
    assert!(shortest >= TIMEOUT, "{shortest:?}");
}

#[tokio::test]
async fn half_an_answer_is_none() {
    let attacked = attack(&serve(|stream| stream.write_all(&OK[..OK.len() - 1])), "400ms").await;
    attacked.all(Outcome::Unknown, Trouble::Timeout);
}

#[tokio::test]
async fn an_abrupt_end_is_unknown() {
    let attacked = attack(&serve(|_| Err(std::io::ErrorKind::Other.into())), "400ms").await;
    attacked.all(Outcome::Unknown, Trouble::Reset);
}

#[tokio::test]
async fn a_refused_connection_certainly_failed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let attacked = attack(&url, "400ms").await;
    attacked.all(Outcome::Failed, Trouble::Refused);
    let told = format!("{REQUESTS} × connection refused (failed)");
    assert!(attacked.stdout.contains(&told), "{}", attacked.stdout);
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
    attacked.all(Outcome::Ok, Trouble::None);
    // 40 per second came in the first half of the stall and waited for its second half at least.
    let half = (STALL.1 - STALL.0) / 2;
    let felt = attacked.attempts.iter().filter(|a| response_time(a) >= half).count();
    assert!((19..=22).contains(&felt), "{felt} waited {half:?} or longer");
}

#[tokio::test]
async fn a_broken_record_is_named_and_its_report_stays() {
    let attacked = attack(&serve(|stream| stream.write_all(OK)), "400ms").await;
    let latest = attacked.bench.only();
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
