//! What was measured is kept and shown, whatever fails afterwards; what will be refused is refused before.

use std::path::{Path, PathBuf};

use record::read::Run;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use crate::bench::{Bench, end, root, says, until};

const TINY: &str = r#"about = "As short as can be."
start = 20
stages = [{ duration = "1s", rate = 20 }]
warm_up = "0s"
customers = 1
mix = { place = 1 }
provider = { latency = "constant:5ms" }
"#;

fn tiny(bench: &Bench) -> String {
    bench.file("tiny.toml", TINY)
}

/// The only results folder, while its run goes on.
fn results(bench: &Bench) -> Option<PathBuf> {
    let entries = std::fs::read_dir(bench.out()).ok()?.flatten();
    entries.map(|entry| entry.path()).find(|path| path.is_dir() && !path.is_symlink())
}

async fn folder(bench: &Bench) -> PathBuf {
    until("the results folder", || results(bench).is_some()).await;
    results(bench).unwrap()
}

/// A server that answers at once, and its URL.
async fn null_server(bench: &Bench) -> (Child, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let server = bench.start(&["null-server", "--listen", &address]);
    until("the server", || std::net::TcpStream::connect(&address).is_ok()).await;
    (server, format!("http://{address}/"))
}

/// The report failed and said so, its record is whole, and the report can be had later.
async fn is_kept(bench: &Bench, child: Child, obstacle: &Path) {
    let output = end(child).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 3)), "{output:?}");
    let remedy = format!("loadgen report {}", obstacle.parent().unwrap().display());
    assert!(told.contains("could not be written") && told.contains(&remedy), "{told}");
    assert_eq!(Run::read(&bench.latest()).unwrap().trials.len(), 1);
    std::fs::remove_dir(obstacle).unwrap();
    let again = bench.call(&["report", bench.latest().to_str().unwrap()]).await;
    assert!(again.status.success() && obstacle.is_file(), "{again:?}");
    bench.is_deserted();
}

#[tokio::test]
async fn a_run_whose_report_cannot_be_written() {
    let bench = Bench::new();
    let child = bench.start(&["run", &tiny(&bench), "-s", "monolith"]);
    let obstacle = folder(&bench).await.join("report.html");
    std::fs::create_dir(&obstacle).unwrap();
    is_kept(&bench, child, &obstacle).await;
}

#[tokio::test]
async fn an_attack_whose_report_cannot_be_written() {
    let bench = Bench::new();
    let (_server, url) = null_server(&bench).await;
    let child = bench.start(&["attack", &url, "--duration", "2s"]);
    let obstacle = folder(&bench).await.join("report.html");
    std::fs::create_dir(&obstacle).unwrap();
    let output = end(child).await;
    assert!(matches!(output.status.code(), Some(1 | 3)), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("could not be written") && told.contains("loadgen report"), "{told}");
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("200 scheduled = ") || out.contains("scheduled = "), "{out}");
    assert_eq!(Run::read(obstacle.parent().unwrap()).unwrap().trials.len(), 1);
}

#[tokio::test]
async fn latest_becomes_a_folder_while_the_load_runs() {
    let bench = Bench::new();
    let child = bench.start(&["run", &tiny(&bench), "-s", "monolith"]);
    let folder = folder(&bench).await;
    std::fs::create_dir(bench.latest()).unwrap();
    let output = end(child).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    assert!(told.contains("cannot let") && told.contains(folder.to_str().unwrap()), "{told}");
    assert_eq!(Run::read(&folder).unwrap().trials.len(), 1);
    assert!(folder.join("report.html").is_file());
}

/// As a copy that follows links makes it.
#[tokio::test]
async fn latest_is_a_folder_before_the_load() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.latest()).unwrap();
    let scenario = tiny(&bench);
    for arguments in [
        &["run", &scenario, "-s", "monolith"][..],
        &["capacity", &scenario, "monolith"],
        &["attack", "http://127.0.0.1:1/", "--duration", "1s"],
    ] {
        says(&bench.call(arguments).await, 1, &["/latest is no link", "--out"]);
    }
    let left: Vec<_> = std::fs::read_dir(bench.out()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

/// The second one's trial would take the first one's folder.
#[tokio::test]
async fn two_of_one_name_are_refused() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("other")).unwrap();
    let copy = bench.path("other/monolith.toml");
    std::fs::copy(root().join("systems/monolith.toml"), &copy).unwrap();
    let (scenario, copy) = (tiny(&bench), copy.to_str().unwrap().to_owned());
    let run = bench.call(&["run", &scenario, "-s", "monolith", "-s", &copy]).await;
    says(&run, 1, &["the system monolith is named twice", &copy]);
    let search = bench.call(&["capacity", &scenario, "monolith", &copy]).await;
    says(&search, 1, &["the system monolith is named twice"]);
    let again = bench.file("other/tiny.toml", TINY);
    let run = bench.call(&["run", &scenario, &again, "-s", "monolith"]).await;
    says(&run, 1, &["the scenario tiny is named twice", &again]);
    bench.is_clean();
}

/// Its record could not be read back.
#[tokio::test]
async fn a_load_that_is_too_long_is_refused_at_once() {
    let bench = Bench::new();
    let attack = ["attack", "http://127.0.0.1:1/", "--duration", "604801s"];
    says(&bench.call(&attack).await, 1, &["duration_s is 604801, not between 0 and 604800"]);
    bench.is_clean();
}

/// What is left of its schedule is more than anybody could wait for.
#[tokio::test]
async fn a_week_that_is_stopped_is_written_at_once() {
    let bench = Bench::new();
    let (_server, url) = null_server(&bench).await;
    let child = bench.start(&["attack", &url, "--duration", "604800s", "--rate", "2000"]);
    let history = folder(&bench).await.join("attack");
    until("the load", || history.exists()).await;
    let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let output = end(child).await;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(Run::read(&bench.only()).unwrap().trials.len(), 1);
}

/// The history cannot be written to its end: its trial is none, but what there is stays, and so does the
/// trial before it.
#[tokio::test]
async fn a_disk_that_fills_up_during_the_load() {
    let bench = Bench::new();
    let Some(_mount) = Mount::small(&bench.out()) else { return };
    let scenario = bench.file("long.toml", &TINY.replace("1s", "100s").replace("20", "200"));
    let child = bench.start(&["run", &tiny(&bench), &scenario, "-s", "monolith"]);
    let history = folder(&bench).await.join("long/monolith/1/history.csv.zst");
    let has_begun = || std::fs::metadata(&history).is_ok_and(|found| found.len() > 0);
    until("the load", has_begun).await;
    let mut ballast = std::fs::File::create(bench.out().join("ballast")).unwrap();
    let _ = std::io::copy(&mut std::io::repeat(7), &mut ballast);
    drop(ballast);
    let output = end(child).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(told.contains("what was measured is in") && told.contains("No space left"), "{told}");
    assert!(!told.contains("panicked") && history.exists(), "{told}");
    bench.is_deserted();
    std::fs::remove_file(bench.out().join("ballast")).unwrap();
    let run = Run::read(&bench.latest()).unwrap();
    assert_eq!((run.trials.len(), run.without_manifest.len()), (1, 1));
    let again = bench.call(&["report", bench.latest().to_str().unwrap()]).await;
    assert!(again.status.success(), "{again:?}");
}

/// A file system in memory, as long as it lives.
struct Mount(PathBuf);

impl Mount {
    /// Nothing where only root may mount, and this is another.
    fn small(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root may mount");
            return None;
        }
        let mut mount = std::process::Command::new("mount");
        let status = mount.args(["-t", "tmpfs", "-o", "size=48m", "none"]).arg(at).status();
        assert!(status.unwrap().success());
        Some(Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let mut umount = std::process::Command::new("umount");
        let _ = umount.arg("-l").arg(&self.0).status();
    }
}
