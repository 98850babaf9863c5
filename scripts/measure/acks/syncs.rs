//! How often a server fsyncs for messages and for acknowledgements, counted from outside by strace where it
//! is installed: what a server says of itself is no count.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use brokers::{Message, SubscribeOptions};
use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use servers::Running;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::contestant::{Contestant, Started};

const TOPIC: &str = "counted";
const ATTACHED_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// Calls that bring data to the disk, for so many messages.
pub(crate) struct Syncs {
    pub(crate) contestant: Contestant,
    pub(crate) what: &'static str,
    pub(crate) outstanding: u32,
    pub(crate) messages: u64,
    pub(crate) calls: u64,
}

/// Of one contestant; nothing without strace.
pub(crate) async fn counted(contestant: &Contestant, dir: &Path) -> Result<Vec<Syncs>> {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().await.is_err() {
        return Ok(Vec::new());
    }
    let started = Started::new(contestant, dir).await?;
    started.open(TOPIC).await?;
    let mut all = Vec::new();
    for (outstanding, messages) in [(1, 100), (64, 640)] {
        let trace = Trace::attach(&started.running, dir).await?;
        publish(&started, outstanding, messages).await?;
        let calls = trace.count().await?;
        let contestant = contestant.clone();
        all.push(Syncs { contestant, what: "publish", outstanding, messages, calls });
    }
    let messages = 50;
    let consumer = started.broker.subscribe(TOPIC, SubscribeOptions { prefetch: 1 }).await?;
    let trace = Trace::attach(&started.running, dir).await?;
    for _ in 0..messages {
        let delivery = timeout(ATTACHED_WITHIN, consumer.next()).await??;
        consumer.ack(&delivery.receipt).await?;
    }
    let calls = trace.count().await?;
    let contestant = contestant.clone();
    all.push(Syncs { contestant, what: "take and ack", outstanding: 1, messages, calls });
    started.end().await?;
    Ok(all)
}

async fn publish(started: &Started, outstanding: u32, messages: u64) -> Result<()> {
    let mut publishers = JoinSet::new();
    for publisher in 0..u64::from(outstanding) {
        let broker = Arc::clone(&started.broker);
        publishers.spawn(async move {
            for number in 0..messages / u64::from(outstanding) {
                let payload = Bytes::from(vec![b'x'; 256]);
                let key = format!("{publisher}-{number}");
                broker.publish(TOPIC, Message { key, payload, ..Message::default() }).await?;
            }
            Ok::<(), brokers::Error>(())
        });
    }
    while let Some(published) = publishers.join_next().await {
        published??;
    }
    Ok(())
}

/// An strace that follows all of a server.
struct Trace {
    strace: Child,
    file: tempfile::NamedTempFile,
}

impl Trace {
    async fn attach(running: &Running, dir: &Path) -> Result<Self> {
        let file = tempfile::NamedTempFile::new_in(dir)?;
        let processes = running.processes();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-e", "signal=none"]);
        strace.args(["-e", "trace=fsync,fdatasync,sync_file_range,syncfs,msync", "-o"]);
        strace.arg(file.path());
        for process in &processes {
            strace.args(["-p", &process.to_string()]);
        }
        let strace =
            strace.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
        let end = Instant::now() + ATTACHED_WITHIN;
        while !processes.iter().all(|process| is_traced(*process)) {
            ensure!(Instant::now() < end, "strace does not attach");
            sleep(POLL).await;
        }
        Ok(Self { strace, file })
    }

    /// Lets go, and counts the calls.
    async fn count(mut self) -> Result<u64> {
        let pid = self.strace.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        kill_process(pid.context("strace has ended")?, Signal::INT)?;
        self.strace.wait().await?;
        let text = fs::read_to_string(self.file.path())?;
        Ok(text.lines().filter(|line| is_call(line)).count() as u64)
    }
}

/// All threads of a process are followed, or it has ended.
fn is_traced(process: i32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    threads.filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok()).all(
        |status| {
            status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
        },
    )
}

/// A call begins on this line; "resumed" ends one that was counted.
fn is_call(line: &str) -> bool {
    !line.contains(" resumed>") && line.contains("sync") && line.contains('(')
}
