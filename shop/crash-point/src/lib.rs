//! Named places at which a process can be told to abort, so that a test can place a crash between
//! two steps instead of hoping to hit the gap.
//!
//! A process looks for orders to abort only if `TRIPTYCH_CRASH_POINTS` named a folder when it
//! started; otherwise a place costs one atomic load. With it, a place costs one failed `rename`. A
//! file in that folder that is called like a place arms it: the first thread there renames it to
//! `NAME.reached`, so that only one takes it, and aborts the process.

use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The environment variable that names the folder.
pub const FOLDER: &str = "TRIPTYCH_CRASH_POINTS";

/// A place in the work of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Its name: the file's, and the scenario's.
    pub name: &'static str,
    /// What has happened there and what has not.
    pub about: &'static str,
}

macro_rules! points {
    ($($constant:ident, $name:literal, $about:literal;)*) => {
        $(#[doc = $about] pub const $constant: Point = Point { name: $name, about: $about };)*
        /// All places.
        pub const ALL: &[Point] = &[$($constant),*];
    };
}

points! {
    MID_COMMIT, "mid-commit", "Transactions of a group commit have run; the group is not committed.";
    ORDER_COMMITTED, "order-committed", "An order is durable; its customer has no answer and nothing was charged.";
    BEFORE_PUBLISH, "before-publish", "Charges are about to be published; the broker has none of them.";
    CARD_CHARGED, "card-charged", "The card network has answered; the shop has not written it down.";
    PAYMENT_RECORDED, "payment-recorded", "A settlement is durable with payments; orders has not heard of it.";
    SETTLEMENT_PUBLISHED, "settlement-published", "A settlement is durable with the broker; its charge is not acked.";
    STEP_DONE, "step-done", "A step of a workflow is done; the journal does not know it.";
    STEP_RECORDED, "step-recorded", "A step's result is durable; the next is not begun.";
    ORDER_SETTLED, "order-settled", "An order's final state is durable; nobody was told and nothing is acked.";
    ACKED, "acked", "A message is acked; the consumer has done nothing since.";
}

/// Aborts the process if this place is armed.
pub fn reach(point: Point) {
    static ARMED_IN: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = ARMED_IN.get_or_init(|| std::env::var_os(FOLDER).map(PathBuf::from));
    if let Some(folder) = folder
        && take(folder, point)
    {
        // Not eprintln: a log that is closed would turn the abort into a panic.
        let line = format!("crash point {} reached\n", point.name);
        let _ = std::io::stderr().write_all(line.as_bytes());
        std::process::abort();
    }
}

/// Whether it was armed; of several that ask, one is told so.
fn take(folder: &std::path::Path, point: Point) -> bool {
    let reached = folder.join(format!("{}.reached", point.name));
    std::fs::rename(folder.join(point.name), reached).is_ok()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn one_thread_takes_an_armed_point() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("acked"), "").unwrap();
        let takes = |point| {
            thread::scope(|scope| {
                let tries: Vec<_> =
                    (0..8).map(|_| scope.spawn(|| take(folder.path(), point))).collect();
                tries.into_iter().map(|t| t.join().unwrap()).filter(|t| *t).count()
            })
        };
        assert_eq!(takes(CARD_CHARGED), 0);
        assert_eq!(takes(ACKED), 1);
        assert_eq!(takes(ACKED), 0);
        assert!(folder.path().join("acked.reached").exists());
    }

    #[test]
    fn names_differ() {
        for (n, point) in ALL.iter().enumerate() {
            assert!(ALL[..n].iter().all(|other| other.name != point.name), "{point:?}");
        }
    }

    #[test]
    fn without_a_folder_nothing_happens() {
        reach(ORDER_COMMITTED);
    }
}
