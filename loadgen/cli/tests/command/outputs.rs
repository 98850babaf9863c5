//! Whoever reads what the command says may be gone, full or asleep: the measurement goes on, its report
//! is written, and the exit code tells of it.

use std::fs::File;
use std::io::{PipeWriter, Write, pipe};
use std::process::Stdio;
use std::thread;

use record::read::Run;

use crate::bench::{Bench, end, until};

const TINY: &str = r#"about = "As short as can be."
start = 20
stages = [{ duration = "1s", rate = 20 }]
warm_up = "0s"
customers = 1
mix = { place = 1 }
provider = { latency = "constant:5ms" }
"#;

/// Two trials with these outputs, the first of which tells its line while the second is to come.
async fn check(out: Stdio, err: Stdio) {
    let bench = Bench::new();
    let scenario = bench.file("tiny.toml", TINY);
    let mut command = bench.command(&["run", &scenario, "-s", "monolith", "--trials", "2"]);
    let status = end(command.stdout(out).stderr(err).spawn().unwrap()).await.status;
    // Two busy cores may make a trial invalid; a panic would be 101.
    assert!(matches!(status.code(), Some(0 | 3)), "{status}");
    assert_eq!(Run::read(&bench.latest()).unwrap().trials.len(), 2);
    assert!(bench.latest().join("report.html").is_file());
    bench.is_deserted();
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// As of `| true`: nobody reads, nobody will.
fn gone() -> PipeWriter {
    pipe().unwrap().1
}

#[tokio::test]
async fn readers_that_are_gone_end_nothing() {
    check(gone().into(), gone().into()).await;
}

#[tokio::test]
async fn full_disks_for_what_is_said_end_nothing() {
    check(full(), full()).await;
}

/// As of a stopped pager: the pipe is full, and nobody takes anything out of it until the report is there.
#[tokio::test]
async fn a_reader_that_sleeps_delays_nothing() {
    let bench = Bench::new();
    let scenario = bench.file("tiny.toml", TINY);
    let (mut reader, mut writer) = pipe().unwrap();
    let own = writer.try_clone().unwrap();
    fill(&mut writer);
    drop(writer);
    let mut command = bench.command(&["run", &scenario, "-s", "monolith", "--trials", "2"]);
    let child = command.stdout(own.try_clone().unwrap()).stderr(own).spawn().unwrap();
    drop(command);
    until("the report", || bench.latest().join("report.html").is_file()).await;
    let read = thread::spawn(move || {
        let mut text = Vec::new();
        std::io::copy(&mut reader, &mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    });
    let status = end(child).await.status;
    assert!(matches!(status.code(), Some(0 | 3)), "{status}");
    let text = read.join().unwrap();
    assert_eq!(text.matches("audit true").count(), 2, "nothing is lost");
    assert!(text.contains("report: "));
}

/// Until not one more byte goes in.
fn fill(pipe: &mut PipeWriter) {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let flags = fcntl_getfl(&*pipe).unwrap();
    fcntl_setfl(&*pipe, flags | OFlags::NONBLOCK).unwrap();
    while pipe.write(b"\n").is_ok() {}
    fcntl_setfl(&*pipe, flags).unwrap();
}

/// Completions were written by a library that panics when nobody reads.
#[tokio::test]
async fn no_command_panics_when_nobody_reads() {
    let bench = Bench::new();
    let out = bench.out();
    std::fs::create_dir(&out).unwrap();
    let out = out.to_str().unwrap();
    for arguments in
        [&["completions", "zsh"][..], &["list"], &["heal", out], &["doctor", "--out", out]]
    {
        let mut command = bench.command(arguments);
        let status = end(command.stdout(gone()).stderr(gone()).spawn().unwrap()).await.status;
        assert_eq!(status.code(), Some(0), "{arguments:?}: {status}");
    }
}
