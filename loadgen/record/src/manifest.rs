//! What was run, under which settings, and whether it may be believed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counts::RequestCounts;
use super::seal::Seals;
use super::{ExpectedViolation, Operation, Outcome, Trouble, Validity};

/// The number that changes when a reader of an older record would misread a newer one.
pub const FORMAT: u32 = 2;
/// The oldest record that is still read: what it lacks is unknown. (1: look-ups do not say which order
/// they asked about, the timeline has no goodput.)
pub const FORMAT_OLDEST: u32 = 1;

/// `manifest.json`: one trial's settings, ledger of requests and validity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`] at the time of writing.
    pub format: u32,
    /// The scenario's name (its file name without `.toml`).
    pub scenario: String,
    /// The scenario's own sentence.
    pub scenario_about: String,
    /// The system's name (its file name without `.toml`).
    pub system: String,
    /// The system's own sentence.
    pub system_about: String,
    /// What the audit must find if the system is a control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_violation: Option<ExpectedViolation>,
    /// The system's place in the run's list: fixes order and colour.
    pub system_order: u32,
    /// The repetition, from 1.
    pub trial: u32,
    /// How often this trial was run before, its records void each time; 0 in older records.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rerun: u32,
    /// The seed of schedule, operations and provider.
    pub seed: u64,
    /// The revision of the sources, if known.
    pub revision: String,
    /// The command line.
    pub command: Vec<String>,
    /// What idempotency keys begin with; the preparation's are `PREFIX-pN`.
    #[serde(default)]
    pub key_prefix: String,
    /// Orders that the preparation placed before second 0: one per customer.
    #[serde(default)]
    pub prepared_orders: u32,
    /// The wall clock at second 0 of the schedule, µs since the epoch.
    pub started_at_us: i64,
    /// The length of one row of the time series, seconds.
    pub interval_s: u32,
    /// The first part, kept out of all statistics, seconds.
    pub warm_up_s: u32,
    /// The length of the schedule, seconds, warm-up included.
    pub duration_s: u32,
    /// How long it took after the schedule's end until nothing was in flight or pending any more, seconds.
    pub drained_s: f64,
    /// The parts that statistics are kept for, in order; warm-up is none of them.
    pub phases: Vec<Phase>,
    /// What was to be harmed, and when: the scenario's `[[fault]]`s, or what its `[chaos]` drew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<serde_json::Value>,
    /// The corners of the rate curve: linear between them, a jump where two share an instant.
    pub offered: Vec<RatePoint>,
    /// SHA-256 over the intended instants.
    pub schedule_hash: String,
    /// SHA-256 over the operations.
    pub operations_hash: String,
    /// The ledger of requests, by operation: however many attempts it took, an order is one.
    pub requests: BTreeMap<Operation, RequestCounts>,
    /// Every line of the history, by what became of it; not in older records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempts>,
    /// Bounds of the generator.
    pub limits: GeneratorLimits,
    /// How the generator fared.
    pub generator: Generator,
    /// When the machine stood still while the load ran; not in older records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stalls: Vec<Stall>,
    /// What the measuring machine touched; `None` in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touched: Option<Touched>,
    /// What the system spent.
    pub cost: Cost,
    /// The disk's fdatasync before and after the load.
    pub fsync: Fsync,
    /// What each process of the system plays; not in older records.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, Vec<String>>,
    /// How long a message is its taker's without a sign of life, s; `None` if the system has no lease, and
    /// in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_s: Option<f64>,
    /// The system that it extends, if it does; not in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// What each process said of its settings, by name; nobody's in older records.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, BTreeMap<String, String>>,
    /// Settings that must be equal for a fair comparison, and the ones that differ by design.
    pub parity: BTreeMap<String, String>,
    /// What the audit must know beside the tables.
    #[serde(default)]
    pub evidence: TruthReading,
    /// Rows and hash of every table, by file name; `None` in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<Seals>,
    /// Whether the numbers may be believed.
    pub validity: Validity,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What the audit must know beside the tables: how the reading of the truth went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthReading {
    /// Whether pending orders had all the time that the scenario grants; `None` in older records.
    pub waited: Option<bool>,
    /// Why there is no ledger; empty if there is one.
    pub unreadable: String,
    /// What else could not be read, in words.
    pub doubts: Vec<String>,
    /// How far apart wall and monotonic clock were read at second 0, µs; `None` in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clocks_read_within_us: Option<u64>,
    /// Until when every customer's token was good, µs since the epoch; `None` in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_until_us: Option<i64>,
    /// How many lines the card network said that it had written, when all was over; `None` in older
    /// records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_lines: Option<u64>,
    /// Whether every order asked for a notification; then the journal tells who was notified.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub notified: bool,
    /// Whether an inventory reserved what each order needs, and told of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stocked: bool,
}

/// A part of the schedule that has statistics of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// before, during, after; or steady.
    pub name: String,
    /// Its first second.
    pub from_s: u32,
    /// The second at which it ends.
    pub to_s: u32,
}

/// A corner of the rate curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RatePoint {
    /// Seconds since the start.
    pub at_s: f64,
    /// Arrivals per second.
    pub rate_per_s: f64,
}

/// Attempts that ended alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// What was asked.
    pub operation: Operation,
    /// What became of them.
    pub outcome: Outcome,
    /// The HTTP status; 0 without an answer.
    pub status: u16,
    /// Why there was no answer, or none that was understood.
    pub trouble: Trouble,
    /// How many.
    pub count: u64,
}

/// Bounds of the generator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorLimits {
    /// Requests that may be open at once; one more is dropped and invalidates the trial.
    pub in_flight: u32,
    /// A request without an answer for this long is unknown, seconds.
    pub timeout_s: f64,
    /// How long unfinished requests and pending orders are waited for, seconds.
    pub drain_s: f64,
    /// An order that completed within this time met its objective, seconds.
    pub objective_s: f64,
    /// How long a customer may be busy with one order, all attempts and the pauses between them,
    /// seconds; 0 in older records: one attempt.
    #[serde(default)]
    pub order_s: f64,
    /// The 99th percentile of the send lag that the scenario allows, µs; what a request is later, it may end
    /// otherwise for. 0 in older records.
    #[serde(default)]
    pub send_lag_us: u64,
}

/// A time for which the generator's core stood still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stall {
    /// Its earliest beginning, seconds since the start of the schedule.
    pub at_s: f64,
    /// Its longest possible length, ms.
    pub ms: f64,
}

/// How many requests the measuring machine touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// Sent late by more than 0.1 ms.
    pub late: u64,
    /// Whose time may be shorter.
    pub times: u64,
    /// Whose outcome may be another.
    pub outcomes: u64,
}

/// How the generator itself fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// Sent minus intended, median, µs.
    pub lag_p50_us: u64,
    /// Sent minus intended, 99th percentile, µs.
    pub lag_p99_us: u64,
    /// Sent minus intended, largest, µs.
    pub lag_max_us: u64,
    /// CPU of the sending thread as a share of one core, without the time it spent asking whether an
    /// instant had come.
    pub cpu_share: f64,
    /// What it spent so, as a share of one core; 0 in older records.
    #[serde(default)]
    pub polled_share: f64,
    /// CPU seconds of all the generator's threads while the load ran (10 ms ticks).
    #[serde(default)]
    pub cpu_s: f64,
    /// At most so many of the systems' cores were used by programs that are not of the measurement, on average; 0
    /// in older records.
    #[serde(default)]
    pub rivals: f64,
    /// Whether the sending thread had real-time priority; false in older records.
    #[serde(default)]
    pub real_time: bool,
    /// Time that the sending thread was runnable but not running, as a share of the load's time.
    pub run_queue_share: f64,
    /// Time that the hypervisor took from the machine, as a share.
    pub steal_share: f64,
    /// Lateness of an idle thread's 1 ms sleeps on the generator's core, 99th percentile, µs.
    pub hiccup_p99_us: u64,
    /// The largest such lateness, µs.
    pub hiccup_max_us: u64,
    /// Wall clock against monotonic clock over the run, µs: what completion times may be off by.
    #[serde(default)]
    pub clock_drift_us: i64,
}

/// What the system spent between start and end of the load's measured part and the drain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// CPU seconds by process; the card network is no part of the system.
    pub cpu_s: BTreeMap<String, f64>,
    /// CPU seconds of the system (without the provider).
    pub system_cpu_s: f64,
    /// Orders that reached a final state.
    pub completed_orders: u64,
    /// System CPU per completed order, ms; `None` when there are none.
    pub cpu_ms_per_completed_order: Option<f64>,
    /// Sum of the processes' largest resident sets, bytes (without the provider).
    pub rss_peak_bytes: u64,
    /// Commits of the system's stores and its broker that reached the disk while the load ran and drained, an fsync
    /// each; checkpoints of their logs are none. `None` if one of them counts none, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commits: Option<u64>,
    /// What all processors of the machine used meanwhile, J, generator and card network included; `None` where they do
    /// not count it, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_j: Option<f64>,
}

/// Duration of a 4 KiB append with fdatasync on the data folder's disk, µs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fsync {
    /// Median before the load.
    pub before_p50_us: u64,
    /// 99th percentile before the load.
    pub before_p99_us: u64,
    /// Median after the load.
    pub after_p50_us: u64,
    /// 99th percentile after the load.
    pub after_p99_us: u64,
}
