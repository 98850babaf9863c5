//! What a log keeps, whatever happens to it.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// Words, in the order in which they were read; a frame is one.
#[derive(Debug, Default, PartialEq)]
struct Words(Vec<Vec<u8>>);

impl Content for Words {
    fn head(&self) -> Vec<u8> {
        b"head".to_vec()
    }

    fn begin(&mut self, head: &[u8]) -> Result<(), String> {
        if head == b"head" { Ok(()) } else { Err("no head".to_owned()) }
    }

    fn change(&mut self, changes: &[u8], _frame: u64) -> Result<Vec<i64>, String> {
        self.0.push(changes.to_vec());
        Ok(Vec::new())
    }
}

struct Rig {
    folder: TempDir,
}

impl Rig {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("x.log")
    }

    fn try_open(&self) -> Result<(Log, Words), OpenError> {
        let mut words = Words::default();
        Log::open(&self.path(), Synchronous::Full, &mut words).map(|log| (log, words))
    }

    fn open(&self) -> (Log, Words) {
        self.try_open().unwrap()
    }

    /// What is wrong with it.
    fn damage(&self) -> String {
        match self.try_open() {
            Err(error @ OpenError::Damaged { .. }) => error.to_string(),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it was opened"),
        }
    }

    fn segments(&self) -> usize {
        let is_one =
            |name: &str| name.strip_prefix("x.log.").is_some_and(|n| n.parse::<u64>().is_ok());
        let names = fs::read_dir(self.folder.path()).unwrap().map(|e| e.unwrap().file_name());
        names.filter(|name| is_one(name.to_str().unwrap())).count()
    }
}

/// Commits this word, in a frame of its own.
fn commit(log: &mut Log, word: &[u8]) -> Result<(), String> {
    log.push(None, |bytes| bytes.extend_from_slice(word));
    log.commit(&Words::default())
}

/// A word that fills an eighth of a segment.
fn long(n: u8) -> Vec<u8> {
    vec![n; SEGMENT_BYTES / 8]
}

#[test]
fn what_is_committed_is_read_in_order_and_what_waits_is_not() {
    let rig = Rig::new();
    let (mut log, words) = rig.open();
    assert_eq!(words.0.len(), 0);
    for word in [&b"one"[..], b"two"] {
        commit(&mut log, word).unwrap();
    }
    log.push(None, |bytes| bytes.extend_from_slice(b"waits"));
    drop(log);
    let (mut log, words) = rig.open();
    assert_eq!(words.0, [b"one", b"two"]);
    commit(&mut log, b"three").unwrap();
    drop(log);
    assert_eq!(rig.open().1.0, [&b"one"[..], b"two", b"three"]);
}

#[test]
fn it_goes_on_in_further_segments_and_is_read_from_all() {
    let rig = Rig::new();
    let (mut log, _) = rig.open();
    let all: Vec<Vec<u8>> = (0..20).map(long).collect();
    all.iter().for_each(|word| commit(&mut log, word).unwrap());
    assert_eq!(rig.segments(), 3);
    drop(log);
    assert_eq!(rig.open().1.0, all);
    // One commit may be longer than a segment.
    let (mut log, _) = rig.open();
    for n in 0..10 {
        log.push(None, |bytes| bytes.extend(long(n)));
    }
    log.commit(&Words::default()).unwrap();
    drop(log);
    assert_eq!(rig.open().1.0.len(), 30);
}

#[test]
fn segments_that_matter_for_nobody_are_used_again() {
    let rig = Rig::new();
    let (mut log, _) = rig.open();
    for n in 0..100 {
        commit(&mut log, &long(n)).unwrap();
        log.let_go().unwrap();
        assert!(rig.segments() <= 2);
    }
    drop(log);
    let words = rig.open().1.0;
    assert_eq!(words.last(), Some(&long(99)), "{} words", words.len());
}

#[test]
fn a_segment_is_kept_for_as_long_as_it_has_the_last_word_on_a_message() {
    let rig = Rig::new();
    let (mut log, _) = rig.open();
    let frame = log.push(Some(7), |bytes| bytes.extend(long(0)));
    log.commit(&Words::default()).unwrap();
    for n in 1..30 {
        commit(&mut log, &long(n)).unwrap();
        log.let_go().unwrap();
    }
    let (id, next) = log.oldest().unwrap();
    assert!(id == 7 && frame < next && rig.segments() == 5, "{id} {next} {}", rig.segments());
    log.pass();
    log.let_go().unwrap();
    assert_eq!((log.oldest(), rig.segments()), (None, 1));
}

#[test]
fn after_a_failure_it_is_written_again_where_it_belongs() {
    let rig = Rig::new();
    let (mut log, _) = rig.open();
    commit(&mut log, b"before").unwrap();
    let good = std::mem::replace(&mut log.file, File::open(segment(&rig.path(), 1)).unwrap());
    let why = commit(&mut log, b"late").unwrap_err();
    assert_eq!(log.mend(&Words::default()), Err(why), "not again at once");
    log.file = good;
    let end = now_us() + 10_000_000;
    while log.mend(&Words::default()).is_err() {
        assert!(now_us() < end);
    }
    assert!(!log.is_waiting());
    commit(&mut log, b"after").unwrap();
    drop(log);
    assert_eq!(rig.open().1.0, [&b"before"[..], b"late", b"after"]);
}

#[test]
fn a_start_that_was_cut_short_begins_again() {
    let rig = Rig::new();
    drop(rig.open());
    let bytes = fs::read(rig.path()).unwrap();
    for length in 0..bytes.len() {
        let _ = fs::remove_file(segment(&rig.path(), 1));
        fs::write(rig.path(), &bytes[..length]).unwrap();
        let (mut log, words) = rig.open();
        assert_eq!(words.0.len(), 0);
        commit(&mut log, b"word").unwrap();
    }
    // Between the last two steps of it the segment is there.
    fs::write(rig.path(), &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(rig.open().1.0.len(), 0);
}

#[test]
fn a_segment_whose_successor_never_began_goes_on() {
    let rig = Rig::new();
    let (mut log, _) = rig.open();
    (0..8).for_each(|n| commit(&mut log, &long(n)).unwrap());
    drop(log);
    fs::remove_file(segment(&rig.path(), 2)).unwrap();
    let (mut log, words) = rig.open();
    assert_eq!(words.0.len(), 7);
    commit(&mut log, b"word").unwrap();
    (0..3).for_each(|n| commit(&mut log, &long(n)).unwrap());
    drop(log);
    assert_eq!(rig.open().1.0.len(), 11);
}

#[test]
fn what_is_not_as_it_was_written_is_refused_and_left_as_it_is() {
    let rig = Rig::new();
    let (mut log, _) = rig.open();
    (0..20).for_each(|n| commit(&mut log, &long(n)).unwrap());
    drop(log);
    let (first, second) = (segment(&rig.path(), 1), segment(&rig.path(), 2));
    let away = rig.folder.path().join("away");
    fs::rename(&second, &away).unwrap();
    assert!(rig.damage().contains("x.log.2: it is missing"), "{}", rig.damage());
    fs::rename(&away, &second).unwrap();
    let file = File::options().write(true).open(&first).unwrap();
    file.write_all_at(b"?", 3_000_000).unwrap();
    let told = rig.damage();
    assert!(told.contains("x.log.1: it is not as it was written, from byte "), "{told}");
    file.write_all_at(&[2], 3_000_000).unwrap();
    assert_eq!(rig.open().1.0.len(), 20);
    for number in 1..=3 {
        fs::remove_file(segment(&rig.path(), number)).unwrap();
    }
    assert!(rig.damage().contains("its segments are missing"));
    let other = Rig::new();
    drop(other.open());
    fs::copy(segment(&other.path(), 1), &first).unwrap();
    assert!(rig.damage().contains("from byte 0 on"), "another log's");
    fs::remove_file(rig.path()).unwrap();
    assert!(rig.damage().contains("of another log"));
}

#[test]
fn a_log_that_lost_its_end_is_not_begun_again() {
    let rig = Rig::new();
    let (mut log, _) = rig.open();
    commit(&mut log, b"word").unwrap();
    drop(log);
    let bytes = fs::read(rig.path()).unwrap();
    fs::write(rig.path(), &bytes[..bytes.len() - 1]).unwrap();
    assert!(rig.damage().contains("its end is missing"));
    fs::write(rig.path(), bytes).unwrap();
    assert_eq!(rig.open().1.0, [b"word"]);
}

#[test]
fn a_segment_that_is_gone_before_it_is_let_go_keeps_no_other() {
    let rig = Rig::new();
    let (mut log, _) = rig.open();
    (0..20).for_each(|n| commit(&mut log, &long(n)).unwrap());
    fs::remove_file(segment(&rig.path(), 1)).unwrap();
    log.let_go().unwrap();
    assert_eq!(rig.segments(), 1);
}

#[test]
fn a_spare_that_is_gone_is_made_again() {
    let rig = Rig::new();
    let (mut log, _) = rig.open();
    (0..6).for_each(|n| commit(&mut log, &long(n)).unwrap());
    assert!(log.spare.is_there());
    fs::remove_file(log.spare.path()).unwrap();
    assert!(commit(&mut log, &long(6)).is_ok());
    commit(&mut log, &long(7)).unwrap_err();
    let end = now_us() + 10_000_000;
    while log.mend(&Words::default()).is_err() {
        assert!(now_us() < end);
    }
    drop(log);
    assert_eq!(rig.open().1.0.len(), 8);
}

#[test]
fn while_no_segment_can_be_made_forgetting_takes_nothing_of_what_is_left() {
    let rig = Rig::new();
    let (mut log, _) = rig.open();
    commit(&mut log, b"done").unwrap();
    log.outdated(0);
    let in_the_way = rig.folder.path().join("x.log.unfinished");
    fs::create_dir(&in_the_way).unwrap();
    assert!(!log.spare.is_there());
    assert!(!log.forget() && !log.is_to_go(0));
    fs::remove_dir(&in_the_way).unwrap();
    let end = now_us() + 10_000_000;
    while !log.forget() {
        assert!(now_us() < end);
    }
}

#[test]
fn it_is_found_by_a_link_and_has_one_owner() {
    let rig = Rig::new();
    let (mut log, _) = rig.open();
    assert!(matches!(rig.try_open(), Err(OpenError::File(own_file::Error::InUse(_)))));
    commit(&mut log, b"word").unwrap();
    drop(log);
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    std::os::unix::fs::symlink(rig.path(), &link).unwrap();
    let mut words = Words::default();
    let mut log = Log::open(&link, Synchronous::Full, &mut words).unwrap();
    assert_eq!(words.0, [b"word"]);
    (0..20).for_each(|n| commit(&mut log, &long(n)).unwrap());
    assert_eq!(rig.segments(), 3);
}

#[test]
fn whose_files_are_gone_takes_nothing() {
    let rig = Rig::new();
    for name in [rig.path(), segment(&rig.path(), 1)] {
        let (mut log, _) = rig.open();
        let away = rig.folder.path().join("away");
        fs::rename(&name, &away).unwrap();
        for _ in 0..2 {
            let refused = commit(&mut log, b"lost").unwrap_err();
            assert!(refused.contains("is not there any more"), "{refused}");
        }
        drop(log);
        fs::rename(&away, &name).unwrap();
    }
}

#[test]
fn who_never_fsyncs_takes_what_is_there_as_far_as_it_goes() {
    let rig = Rig::new();
    let (mut log, _) = rig.open();
    (0..20).for_each(|n| commit(&mut log, &long(n)).unwrap());
    drop(log);
    let file = File::options().write(true).open(segment(&rig.path(), 2)).unwrap();
    file.write_all_at(b"?", 3_000_000).unwrap();
    rig.damage();
    let mut words = Words::default();
    let mut log = Log::open(&rig.path(), Synchronous::Off, &mut words).unwrap();
    assert_eq!(words.0.len(), 9);
    commit(&mut log, b"word").unwrap();
    drop(log);
    assert_eq!(rig.open().1.0.len(), 10);
}

#[test]
fn a_file_of_something_else_is_foreign() {
    let rig = Rig::new();
    fs::write(rig.path(), "SQLite format 3").unwrap();
    assert!(matches!(rig.try_open(), Err(OpenError::Foreign { .. })));
    assert_eq!(fs::read_to_string(rig.path()).unwrap(), "SQLite format 3");
    let nowhere = Log::open(Path::new("/no/such/x.log"), Synchronous::Full, &mut Words::default());
    let Err(OpenError::File(own_file::Error::Refused { source, .. })) = nowhere else { panic!() };
    assert_eq!(source.kind(), ErrorKind::NotFound);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Of the last commits, sectors that reached the disk and sectors that did not: what is read is what was committed up
    /// to some point, and it goes on from there.
    #[test]
    fn a_torn_end_is_the_end_of_what_was_committed(
        sizes in prop::collection::vec(1..3_000_usize, 1..8),
        lost in prop::collection::vec(any::<bool>(), 64),
    ) {
        let rig = Rig::new();
        let (mut log, _) = rig.open();
        commit(&mut log, b"safe").unwrap();
        let from = log.at;
        let words: Vec<Vec<u8>> = (1..).zip(&sizes).map(|(n, size)| vec![n; *size]).collect();
        words.iter().for_each(|word| commit(&mut log, word).unwrap());
        drop(log);
        let named = segment(&rig.path(), 1);
        let mut bytes = fs::read(&named).unwrap();
        for (sector, _) in lost.iter().enumerate().filter(|(_, lost)| **lost) {
            let sector = from + sector * 512..from + (sector + 1) * 512;
            bytes[sector].fill(0);
        }
        fs::write(&named, &bytes).unwrap();
        let (mut log, found) = rig.open();
        let mut expected = vec![b"safe".to_vec()];
        expected.extend(words[..found.0.len() - 1].iter().cloned());
        prop_assert_eq!(&found.0, &expected);
        commit(&mut log, b"next").unwrap();
        expected.push(b"next".to_vec());
        drop(log);
        prop_assert_eq!(rig.open().1.0, expected);
    }
}
