//! The truth about money: JSON lines, on disk before anybody is told, each with its number and the network's
//! seal. One thread writes; all lines that are waiting share one `fdatasync`. It never holds a card.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, bail};
use own_file::OwnFile;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::line::Line;
use crate::secret::Secret;

/// Lines that may wait; then the charges wait.
const WAITING_MAX: usize = 16_384;
/// Lines that may share one fdatasync.
const BATCH_MAX: usize = 1_024;

/// A line as it stands in the file.
#[derive(Serialize, Deserialize)]
struct Sealed<L> {
    /// Its place, from 1.
    n: u64,
    #[serde(flatten)]
    line: L,
    /// What only the network can write under it.
    seal: String,
}

/// How far the journal is on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Mark {
    /// Its lines.
    pub(crate) lines: u64,
    /// The seal of the last; empty without any.
    pub(crate) seal: String,
}

/// The journal cannot be written. After the first failure it stays so: what the kernel dropped
/// after a failed fsync, a second one does not bring back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal cannot be written")]
pub(crate) struct Broken;

struct Job {
    line: Line,
    durable: oneshot::Sender<()>,
}

/// An open journal.
pub(crate) struct Journal {
    jobs: mpsc::Sender<Job>,
    mark: Arc<Mutex<Mark>>,
}

impl Journal {
    /// Opens or creates the file and returns what it holds. A last line without an end is cut off:
    /// a crash tore it, so nobody was told of it.
    pub(crate) fn open(path: &Path, secret: &Secret) -> anyhow::Result<(Self, Vec<Line>)> {
        let shown = path.display();
        let own = OwnFile::open(path).with_context(|| format!("the journal {shown}"))?;
        let file = own.file();
        let (lines, mark, whole_bytes) = read(file, path, secret)?;
        if file.metadata()?.len() > whole_bytes {
            process_log::say(format_args!(
                "provider: {shown}: cut off a torn last line after byte {whole_bytes}"
            ));
            file.set_len(whole_bytes)?;
        }
        file.sync_all()?;
        sync_directory(path).with_context(|| format!("cannot sync the directory of {shown}"))?;
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let mark = Arc::new(Mutex::new(mark));
        let writer = Writer { own, secret: secret.clone(), mark: Arc::clone(&mark) };
        thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.write_all(waiting))
            .context("cannot start the journal's thread")?;
        Ok((Self { jobs, mark }, lines))
    }

    /// Returns when the line is on disk.
    pub(crate) async fn append(&self, line: Line) -> Result<(), Broken> {
        let (durable, done) = oneshot::channel();
        self.jobs.send(Job { line, durable }).await.map_err(|_| Broken)?;
        done.await.map_err(|_| Broken)
    }

    /// How far it is on the disk.
    pub(crate) fn mark(&self) -> Mark {
        self.mark.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether lines can still be written.
    pub(crate) fn works(&self) -> bool {
        !self.jobs.is_closed()
    }
}

/// The lines, the last one's mark, and the length of the file up to the end of the last whole one.
fn read(file: &File, path: &Path, secret: &Secret) -> anyhow::Result<(Vec<Line>, Mark, u64)> {
    let mut reader = BufReader::new(file);
    let (mut lines, mut mark) = (Vec::new(), Mark::default());
    let (mut whole_bytes, mut bytes) = (0, Vec::new());
    while reader.read_until(b'\n', &mut bytes)? > 0 && bytes.ends_with(b"\n") {
        let place = || {
            let (shown, number) = (path.display(), lines.len() + 1);
            format!("{shown}:{number}: not a line of a journal; move the file away")
        };
        let Sealed { n, line, seal } =
            serde_json::from_slice::<Sealed<Line>>(&bytes).with_context(place)?;
        if n != mark.lines + 1 || seal != secret.seal(n, &line) {
            bail!("{}: its number or seal is not this network's", place());
        }
        lines.push(line);
        mark = Mark { lines: n, seal };
        whole_bytes += bytes.len() as u64;
        bytes.clear();
    }
    Ok((lines, mark, whole_bytes))
}

/// A new file survives a power loss only if its directory entry does.
fn sync_directory(path: &Path) -> std::io::Result<()> {
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

struct Writer {
    own: OwnFile,
    secret: Secret,
    mark: Arc<Mutex<Mark>>,
}

impl Writer {
    fn write_all(self, mut waiting: mpsc::Receiver<Job>) {
        let (mut batch, mut bytes) = (Vec::with_capacity(BATCH_MAX), Vec::new());
        while waiting.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
            bytes.clear();
            if let Err(error) = self.write(&batch, &mut bytes) {
                // Dropping the jobs tells those who wait; leaving closes the channel for the rest.
                process_log::say(format_args!(
                    "provider: the journal cannot be written ({error}); no charge is taken"
                ));
                return;
            }
            for job in batch.drain(..) {
                // A caller that has gone away wants no answer.
                let _ = job.durable.send(());
            }
        }
    }

    fn write(&self, batch: &[Job], bytes: &mut Vec<u8>) -> std::io::Result<()> {
        let mut mark = self.mark.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for job in batch {
            let n = mark.lines + 1;
            let seal = self.secret.seal(n, &job.line);
            mark = Mark { lines: n, seal: seal.clone() };
            serde_json::to_writer(&mut *bytes, &Sealed { n, line: &job.line, seal })?;
            bytes.push(b'\n');
        }
        let mut file = self.own.file();
        file.write_all(bytes)?;
        file.sync_data()?;
        if !self.own.is_there() {
            let gone = "it is not there any more: it was removed, moved or replaced";
            return Err(std::io::Error::new(std::io::ErrorKind::NotFound, gone));
        }
        *self.mark.lock().unwrap_or_else(PoisonError::into_inner) = mark;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Event;

    fn secret() -> Secret {
        Secret::new("of this test")
    }

    fn line(key: &str) -> Line {
        Line::now(Event::Captured, key, 900, Some("ch-1".to_owned()))
    }

    #[tokio::test]
    async fn what_is_appended_is_read_back_and_a_torn_line_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        let (journal, empty) = Journal::open(&path, &secret()).unwrap();
        assert!(empty.is_empty());
        let lines = [line("a"), line("b")];
        for line in &lines {
            journal.append(line.clone()).await.unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole.iter().filter(|b| **b == b'\n').count(), 2, "durable before told");
        assert!(Journal::open(&path, &secret()).is_err(), "two writers");
        drop(journal);

        let torn = [whole.as_slice(), br#"{"at_us":1,"event":"captu"#].concat();
        let copy = dir.path().join("torn");
        std::fs::write(&copy, torn).unwrap();
        let (_journal, read) = Journal::open(&copy, &secret()).unwrap();
        assert_eq!(read, lines);
        assert_eq!(std::fs::read(&copy).unwrap(), whole);
    }

    #[tokio::test]
    async fn a_journal_that_was_removed_takes_no_line_and_stays_broken() {
        let dir = tempfile::tempdir().unwrap();
        let (path, away) = (dir.path().join("j"), dir.path().join("away"));
        let (journal, _) = Journal::open(&path, &secret()).unwrap();
        journal.append(line("a")).await.unwrap();
        std::fs::rename(&path, &away).unwrap();
        assert_eq!(journal.append(line("b")).await, Err(Broken));
        std::fs::rename(&away, &path).unwrap();
        assert_eq!(journal.append(line("c")).await, Err(Broken));
        assert!(!journal.works());
    }

    /// A whole journal of three lines.
    async fn written(dir: &Path) -> std::path::PathBuf {
        let path = dir.join("j");
        let (journal, _) = Journal::open(&path, &secret()).unwrap();
        for key in ["a", "b", "c"] {
            journal.append(line(key)).await.unwrap();
        }
        let last = std::fs::read_to_string(&path).unwrap().lines().last().unwrap().to_owned();
        let mark = journal.mark();
        assert!(mark.lines == 3 && last.contains(&mark.seal), "{mark:?} {last}");
        path
    }

    /// Opens a journal after a change of its lines; the error, if it is refused.
    async fn opened(change: impl FnOnce(&mut Vec<String>)) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path()).await;
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
        change(&mut lines);
        let copy = dir.path().join("copy");
        std::fs::write(&copy, lines.join("\n") + "\n").unwrap();
        let opened = Journal::open(&copy, &secret());
        opened.err().map(|error| format!("{error:#}"))
    }

    #[tokio::test]
    async fn a_line_that_is_not_this_networks_is_named() {
        let refused = async |change: fn(&mut Vec<String>), place: &str| {
            let error = opened(change).await.unwrap();
            assert!(error.contains(&format!("copy:{place}: not a line")), "{error}");
        };
        assert_eq!(opened(|_| ()).await, None);
        refused(|lines| lines[1] = "nonsense".to_owned(), "2").await;
        refused(|lines| lines[1] = lines[1].replace("900", "901"), "2").await;
        refused(|lines| lines.swap(0, 1), "1").await;
        refused(|lines| drop(lines.remove(1)), "2").await;
        refused(|lines| lines.push(lines[2].clone()), "4").await;
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path()).await;
        let copy = dir.path().join("copy");
        std::fs::copy(path, &copy).unwrap();
        assert!(Journal::open(&copy, &Secret::new("another")).is_err());
    }
}
