//! The processes that are measured, and their CPU time.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// The unit of `/proc/PID/stat`: Linux shows hundredths of a second on every machine we know.
const TICK_US: f64 = 10_000.0;
/// Of all that is measured.
pub(crate) const SECRET: &str = "only for a measurement, on loopback";
const START_MAX: Duration = Duration::from_secs(10);

/// A child that listens; killed when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    _child: Child,
}

impl Server {
    pub(crate) async fn provider(dir: &Path) -> Result<Self> {
        let mut command = Command::new(beside("provider")?);
        command.env("TRIPTYCH_MERCHANT_TOKEN", SECRET);
        command.arg("--journal").arg(dir.join("provider.jsonl"));
        command.args(["--latency", "constant:0ms", "--decline-rate", "0"]);
        Self::start(command.args(["--listen", "127.0.0.1:0"]), &[]).await
    }

    pub(crate) async fn monolith(dir: &Path, provider: SocketAddr) -> Result<Self> {
        let mut command = Command::new(beside("monolith")?);
        command.env("TRIPTYCH_TOKEN_SECRET", SECRET).env("TRIPTYCH_MERCHANT_TOKEN", SECRET);
        command.arg("--store").arg(format!("sqlite:{}/shop.db", dir.display()));
        command.args(["--provider", &format!("http://{provider}")]);
        Self::start(command.args(["--listen", "127.0.0.1:0"]), &[]).await
    }

    /// This program as the part that answers each request with this body.
    pub(crate) async fn echo(body: &[u8]) -> Result<Self> {
        Self::start(Command::new(std::env::current_exe()?).arg("echo"), body).await
    }

    async fn start(command: &mut Command, input: &[u8]) -> Result<Self> {
        let mut child =
            command.stdin(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        stdin.write_all(input).await?;
        drop(stdin);
        let mut said = BufReader::new(child.stderr.take().context("no standard error")?).lines();
        let line = timeout(START_MAX, said.next_line()).await.context("no word from a child")??;
        let line = line.context("a child ended at once")?;
        let address = line.rsplit(' ').next().and_then(|word| word.parse().ok());
        let address = address.with_context(|| format!("a child said: {line}"))?;
        // Whatever else it says is for people.
        tokio::spawn(async move {
            while let Ok(Some(line)) = said.next_line().await {
                eprintln!("{line}");
            }
        });
        Ok(Self { address, pid: child.id().context("a child ended")?, _child: child })
    }
}

/// A child that works when told to; killed when dropped.
pub(crate) struct Worker {
    pid: u32,
    commands: ChildStdin,
    counts: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Worker {
    /// This program as one of its parts.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let commands = child.stdin.take().context("no standard input")?;
        let counts = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        Ok(Self { pid: child.id().context("a child ended")?, commands, counts, _child: child })
    }

    /// CPU time of each thing that it does, when it works for so long.
    pub(crate) async fn cost_us(&mut self, span: Duration) -> Result<f64> {
        let before = cpu_us(self.pid)?;
        let command = format!("{}\n", span.as_secs_f64());
        self.commands.write_all(command.as_bytes()).await?;
        let count = self.counts.next_line().await?.context("a part ended")?;
        let count: f64 = count.parse()?;
        ensure!(count > 0.0, "a part did nothing in {span:?}");
        Ok((cpu_us(self.pid)? - before) / count)
    }
}

/// CPU time of a process, user and system, of living and ended threads.
pub(crate) fn cpu_us(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything; utime and stime are the 12th and 13th after it.
    let (_, fields) = stat.rsplit_once(") ").context("stat has no name")?;
    let ticks: Vec<f64> =
        fields.split(' ').skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() * TICK_US)
}

/// A program of ours, from the folder of this one.
fn beside(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().context("a program without a folder")?;
    let program = folder.join(name);
    ensure!(
        program.exists(),
        "{} is not there; expected it built, as by: cargo build --release --bins",
        program.display()
    );
    Ok(program)
}
