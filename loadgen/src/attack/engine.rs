//! The thread that sends: one epoll, one clock, no waiting for answers.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use tokio::time::Instant;

use super::connection::{Connection, Incoming, Open};
use super::wake::WakeUp;
use super::{Judged, Source, Traffic};
use crate::sample::{Outcome, Receipt, Sample, Trouble};
use crate::workload::Job;

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
    /// Whether nothing else runs on this core: then the last microseconds before an instant may be
    /// asked away instead of slept.
    pub alone: bool,
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
}

/// The loop over targets.
pub struct Engine<T, S> {
    traffic: T,
    source: S,
    targets: Vec<SocketAddr>,
    pacing: Pacing,
    gauges: Arc<Gauges>,
    samples: Sender<Vec<Sample>>,
    epoll: OwnedFd,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// By target: connections without a request, the latest used last.
    idle: Vec<Vec<usize>>,
    /// By target: requests without a connection, oldest first.
    waiting: Vec<VecDeque<(Open, Vec<u8>)>>,
    /// By target: how many connections are being made.
    connecting: Vec<usize>,
    /// In order: all requests have the same time-out.
    deadlines: VecDeque<(u64, usize, u32)>,
    generation: u32,
    open: u32,
    area: (u64, f64),
    batch: Vec<Sample>,
    buffer: Vec<u8>,
    /// A request's memory, used again.
    scratch: Vec<u8>,
    wake_up: WakeUp,
    /// Time spent asking in vain.
    polled_ns: u64,
}

impl<T: Traffic, S: Source> Engine<T, S> {
    /// An engine that hands samples over in batches.
    ///
    /// # Errors
    /// If epoll is not to be had.
    pub fn new(
        traffic: T,
        source: S,
        targets: Vec<SocketAddr>,
        pacing: Pacing,
        gauges: Arc<Gauges>,
        samples: Sender<Vec<Sample>>,
    ) -> io::Result<Self> {
        let idle = vec![Vec::new(); targets.len()];
        let waiting = targets.iter().map(|_| VecDeque::new()).collect();
        let connecting = vec![0; targets.len()];
        Ok(Self {
            traffic,
            source,
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
            deadlines: VecDeque::new(),
            generation: 0,
            open: 0,
            area: (0, 0.0),
            batch: Vec::with_capacity(BATCH),
            buffer: vec![0; READ_BYTES],
            scratch: Vec::with_capacity(1_024),
            wake_up: WakeUp::new(pacing.alone),
            polled_ns: 0,
        })
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
                && self.source.next_ns().is_some_and(|at_ns| at_ns <= now)
                && let Some((intended_ns, job)) = self.source.take()
            {
                last_ns = intended_ns;
                self.dispatch(intended_ns, job);
                now = self.now_ns();
                sent += 1;
            }
            self.expire(now);
            if self.gauges.stop.load(Ordering::Relaxed) {
                break true;
            }
            let next_ns = self.source.next_ns();
            let drained_ns = last_ns + nanos(self.pacing.drain);
            let forgets = self.pacing.flaw == Flaw::DropUnfinished;
            if next_ns.is_none() && (self.open == 0 || now >= drained_ns || forgets) {
                break false;
            }
            if self.batch.len() >= BATCH || now > handed_over_ns + nanos(2 * NAP) {
                self.hand_over();
                handed_over_ns = now;
            }
            let until = next_ns.unwrap_or(drained_ns).min(now + nanos(NAP));
            self.wait_until(until, &mut events)?;
            for event in events.drain(..) {
                self.handle(event);
            }
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
            for event in events.drain(..) {
                self.handle(event);
            }
        }
    }

    fn now_ns(&self) -> u64 {
        nanos(self.pacing.start.elapsed())
    }

    fn holds_back(&self) -> bool {
        self.pacing.flaw == Flaw::CoordinatedOmission && self.open >= COORDINATED
    }

    /// Waits for events until an instant. A thread that sleeps until then is late by its wake-up, so
    /// it sleeps until a little earlier, by as much as wake-ups took lately, and asks the rest away.
    fn wait_until(&mut self, until_ns: u64, events: &mut Vec<epoll::Event>) -> io::Result<()> {
        let wake_ns = until_ns.saturating_sub(self.wake_up.typical_ns());
        let now_ns = self.now_ns();
        self.wait(wake_ns.saturating_sub(now_ns), events)?;
        if events.is_empty() {
            let after_ns = self.now_ns();
            if wake_ns > now_ns {
                self.wake_up.took(after_ns.saturating_sub(wake_ns));
            } else {
                self.polled_ns += after_ns.saturating_sub(now_ns);
            }
        }
        Ok(())
    }

    fn wait(&self, mut wait_ns: u64, events: &mut Vec<epoll::Event>) -> io::Result<()> {
        if self.pacing.flaw == Flaw::TokioTimer {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
            let wait = Duration::from_nanos(wait_ns).min(Duration::from_millis(1));
            runtime.block_on(async { tokio::time::sleep(wait).await });
            wait_ns = 0;
        }
        let wait = Timespec {
            tv_sec: (wait_ns / 1_000_000_000).cast_signed(),
            tv_nsec: (wait_ns % 1_000_000_000).cast_signed(),
        };
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn dispatch(&mut self, intended_ns: u64, job: Job) {
        let sent_ns = self.now_ns();
        let coordinated = self.pacing.flaw == Flaw::CoordinatedOmission;
        let intended_ns = if coordinated { sent_ns } else { intended_ns };
        let open = Open { job, intended_ns, sent_ns };
        self.gauges.begun.fetch_add(1, Ordering::Relaxed);
        if self.open >= self.pacing.in_flight {
            self.emit(open, sent_ns, Judged::plain(Outcome::Dropped), 0, Trouble::InFlight);
            return;
        }
        let mut request = std::mem::take(&mut self.scratch);
        request.clear();
        let target = self.traffic.render(&job, &mut request);
        self.count_open(sent_ns, 1);
        self.begin(open, target, request);
    }

    /// Puts a request on an idle connection, or lets it wait for the next one that is free: one that
    /// ends its request, or one of those that are being made for those who wait.
    fn begin(&mut self, open: Open, target: usize, request: Vec<u8>) {
        match self.idle[target].pop() {
            Some(index) => self.assign(index, open, request),
            None => {
                self.waiting[target].push_back((open, request));
                self.connect_for_waiting(target);
            }
        }
    }

    fn assign(&mut self, index: usize, open: Open, request: Vec<u8>) {
        let Some(connection) = &mut self.connections[index] else { return };
        connection.open = Some(open);
        self.scratch = std::mem::replace(&mut connection.request, request);
        connection.written = 0;
        connection.parser.reset();
        let deadline = open.sent_ns + nanos(self.pacing.timeout);
        self.deadlines.push_back((deadline, index, connection.generation));
        self.send(index);
    }

    /// A connection that can carry a request.
    fn free(&mut self, index: usize) {
        let Some(connection) = &self.connections[index] else { return };
        let target = connection.target;
        match self.waiting[target].pop_front() {
            Some((open, request)) => self.assign(index, open, request),
            None => self.idle[target].push(index),
        }
    }

    /// As many connections are being made as requests wait for one, up to a bound: in a surge a
    /// connection costs more than a request, and one each would feed the surge.
    fn connect_for_waiting(&mut self, target: usize) {
        while self.connecting[target] < self.waiting[target].len().min(CONNECTING_MAX) {
            if let Err(error) = self.connect(target) {
                let own = is_own_limit(&error);
                let outcome = if own { Outcome::Dropped } else { Outcome::Failed };
                self.fail_waiting(target, connect_trouble(&error), outcome);
            }
        }
    }

    fn fail_waiting(&mut self, target: usize, trouble: Trouble, outcome: Outcome) {
        if let Some((open, _)) = self.waiting[target].pop_front() {
            self.close_request(open, trouble, outcome);
        }
    }

    /// A connection that could not be made: the request that has waited longest learns of it.
    fn not_connected(&mut self, index: usize, trouble: Trouble) {
        let Some(target) = self.connections[index].as_ref().map(|c| c.target) else { return };
        self.connecting[target] -= 1;
        self.close(index);
        self.fail_waiting(target, trouble, Outcome::Failed);
        self.connect_for_waiting(target);
    }

    fn connect(&mut self, target: usize) -> io::Result<()> {
        self.generation = self.generation.wrapping_add(1);
        let connection = Connection::begin(self.targets[target], target, self.generation)?;
        let index = self.free.pop().unwrap_or(self.connections.len());
        let data = epoll::EventData::new_u64(u64::from(self.generation) << 32 | index as u64);
        let flags = epoll::EventFlags::IN
            | epoll::EventFlags::OUT
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::ET;
        epoll::add(&self.epoll, &connection.stream, data, flags)?;
        if index == self.connections.len() {
            self.connections.push(Some(connection));
        } else {
            self.connections[index] = Some(connection);
        }
        self.connecting[target] += 1;
        let deadline = self.now_ns() + nanos(self.pacing.timeout);
        self.deadlines.push_back((deadline, index, self.generation));
        Ok(())
    }

    fn handle(&mut self, event: epoll::Event) {
        let (data, flags) = (event.data.u64(), event.flags);
        let index = (data & u64::from(u32::MAX)) as usize;
        let generation = (data >> 32) as u32;
        let Some(connection) = &mut self.connections[index] else { return };
        if connection.generation != generation {
            return;
        }
        if !connection.connected {
            match connection.stream.take_error() {
                Ok(None) => connection.connected = true,
                Ok(Some(error)) | Err(error) => {
                    self.not_connected(index, connect_trouble(&error));
                    return;
                }
            }
            let target = connection.target;
            self.connecting[target] -= 1;
            self.free(index);
            self.connect_for_waiting(target);
        } else if flags.contains(epoll::EventFlags::OUT)
            && connection.written < connection.request.len()
        {
            self.send(index);
        }
        let ended = epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
        let hung_up = flags.intersects(ended);
        if hung_up || flags.contains(epoll::EventFlags::IN) {
            self.receive(index, generation, hung_up);
        }
    }

    fn send(&mut self, index: usize) {
        let Some(connection) = &mut self.connections[index] else { return };
        if connection.send().is_ok() {
            return;
        }
        let untouched = connection.written == 0;
        let retry = connection.open.take_if(|_| untouched);
        let (target, request) = (connection.target, std::mem::take(&mut connection.request));
        match retry {
            // A stale idle connection: not a byte was taken, so this is no second attempt.
            Some(open) => {
                self.close(index);
                self.begin(open, target, request);
            }
            None => self.give_up(index, Trouble::Reset, Outcome::Unknown),
        }
    }

    /// Edge-triggered: an end that was reported with the data is not reported again.
    fn receive(&mut self, index: usize, generation: u32, hung_up: bool) {
        let Some(connection) = &mut self.connections[index] else { return };
        if connection.generation != generation {
            return;
        }
        match connection.receive(&mut self.buffer, hung_up) {
            Incoming::Nothing => {}
            Incoming::Complete if connection.open.is_none() => self.close(index),
            Incoming::Complete => self.answered(index, hung_up),
            Incoming::Garbled => self.give_up(index, Trouble::Garbled, Outcome::Unknown),
            Incoming::Ended => self.give_up(index, Trouble::Reset, Outcome::Unknown),
        }
    }

    fn answered(&mut self, index: usize, hung_up: bool) {
        let done_ns = self.now_ns();
        let Some(connection) = &mut self.connections[index] else { return };
        let (Some(response), Some(open)) = (connection.parser.response(), connection.open) else {
            return;
        };
        let judged = self.traffic.judge(&open.job, &response);
        let trouble = if judged.readable { Trouble::None } else { Trouble::Garbled };
        let status = response.status;
        connection.open = None;
        let whole = connection.written == connection.request.len();
        let again = connection.parser.keep_alive() && whole && !hung_up;
        self.emit(open, done_ns, judged, status, trouble);
        self.count_open(done_ns, -1);
        if again {
            self.free(index);
        } else {
            self.replace(index);
        }
    }

    /// Ends a connection; those who wait get another.
    fn replace(&mut self, index: usize) {
        let Some(target) = self.connections[index].as_ref().map(|c| c.target) else { return };
        self.close(index);
        self.connect_for_waiting(target);
    }

    /// Ends the connection, and its request if it has one.
    fn give_up(&mut self, index: usize, trouble: Trouble, outcome: Outcome) {
        let open = self.connections[index].as_mut().and_then(|c| c.open.take());
        self.replace(index);
        if let Some(open) = open {
            self.close_request(open, trouble, outcome);
        }
    }

    fn close_request(&mut self, open: Open, trouble: Trouble, outcome: Outcome) {
        let done_ns = self.now_ns();
        self.emit(open, done_ns, Judged::plain(outcome), 0, trouble);
        self.count_open(done_ns, -1);
    }

    fn close(&mut self, index: usize) {
        if let Some(connection) = self.connections[index].take() {
            self.idle[connection.target].retain(|i| *i != index);
            self.free.push(index);
        }
    }

    fn expire(&mut self, now_ns: u64) {
        while let Some((deadline, index, generation)) = self.deadlines.front().copied() {
            let waiting = self.connections[index].as_ref().filter(|c| {
                let due = |o: Open| o.sent_ns + nanos(self.pacing.timeout) <= deadline;
                c.generation == generation && (!c.connected || c.open.is_some_and(due))
            });
            match waiting.map(|c| c.connected) {
                Some(_) if deadline > now_ns => break,
                Some(true) => self.give_up(index, Trouble::Timeout, Outcome::Unknown),
                Some(false) => self.not_connected(index, Trouble::ConnectTimeout),
                None => {}
            }
            self.deadlines.pop_front();
        }
        for target in 0..self.targets.len() {
            while self.waits_too_long(target, now_ns) {
                self.fail_waiting(target, Trouble::ConnectTimeout, Outcome::Failed);
            }
        }
    }

    fn waits_too_long(&self, target: usize, now_ns: u64) -> bool {
        let longest = self.waiting[target].front();
        longest.is_some_and(|(open, _)| open.sent_ns + nanos(self.pacing.timeout) <= now_ns)
    }

    fn count_open(&mut self, now_ns: u64, change: i32) {
        self.area.1 += now_ns.saturating_sub(self.area.0) as f64 / 1e9 * f64::from(self.open);
        self.area.0 = now_ns;
        self.open = self.open.saturating_add_signed(change);
        self.gauges.in_flight.store(u64::from(self.open), Ordering::Relaxed);
    }

    fn emit(&mut self, open: Open, done_ns: u64, judged: Judged, status: u16, trouble: Trouble) {
        self.source.ended(&open.job, done_ns);
        self.batch.push(Sample {
            seq: open.job.seq,
            operation: open.job.operation,
            customer: open.job.customer,
            amount_cents: open.job.amount_cents(),
            intended_ns: open.intended_ns,
            sent_ns: open.sent_ns,
            done_ns,
            outcome: judged.outcome,
            status,
            trouble,
            receipt: judged.receipt,
        });
    }

    fn hand_over(&mut self) {
        if !self.batch.is_empty() {
            let full = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
            // A recorder that has gone away has said why; nobody would see the rest of the load.
            if self.samples.send(full).is_err() {
                self.gauges.stop.store(true, Ordering::Relaxed);
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
            let judged =
                Judged { outcome: Outcome::Unfinished, receipt: Receipt::None, readable: true };
            self.emit(open, now_ns, judged, 0, Trouble::None);
            self.count_open(now_ns, -1);
        }
        self.hand_over();
        let polled_s = self.polled_ns as f64 / 1e9;
        Summary { in_flight_area_s: self.area.1, ended_ns: now_ns, polled_s, interrupted }
    }
}

/// No descriptor or no local port left: the generator's fault, not the system's.
fn is_own_limit(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NOMEM, Errno::NOSPC]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn connect_trouble(error: &io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Trouble::Refused,
        _ => Trouble::Connect,
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
