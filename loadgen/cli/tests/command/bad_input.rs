//! What cannot work is said in one line, at once, and leaves nothing behind.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use crate::bench::{Bench, says};

const GOOD: &str = r#"about = "x"
start = 10
stages = [{ duration = "3s", rate = 10 }]
warm_up = "1s"
customers = 2
mix = { place = 1 }
"#;

/// Runs this scenario on the monolith; it must fail, say this, and leave nothing.
async fn check_scenario(text: &str, parts: &[&str]) {
    let bench = Bench::new();
    let scenario = bench.file("mine.toml", text);
    says(&bench.call(&["run", &scenario, "-s", "monolith"]).await, 1, parts);
    bench.is_clean();
}

async fn check_names(scenario: &str, system: &str, parts: &[&str]) {
    let bench = Bench::new();
    says(&bench.call(&["run", scenario, "-s", system]).await, 1, parts);
    bench.is_clean();
}

#[tokio::test]
async fn an_unknown_key_has_its_file_line_and_nearest_key() {
    let text = GOOD.replace("warm_up", "warmup");
    check_scenario(&text, &["mine.toml:4: ", "`warmup`", "did you mean `warm_up`"]).await;
}

#[tokio::test]
async fn a_negative_rate_is_refused() {
    let text = GOOD.replace("rate = 10", "rate = -10");
    check_scenario(&text, &["mine.toml", "the rate -10 is not between 0 and"]).await;
}

#[tokio::test]
async fn a_fault_needs_somebody_whom_it_harms() {
    let fault = "[[fault]]\nat = \"1s\"\nfor = \"1s\"\nharm = \"broker\"\nkind = \"kill\"\n";
    let parts = ["mine.toml", "\"broker\"", "monolith", "auth, orders, payments, provider"];
    check_scenario(&format!("{GOOD}{fault}"), &parts).await;
}

#[tokio::test]
async fn a_mistyped_name_gets_the_nearest() {
    check_names("stedy", "monolith", &["stedy.toml", "did you mean steady?"]).await;
    check_names("steady", "monolit", &["monolit.toml", "did you mean monolith?"]).await;
}

#[tokio::test]
async fn a_missing_file_is_named() {
    check_names("./nowhere.toml", "monolith", &["./nowhere.toml", "cannot be read"]).await;
}

#[tokio::test]
async fn a_missing_program_is_named_before_anything_starts() {
    let bench = Bench::new();
    let system = bench.monolith("command = [\"monolith\"", "command = [\"no-such-program\"");
    let output = bench.call(&["run", "steady", "-s", &system]).await;
    says(&output, 1, &["process monolith", "\"no-such-program\"", "cargo build"]);
    bench.is_clean();
}

/// The monolith is given a port that somebody else has.
async fn check_port(listener: &TcpListener) {
    let bench = Bench::new();
    let port = listener.local_addr().unwrap().port().to_string();
    let system = bench.monolith("{port:shop}", &port);
    let scenario = bench.file("mine.toml", GOOD);
    let output = bench.call(&["run", &scenario, "-s", &system]).await;
    says(&output, 1, &["monolith", &format!("127.0.0.1:{port}"), "in use"]);
    bench.is_clean();
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    check_port(&TcpListener::bind("127.0.0.1:0").unwrap()).await;
}

/// Else the stranger's answers would be measured.
#[tokio::test]
async fn a_stranger_on_the_port_is_not_taken_for_the_system() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stranger = listener.try_clone().unwrap();
    thread::spawn(move || {
        for mut stream in stranger.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    check_port(&listener).await;
}

#[tokio::test]
async fn results_below_a_file_are_refused() {
    let bench = Bench::new();
    let out = format!("{}/results", bench.file("file", ""));
    let output = bench.call(&["run", "steady", "-s", "monolith", "--out", &out]).await;
    says(&output, 1, &[&out, "choose another with --out"]);
    bench.is_clean();
}

/// A small file system of one's own, which only root may have.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(bench: &Bench, options: &str) -> Option<Self> {
        std::fs::create_dir(bench.out()).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "none"]).arg(bench.out());
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(bench.out()));
        }
        println!("skipped: a tmpfs with {options} cannot be mounted here (only root may)");
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_read_only_results_folder_is_refused() {
    let bench = Bench::new();
    let Some(_mount) = Mount::tmpfs(&bench, "ro") else { return };
    let output = bench.call(&["run", "steady", "-s", "monolith"]).await;
    says(&output, 1, &["Read-only file system", "choose another with --out"]);
    bench.is_clean();
}

async fn check_disk(options: &str, part: &str) {
    let bench = Bench::new();
    let Some(_mount) = Mount::tmpfs(&bench, options) else { return };
    let scenario = bench.file("mine.toml", GOOD);
    let output = bench.call(&["run", &scenario, "-s", "monolith"]).await;
    says(&output, 1, &[part]);
    bench.is_clean();
}

#[tokio::test]
async fn a_full_disk_is_said() {
    // Full before the trial, at its start, and under load.
    check_disk("nr_inodes=2", "environment.json: No space left").await;
    check_disk("size=4k", "fsync-probe: No space left").await;
    check_disk("size=300k", "history.csv.zst: No space left").await;
}

#[tokio::test]
async fn a_folder_that_is_no_record_is_said() {
    let bench = Bench::new();
    let nowhere = bench.path("nowhere").to_str().unwrap().to_owned();
    says(&bench.call(&["report", &nowhere]).await, 1, &["nowhere"]);
    assert!(!bench.path("nowhere").exists());
    std::fs::create_dir(bench.path("empty")).unwrap();
    let empty = bench.path("empty").to_str().unwrap().to_owned();
    says(&bench.call(&["report", &empty]).await, 1, &["empty", "expected", "manifest.json"]);
    assert_eq!(std::fs::read_dir(bench.path("empty")).unwrap().count(), 0);
}
