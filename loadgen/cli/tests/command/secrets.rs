//! No secret in any record, log or word of the command: nothing that was given to a process, typed by a
//! customer, or handed to one as a session.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::mpsc::channel;

use crate::bench::{Bench, end, until};

const TINY: &str = r#"about = "A little of everything."
start = 30
stages = [{ duration = "4s", rate = 30 }]
warm_up = "1s"
drain = "20s"
customers = 2
mix = { place = 60, get = 30, login = 5, signup = 5 }
provider = { latency = "constant:5ms" }

[[fault]]
at = "2s"
for = "1s"
harm = "payments"
kind = "kill"
"#;
/// What `prepare` and the workload type: passwords, a card, and how every session token begins.
const TYPED: [&str; 5] = [
    "password of customer 0",
    "a new customer's password",
    "card-0",
    "eyJ0eXAiOiJKV1Qi",
    "eyJhbGciOiJIUzI1NiI",
];
/// In every history: proof that compressed files are read, too.
const KEY: &str = "1-00000000";

/// The secrets in the environments of a test's processes.
fn given(bench: &Bench) -> BTreeSet<String> {
    let secret = |entry: &str| {
        let (name, value) = entry.split_once('=')?;
        let is_one = name.starts_with("TRIPTYCH_")
            && ["SECRET", "TOKEN"].iter().any(|word| name.ends_with(word));
        is_one.then(|| value.to_owned())
    };
    let environments = bench.processes().into_iter().filter_map(|folder| {
        let bytes = std::fs::read(folder.join("environ")).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    });
    environments.flat_map(|text| text.split('\0').filter_map(secret).collect::<Vec<_>>()).collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() { files(&path, found) } else { found.push(path) }
    }
}

fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let bytes = if path.extension().is_some_and(|e| e == "zst") {
        zstd::decode_all(bytes.as_slice()).unwrap()
    } else {
        bytes
    };
    String::from_utf8_lossy(&bytes).into_owned()
}

/// All that was written and said, by where.
fn written(bench: &Bench, output: &Output) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    files(&bench.out(), &mut paths);
    let mut texts: Vec<(String, String)> =
        paths.iter().map(|path| (path.display().to_string(), text(path))).collect();
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        texts.push((name.to_owned(), String::from_utf8_lossy(bytes).into_owned()));
    }
    texts
}

/// Where a word stands.
fn holds<'t>(texts: &'t [(String, String)], word: &str) -> Vec<&'t str> {
    let holding = texts.iter().filter(|(_, text)| text.contains(word));
    holding.map(|(name, _)| name.as_str()).collect()
}

async fn check(system: &str) {
    let bench = Bench::new();
    let scenario = bench.file("tiny.toml", TINY);
    let child = bench.start(&["run", &scenario, "-s", system]);
    let mut secrets = BTreeSet::new();
    until("the secrets of all processes", || {
        secrets.extend(given(&bench));
        secrets.len() >= 5
    })
    .await;
    let output = end(child).await;
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    secrets.extend(given(&bench));
    assert!(secrets.len() >= 5, "for tokens, the operator, control, merchants and the network");
    let texts = written(&bench, &output);
    let holds = |word: &str| holds(&texts, word);
    assert!(holds(KEY).iter().any(|name| name.ends_with("history.csv.zst")), "{output:?}");
    assert!(holds("listening on").iter().any(|name| name.contains("/logs/")), "{output:?}");
    for word in secrets.iter().map(String::as_str).chain(TYPED) {
        assert_eq!(holds(word), Vec::<&str>::new(), "{word:?} is written down");
    }
}

#[tokio::test]
async fn the_monolith_writes_no_secret_down() {
    check("monolith").await;
}

#[tokio::test]
async fn the_synchronous_services_write_no_secret_down() {
    check("microservices-sync").await;
}

#[tokio::test]
async fn the_asynchronous_services_write_no_secret_down() {
    check("microservices-async").await;
}

/// What a user types to be let in stays between him and the server.
#[tokio::test]
async fn an_attack_writes_no_secret_of_its_command_line_down() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://me:typed-1@{}/x?token=typed-2", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4_096];
            let read = stream.read(&mut request).unwrap_or(0);
            let _ = tell.send(String::from_utf8_lossy(&request[..read]).into_owned());
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    let bench = Bench::new();
    let sent = ["--header", "X-Api-Key: typed-3", "--header=Cookie: a=typed-4", "--body=typed-5"];
    let load = ["--method", "POST", "--duration", "1s", "--rate", "20"];
    let output = bench.call(&[&["attack", &url][..], &sent, &load].concat()).await;
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    let request = told.recv().unwrap();
    for word in ["typed-2", "typed-3", "typed-4", "typed-5"] {
        assert!(request.contains(word), "{word} was not sent: {request}");
    }
    let texts = written(&bench, &output);
    assert_eq!(holds(&texts, "typed-"), Vec::<&str>::new());
    assert!(holds(&texts, "X-Api-Key: [redacted]").len() >= 3, "manifest, environment, report");
    assert!(holds(&texts, "secrets of the command line are in no file").len() >= 2);
}
