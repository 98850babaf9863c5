//! Clients who send too much, or too slowly.

use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::stand::Stand;

const PATIENCE: Duration = Duration::from_secs(20);
const MEGABYTE: usize = 1_000_000;
/// So much of it is sent: an answer that waits for the rest never comes.
const SENT: usize = MEGABYTE / 2;
/// A byte this often keeps a connection from looking idle.
const DRIBBLE: Duration = Duration::from_millis(250);

pub(crate) async fn lose(stand: &Stand) -> anyhow::Result<()> {
    let mut tries = JoinSet::new();
    for (name, address) in stand.servers() {
        let (length, chunks) = (address.clone(), address.clone());
        let of = move |what: &str| format!("{name}: {what}");
        let (first, second, third) = (of("length"), of("chunks"), of("head"));
        tries.spawn(async move { long_body(&length, false).await.context(first) });
        tries.spawn(async move { long_body(&chunks, true).await.context(second) });
        tries.spawn(async move { slow_head(&address).await.context(third) });
    }
    while let Some(tried) = tries.join_next().await {
        tried??;
    }
    Ok(())
}

/// A body of a megabyte is answered 413 before it has come.
async fn long_body(address: &str, chunked: bool) -> anyhow::Result<()> {
    let framing = if chunked {
        "transfer-encoding: chunked".to_owned()
    } else {
        format!("content-length: {MEGABYTE}")
    };
    let head = format!(
        "POST /orders HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{framing}\r\n\r\n"
    );
    let mut bytes = head.into_bytes();
    if chunked {
        bytes.extend(format!("{MEGABYTE:x}\r\n").into_bytes());
    }
    bytes.resize(bytes.len() + SENT, b' ');
    let mut stream = TcpStream::connect(address).await?;
    // It may close before all is sent.
    let _ = stream.write_all(&bytes).await;
    let mut start = [0; 12];
    timeout(PATIENCE, stream.read_exact(&mut start)).await.context("no answer")??;
    ensure!(&start == b"HTTP/1.1 413", "{}", String::from_utf8_lossy(&start));
    Ok(())
}

/// A head that never ends is cut off, however busily it comes; a neighbour that waits is not.
async fn slow_head(address: &str) -> anyhow::Result<()> {
    let mut neighbour = TcpStream::connect(address).await?;
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ").await?;
    let deadline = Instant::now() + PATIENCE;
    let mut byte = [0];
    while stream.write_all(b"x").await.is_ok() {
        match timeout(DRIBBLE, stream.read(&mut byte)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(_)) => anyhow::bail!("half a head was answered"),
            Err(_) => ensure!(Instant::now() < deadline, "it is still open"),
        }
        sleep(Duration::from_millis(1)).await;
    }
    neighbour
        .write_all(format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes())
        .await?;
    let mut start = [0; 12];
    timeout(PATIENCE, neighbour.read_exact(&mut start)).await.context("the neighbour")??;
    ensure!(&start == b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&start));
    Ok(())
}
