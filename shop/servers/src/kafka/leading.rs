//! Whether a node of Kafka leads a queue's one partition: one question, in a version of its protocol that is
//! read without its lists of what is optional.

use std::io::{Read, Write};

use anyhow::{Context, Result, ensure};

use super::id;
use crate::{Place, asked};

/// Bytes of an answer about one topic of a few brokers.
const ANSWER_MAX: usize = 64 * 1024;

pub(super) fn leads(place: &Place, queue: &str) -> Result<bool> {
    let mut line = asked(place)?;
    line.write_all(&question(queue))?;
    let mut size = [0; 4];
    line.read_exact(&mut size)?;
    let size = u32::from_be_bytes(size) as usize;
    ensure!(size <= ANSWER_MAX, "an answer of {size} bytes");
    let mut answer = vec![0; size];
    line.read_exact(&mut answer)?;
    let leader =
        leader(&mut Rest(&answer)).context("an answer about a topic is not as expected")?;
    Ok(leader == Some(id(place.node)))
}

/// Metadata, version 1, of one topic.
fn question(queue: &str) -> Vec<u8> {
    let mut said = Vec::from([0, 3, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 1]);
    said.extend((queue.len() as u16).to_be_bytes());
    said.extend(queue.as_bytes());
    let mut framed = Vec::from((said.len() as u32).to_be_bytes());
    framed.append(&mut said);
    framed
}

/// Who leads the first partition of the first topic; none if there is none.
fn leader(answer: &mut Rest<'_>) -> Option<Option<usize>> {
    answer.number()?;
    for _ in 0..answer.number()? {
        answer.number()?;
        answer.text()?;
        answer.number()?;
        answer.text()?;
    }
    // The controller.
    answer.number()?;
    if answer.number()? == 0 {
        return Some(None);
    }
    answer.take(2)?;
    answer.text()?;
    answer.take(1)?;
    if answer.number()? == 0 {
        return Some(None);
    }
    answer.take(2)?;
    answer.number()?;
    Some(usize::try_from(answer.number()?).ok())
}

/// What is left of an answer.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// Skips a text, or none.
    fn text(&mut self) -> Option<()> {
        let length = i16::from_be_bytes(self.take(2)?.try_into().ok()?);
        self.take(usize::try_from(length).unwrap_or(0)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_the_leader() {
        let broker = [&[0, 0, 0, 2, 0, 1][..], b"h", &[0, 0, 0x23, 0x84, 0xff, 0xff]].concat();
        let head = [&[0, 0, 0, 0, 0, 0, 0, 1][..], &broker, &[0, 0, 0, 2]].concat();
        let topic = [&[0, 0, 0, 1, 0, 0, 0, 1][..], b"q", &[0]].concat();
        let partition = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
        let told = |parts: &[&[u8]]| leader(&mut Rest(&parts.concat()));
        assert_eq!(told(&[&head, &topic, &partition]), Some(Some(2)));
        assert_eq!(told(&[&head, &topic, &[0; 4]]), Some(None), "nobody knows the topic");
        assert_eq!(told(&[&head, &topic]), None);
    }
}
