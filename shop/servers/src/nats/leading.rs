//! Whether a node of NATS leads a stream: one question in its protocol, which is lines of text.

use std::io::{BufRead, BufReader, Write};

use anyhow::{Context, Result};

use super::name;
use crate::{Place, USER, asked};

/// What comes before the answer: who it is, and whether we are there.
const LINES_MAX: usize = 8;

pub(super) fn leads(place: &Place, queue: &str) -> Result<bool> {
    let mut line = asked(place)?;
    line.write_all(question(place, queue).as_bytes())?;
    let mut lines = BufReader::new(line).lines();
    for _ in 0..LINES_MAX {
        let said = lines.next().context("it has hung up")??;
        if said.starts_with("MSG ") {
            let stream = lines.next().context("it has hung up")??;
            return Ok(stream.contains(&format!("\"leader\":\"{}\"", name(place.node))));
        }
    }
    anyhow::bail!("it does not say who leads {queue}")
}

/// No part of a subject may be empty: clients of ours write `+` for a dot in a queue's name.
fn question(place: &Place, queue: &str) -> String {
    let stream = queue.replace('.', "+");
    let shown = place.password.as_ref();
    let shown = shown.map(|word| format!("\"user\":\"{USER}\",\"pass\":{word:?},"));
    format!(
        "CONNECT {{{}\"verbose\":false}}\r\nSUB answer 1\r\n\
        PUB $JS.API.STREAM.INFO.{stream} answer 0\r\n\r\n",
        shown.unwrap_or_default()
    )
}
