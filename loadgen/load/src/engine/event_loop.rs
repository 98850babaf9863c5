//! The thread that sends: one epoll, one clock, no waiting for answers.
//!
//! In an open loop nothing that is sent depends on an answer, and the kernel stamps what arrives: the
//! thread sleeps from one instant to the next and reads answers when it is awake anyway. Half of the
//! wake-ups are saved, and no answer is later for it.

mod connections;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::thread::{ClockId, clock_nanosleep_relative};
use tokio::time::Instant;

use super::again::Again;
use super::connection::{Connection, Open};
use super::wake::WakeUp;
use super::{Judged, Policy, Source, Target, Traffic};
use crate::workload::Job;
use record::{Outcome, Sample, Trouble};

/// Events handled before the schedule is looked at again.
const EVENTS_MAX: usize = 64;
/// Samples handed over at once.
const BATCH: usize = 512;
/// The longest sleep: stop flags and batches are looked at this often.
const NAP: Duration = Duration::from_millis(50);
/// Connections that are made at once, to one target.
const CONNECTING_MAX: usize = 64;
/// Connections that are made before the first request, to each target.
const WARM: usize = 8;
const READ_BYTES: usize = 32 * 1024;
/// Answers may lie in the kernel this long before they are read. Where arrivals are further apart than
/// that, wake-ups cost little and answers are read as they come.
const LIE_MAX: Duration = Duration::from_millis(2);

/// What the engine shows to others while it runs.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Set to stop: nothing further is sent, open requests are given up.
    pub stop: AtomicBool,
    /// Requests that are open.
    pub in_flight: AtomicU64,
    /// Requests begun, for progress.
    pub begun: AtomicU64,
}

/// Bounds and clock of a run.
#[derive(Clone, Copy, Debug)]
pub struct Pacing {
    /// Second 0 of the schedule.
    pub start: Instant,
    /// Open requests at once; one more is dropped.
    pub in_flight: u32,
    /// A request without an answer for this long is unknown.
    pub timeout: Duration,
    /// How long after the last arrival open requests are waited for.
    pub drain: Duration,
    /// Whether nothing else runs on this core: then the last microseconds before an instant may be a
    /// busy-wait instead of sleep.
    pub alone: bool,
    /// Whether the sending thread asks for real-time priority, in an open loop. Not where it shares its core
    /// with what it measures.
    pub real_time: bool,
    /// How the engine is broken; for the self-test alone.
    pub flaw: Flaw,
}

/// A mistake that load generators make, to show that the self-test finds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flaw {
    /// None: as it should be.
    #[default]
    None,
    /// Sends only while few requests are open, and counts from the sending.
    CoordinatedOmission,
    /// Forgets what is open when the schedule ends.
    DropUnfinished,
    /// Waits by Tokio's timer.
    TokioTimer,
}

/// The open requests of a coordinating generator: wrk2's connections in the experiments of others.
const COORDINATED: u32 = 50;

/// What the engine knows at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Integral of the number of open requests over time, request seconds.
    pub in_flight_area_s: f64,
    /// When the last request was done, ns.
    pub ended_ns: u64,
    /// Time that the thread spent asking in vain whether an instant had come, s.
    pub polled_s: f64,
    /// Whether it was stopped before the schedule ended.
    pub interrupted: bool,
    /// Samples that the recorder was too slow to take: they are in no count but this.
    pub unrecorded: u64,
    /// Retries that were not made: too many waited already.
    pub not_retried: u64,
    /// Whether the thread had real-time priority.
    pub real_time: bool,
}

/// When a request, or the making of a connection, has taken too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Deadline {
    at_ns: u64,
    index: usize,
    generation: u32,
    connects: bool,
}

/// What an answer said beside its body; nothing without one.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    status: u16,
    /// How long to wait before asking again.
    wait: Option<Duration>,
}

/// The loop over targets.
pub struct Engine<T, S> {
    traffic: T,
    source: S,
    again: Again,
    targets: Vec<Target>,
    pacing: Pacing,
    gauges: Arc<Gauges>,
    samples: SyncSender<Vec<Sample>>,
    epoll: OwnedFd,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// By target: connections without a request, the latest used last.
    idle: Vec<Vec<usize>>,
    /// By target: requests without a connection, oldest first.
    waiting: Vec<VecDeque<(Open, Vec<u8>)>>,
    /// By target: how many connections are being made.
    connecting: Vec<usize>,
    /// Connections with more to read, their generation, and whether the peer has hung up.
    unread: Vec<(usize, u32, bool)>,
    /// The earliest first: requests and the making of connections.
    deadlines: BinaryHeap<Reverse<Deadline>>,
    generation: u32,
    open: u32,
    area_s: f64,
    batch: Vec<Sample>,
    buffer: Vec<u8>,
    /// A request's memory, used again.
    scratch: Vec<u8>,
    wake_up: WakeUp,
    /// Time spent asking in vain.
    polled_ns: u64,
    /// Answers are to be read as they come: one was longer than what a single reading found.
    prompt: bool,
    /// Whether the latest answer had the kernel's stamp; the first ones may have none.
    stamped: bool,
    unrecorded: u64,
}

impl<T: Traffic, S: Source> Engine<T, S> {
    /// An engine that hands samples over in batches.
    ///
    /// # Errors
    /// If epoll is not to be had.
    pub fn new(
        traffic: T,
        source: S,
        targets: Vec<Target>,
        pacing: Pacing,
        gauges: Arc<Gauges>,
        samples: SyncSender<Vec<Sample>>,
    ) -> io::Result<Self> {
        let idle = vec![Vec::new(); targets.len()];
        let waiting = targets.iter().map(|_| VecDeque::new()).collect();
        let connecting = vec![0; targets.len()];
        Ok(Self {
            traffic,
            source,
            again: Again::default(),
            targets,
            pacing,
            gauges,
            samples,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            connections: Vec::new(),
            free: Vec::new(),
            idle,
            waiting,
            connecting,
            unread: Vec::new(),
            deadlines: BinaryHeap::new(),
            generation: 0,
            open: 0,
            area_s: 0.0,
            batch: Vec::with_capacity(BATCH),
            buffer: vec![0; READ_BYTES],
            scratch: Vec::with_capacity(1_024),
            wake_up: WakeUp::new(pacing.alone),
            polled_ns: 0,
            prompt: pacing.flaw == Flaw::TokioTimer,
            stamped: false,
            unrecorded: 0,
        })
    }

    /// Customers ask again as this says.
    #[must_use]
    pub fn with_retries(mut self, policy: Option<Policy>) -> Self {
        self.again = Again::new(policy);
        self
    }

    /// Sends what the source supplies until it is exhausted and nothing is open.
    ///
    /// # Errors
    /// If epoll fails; a request that fails is a sample.
    pub fn run(mut self) -> io::Result<Summary> {
        // 1 ns instead of the default 50 µs; without it every wait is late by the slack.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let mut events = Vec::with_capacity(EVENTS_MAX);
        self.warm_up(&mut events)?;
        let mut last_ns = 0;
        let mut handed_over_ns = 0;
        let interrupted = loop {
            let mut now = self.now_ns();
            let mut sent = 0;
            while sent < EVENTS_MAX
                && !self.holds_back()
                && let Some((intended_ns, job, retry)) = self.due(now)
            {
                if self.idle.iter().any(Vec::is_empty) {
                    self.look(&mut events)?;
                }
                if retry == 0 {
                    last_ns = intended_ns;
                }
                self.dispatch(intended_ns, job, retry);
                now = self.now_ns();
                sent += 1;
            }
            self.expire(now);
            if self.gauges.stop.load(Ordering::Relaxed) {
                break true;
            }
            let (arrival_ns, retry_ns) = (self.source.next_ns(), self.again.next_ns());
            let drained_ns = last_ns + nanos(self.pacing.drain);
            let forgets = self.pacing.flaw == Flaw::DropUnfinished;
            let is_done = self.open == 0 && retry_ns.is_none();
            if arrival_ns.is_none() && (is_done || now >= drained_ns || forgets) {
                break false;
            }
            if self.batch.len() >= BATCH || now > handed_over_ns + nanos(2 * NAP) {
                self.hand_over();
                handed_over_ns = now;
            }
            let next_ns = arrival_ns.unwrap_or(drained_ns).min(retry_ns.unwrap_or(u64::MAX));
            let until = next_ns.min(now + nanos(NAP));
            self.wait_until(until, &mut events)?;
        };
        Ok(self.finish(interrupted))
    }

    /// Makes a few connections before second 0, as a service's clients have them.
    fn warm_up(&mut self, events: &mut Vec<epoll::Event>) -> io::Result<()> {
        for target in 0..self.targets.len() {
            for _ in 0..WARM {
                // One that is refused now is refused again when it is needed, and counted then.
                if self.connect(target).is_err() {
                    break;
                }
            }
        }
        // The clock stands at 0 until second 0: what was sent before would seem to take no time.
        loop {
            let left = self.pacing.start.saturating_duration_since(Instant::now());
            if left.is_zero() || self.gauges.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.wait(nanos(left.min(NAP)), events)?;
        }
    }

    fn now_ns(&self) -> u64 {
        nanos(self.pacing.start.elapsed())
    }

    /// Takes the next request that is due, an arrival or a retry, and says which retry it is.
    fn due(&mut self, now_ns: u64) -> Option<(u64, Job, u8)> {
        let arrival_ns = self.source.next_ns();
        if let Some(retry_ns) = self.again.next_ns()
            && arrival_ns.is_none_or(|at_ns| retry_ns < at_ns)
        {
            return if retry_ns <= now_ns { self.again.take() } else { None };
        }
        arrival_ns.filter(|at_ns| *at_ns <= now_ns)?;
        self.source.take().map(|(intended_ns, job)| (intended_ns, job, 0))
    }

    fn holds_back(&self) -> bool {
        self.pacing.flaw == Flaw::CoordinatedOmission && self.open >= COORDINATED
    }

    /// Waits until an instant or an event. A thread that sleeps until then is late by its wake-up, so
    /// it sleeps until a little earlier, by as much as wake-ups took lately, and asks the rest away.
    fn wait_until(&mut self, until_ns: u64, events: &mut Vec<epoll::Event>) -> io::Result<()> {
        let wake_ns = until_ns.saturating_sub(self.wake_up.typical_ns());
        let left_ns = wake_ns.saturating_sub(self.now_ns());
        if self.may_lie(left_ns) {
            self.look(events)?;
            self.sleep_until(wake_ns);
        } else if self.wait(left_ns, events)? {
            return Ok(());
        }
        if left_ns > 0 {
            self.wake_up.took(self.now_ns().saturating_sub(wake_ns));
        }
        self.ask_until(until_ns);
        Ok(())
    }

    /// Whether answers may lie in the kernel for so long: nobody waits for them, and they bear stamps.
    fn may_lie(&self, ns: u64) -> bool {
        let wanted = self.prompt || self.source.heeds_answers() || !self.unread.is_empty();
        self.stamped && !wanted && ns <= nanos(LIE_MAX)
    }

    fn sleep_until(&self, wake_ns: u64) {
        let left_ns = wake_ns.saturating_sub(self.now_ns());
        if left_ns > 0 {
            // Woken early by a signal, it is only early: the caller looks at the clock.
            let _ = clock_nanosleep_relative(ClockId::Monotonic, &timespec(left_ns));
        }
    }

    /// Asks the last microseconds away, where this core is the generator's own.
    fn ask_until(&mut self, until_ns: u64) {
        let before_ns = self.now_ns();
        let mut now_ns = before_ns;
        if until_ns.saturating_sub(before_ns) <= self.wake_up.typical_ns() {
            while now_ns < until_ns {
                std::hint::spin_loop();
                now_ns = self.now_ns();
            }
        }
        self.polled_ns += now_ns - before_ns;
    }

    /// Handles what has happened, without waiting.
    fn look(&mut self, events: &mut Vec<epoll::Event>) -> io::Result<bool> {
        self.wait(0, events)
    }

    /// Waits for events, and handles them; whether there were any.
    fn wait(&mut self, wait_ns: u64, events: &mut Vec<epoll::Event>) -> io::Result<bool> {
        self.poll(if self.unread.is_empty() { wait_ns } else { 0 }, events)?;
        let some = !(events.is_empty() && self.unread.is_empty());
        self.read_on();
        for event in events.drain(..) {
            self.handle(event);
        }
        Ok(some)
    }

    fn poll(&self, mut wait_ns: u64, events: &mut Vec<epoll::Event>) -> io::Result<()> {
        if self.pacing.flaw == Flaw::TokioTimer {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
            let wait = Duration::from_nanos(wait_ns).min(Duration::from_millis(1));
            runtime.block_on(async { tokio::time::sleep(wait).await });
            wait_ns = 0;
        }
        let wait = timespec(wait_ns);
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn dispatch(&mut self, intended_ns: u64, job: Job, retry: u8) {
        let sent_ns = self.now_ns();
        let coordinated = self.pacing.flaw == Flaw::CoordinatedOmission;
        let intended_ns = if coordinated { sent_ns } else { intended_ns };
        let mut job = job;
        job.about = self.traffic.about(&job);
        let open = Open { job, intended_ns, sent_ns, waited_ns: 0, retry };
        self.gauges.begun.fetch_add(u64::from(retry == 0), Ordering::Relaxed);
        if self.open >= self.pacing.in_flight {
            let dropped = Judged { trouble: Trouble::InFlight, ..Judged::plain(Outcome::Dropped) };
            self.emit(open, sent_ns, dropped, Heard::default());
            return;
        }
        let mut request = std::mem::take(&mut self.scratch);
        request.clear();
        let target = self.traffic.render(&job, &mut request);
        self.count_open(sent_ns, 1);
        self.begin(open, target, request);
    }

    /// The area under the number of open requests grows by `done − sent` of each.
    fn count_open(&mut self, at_ns: u64, change: i32) {
        self.area_s -= at_ns as f64 / 1e9 * f64::from(change);
        self.open = self.open.saturating_add_signed(change);
        self.gauges.in_flight.store(u64::from(self.open), Ordering::Relaxed);
    }

    fn emit(&mut self, open: Open, done_ns: u64, judged: Judged, heard: Heard) {
        let Heard { status, wait } = heard;
        // Its customer knows of the end when it is read, and asks again from then on.
        let again = self.again.is_on()
            && self.again.follows((&open.job, open.retry), &judged, status, wait, self.now_ns());
        if !again {
            self.source.ended(&open.job, done_ns, &judged);
        }
        self.batch.push(Sample {
            seq: open.job.seq,
            operation: open.job.operation,
            customer: open.job.customer,
            amount_cents: open.job.amount_cents(),
            intended_ns: open.intended_ns,
            sent_ns: open.sent_ns,
            done_ns,
            waited_ns: open.waited_ns,
            outcome: judged.outcome,
            status,
            trouble: judged.trouble,
            receipt: judged.receipt,
            about: open.job.about,
            told: judged.told,
            retry: open.retry,
            again,
        });
    }

    fn hand_over(&mut self) {
        if !self.batch.is_empty() {
            let full = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
            match self.samples.try_send(full) {
                Ok(()) => {}
                // To wait would delay requests; to queue on would fill the memory.
                Err(TrySendError::Full(lost)) => self.unrecorded += lost.len() as u64,
                // A recorder that has gone away has said why; nobody would see the rest of the load.
                Err(TrySendError::Disconnected(_)) => {
                    self.gauges.stop.store(true, Ordering::Relaxed)
                }
            }
        }
    }

    fn finish(mut self, interrupted: bool) -> Summary {
        let now_ns = self.now_ns();
        let mut left: Vec<Open> =
            self.connections.iter_mut().flatten().filter_map(|c| c.open.take()).collect();
        left.extend(self.waiting.iter_mut().flat_map(|w| w.drain(..)).map(|(open, _)| open));
        if self.pacing.flaw == Flaw::DropUnfinished {
            left.clear();
        }
        for open in left {
            self.emit(open, now_ns, Judged::plain(Outcome::Unfinished), Heard::default());
            self.count_open(now_ns, -1);
        }
        // Nothing more is to be sent: now there is time to wait for the recorder.
        let _ = self.samples.send(std::mem::take(&mut self.batch));
        let polled_s = self.polled_ns as f64 / 1e9;
        Summary {
            in_flight_area_s: self.area_s,
            ended_ns: now_ns,
            polled_s,
            interrupted,
            unrecorded: self.unrecorded,
            not_retried: self.again.lost(),
            real_time: false,
        }
    }
}

fn timespec(ns: u64) -> Timespec {
    Timespec {
        tv_sec: (ns / 1_000_000_000).cast_signed(),
        tv_nsec: (ns % 1_000_000_000).cast_signed(),
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
