//! The server over a real socket: what it shows, and what it does not.

use std::fs;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A server over a folder with one run, outside of which lies a secret that a link points to.
struct Place {
    _folder: tempfile::TempDir,
    root: PathBuf,
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

async fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("results");
    let trial = root.join("run-1/steady/monolith/1");
    fs::create_dir_all(&trial).unwrap();
    fs::write(root.join("run-1/environment.json"), r#"{"command": "loadgen run <b>"}"#).unwrap();
    fs::write(root.join("run-1/report.html"), "the report").unwrap();
    fs::write(trial.join("manifest.json"), r#"{"validity": {"valid": true}}"#).unwrap();
    fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret.txt", root.join("link.txt")).unwrap();
    std::os::unix::fs::symlink("run-1", root.join("latest")).unwrap();
    let server = Server::bind(&root, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (address, (stop, stopped)) = (server.address(), watch::channel(false));
    tokio::spawn(server.serve(stopped));
    Place { _folder: folder, root, address, stop }
}

impl Place {
    async fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn ask(&self, method: &str, path: &str, headers: &str) -> String {
        let text = format!("{method} {path} HTTP/1.1\r\n{headers}\r\n");
        let mut answer = Vec::new();
        self.send(&text).await.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    async fn get(&self, path: &str) -> String {
        self.ask("GET", path, &format!("Host: {}\r\n", self.address)).await
    }
}

#[tokio::test]
async fn runs_are_listed_and_their_files_shown() {
    let place = place().await;
    let page = place.get("/").await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.contains("href=\"/results/run%2D1/report.html\""), "{page}");
    assert!(page.contains("loadgen run &lt;b&gt;") && page.contains("1 of 1"), "{page}");
    for path in ["/results/run%2D1/report.html", "/results/latest/report.html?x=1"] {
        assert!(place.get(path).await.ends_with("\r\n\r\nthe report"), "{path}");
    }
    let host = format!("Host: localhost:{}\r\n", place.address.port());
    let head = place.ask("HEAD", "/results/latest/report.html", &host).await;
    assert!(head.contains("Content-Length: 10\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    for path in ["/live.js", "/style.css"] {
        assert!(place.get(path).await.contains("nosniff"), "{path}");
    }
    place.stop.send(true).unwrap();
}

#[tokio::test]
async fn nothing_outside_the_folder_is_shown_whatever_the_path() {
    let place = place().await;
    for path in [
        "/results/../secret.txt",
        "/results/%2e%2e/secret.txt",
        "/results/run-1/..%2f..%2fsecret.txt",
        "/results//etc/passwd",
        "/results/%2fetc/hostname.txt",
        "/results/link.txt",
        "/results/run-1",
        "/results/",
        "/results/run-1/no.txt",
        "/results/run-1/data.db",
        "/secret.txt",
        "/results/a%00.txt",
    ] {
        let answer = place.get(path).await;
        assert!(
            answer.starts_with("HTTP/1.1 404 ") && !answer.contains("secret"),
            "{path}: {answer}"
        );
    }
    fs::write(place.root.join("in.txt"), "in the folder").unwrap();
    assert!(place.get("/results/in.txt").await.ends_with("in the folder"), "or nothing was proved");
}

/// A name of somebody else's that leads here, and a page of another site.
#[tokio::test]
async fn other_names_and_other_sites_are_refused() {
    let place = place().await;
    let port = place.address.port();
    for (headers, status) in [
        (format!("Host: evil.example:{port}\r\n"), 421),
        ("Host: 127.0.0.1\r\n".to_owned(), 421),
        (String::new(), 421),
        (format!("Host: 127.0.0.1:{port}\r\nHost: evil.example\r\n"), 400),
        (format!("Host: 127.0.0.1:{port}\r\nOrigin: http://evil.example\r\n"), 421),
        (format!("Host: 127.0.0.1:{port}\r\nOrigin: null\r\n"), 421),
        (format!("Host: LocalHost:{port}\r\nOrigin: http://localhost:{port}\r\n"), 200),
        (format!("Host: [::1]:{port}\r\n"), 200),
    ] {
        for path in ["/", "/results/run-1/report.html"] {
            let answer = place.ask("GET", path, &headers).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{headers}: {answer}");
        }
    }
    let own = format!("Host: {}\r\n", place.address);
    assert!(place.ask("POST", "/", &own).await.starts_with("HTTP/1.1 400 "));
    // It may be cut off before it can read why.
    let long = format!("GET / HTTP/1.1\r\n{own}X: {}\r\n\r\n", "x".repeat(20_000));
    let mut answer = Vec::new();
    let _ = place.send(&long).await.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    for address in ["0.0.0.0:0", "192.0.2.1:0"] {
        let error = Server::bind(&place.root, address.parse().unwrap()).await.err().unwrap();
        assert!(error.to_string().contains("of this machine alone"), "{error}");
    }
}

#[tokio::test]
async fn a_trial_under_way_is_shown_as_it_grows() {
    let place = place().await;
    let file = place.root.join("run-1/steady/monolith/1/live.jsonl");
    fs::write(&file, "{\"scenario\":\"steady\"}\n").unwrap();
    let request = format!("GET /live HTTP/1.1\r\nHost: {}\r\n\r\n", place.address);
    let mut stream = place.send(&request).await;
    let mut seen = String::new();
    let mut until = async |part: &str, stream: &mut TcpStream| {
        let mut buffer = [0; 4096];
        while !seen.contains(part) {
            let count = timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
            assert!(count > 0, "{part} is not in {seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    };
    until("event: plan\ndata: {\"scenario\":\"steady\"}\n\n", &mut stream).await;
    fs::write(&file, "{\"scenario\":\"steady\"}\n{\"t\":0}\n").unwrap();
    until("event: second\ndata: {\"t\":0}\n\n", &mut stream).await;
    fs::remove_file(&file).unwrap();
    until("event: idle\n", &mut stream).await;
    place.stop.send(true).unwrap();
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
}
