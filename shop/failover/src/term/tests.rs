use proptest::prelude::*;

use super::*;

const TIMING: Timing = Timing { lease: Duration::from_secs(2), grace: Duration::from_secs(1) };
const MS: Duration = Duration::from_millis(1);

/// A pair whose first server writes, in so many milliseconds from then.
struct Pair {
    shard: Shard,
    begun: Instant,
    asked: u64,
}

impl Pair {
    fn new(is_synchronous: bool) -> Self {
        let begun = Instant::now();
        Self::of(Shard::new(Kept::default(), TIMING, is_synchronous, begun), begun)
    }

    fn of(shard: Shard, begun: Instant) -> Self {
        Self { shard, begun, asked: 0 }
    }

    fn hears(&mut self, at_ms: u32, node: usize, report: &Report) -> Order {
        self.asked += 1;
        let report = Report { life: 1, asked: self.asked, ..*report };
        self.shard.heard(node, &report, self.begun + MS * at_ms).unwrap()
    }

    /// Both run, and the second has all.
    fn settled(is_synchronous: bool) -> Self {
        let mut pair = Self::new(is_synchronous);
        let order = pair.hears(100, 0, &FOLLOWED);
        assert!(order.followed && order.waits == is_synchronous && !order.first, "{order:?}");
        pair
    }
}

const WRITES: Report = Report {
    life: 0,
    asked: 0,
    data: Data::Primary(1),
    runs: true,
    streams: false,
    waits: false,
    followed: false,
};
const FOLLOWED: Report = Report { streams: true, waits: true, followed: true, ..WRITES };
const COPIES: Report = Report { data: Data::Replica(1), ..WRITES };

#[test]
fn the_first_begins_with_nothing_and_once() {
    let mut pair = Pair::new(true);
    let order = pair.hears(0, 0, &Report::default());
    assert_eq!((order.role, order.term, order.first), (Role::Primary, 1, true));
    assert_eq!(order.lease(), TIMING.lease);
    assert_eq!(pair.hears(10, 1, &Report::default()).role, Role::Replica);
    assert!(!pair.hears(20, 0, &WRITES).first);
    assert!(!pair.hears(30, 0, &Report::default()).first, "what it had is lost");
}

#[test]
fn the_other_takes_over_when_the_lease_is_over_for_certain() {
    let mut pair = Pair::settled(true);
    assert_eq!(pair.hears(3_100, 1, &COPIES).role, Role::Replica);
    let order = pair.hears(3_101, 1, &COPIES);
    assert_eq!((order.role, order.term, order.followed), (Role::Primary, 2, false));
    assert!(!order.waits, "there is nobody to wait for");
    let order = pair.hears(3_200, 0, &WRITES);
    assert_eq!((order.role, order.term, order.lease_ms), (Role::Replica, 2, 0));
    let order = pair.hears(9_000, 0, &Report { data: Data::Replica(2), ..COPIES });
    assert_eq!(order.role, Role::Replica, "it has not yet been seen to have everything");
}

#[test]
fn who_lacks_something_never_takes_over() {
    for (has, why) in [
        (Report { data: Data::None, ..COPIES }, "it has nothing"),
        (Report { data: Data::Replica(2), ..COPIES }, "of another term"),
        (Report { data: Data::Primary(1), ..COPIES }, "it was written to"),
        (Report { runs: false, ..COPIES }, "it does not run"),
    ] {
        let mut pair = Pair::settled(true);
        assert_eq!(pair.hears(60_000, 1, &has).role, Role::Replica, "{why}");
    }
    let mut pair = Pair::new(true);
    pair.hears(0, 0, &Report { streams: true, ..WRITES });
    assert_eq!(pair.hears(60_000, 1, &COPIES).role, Role::Replica, "it was never seen to have all");
}

#[test]
fn a_copy_counts_when_commits_have_waited_for_it() {
    let mut pair = Pair::new(true);
    let order = pair.hears(0, 0, &Report { streams: true, ..WRITES });
    assert!(order.waits && !order.followed);
    let order = pair.hears(100, 0, &Report { waits: false, ..FOLLOWED });
    assert!(!order.followed, "nobody waited for it");
    assert!(pair.hears(200, 0, &FOLLOWED).followed);
    let mut pair = Pair::new(false);
    let order = pair.hears(0, 0, &Report { waits: false, ..FOLLOWED });
    assert!(order.followed && !order.waits);
}

/// It is noted that it may not take over, and then nobody waits for it.
#[test]
fn nobody_waits_long_for_a_copy_that_is_lost() {
    for streams in [false, true] {
        let mut pair = Pair::settled(true);
        let lost = Report { waits: true, streams, ..WRITES };
        let order = pair.hears(2_100, 0, &lost);
        assert!(order.followed && order.waits);
        let order = pair.hears(2_101, 0, &lost);
        assert!(!order.followed && !order.waits);
        let back = Report { streams: true, ..WRITES };
        assert!(streams || pair.hears(2_102, 0, &back).waits, "it was gone, and is back");
        assert!(!streams || !pair.hears(8_000, 0, &back).waits, "it did not keep up");
        assert!(!streams || pair.hears(8_101, 0, &back).waits);
        assert_eq!(pair.hears(60_000, 1, &COPIES).role, Role::Replica);
    }
}

#[test]
fn one_that_joins_and_never_has_everything_is_not_waited_for_all_the_time() {
    let mut pair = Pair::new(true);
    let lags = Report { streams: true, ..WRITES };
    assert!(pair.hears(0, 0, &lags).waits);
    assert!(pair.hears(4_000, 0, &lags).waits);
    assert!(!pair.hears(4_001, 0, &lags).waits);
    assert!(!pair.hears(10_000, 0, &lags).waits);
    assert!(pair.hears(10_001, 0, &lags).waits);
}

#[test]
fn what_comes_late_is_not_heard() {
    let mut shard = Pair::settled(true).shard;
    let now = Instant::now();
    let mut asks = |life, asked| shard.heard(0, &Report { life, asked, ..WRITES }, now).is_some();
    assert!(asks(7, 3) && asks(7, 4));
    assert!(!asks(7, 4) && !asks(7, 2));
    assert!(asks(8, 1), "another process");
}

/// Both were gone, and the one that wrote is the first that is back, or the only one.
#[test]
fn the_one_that_wrote_goes_on_where_the_other_cannot() {
    let kept = Pair::settled(true).shard.kept;
    let begun = Instant::now();
    let mut pair = Pair::of(Shard::new(kept, TIMING, true, begun), begun);
    let starts = Report { runs: false, ..WRITES };
    for at in [100, 3_000, 60_000] {
        assert_eq!(pair.hears(at, 0, &starts).lease(), TIMING.lease, "{at}");
    }
    let lost = Report { data: Data::None, ..COPIES };
    assert_eq!(pair.hears(60_000, 1, &lost).role, Role::Replica);
    assert_eq!(pair.hears(60_001, 0, &starts).lease(), TIMING.lease);
}

#[test]
fn one_that_asks_and_does_not_answer_customers_is_followed_by_the_other() {
    let mut pair = Pair::settled(true);
    let silent = Report { runs: false, ..WRITES };
    assert_eq!(pair.hears(2_050, 1, &COPIES).role, Role::Replica);
    assert_eq!(pair.hears(2_100, 0, &silent).lease(), TIMING.lease);
    assert_eq!(pair.hears(2_200, 0, &silent).lease_ms, 0);
    assert_eq!(pair.hears(5_100, 1, &COPIES).role, Role::Replica);
    assert_eq!(pair.hears(5_101, 1, &COPIES).role, Role::Primary);
    // Without another it is kept.
    let mut alone = Pair::new(true);
    alone.hears(0, 0, &WRITES);
    assert_eq!(alone.hears(60_000, 0, &silent).lease(), TIMING.lease);
}

#[test]
fn a_manager_that_begins_anew_waits_for_leases_that_it_does_not_know() {
    let kept = Pair::settled(true).shard.kept;
    let begun = Instant::now();
    let mut pair = Pair::of(Shard::new(kept, TIMING, true, begun), begun);
    assert_eq!(pair.hears(3_000, 1, &COPIES).role, Role::Replica);
    assert_eq!(pair.hears(3_001, 1, &COPIES).role, Role::Primary);
}

proptest! {
    /// Whoever asks, however late what is said arrives: two never may write at once.
    #[test]
    fn two_never_write_at_once(
        asks in prop::collection::vec(
            (0..2_usize, 0..2_500_u32, 0..4_000_u32, any::<[bool; 4]>()), 1..120,
        ),
    ) {
        let mut shard = Pair::new(true).shard;
        let begun = Instant::now();
        // What is asked, and later heard.
        let (mut events, mut now) = (Vec::new(), 0);
        for (n, (node, pause, late, said)) in asks.into_iter().enumerate() {
            now += pause;
            events.push((now, n, node, said, None));
            events.push((now + late, n, node, said, Some(now)));
        }
        events.sort_unstable();
        // Until when each may write, what each has, and what of that it told.
        let (mut until, mut data) = ([0; 2], [Data::Primary(1), Data::Replica(1)]);
        let mut told = std::collections::HashMap::new();
        for (at, n, node, [runs, streams, waits, followed], asked_at) in events {
            let Some(asked_at) = asked_at else {
                told.insert(n, data[node]);
                continue;
            };
            let (life, asked, data_then) = (1, n as u64 + 1, told[&n]);
            let report = Report { life, asked, data: data_then, runs, streams, waits, followed };
            let term = shard.kept.term;
            let Some(order) = shard.heard(node, &report, begun + MS * at) else { continue };
            let lease = u32::try_from(order.lease_ms).unwrap();
            if order.term > term {
                let grace = u32::try_from(TIMING.grace.as_millis()).unwrap();
                prop_assert!(until[1 - node] + grace < at, "{until:?} at {at}");
                prop_assert_eq!(data_then, Data::Replica(term));
            }
            match order.role {
                Role::Primary if lease > 0 => {
                    until[node] = until[node].max(asked_at + lease);
                    data[node] = Data::Primary(order.term);
                }
                Role::Primary => {}
                Role::Replica => data[node] = Data::Replica(order.term),
            }
        }
    }

    #[test]
    fn what_is_said_is_understood(term in any::<u64>(), flags in any::<[bool; 4]>(), kind in 0..3) {
        let data = [Data::None, Data::Primary(term), Data::Replica(term)][kind as usize];
        let [runs, streams, waits, followed] = flags;
        let report = Report { life: term, asked: 1, data, runs, streams, waits, followed };
        let text = serde_json::to_string(&report).unwrap();
        prop_assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}
