//! A trial that is under way, as a stream of server-sent events: its plan, then a line for each second. It reads the file
//! that the load writes, and passes on what it says.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::listing::{runs, trials};
use super::{PATIENCE, http};
use record::files;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Only the newest runs can be under way; several, where a campaign has lanes.
const NEWEST: usize = 8;
/// A load that has been silent for so long has been killed: no time-out of a request is longer.
const SILENT: Duration = Duration::from_secs(120);
/// Read at once; the rest comes with the next look.
const BYTES_MAX: u64 = 1 << 20;

/// Sends until the browser is gone or the server stops.
pub(super) async fn follow(
    stream: &mut TcpStream,
    root: &Path,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    send(stream, &http::events()).await?;
    let mut tail: Option<Tail> = None;
    loop {
        send(stream, &next(root, &mut tail)).await?;
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
    }
}

/// A browser that takes nothing is gone.
async fn send(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    timeout(PATIENCE, stream.write_all(text.as_bytes())).await?
}

/// The events since the last look; a comment if there are none, which tells whether the browser is still there.
fn next(root: &Path, tail: &mut Option<Tail>) -> String {
    let path = under_way(root);
    if tail.as_ref().map(|tail| &tail.path) != path.as_ref() {
        *tail = path.map(|path| Tail { path, at: 0 });
        if tail.is_none() {
            return event("idle", "{}");
        }
    }
    let Some(tail) = tail else { return ": \n\n".to_owned() };
    let is_first = tail.at == 0;
    let lines = tail.lines();
    let named = lines
        .iter()
        .enumerate()
        .map(|(nth, line)| event(if is_first && nth == 0 { "plan" } else { "second" }, line));
    let text: String = named.collect();
    if text.is_empty() { ": \n\n".to_owned() } else { text }
}

fn event(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// The file of the trial that wrote last.
fn under_way(root: &Path) -> Option<PathBuf> {
    let newest = runs(root).into_iter().take(NEWEST).flat_map(|run| trials(&run));
    let written = newest.filter_map(|trial| {
        let path = trial.join(files::LIVE);
        let at = fs::metadata(&path).ok()?.modified().ok()?;
        let is_silent = SystemTime::now().duration_since(at).is_ok_and(|since| since > SILENT);
        (!is_silent).then_some((at, path))
    });
    // The first of several stays: else lanes of a campaign would take turns.
    written.min_by(|one, other| one.1.cmp(&other.1)).map(|(_, path)| path)
}

/// A file that grows, and how far it is read.
struct Tail {
    path: PathBuf,
    at: u64,
}

impl Tail {
    /// The whole lines since the last time.
    fn lines(&mut self) -> Vec<String> {
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.at))?;
            file.take(BYTES_MAX).read_to_end(&mut bytes)
        });
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if read.is_err() {
            return Vec::new();
        }
        self.at += whole as u64;
        let text = String::from_utf8_lossy(&bytes[..whole]);
        text.lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_are_passed_on_once() {
        let root = tempfile::tempdir().unwrap();
        let trial = root.path().join("run/s/m/1");
        fs::create_dir_all(&trial).unwrap();
        fs::write(root.path().join("run").join(files::ENVIRONMENT), "{}").unwrap();
        let mut tail = None;
        assert_eq!(next(root.path(), &mut tail), ": \n\n");
        let file = trial.join(files::LIVE);
        fs::write(&file, "{\"plan\":1}\n{\"t\":0}\n{\"t\"").unwrap();
        let expected = "event: plan\ndata: {\"plan\":1}\n\nevent: second\ndata: {\"t\":0}\n\n";
        assert_eq!(next(root.path(), &mut tail), expected);
        assert_eq!(next(root.path(), &mut tail), ": \n\n");
        fs::write(&file, "{\"plan\":1}\n{\"t\":0}\n{\"t\":1}\n").unwrap();
        assert_eq!(next(root.path(), &mut tail), "event: second\ndata: {\"t\":1}\n\n");
        fs::remove_file(&file).unwrap();
        assert_eq!(next(root.path(), &mut tail), "event: idle\ndata: {}\n\n");
    }
}
