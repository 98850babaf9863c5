//! What a group commit promises.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use group_commit::rusqlite::Connection;
use group_commit::{Commit, Database, Error, Options, Schema, Synchronous};
use tokio::time::timeout;

const TABLE: &str = "create table t (n integer primary key) strict";

const fn schema<'a>(migrations: &'a [&'a str]) -> Schema<'a> {
    Schema { name: "database of tests", application_id: 0x5465_7374, migrations }
}

fn open(dir: &tempfile::TempDir) -> Database {
    Database::open(&dir.path().join("t.db"), schema(&[TABLE]), Options::default()).unwrap()
}

fn insert(db: &Arc<Database>, n: i64) -> tokio::task::JoinHandle<Result<usize, Error>> {
    let db = Arc::clone(db);
    tokio::spawn(
        async move { db.write(move |c| c.execute("insert into t values (?1)", [n])).await },
    )
}

async fn count(db: &Database) -> i64 {
    db.read(|c| c.query_row("select count(*) from t", [], |r| r.get(0))).await.unwrap()
}

#[tokio::test]
async fn one_that_fails_does_not_fail_its_neighbours() {
    let dir = tempfile::tempdir().unwrap();
    let db = Arc::new(open(&dir));
    let mut tasks: Vec<_> = (0..200).map(|n| insert(&db, n)).collect();
    tasks.extend((0..200).map(|n| insert(&db, n))); // each a duplicate of one before
    let mut failed = 0;
    for task in tasks {
        failed += usize::from(task.await.unwrap().is_err());
    }
    assert_eq!(failed, 200);
    assert_eq!(count(&db).await, 200);
    let stats = db.stats();
    assert_eq!(stats.transactions, 400);
    assert!(stats.commits < 200, "{stats:?}: waiting transactions share commits");
}

#[tokio::test]
async fn a_job_that_fails_half_way_or_panics_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    let half: Result<(), _> = db
        .write(|c| {
            c.execute("insert into t values (1)", [])?;
            Err(group_commit::rusqlite::Error::QueryReturnedNoRows)
        })
        .await;
    assert!(half.is_err());
    let panicked: Result<(), _> = db
        .write(|c| {
            c.execute("insert into t values (2)", [])?;
            panic!("on purpose")
        })
        .await;
    assert!(matches!(panicked, Err(Error::Closed)));
    assert_eq!(count(&db).await, 0);
    assert!(db.write(|c| c.execute("insert into t values (3)", [])).await.is_ok());
}

#[tokio::test]
async fn a_query_that_panics_does_not_stop_the_readers() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    let panicked: Result<(), _> = db.read(|_| panic!("on purpose")).await;
    assert!(matches!(panicked, Err(Error::Closed)));
    assert_eq!(count(&db).await, 0);
}

/// Inserts blobs of a page each.
fn fill(rows: i64) -> impl FnOnce(&Connection) -> group_commit::rusqlite::Result<()> {
    move |c| {
        for _ in 0..rows {
            c.execute("insert into b values (randomblob(4000))", [])?;
        }
        Ok(())
    }
}

async fn limit_pages(db: &Database, pages: i64) {
    db.write(move |c| c.pragma_update(None, "max_page_count", pages)).await.unwrap();
}

#[tokio::test]
async fn a_full_database_refuses_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    db.write(|c| c.execute_batch("create table b (x blob)")).await.unwrap();
    limit_pages(&db, 50).await;
    let error = db.write(fill(100)).await.unwrap_err();
    assert!(error.to_string().contains("full"), "{error}");
    limit_pages(&db, 5_000).await;
    db.write(fill(100)).await.unwrap();
    let rows: i64 =
        db.read(|c| c.query_row("select count(*) from b", [], |r| r.get(0))).await.unwrap();
    assert_eq!(rows, 100);
}

/// SQLite answers a full disk by rolling back the whole transaction, not the savepoint.
#[tokio::test]
async fn whoever_shares_a_commit_with_a_full_database_is_told_the_truth() {
    let dir = tempfile::tempdir().unwrap();
    let db = Arc::new(open(&dir));
    db.write(|c| c.execute_batch("create table b (x blob)")).await.unwrap();
    limit_pages(&db, 50).await;
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let (started, running) = tokio::sync::oneshot::channel();
    let waiting = Arc::clone(&db);
    let hold = move |_: &Connection| Ok(started.send(()).is_ok() && gate.recv().is_ok());
    let busy = tokio::spawn(async move { waiting.write(hold).await });
    running.await.unwrap();
    let before = (0..20).map(|n| insert(&db, n)).collect::<Vec<_>>();
    let filling = Arc::clone(&db);
    let full = tokio::spawn(async move { filling.write(fill(100)).await });
    let after = (20..40).map(|n| insert(&db, n)).collect::<Vec<_>>();
    tokio::task::yield_now().await; // every task has queued its job behind the busy writer
    go.send(()).unwrap();
    assert!(busy.await.unwrap().unwrap());
    assert!(full.await.unwrap().is_err());
    let (mut written, mut refused) = (0, 0);
    for task in before.into_iter().chain(after) {
        match task.await.unwrap() {
            Ok(_) => written += 1,
            Err(error) => {
                assert!(error.to_string().contains("full"), "{error}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 40, "all were waiting, so all shared the commit");
    assert_eq!(count(&db).await, written);
}

#[tokio::test]
async fn a_job_that_commits_is_called_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    let error = db.write(|c| c.execute_batch("commit")).await.unwrap_err();
    assert!(error.to_string().contains("ended the shared transaction"), "{error}");
    assert!(db.write(|c| c.execute("insert into t values (1)", [])).await.is_ok());
}

#[tokio::test]
async fn reopening_runs_only_new_migrations() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let db = Database::open(&path, schema(&[TABLE]), Options::default()).unwrap();
    db.write(|c| c.execute("insert into t values (1)", [])).await.unwrap();
    drop(db);
    let more = "create table u (n integer) strict";
    let options = Options { commit: Commit::Each, readers: 2, ..Options::default() };
    let db = Database::open(&path, schema(&[TABLE, more]), options).unwrap();
    assert_eq!(count(&db).await, 1);
    assert!(db.write(|c| c.execute("insert into u values (1)", [])).await.is_ok());
}

#[tokio::test]
async fn what_follows_a_commit_happens_without_its_caller_and_never_after_a_rollback() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let insert_and_tell = |told: tokio::sync::mpsc::UnboundedSender<i64>, n: i64| {
        db.write_then(move |c| {
            c.execute("insert into t values (?1)", [n])?;
            Ok(((), move || told.send(n).unwrap()))
        })
    };
    // Polled once, so that it is under way, and then dropped.
    let gone = insert_and_tell(told.clone(), 1);
    tokio::select! {
        biased;
        done = gone => done.unwrap(),
        () = std::future::ready(()) => {}
    }
    assert_eq!(hears.recv().await, Some(1));
    assert_eq!(count(&db).await, 1, "it was durable before");
    let unheard = told.clone();
    let refused = db.write_then(move |c| {
        c.execute("insert into t values (2)", [])?;
        c.execute("insert into t values (1)", [])?;
        Ok(((), move || unheard.send(2).unwrap()))
    });
    assert!(refused.await.is_err());
    insert_and_tell(told.clone(), 3).await.unwrap();
    assert_eq!(hears.recv().await, Some(3), "not 2");
}

/// What a negative control is built on: the setting that the file was opened with is in force.
#[tokio::test]
async fn durability_is_what_was_asked_for() {
    for (synchronous, number) in
        [(Synchronous::Full, 2), (Synchronous::Normal, 1), (Synchronous::Off, 0)]
    {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { synchronous, ..Options::default() };
        let db = Database::open(&dir.path().join("t.db"), schema(&[TABLE]), options).unwrap();
        let read =
            db.write(|c| c.pragma_query_value(None, "synchronous", |r| r.get::<_, i64>(0))).await;
        assert_eq!(read.unwrap(), number, "{synchronous:?}");
    }
}

/// The refusal to open, in words.
#[track_caller]
fn refused(path: &std::path::Path) -> String {
    Database::open(path, schema(&[TABLE]), Options::default()).err().unwrap().to_string()
}

#[test]
fn what_holds_something_else_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = dir.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("create table mails (n integer)").unwrap();
    let text = dir.path().join("text");
    std::fs::write(&text, "not a database, but long enough to have a header".repeat(9)).unwrap();
    for (path, why) in [(foreign, "its application_id is 0x0"), (text, "not a database")] {
        let before = std::fs::read(&path).unwrap();
        let told = refused(&path);
        assert!(told.contains("is no database of tests") && told.contains(why), "{told}");
        assert!(std::fs::read(&path).unwrap() == before, "{path:?} was changed");
    }
    let newer = dir.path().join("newer.db");
    let more = "create table u (n integer) strict";
    drop(Database::open(&newer, schema(&[TABLE, more]), Options::default()).unwrap());
    let told = refused(&newer);
    assert!(told.contains("its version is 2; this program knows up to 1"), "{told}");
}

#[tokio::test]
async fn a_database_has_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    let told = refused(&dir.path().join("t.db"));
    assert!(told.contains("in use by another process"), "{told}");
    db.write(|c| c.execute("insert into t values (1)", [])).await.unwrap();
    drop(db);
    assert_eq!(count(&open(&dir)).await, 1, "a successor waits for the threads to end");
}

/// Removes or replaces a file under an open database; what is written then must not succeed.
async fn check_gone(file: &str, harm: impl FnOnce(&std::path::Path)) {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    db.write(|c| c.execute("insert into t values (1)", [])).await.unwrap();
    harm(&dir.path().join(file));
    for n in 2..4 {
        let error =
            db.write(move |c| c.execute("insert into t values (?1)", [n])).await.unwrap_err();
        assert!(matches!(&error, Error::Gone(path) if path.ends_with(file)), "{error}");
    }
    let then = db.write_then(|_| Ok(((), || panic!("done although it is lost")))).await;
    assert!(matches!(then, Err(Error::Gone(_))));
}

#[tokio::test]
async fn what_nobody_would_find_again_is_refused() {
    let remove = |path: &std::path::Path| std::fs::remove_file(path).unwrap();
    let replace = |path: &std::path::Path| {
        std::fs::rename(path, path.with_extension("away")).unwrap();
        std::fs::write(path, "").unwrap();
    };
    check_gone("t.db", remove).await;
    check_gone("t.db", replace).await;
    check_gone("t.db-wal", remove).await;
    check_gone("t.db-wal", replace).await;
}

#[tokio::test]
async fn what_is_done_first_is_done_before_anybody_else() {
    let dir = tempfile::tempdir().unwrap();
    let first = |c: &Connection| c.execute("insert into t values (7)", []);
    let path = dir.path().join("t.db");
    let opened = Database::open_with(&path, schema(&[TABLE]), Options::default(), first);
    let (db, rows) = opened.unwrap();
    assert_eq!((rows, count(&db).await), (1, 1));
}

#[tokio::test]
async fn nothing_is_read_for_who_has_gone_away() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    let (go_on, told) = std::sync::mpsc::channel::<()>();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let first = db.read(move |_| {
        let _ = begun.send(());
        let _ = told.recv();
        Ok(())
    });
    let reads = Arc::new(AtomicUsize::new(0));
    let leaves = async {
        begins.await.unwrap();
        for _ in 0..10 {
            let reads = Arc::clone(&reads);
            let read = db.read(move |_| Ok(reads.fetch_add(1, Ordering::SeqCst)));
            assert!(timeout(Duration::from_millis(1), read).await.is_err());
        }
        drop(go_on);
    };
    let (first, ()) = tokio::join!(first, leaves);
    first.unwrap();
    assert_eq!(count(&db).await, 0, "one reader: what was before this is over");
    assert_eq!(reads.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_check_writes_and_waits_as_a_write_would() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    let log = || dir.path().join("t.db-wal").metadata().unwrap().len();
    let before = log();
    db.check().await.unwrap();
    assert!(log() > before, "nothing was written");
    let stranger = Connection::open(dir.path().join("t.db")).unwrap();
    stranger.execute_batch("begin immediate").unwrap();
    let early = timeout(Duration::from_millis(300), db.check()).await;
    assert!(early.is_err(), "a locked database: {early:?}");
    stranger.execute_batch("rollback").unwrap();
    db.check().await.unwrap();
}

#[tokio::test]
async fn what_is_deleted_is_overwritten_in_the_file_and_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { forget_after: Duration::from_millis(100), ..Options::default() };
    let table = "create table t (n integer primary key, card text) strict";
    let path = dir.path().join("t.db");
    let db = Database::open(&path, schema(&[table]), options).unwrap();
    let card = "4242424242424242".repeat(1_000);
    let bytes = || -> Vec<u8> {
        let files = ["t.db", "t.db-wal"].map(|name| std::fs::read(dir.path().join(name)).unwrap());
        files.concat()
    };
    let is_there = || bytes().windows(16).any(|found| found == b"4242424242424242");
    for text in ["4242424242424242".to_owned(), card] {
        let kept = text.clone();
        db.write(move |c| c.execute("insert into t (card) values (?1), (?1)", [kept]))
            .await
            .unwrap();
        // Both in the file, and one of them in the log alone.
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while dir.path().join("t.db-wal").metadata().unwrap().len() > 0 {
            assert!(tokio::time::Instant::now() < deadline, "the log is never emptied");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(is_there());
        db.write(|c| c.execute("update t set card = null where n % 2 = 0", [])).await.unwrap();
        db.write(|c| c.execute("delete from t", [])).await.unwrap();
        while is_there() {
            assert!(tokio::time::Instant::now() < deadline, "a card is still there");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_reader_at_work_keeps_the_log_and_holds_up_no_writer() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { forget_after: Duration::from_millis(20), ..Options::default() };
    let path = dir.path().join("t.db");
    let db = Arc::new(Database::open(&path, schema(&[TABLE]), options).unwrap());
    insert(&db, 1).await.unwrap().unwrap();
    let stranger = Connection::open(&path).unwrap();
    stranger.execute_batch("begin; select count(*) from t").unwrap();
    for n in 2..50 {
        let written = timeout(Duration::from_secs(2), insert(&db, n)).await;
        written.expect("a writer waits for a reader").unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(count(&db).await, 49);
}
