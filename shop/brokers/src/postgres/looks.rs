//! How the server looks for bodies: by an index, however empty the table was, and for those that were committed late.

use std::time::Duration;

use postgres_pool::{Pool, Target};

use super::{APPEND, COUNT, EXTEND, FORGET, FORWARD, LIVE, LOOK, Postgres, SCHEMA, TAKE, deal};
use crate::Settings;
use crate::engine::Engine;
use crate::engine::rig::{QUEUE, append, begun, taken};

const LEASE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn every_statement_goes_by_the_index_also_when_it_was_planned_on_an_empty_table() {
    let open = |address: &str| Postgres::new(Target::parse(address).unwrap());
    let settings = Settings::default();
    let Some((server, _engine)) = begun("postgres", &settings, open).await else { return };
    let target = Target::parse(&server.address).unwrap().by_index();
    let pool = Pool::new(target, Some(SCHEMA));
    let statements = [
        (FORGET, "(id = done.id)"),
        (FORWARD, "(id = done.id)"),
        (TAKE, "(id = free.id)"),
        (TAKE, "(id > $2)"),
        (EXTEND, "(id = held.id)"),
        (COUNT, "(queue = $1)"),
        (LIVE, "(id IS NOT NULL)"),
        (LOOK, "(queue = $1)"),
        (APPEND, "Insert"),
    ];
    for (nth, (sql, found)) in statements.into_iter().enumerate() {
        let wanted = (1..9).filter(|n| sql.contains(&format!("${n}"))).count();
        let nothing = vec!["null"; wanted].join(", ");
        let explain =
            format!("prepare p{nth} as {sql}; explain (format json) execute p{nth}({nothing})");
        let plan = pool.run(&explain).await.unwrap().unwrap();
        assert!(plan.contains(found), "{sql}: {plan}");
        for whole in ["Seq Scan", "Hash Join", "Merge Join", "Bitmap"] {
            assert!(!plan.contains(whole), "{sql}: {plan}");
        }
    }
}

#[tokio::test]
async fn what_is_committed_late_is_taken_although_later_ones_were_before() {
    let open = |address: &str| Postgres::new(Target::parse(address).unwrap());
    let settings = Settings::default();
    let Some((server, engine)) = begun("postgres", &settings, open).await else { return };
    let writer = Pool::new(Target::parse(&server.address).unwrap().connections(1), None);
    let late = format!("begin; insert into bodies (queue, body) values ('{QUEUE}', 'late')");
    writer.run(&late).await.unwrap();
    let source = engine.source(QUEUE, LEASE).await.unwrap();
    // Each of them lies further behind, and is looked for from there.
    for early in [&b"one"[..], b"two", b"three", b"four"] {
        assert!(append(&engine, early, 100).await);
        let found = source.take(9, Duration::ZERO).await.unwrap();
        assert_eq!(found.into_iter().map(|taken| taken.body).collect::<Vec<_>>(), [early]);
    }
    writer.run("commit").await.unwrap();
    assert_eq!(taken(&*source).await.body, &b"late"[..]);
}

#[track_caller]
fn check(came: u8, mosts: &[usize], dealt: &[&[u8]]) {
    assert_eq!(deal((0..came).collect(), mosts), dealt);
}

#[test]
fn what_came_is_dealt_out_in_turn_as_far_as_it_is_wanted() {
    check(5, &[9, 1, 9], &[&[0, 3], &[1], &[2, 4]]);
    check(3, &[1, 0, 1], &[&[0], &[], &[1]]);
    check(0, &[1, 1], &[&[], &[]]);
}
