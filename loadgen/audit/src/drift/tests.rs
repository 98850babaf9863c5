//! Invented trials whose drift is known.

use super::*;
use record::read::Latencies;
use record::{Manifest, TimelineRow};

/// Thirds of ten seconds, a hundred orders completed in each second.
fn trial(change: impl Fn(u32, &mut ResourceRow), bytes: impl Fn(u32) -> u64) -> Trial {
    let phase = |name: &str, from_s, to_s| Phase { name: name.to_owned(), from_s, to_s };
    let roles = [("shop", "orders"), ("provider", "provider")];
    let roles = roles.map(|(process, role)| (process.to_owned(), vec![role.to_owned()])).into();
    let phases =
        vec![phase(FIRST_THIRD, 0, 10), phase("middle third", 10, 20), phase(LAST_THIRD, 20, 30)];
    let row = |t_s: u32, process: &str| {
        let process = process.to_owned();
        let (rss_bytes, fds) = (100 << 20, 50);
        let t = f64::from(t_s);
        let mut row =
            ResourceRow { t_s: t, process, cpu_s: 0.1, rss_bytes, fds, ..ResourceRow::default() };
        change(t_s, &mut row);
        row
    };
    let completed = |t_s| TimelineRow {
        t_s,
        operation: Operation::Place,
        completed: 100,
        ..TimelineRow::default()
    };
    let file =
        |t_s| FileRow { t_s: f64::from(t_s), file: "data/shop.db".to_owned(), bytes: bytes(t_s) };
    Trial {
        manifest: Manifest { phases, roles, duration_s: 30, ..Manifest::default() },
        latencies: Latencies::default(),
        timeline: (0..30).map(completed).collect(),
        resources: (1..=30)
            .flat_map(|t_s| ["shop", "provider", GENERATOR].map(|name| row(t_s, name)))
            .collect(),
        files: (0..=30).map(file).collect(),
        ..Trial::default()
    }
}

fn of(change: impl Fn(u32, &mut ResourceRow), bytes: impl Fn(u32) -> u64) -> Drift {
    Drift::of(&trial(change, bytes)).unwrap()
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
}

#[test]
fn a_system_that_stays_as_it_was_has_no_drift() {
    let drift = of(|_, _| (), |_| 1 << 20);
    near(drift.worst().unwrap(), 0.0);
    assert!(drift.growing.is_empty());
    let cost = &drift.rows[0];
    assert_eq!((cost.what.as_str(), cost.unit), ("CPU per completed order", Unit::Ms));
    near(cost.first, 1.0);
}

#[test]
fn each_quantity_counts_for_itself_and_either_way() {
    let late = |t_s: u32| t_s > 20;
    let cpu = of(
        |t_s, row| {
            if late(t_s) && row.process == "shop" {
                row.cpu_s = 0.08
            }
        },
        |_| 0,
    );
    near(cpu.worst().unwrap(), 0.2);
    near(cpu.rows[0].change(), -0.2);
    let memory = of(
        |t_s, row| {
            if late(t_s) {
                row.rss_bytes = 130 << 20
            }
        },
        |_| 0,
    );
    near(memory.worst().unwrap(), 0.3);
    let descriptors = of(
        |t_s, row| {
            if late(t_s) {
                row.fds = 54
            }
        },
        |_| 0,
    );
    near(descriptors.worst().unwrap(), 0.0);
    let descriptors = of(
        |t_s, row| {
            if late(t_s) {
                row.fds = 60
            }
        },
        |_| 0,
    );
    near(descriptors.worst().unwrap(), 0.2);
}

/// A disk that stands still for half a second makes customers open connections, which stay for a minute.
#[test]
fn a_stall_is_no_growth_and_a_leak_is() {
    let stall = of(|t_s, row| row.fds = if (24..=27).contains(&t_s) { 600 } else { 50 }, |_| 0);
    near(stall.worst().unwrap(), 0.0);
    // One more with every tick, from fifty on.
    let leak = of(|t_s, row| row.fds = 50 + t_s, |_| 0);
    near(leak.worst().unwrap(), 20.0 / 56.0);
}

/// The idle connections of an early stall are gone in the end; memory that is given back is no drift either.
#[test]
fn who_holds_less_has_not_drifted() {
    let less = of(
        |t_s, row| {
            if t_s <= 10 {
                (row.fds, row.rss_bytes) = (200, 200 << 20);
            }
        },
        |_| 0,
    );
    near(less.worst().unwrap(), 0.0);
    let shown = less.rows.iter().filter(|row| row.is_system && row.change() < -0.4);
    assert_eq!(shown.count(), 2, "it is shown: {:?}", less.rows);
}

/// The card network remembers every charge, and the generator is no contestant.
#[test]
fn what_is_outside_is_shown_and_not_judged() {
    let grows = |t_s: u32, row: &mut ResourceRow| {
        if row.process != "shop" {
            row.rss_bytes = u64::from(t_s) << 24;
        }
    };
    let drift = of(grows, |_| 0);
    near(drift.worst().unwrap(), 0.0);
    let outside = drift.rows.iter().filter(|row| !row.is_system && row.change() > 1.0);
    let outside: Vec<&str> = outside.map(|row| row.what.as_str()).collect();
    assert_eq!(outside, ["memory of provider", "memory of loadgen"]);
}

#[test]
fn what_grows_with_the_orders_is_named_with_its_bytes_per_order() {
    // 51,200 bytes a second, a hundred orders.
    let even = of(|_, _| (), |t_s| (8 << 20) + u64::from(t_s) * 512 * 1_000);
    assert_eq!(even.growing.len(), 1);
    let file = &even.growing[0];
    assert_eq!((file.file.as_str(), file.from_bytes), ("data/shop.db", 8 << 20));
    near(file.per_order(), 5_120.0);
    near(even.worst().unwrap(), 0.0);
    // Twice as much for each order in the end.
    let more = |t_s: u32| u64::from(if t_s > 20 { 2 * t_s - 20 } else { t_s }) * 512_000;
    near(of(|_, _| (), more).growing[0].change(), 1.0);
}

#[test]
fn a_scenario_without_thirds_says_nothing() {
    let mut other = trial(|_, _| (), |_| 0);
    other.manifest.phases.remove(2);
    assert_eq!(Drift::of(&other), None);
    let mut unwatched = trial(|_, _| (), |_| 0);
    unwatched.resources.clear();
    assert_eq!(Drift::of(&unwatched), None);
}
