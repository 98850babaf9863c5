//! The binary from outside: what it answers, what its journal holds, what survives its death.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(20);
const TOKEN: &str = "control-token-of-this-test";
const MERCHANT: &str = "merchant-token-of-this-test-which-is-long";

struct Provider {
    child: Child,
    address: String,
    journal: PathBuf,
}

fn command(journal: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_provider"));
    command.args(["--listen", "127.0.0.1:0", "--journal"]).arg(journal).args(arguments);
    command.env("TRIPTYCH_MERCHANT_TOKEN", MERCHANT).env("TRIPTYCH_CONTROL_TOKEN", TOKEN);
    command.stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn start(journal: &Path, arguments: &[&str]) -> Provider {
    start_with("", journal, arguments).await
}

/// With a secret of the network's own.
async fn start_with(secret: &str, journal: &Path, arguments: &[&str]) -> Provider {
    let mut command = command(journal, arguments);
    let mut child = command.env("TRIPTYCH_NETWORK_SECRET", secret).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let listening = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(address) = line.strip_prefix("provider: listening on ") {
                return address.to_owned();
            }
        }
        panic!("the provider does not listen");
    };
    let address = timeout(PATIENCE, listening).await.unwrap();
    Provider { child, address, journal: journal.to_owned() }
}

/// A connection that is kept.
struct Client(TcpStream);

impl Client {
    async fn ask(
        &mut self,
        line: &str,
        headers: &str,
        body: &str,
    ) -> std::io::Result<(u16, Value)> {
        let (head, body) = self.exchange(line, headers, body).await?;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok((status, serde_json::from_str(&body).unwrap()))
    }

    /// Head and body of the answer.
    async fn exchange(
        &mut self,
        line: &str,
        headers: &str,
        body: &str,
    ) -> std::io::Result<(String, String)> {
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        self.0.write_all(request.as_bytes()).await?;
        let (mut text, mut bytes) = (String::new(), [0; 4096]);
        loop {
            let n = timeout(PATIENCE, self.0.read(&mut bytes)).await.unwrap()?;
            if n == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            text.push_str(std::str::from_utf8(&bytes[..n]).unwrap());
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && body.len() == content_length(head)
            {
                return Ok((head.to_owned(), body.to_owned()));
            }
        }
    }

    async fn charge(&mut self, key: &str, amount_cents: i64) -> std::io::Result<(u16, Value)> {
        self.of("/charges", key, amount_cents).await
    }

    async fn of(&mut self, path: &str, key: &str, cents: i64) -> std::io::Result<(u16, Value)> {
        let body = json!({"key": key, "amount_cents": cents, "card": "4242424242424242"});
        self.ask(&format!("POST {path}"), &merchant(), &body.to_string()).await
    }
}

fn merchant() -> String {
    format!("authorization: Bearer {MERCHANT}\r\ncontent-type: application/json\r\n")
}

fn content_length(head: &str) -> usize {
    let line = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    line.unwrap().parse().unwrap()
}

impl Provider {
    async fn client(&self) -> Client {
        Client(TcpStream::connect(&self.address).await.unwrap())
    }

    async fn charge(&self, key: &str, amount_cents: i64) -> (u16, Value) {
        self.client().await.charge(key, amount_cents).await.unwrap()
    }

    async fn void(&self, key: &str, amount_cents: i64) -> (u16, Value) {
        self.client().await.of("/voids", key, amount_cents).await.unwrap()
    }

    async fn control(&self, method: &str, change: &Value) -> (u16, Value) {
        let headers =
            format!("authorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n");
        let line = format!("{method} /control");
        self.client().await.ask(&line, &headers, &change.to_string()).await.unwrap()
    }

    /// How often each event was written for each key.
    fn events(&self) -> HashMap<(String, String), usize> {
        let mut events = HashMap::new();
        for line in lines(&self.journal) {
            let text = |field: &str| line[field].as_str().unwrap().to_owned();
            *events.entry((text("key"), text("event"))).or_default() += 1;
        }
        events
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    async fn end(mut self, signal: Signal) -> std::process::ExitStatus {
        self.signal(signal);
        timeout(PATIENCE, self.child.wait()).await.expect("still running").unwrap()
    }
}

fn lines(journal: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(journal).unwrap();
    assert!(!text.contains("4242424242424242"), "a card in the journal");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn count(provider: &Provider, key: &str, event: &str) -> usize {
    provider.events().get(&(key.to_owned(), event.to_owned())).copied().unwrap_or_default()
}

#[tokio::test]
async fn a_repeated_key_gets_its_first_result_also_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--latency", "constant:5ms", "--decline-rate", "0"];
    let provider = Arc::new(start(&dir.path().join("j"), &flags).await);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let provider = Arc::clone(&provider);
            tokio::spawn(async move { provider.charge("k", 900).await })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    let (status, first) = answers[0].clone();
    assert_eq!((status, &first["key"], &first["status"]), (200, &json!("k"), &json!("captured")));
    assert!(answers.iter().all(|a| *a == answers[0]), "{answers:?}");
    assert_eq!((count(&provider, "k", "captured"), count(&provider, "k", "repeated")), (1, 19));
    assert_eq!(provider.charge("k", 901).await.0, 409);

    let provider = Arc::into_inner(provider).unwrap();
    let journal = provider.journal.clone();
    assert!(provider.end(Signal::TERM).await.success(), "SIGTERM is a clean end");
    let provider = start(&journal, &flags).await;
    assert_eq!(provider.charge("k", 900).await, (200, first));
    assert_eq!((count(&provider, "k", "captured"), count(&provider, "k", "repeated")), (1, 20));
    assert_eq!(provider.charge("k", 901).await.0, 409);
}

#[tokio::test]
async fn a_raw_network_charges_again() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--latency", "constant:0ms", "--decline-rate", "0", "--mode", "raw"];
    let provider = start(&dir.path().join("j"), &flags).await;
    let (_, first) = provider.charge("k", 900).await;
    let (_, second) = provider.charge("k", 900).await;
    assert_ne!(first["charge_id"], second["charge_id"]);
    assert_eq!(count(&provider, "k", "captured"), 2);
    let (status, settings) = provider.control("PATCH", &json!({"mode": "dedupe"})).await;
    assert_eq!((status, &settings["mode"]), (200, &json!("dedupe")));
    assert_eq!(provider.charge("k", 900).await.1, first, "the first decision stands");
}

#[tokio::test]
async fn what_is_voided_first_is_never_captured_and_what_is_captured_first_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, flags) = (dir.path().join("j"), ["--decline-rate", "0"]);
    let provider = start(&journal, &[&flags[..], &["--latency", "constant:200ms"]].concat()).await;
    let voided = |key: &str| (200, json!({"key": key, "status": "voided"}));
    assert_eq!(provider.void("before", 900).await, voided("before"));
    assert_eq!(provider.charge("before", 900).await, voided("before"));
    let (_, captured) = provider.charge("after", 900).await;
    assert_eq!(provider.void("after", 900).await, (200, captured.clone()));
    assert_eq!(provider.void("after", 901).await.0, 409);
    // While the charge waits, nothing is decided: one of them comes first, and both are told the same.
    let (charge, void) = tokio::join!(provider.charge("race", 900), provider.void("race", 900));
    assert_eq!(charge, void);
    let written = |key: &str| ["captured", "voided"].map(|event| count(&provider, key, event));
    assert_eq!((written("before"), written("after")), ([0, 1], [1, 0]));
    assert_eq!(written("race").iter().sum::<usize>(), 1);
    provider.end(Signal::KILL).await;
    let provider = start(&journal, &[&flags[..], &["--latency", "constant:0ms"]].concat()).await;
    assert_eq!(provider.charge("before", 900).await, voided("before"));
    assert_eq!(provider.void("after", 900).await, (200, captured));
}

#[tokio::test]
async fn verdicts_follow_from_secret_and_seed() {
    let dir = tempfile::tempdir().unwrap();
    let mut verdicts = Vec::new();
    for (name, secret, seed) in [("a", "s", "7"), ("b", "s", "7"), ("c", "s", "8"), ("d", "t", "7")]
    {
        let flags = ["--latency", "constant:0ms", "--decline-rate", "0.5", "--seed", seed];
        let provider = start_with(secret, &dir.path().join(name), &flags).await;
        let mut client = provider.client().await;
        let mut statuses = Vec::new();
        for n in 0..100 {
            let (_, answer) = client.charge(&format!("k{n}"), 900).await.unwrap();
            statuses.push(answer["status"].as_str().unwrap().to_owned());
        }
        verdicts.push(statuses);
    }
    assert_eq!(verdicts[0], verdicts[1]);
    assert_ne!(verdicts[0], verdicts[2]);
    assert_ne!(verdicts[0], verdicts[3]);
    let declined = verdicts[0].iter().filter(|s| *s == "declined").count();
    assert!((30..70).contains(&declined), "{declined} of 100");
}

#[tokio::test]
async fn how_far_the_journal_is_is_told_to_the_control_token_alone() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--latency", "constant:0ms", "--decline-rate", "0"];
    let provider = start(&dir.path().join("j"), &flags).await;
    let ask = async |token: &str| {
        let headers = format!("authorization: Bearer {token}\r\n");
        provider.client().await.ask("GET /control/journal", &headers, "").await.unwrap()
    };
    assert_eq!(ask(TOKEN).await, (200, json!({"lines": 0, "seal": ""})));
    assert_eq!(ask("wrong").await.0, 401);
    provider.charge("k", 900).await;
    let (_, mark) = ask(TOKEN).await;
    let line = lines(&provider.journal).swap_remove(0);
    assert_eq!((&mark["lines"], &mark["seal"]), (&line["n"], &line["seal"]));
    assert_eq!(mark["lines"], 1);
}

#[tokio::test]
async fn an_error_captures_nothing_and_control_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--latency", "constant:0ms", "--decline-rate", "0", "--error-rate", "1"];
    let provider = start(&dir.path().join("j"), &flags).await;
    assert_eq!(provider.charge("k", 900).await.0, 500);
    assert_eq!((count(&provider, "k", "error"), count(&provider, "k", "captured")), (1, 0));
    let before = provider.control("GET", &json!(null)).await;
    assert_eq!((before.0, &before.1["error_rate"]), (200, &json!(1.0)));
    for wrong in [
        json!({"error_rate": 0, "mode": "odd"}),
        json!({"error_rate": 0, "x": 1}),
        json!({"error_rate": 0, "decline_rate": 2}),
    ] {
        assert_eq!(provider.control("PATCH", &wrong).await.0, 422, "{wrong}");
        assert_eq!(provider.control("GET", &json!(null)).await, before, "half a change");
    }
    assert_eq!(provider.control("PATCH", &json!({"error_rate": 0})).await.0, 200);
    assert_eq!(provider.charge("k", 900).await.0, 200);
    assert_eq!(count(&provider, "k", "captured"), 1);
    let unguarded = provider.client().await.ask("GET /control", "", "").await.unwrap();
    assert_eq!(unguarded.0, 401);
}

#[tokio::test]
async fn a_method_that_a_path_does_not_serve_is_told_those_that_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let provider = start(&dir.path().join("j"), &[]).await;
    let mut client = provider.client().await;
    for (path, allowed) in
        [("/charges", "POST"), ("/control", "GET, PATCH"), ("/control/journal", "GET")]
    {
        let (head, _) = client.exchange(&format!("PUT {path}"), "", "").await.unwrap();
        assert!(head.starts_with("HTTP/1.1 405"), "{path}: {head}");
        assert!(head.contains(&format!("\nallow: {allowed}\r")), "{path}: {head}");
    }
}

#[tokio::test]
async fn without_a_token_control_is_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command(&dir.path().join("j"), &[]);
    let mut child = command.env_remove("TRIPTYCH_CONTROL_TOKEN").spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let address = line.strip_prefix("provider: listening on ").unwrap();
    let mut client = Client(TcpStream::connect(address).await.unwrap());
    let bearer = "authorization: Bearer \r\n";
    assert_eq!(client.ask("GET /control", bearer, "").await.unwrap().0, 403);
}

#[tokio::test]
async fn only_a_merchant_charges() {
    let dir = tempfile::tempdir().unwrap();
    let provider = start(&dir.path().join("j"), &["--latency", "constant:0ms"]).await;
    let mut client = provider.client().await;
    let body = json!({"key": "k", "amount_cents": 1, "card": "c"}).to_string();
    let (json, other) = ("content-type: application/json\r\n", "authorization: Bearer other\r\n");
    let page = format!("{}origin: http://localhost\r\n", merchant());
    for (headers, status) in
        [(json.to_owned(), 401), (format!("{json}{other}"), 401), (page, 403), (merchant(), 200)]
    {
        let (found, answer) = client.ask("POST /charges", &headers, &body).await.unwrap();
        assert_eq!(found, status, "{headers}: {answer}");
    }
    assert_eq!(lines(&provider.journal).len(), 1);
}

#[tokio::test]
async fn a_network_without_a_merchant_s_token_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command(&dir.path().join("j"), &[]);
    let output = command.env_remove("TRIPTYCH_MERCHANT_TOKEN").output().await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && told.contains("TRIPTYCH_MERCHANT_TOKEN: expected"),
        "{told}"
    );
}

#[tokio::test]
async fn broken_charges_are_refused_without_showing_the_card() {
    let dir = tempfile::tempdir().unwrap();
    let provider = start(&dir.path().join("j"), &["--latency", "constant:0ms"]).await;
    let mut client = provider.client().await;
    for (body, status) in [
        ("{", 400),
        ("{}", 422),
        (r#"{"key":"k","amount_cents":0,"card":"c"}"#, 422),
        (r#"{"key":"","amount_cents":1,"card":"c"}"#, 422),
        (r#"{"key":"k","amount_cents":1,"card":42424242}"#, 422),
        (r#"{"key":"k","amount_cents":1,"card":"c","cvc":"1"}"#, 422),
    ] {
        let (found, answer) = client.ask("POST /charges", &merchant(), body).await.unwrap();
        assert_eq!(found, status, "{body}");
        assert!(!answer.to_string().contains("4242"), "{answer}");
    }
    assert!(lines(&provider.journal).is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_does_not_undo_its_charge() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--latency", "constant:100ms", "--decline-rate", "0"];
    let provider = start(&dir.path().join("j"), &flags).await;
    let mut client = provider.client().await;
    let left = timeout(Duration::from_millis(20), client.charge("k", 900)).await;
    assert!(left.is_err(), "it answered before its latency");
    drop(client);
    let written = async {
        while count(&provider, "k", "captured") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, written).await.expect("the charge was undone");
}

#[tokio::test]
async fn what_was_answered_is_in_the_journal_after_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    // Without latency the journal is the bottleneck, so that lines wait in it at any moment.
    let flags = ["--latency", "constant:0ms", "--decline-rate", "0"];
    let provider = start(&dir.path().join("j"), &flags).await;
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..64)
        .map(|number| {
            let (answered, address) = (Arc::clone(&answered), provider.address.clone());
            tokio::spawn(async move {
                let mut client = Client(TcpStream::connect(address).await.unwrap());
                let mut told = Vec::new();
                while let Ok((status, answer)) =
                    client.charge(&format!("{number}-{}", told.len()), 900).await
                {
                    assert_eq!(status, 200);
                    told.push((answer["key"].clone(), answer["charge_id"].clone()));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                told
            })
        })
        .collect();
    let enough = async {
        while answered.load(Ordering::Relaxed) < 2_000 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, enough).await.unwrap();
    let journal = provider.journal.clone();
    assert!(!provider.end(Signal::KILL).await.success());

    // The restart cuts off a torn line and remembers the rest.
    let provider = start(&journal, &flags).await;
    let captured: HashMap<_, _> = lines(&journal)
        .into_iter()
        .map(|line| (line["key"].to_string(), line["charge_id"].clone()))
        .collect();
    let mut last = None;
    for client in clients {
        for (key, charge_id) in client.await.unwrap() {
            assert_eq!(captured.get(&key.to_string()), Some(&charge_id), "{key} was lost");
            last = Some((key, charge_id));
        }
    }
    let (key, charge_id) = last.unwrap();
    let (_, again) = provider.charge(key.as_str().unwrap(), 900).await;
    assert_eq!(again["charge_id"], charge_id);
}

#[tokio::test]
async fn a_start_that_fails_says_why_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("bad");
    std::fs::write(&bad, "nonsense\n").unwrap();
    let missing = dir.path().join("no/such/folder/j");
    for (journal, part) in [(&bad, "bad:1: not a line of a journal"), (&missing, "cannot open")] {
        let output = command(journal, &[]).output().await.unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(part) && text.trim_end().lines().count() == 1, "{text}");
    }
}

#[tokio::test]
async fn over_the_rate_limit_nothing_happens() {
    let dir = tempfile::tempdir().unwrap();
    let provider = start(&dir.path().join("j"), &["--latency", "constant:0ms"]).await;
    let (status, settings) = provider.control("PATCH", &json!({"rate_limit": 0})).await;
    assert_eq!((status, &settings["rate_limit"]), (200, &json!(0)));
    let (status, refused) = provider.charge("k", 100).await;
    assert_eq!(status, 429);
    assert_eq!(refused["type"], "urn:triptych:problem:rate-limited");
    assert!(provider.events().is_empty());
    let (_, settings) = provider.control("PATCH", &json!({"rate_limit": null})).await;
    assert_eq!(settings["rate_limit"], Value::Null);
    assert_eq!(provider.charge("k", 100).await.0, 200);
}

#[tokio::test]
async fn who_hung_up_is_served_all_the_same_and_the_next_one_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    // Long enough that the others come while it is served, also where other programs have the processors.
    let arguments = ["--latency", "constant:3s", "--at-once", "1", "--queue", "1"];
    let provider = start(&dir.path().join("j"), &arguments).await;
    let mut gone = provider.client().await;
    let request = json!({"key": "gone", "amount_cents": 100, "card": "4242424242424242"});
    let request = request.to_string();
    let head = format!("POST /charges HTTP/1.1\r\nhost: l\r\n{}", merchant());
    let head = format!("{head}content-length: {}\r\n\r\n{request}", request.len());
    let begun = Instant::now();
    gone.0.write_all(head.as_bytes()).await.unwrap();
    provider.control("GET", &json!({})).await;
    drop(gone);
    let (one, other) = tokio::join!(provider.charge("one", 100), provider.charge("other", 100));
    let ((served, refused), key) = match one.0 {
        200 => ((one, other), "other"),
        _ => ((other, one), "one"),
    };
    assert_eq!((served.0, refused.0), (200, 429), "{served:?} {refused:?}");
    assert!(begun.elapsed() >= Duration::from_secs(6), "two at one counter, each of three seconds");
    assert_eq!(refused.1["type"], "urn:triptych:problem:busy");
    let events = provider.events();
    assert!(events.keys().any(|(key, _)| key == "gone"), "{events:?}");
    assert!(!events.keys().any(|(of, _)| of == key), "{events:?}");
}

#[tokio::test]
async fn a_lost_answer_leaves_a_line_and_not_a_byte() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--latency", "constant:0ms", "--decline-rate", "0", "--lost-answers", "1"];
    let provider = start(&dir.path().join("j"), &arguments).await;
    let lost = provider.client().await.charge("k", 100).await;
    assert!(lost.is_err(), "{lost:?}");
    let captured = ("k".to_owned(), "captured".to_owned());
    assert_eq!(provider.events(), HashMap::from([(captured, 1)]));
    provider.control("PATCH", &json!({"lost_answers": 0.0})).await;
    let (status, answer) = provider.charge("k", 100).await;
    assert_eq!((status, &answer["status"]), (200, &json!("captured")));
}
