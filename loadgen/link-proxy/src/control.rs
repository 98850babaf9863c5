//! The proxy's one ear: JSON lines on its standard input, each answered by one on its output.
//!
//! It never waits for a connection: an order is carried out, counted and answered at once.

use std::collections::BTreeMap;
use std::io::{stdin, stdout};
use std::os::fd::AsFd;
use std::pin::Pin;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;

use super::link_fault::LinkFault;
use super::proxy::Link;
use super::tally::Counts;

/// What the proxy is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Order {
    /// Open links: names and upstreams.
    Open { seed: u64, links: BTreeMap<String, String> },
    /// Inject a fault into a link, or heal it.
    Suffer { link: String, fault: Option<LinkFault>, share: f64 },
    /// Say what a link has seen.
    Count { link: String },
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reply {
    /// Names and addresses.
    Opened(BTreeMap<String, String>),
    Counts(Counts),
    Error(String),
}

/// Obeys the standard input until it ends.
///
/// # Errors
/// If input or output are no pipes, or fail.
pub fn serve_standard_streams() -> Pin<Box<dyn Future<Output = anyhow::Result<()>>>> {
    // In a box, it is compiled here and not once more in the program (decision 38).
    Box::pin(standard_streams())
}

async fn standard_streams() -> anyhow::Result<()> {
    let who = "`loadgen links` is started by `loadgen run`, over pipes";
    let input = pipe::Receiver::from_owned_fd(stdin().as_fd().try_clone_to_owned()?);
    let output = pipe::Sender::from_owned_fd(stdout().as_fd().try_clone_to_owned()?);
    serve(BufReader::new(input.context(who)?), output.context(who)?).await
}

pub(super) async fn serve(
    input: impl AsyncBufRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> anyhow::Result<()> {
    let mut links = BTreeMap::new();
    let mut lines = input.lines();
    while let Some(line) = lines.next_line().await? {
        let reply = match obey(&mut links, &line).await {
            Ok(reply) => reply,
            Err(error) => Reply::Error(format!("{error:#}")),
        };
        let mut text = serde_json::to_string(&reply)?;
        text.push('\n');
        output.write_all(text.as_bytes()).await?;
        output.flush().await?;
    }
    Ok(())
}

async fn obey(links: &mut BTreeMap<String, Link>, line: &str) -> anyhow::Result<Reply> {
    let order = serde_json::from_str(line).with_context(|| format!("not an order: {line}"))?;
    match order {
        Order::Open { seed, links: wanted } => open(links, seed, wanted).await,
        Order::Suffer { link, fault, share } => {
            if !(0.0..=1.0).contains(&share) {
                bail!("the share {share} is not 0 to 1");
            }
            let fault = fault.map(|fault| (fault, share));
            Ok(Reply::Counts(find(links, &link)?.suffer(fault)))
        }
        Order::Count { link } => Ok(Reply::Counts(find(links, &link)?.counts())),
    }
}

fn find<'a>(links: &'a BTreeMap<String, Link>, name: &str) -> anyhow::Result<&'a Link> {
    links.get(name).with_context(|| {
        let names: Vec<&str> = links.keys().map(String::as_str).collect();
        format!("there is no link {name:?}; there are {}", names.join(", "))
    })
}

async fn open(
    links: &mut BTreeMap<String, Link>,
    seed: u64,
    wanted: BTreeMap<String, String>,
) -> anyhow::Result<Reply> {
    let mut opened = BTreeMap::new();
    for (number, (name, upstream)) in wanted.into_iter().enumerate() {
        let link = Link::open(&upstream, seed.wrapping_add(number as u64)).await?;
        opened.insert(name.clone(), link.address.to_string());
        links.insert(name, link);
    }
    Ok(Reply::Opened(opened))
}
