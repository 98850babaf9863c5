//! The harness's hand on the proxy: a child process that ends when this handle does.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::control::{Order, Reply};
use super::link_fault::LinkFault;
use super::tally::Counts;

/// It answers at once, whatever its links suffer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A running proxy.
pub struct Links {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    addresses: BTreeMap<String, String>,
}

impl Links {
    /// Starts `program links` and opens a link to each upstream.
    ///
    /// # Errors
    /// If it cannot be started or an upstream is no address.
    pub async fn start(
        program: &Path,
        upstreams: &BTreeMap<String, String>,
        seed: u64,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        let mut child = Command::new(program)
            .args(["links", "--of"])
            .arg(log.parent().unwrap_or(Path::new(".")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {} links", program.display()))?;
        let input = child.stdin.take().context("a child without an input")?;
        let output = child.stdout.take().context("a child without an output")?;
        let output = BufReader::new(output).lines();
        let mut links = Self { child, input, output, addresses: BTreeMap::new() };
        match links.tell(&Order::Open { seed, links: upstreams.clone() }).await? {
            Reply::Opened(addresses) => links.addresses = addresses,
            other => bail!("the link proxy answered {other:?} to open"),
        }
        Ok(links)
    }

    /// Where each link's clients connect: host:port.
    #[must_use]
    pub fn addresses(&self) -> &BTreeMap<String, String> {
        &self.addresses
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// From now on every live and new connection of the link, as far as it is in the share, suffers
    /// this; the counts are of that instant.
    ///
    /// # Errors
    /// If the proxy is gone or knows no such link.
    pub async fn inject(
        &mut self,
        link: &str,
        fault: LinkFault,
        share: f64,
    ) -> anyhow::Result<Counts> {
        self.counts_of(Order::Suffer { link: link.to_owned(), fault: Some(fault), share }).await
    }

    /// From now on the link passes everything on again.
    ///
    /// # Errors
    /// As [`Self::inject`].
    pub async fn heal(&mut self, link: &str) -> anyhow::Result<Counts> {
        self.counts_of(Order::Suffer { link: link.to_owned(), fault: None, share: 1.0 }).await
    }

    /// What the link has seen.
    ///
    /// # Errors
    /// As [`Self::inject`].
    pub async fn counts(&mut self, link: &str) -> anyhow::Result<Counts> {
        self.counts_of(Order::Count { link: link.to_owned() }).await
    }

    async fn counts_of(&mut self, order: Order) -> anyhow::Result<Counts> {
        match self.tell(&order).await? {
            Reply::Counts(counts) => Ok(counts),
            Reply::Error(text) => bail!("{text}"),
            Reply::Opened(_) => bail!("the link proxy answered another order"),
        }
    }

    async fn tell(&mut self, order: &Order) -> anyhow::Result<Reply> {
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        let answer = async {
            self.input.write_all(line.as_bytes()).await?;
            self.output.next_line().await
        };
        let answer = timeout(ANSWER_WITHIN, answer).await.context("the link proxy is silent")?;
        let answer = answer?.context("the link proxy has ended")?;
        Ok(serde_json::from_str(&answer)?)
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(|status| status.to_string())
    }

    /// Ends it: its input ends, and all its connections with it.
    pub async fn stop(self) {
        let Self { mut child, input, .. } = self;
        drop(input);
        if timeout(ANSWER_WITHIN, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}
