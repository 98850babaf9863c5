//! The journal on its own: what it says is done, no more, and only once.

use std::process::{Child, Command};
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::tree;

/// A journal whose author has ended, as a later call finds it.
fn abandoned(folder: &Path) -> UndoLog {
    let log = UndoLog::begin(folder).unwrap();
    let path = folder.join(JOURNAL);
    let text = std::fs::read_to_string(&path).unwrap();
    let own = format!("\"started\":{}", started(std::process::id()).unwrap());
    assert!(text.contains(&own), "{text}");
    std::fs::write(&path, text.replace(&own, "\"started\":1")).unwrap();
    log
}

/// A process that does nothing for longer than any test.
fn sleeper(mark: &str) -> Child {
    Command::new("sleep").arg("600").env(MARK, mark).spawn().unwrap()
}

fn is_gone(child: &mut Child) -> bool {
    let gone = !Member::of(child.id()).is_some_and(|member| member.lives());
    let _ = child.kill();
    child.wait().unwrap();
    gone
}

#[test]
fn what_is_open_is_taken_back_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = abandoned(folder.path());
    let mut child = sleeper("none");
    let pid = child.id();
    log.process(pid, "a").unwrap();
    let file = folder.path().join("armed");
    std::fs::write(&file, "").unwrap();
    log.before(Undo::RemoveFile { path: file.clone() }).unwrap();
    let closed = log.before(Undo::RemoveFile { path: folder.path().join("kept") }).unwrap();
    std::fs::write(folder.path().join("kept"), "").unwrap();
    log.done(closed).unwrap();

    let told = clean_up(folder.path()).unwrap().done;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains(&format!("killed a (process {pid})")), "{told:?}");
    assert!(is_gone(&mut child) && !file.exists() && folder.path().join("kept").exists());
    assert_eq!(clean_up(folder.path()).unwrap(), CleanedUp::default());
}

/// A server's children have sessions of their own, and not all keep their environment.
#[test]
fn all_that_descends_from_a_process_is_continued_and_killed_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = abandoned(folder.path());
    let script = "setsid env -i sleep 600 & wait";
    let mut child = Command::new("sh").args(["-c", script]).spawn().unwrap();
    let is_asleep = |below: &[Member]| below.iter().any(|member| member.name() == "sleep");
    let mut below = Vec::new();
    while !is_asleep(&below) {
        below = tree::below(child.id());
    }
    log.process(child.id(), "a").unwrap();
    log.before(Undo::Resume { pid: child.id(), started: started(child.id()).unwrap() }).unwrap();
    tree::halt(child.id()).unwrap();
    while below.iter().any(|member| member.states() != ['T']) {
        std::thread::yield_now();
    }
    let told = clean_up(folder.path()).unwrap().done;
    assert!(told.len() == 2 && told[0].contains(": continued process"), "{told:?}");
    assert!(told[1].contains(": killed a (process"), "{told:?}");
    assert!(!below.iter().any(Member::lives) && is_gone(&mut child));
}

#[test]
fn a_process_with_another_start_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let log = abandoned(folder.path());
    let mut child = sleeper("none");
    let later = started(child.id()).unwrap() + 1;
    let name = "a".to_owned();
    log.before(Undo::Process { pid: child.id(), started: later, name }).unwrap();
    log.before(Undo::Detach { pid: child.id(), started: later }).unwrap();
    assert_eq!(clean_up(folder.path()).unwrap(), CleanedUp::default());
    assert!(!is_gone(&mut child));
}

#[test]
fn a_process_that_was_never_written_down_is_known_by_its_mark() {
    let folder = tempfile::tempdir().unwrap();
    let log = abandoned(folder.path());
    let (mut ours, mut stranger) = (sleeper(log.mark()), sleeper("another"));
    let told = clean_up(folder.path()).unwrap().done;
    assert!(told.len() == 1 && told[0].contains("not yet written down"), "{told:?}");
    assert!(is_gone(&mut ours) && !is_gone(&mut stranger));
}

#[test]
fn a_harness_that_runs_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = UndoLog::begin(folder.path()).unwrap();
    let mut child = sleeper(log.mark());
    log.process(child.id(), "a").unwrap();
    assert_eq!(clean_up(folder.path()).unwrap(), CleanedUp::default());
    assert!(!is_gone(&mut child));
}

#[test]
fn nothing_outside_the_trial_is_removed() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = abandoned(folder.path());
    let file = other.path().join("precious");
    std::fs::write(&file, "").unwrap();
    log.before(Undo::RemoveFile { path: file.clone() }).unwrap();
    log.before(Undo::RemoveCgroup { path: other.path().to_owned() }).unwrap();
    log.before(Undo::Unmount { path: "/proc".into() }).unwrap();
    let told = clean_up(folder.path()).unwrap();
    assert!(told.done.is_empty() && told.failed.len() == 3, "{told:?}");
    assert!(file.exists());
}

#[test]
fn a_torn_last_line_is_no_error_and_a_foreign_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let log = abandoned(folder.path());
    log.before(Undo::RemoveFile { path: folder.path().join("x") }).unwrap();
    let path = folder.path().join(JOURNAL);
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{whole}{{\"entry\":7,\"un")).unwrap();
    assert_eq!(clean_up(folder.path()).unwrap(), CleanedUp::default());
    assert!(left(folder.path()).unwrap().is_empty());
    std::fs::write(&path, format!("{whole}hello\n")).unwrap();
    let error = clean_up(folder.path()).unwrap_err().to_string();
    assert!(error.contains("undo.jsonl:3"), "{error}");
}

#[test]
fn a_journal_is_found_as_deep_as_a_campaign_puts_it() {
    let results = tempfile::tempdir().unwrap();
    let trial = results.path().join("campaign-1/kills/monolith/2026-vm/campaign/monolith/1");
    std::fs::create_dir_all(&trial).unwrap();
    let log = abandoned(&trial);
    std::fs::write(trial.join("armed"), "").unwrap();
    log.before(Undo::RemoveFile { path: trial.join("armed") }).unwrap();
    assert_eq!(clean_up(results.path()).unwrap().done.len(), 1);
    assert!(!trial.join("armed").exists());
}

#[test]
fn a_folder_with_something_open_in_it_is_not_removed() {
    let results = tempfile::tempdir().unwrap();
    let run = results.path().join("run");
    let trial = run.join("steady/monolith/1");
    std::fs::create_dir_all(&trial).unwrap();
    let log = UndoLog::begin(&trial).unwrap();
    let entry = log.before(Undo::Unmount { path: trial.join("data") }).unwrap();
    remove_if_closed(&run);
    assert!(trial.join(JOURNAL).exists());
    log.done(entry).unwrap();
    remove_if_closed(&run);
    assert!(!run.exists());
}

#[test]
fn what_is_below_a_link_is_the_trials_own() {
    let (real, links) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let linked = links.path().join("results");
    std::os::unix::fs::symlink(real.path(), &linked).unwrap();
    let log = abandoned(&linked);
    std::fs::write(linked.join("armed"), "").unwrap();
    log.before(Undo::RemoveFile { path: linked.join("armed") }).unwrap();
    let told = clean_up(&linked).unwrap();
    assert!(told.done.len() == 1 && told.failed.is_empty(), "{told:?}");
    assert!(!real.path().join("armed").exists());
}

/// Its parent has not asked how it ended: it is in /proc, and does nothing any more.
#[test]
fn a_harness_that_waits_to_be_reaped_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let log = UndoLog::begin(folder.path()).unwrap();
    let mut harness = sleeper("none");
    let path = folder.path().join(JOURNAL);
    let text = std::fs::read_to_string(&path).unwrap();
    let author = |pid| format!("\"pid\":{pid},\"started\":{}", started(pid).unwrap());
    let own = author(std::process::id());
    assert!(text.contains(&own), "{text}");
    std::fs::write(&path, text.replace(&own, &author(harness.id()))).unwrap();
    std::fs::write(folder.path().join("armed"), "").unwrap();
    log.before(Undo::RemoveFile { path: folder.path().join("armed") }).unwrap();
    assert_eq!(clean_up(folder.path()).unwrap(), CleanedUp::default(), "it runs");
    harness.kill().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while Member::of(harness.id()).is_some_and(|member| member.lives()) {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(clean_up(folder.path()).unwrap().done.len(), 1);
    harness.wait().unwrap();
}
