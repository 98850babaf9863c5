//! Lines for whoever runs a process, on standard error. A log that is full or closed ends nobody, and a
//! trouble that comes a thousand times a second is told ten times. It knows no secrets and cannot hide
//! any: whoever tells something says only what everybody may read.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tokio::time::Instant;

/// Lines of one event in a span; the others are counted.
const LINES_MAX: u32 = 10;
const SPAN: Duration = Duration::from_secs(1);

/// Says something for people, as it is: that a process listens, or why it ends.
pub fn say(line: impl Display) {
    write(&mut std::io::stderr(), line);
}

/// In one write: processes may share a log, and what is written in pieces is torn by what another writes.
fn write(log: &mut impl Write, line: impl Display) {
    let _ = log.write_all(format!("{line}\n").as_bytes());
}

/// Tells of an event as one line of JSON: `at_us` (microseconds since the Unix epoch), `event`, what
/// `fields` gives, and `left_out`, how many lines of this event were left out before this one. Of one
/// event at most ten lines a second are written; the fields of others are not even asked for.
pub fn tell<const N: usize>(
    event: &'static str,
    fields: impl FnOnce() -> [(&'static str, Value); N],
) {
    let Some(left_out) = limits().entry(event).or_default().pass(Instant::now()) else { return };
    say(line(event, fields(), left_out));
}

fn line<const N: usize>(event: &str, fields: [(&'static str, Value); N], left_out: u64) -> Value {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at_us = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
    let mut line = Map::new();
    line.insert("at_us".to_owned(), at_us.into());
    line.insert("event".to_owned(), event.into());
    line.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    if left_out > 0 {
        line.insert("left_out".to_owned(), left_out.into());
    }
    Value::Object(line)
}

/// By event: few, for each has its name in the source.
fn limits() -> MutexGuard<'static, HashMap<&'static str, Limit>> {
    static LIMITS: OnceLock<Mutex<HashMap<&'static str, Limit>>> = OnceLock::new();
    LIMITS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Limit {
    since: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Limit {
    /// How many lines were left out before this one, if it may pass.
    fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.duration_since(since) >= SPAN) {
            (self.since, self.lines) = (Some(now), 0);
        }
        if self.lines == LINES_MAX {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ten_lines_a_second_pass_and_the_next_one_counts_the_others() {
        let (mut limit, begun) = (Limit::default(), Instant::now());
        let at = |ms| begun + Duration::from_millis(ms);
        let passed = (0..1_000).filter(|ms| limit.pass(at(*ms)).is_some()).count();
        assert_eq!(passed, 10);
        assert_eq!(limit.pass(at(1_000)), Some(990));
        assert_eq!(limit.pass(at(1_001)), Some(0));
    }

    /// A log as the kernel keeps it: one entry for each write.
    #[derive(Default)]
    struct Writes(Vec<String>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.push(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_write() {
        let mut log = Writes::default();
        write(&mut log, line("relay-failed", [("error", json!("a \"b\""))], 0));
        write(&mut log, "for people");
        assert_eq!(log.0.len(), 2, "{:?}", log.0);
        assert!(log.0.iter().all(|line| line.ends_with('\n')), "{:?}", log.0);
    }

    #[test]
    fn a_line_is_json_whatever_the_text() {
        let told = line("relay-failed", [("error", json!("a \"b\"\nc"))], 3);
        let text = told.to_string();
        assert!(!text.contains('\n'), "{text}");
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&read["event"], &read["error"]),
            (&json!("relay-failed"), &json!("a \"b\"\nc"))
        );
        assert_eq!(read["left_out"], 3);
        assert!(read["at_us"].as_u64().unwrap() > 1_700_000_000_000_000);
    }
}
