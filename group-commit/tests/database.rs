//! What a group commit promises.

use std::sync::Arc;

use group_commit::{Commit, Database, Error, Options};

const TABLE: &str = "create table t (n integer primary key) strict";

fn open(dir: &tempfile::TempDir) -> Database {
    Database::open(&dir.path().join("t.db"), &[TABLE], Options::default()).unwrap()
}

fn insert(db: &Arc<Database>, n: i64) -> tokio::task::JoinHandle<Result<usize, Error>> {
    let db = Arc::clone(db);
    tokio::spawn(async move {
        db.write(move |c| c.execute("insert into t values (?1)", [n])).await
    })
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
async fn a_full_database_refuses_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    let fill = |rows: i64| {
        move |c: &group_commit::rusqlite::Connection| {
            c.execute_batch("create table if not exists b (x blob)")?;
            for _ in 0..rows {
                c.execute("insert into b values (randomblob(4000))", [])?;
            }
            Ok(())
        }
    };
    db.write(|c| c.pragma_update(None, "max_page_count", 50)).await.unwrap();
    let error = db.write(fill(100)).await.unwrap_err();
    assert!(error.to_string().contains("full"), "{error}");
    db.write(|c| c.pragma_update(None, "max_page_count", 5_000)).await.unwrap();
    db.write(fill(100)).await.unwrap();
    let rows: i64 =
        db.read(|c| c.query_row("select count(*) from b", [], |r| r.get(0))).await.unwrap();
    assert_eq!(rows, 100);
}

#[tokio::test]
async fn reopening_runs_only_new_migrations() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let db = Database::open(&path, &[TABLE], Options::default()).unwrap();
    db.write(|c| c.execute("insert into t values (1)", [])).await.unwrap();
    drop(db);
    let more = "create table u (n integer) strict";
    let options = Options { commit: Commit::Each, readers: 2 };
    let db = Database::open(&path, &[TABLE, more], options).unwrap();
    assert_eq!(count(&db).await, 1);
    assert!(db.write(|c| c.execute("insert into u values (1)", [])).await.is_ok());
}
