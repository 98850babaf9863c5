//! The replicas: what is known of each, connections to it that wait for work, and who gets a request.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use process_log::tell;
use tokio::io;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::ejection::{Ejection, Record};
use crate::policy::{Choice, Policy, Ring};

/// Bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections of clients at once.
    pub clients: usize,
    /// Connections to one replica that wait for work.
    pub idle: usize,
    /// How long one waits at most: less than the replica lets it.
    pub idle_for: Duration,
    /// How long a replica may take to accept a connection.
    pub connect: Duration,
}

/// One replica.
pub struct Backend {
    address: SocketAddr,
    is_up: AtomicBool,
    in_flight: AtomicUsize,
    requests: AtomicU64,
    failures: AtomicU64,
    ejections: AtomicU64,
    record: Mutex<Record>,
    idle: Mutex<Vec<(TcpStream, Instant)>>,
}

impl Backend {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            is_up: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            ejections: AtomicU64::new(0),
            record: Mutex::default(),
            idle: Mutex::default(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether its health checks succeed.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    /// What its health checks say from now on.
    pub(crate) fn found(&self, is_up: bool, why: &str) {
        if self.is_up.swap(is_up, Ordering::Relaxed) != is_up {
            let state = if is_up { "up" } else { "down" };
            tell("replica", || {
                [
                    ("address", self.address.to_string().into()),
                    ("is", state.into()),
                    ("why", why.into()),
                ]
            });
            if !is_up {
                lock(&self.idle).clear();
            }
        }
    }

    /// Requests under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether it is left out because requests failed.
    #[must_use]
    pub fn is_out(&self) -> bool {
        lock(&self.record).is_out(Instant::now())
    }

    /// Requests it was given, failures among them, and how often it was left out.
    #[must_use]
    pub fn counts(&self) -> [u64; 3] {
        [&self.requests, &self.failures, &self.ejections]
            .map(|counter| counter.load(Ordering::Relaxed))
    }

    /// A connection to it: one that waits and has not been closed, or a new one.
    pub(crate) async fn connection(&self, limits: Limits) -> io::Result<TcpStream> {
        while let Some((stream, since)) = { lock(&self.idle).pop() } {
            // Whatever can be read is not an answer: mostly it is the end.
            let is_open = matches!(stream.try_read(&mut [0]), Err(e) if e.kind() == io::ErrorKind::WouldBlock);
            if is_open && since.elapsed() < limits.idle_for {
                return Ok(stream);
            }
        }
        let connected = timeout(limits.connect, TcpStream::connect(self.address)).await;
        let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Keeps a connection for the next request.
    pub(crate) fn keep(&self, stream: TcpStream, limits: Limits) {
        let mut idle = lock(&self.idle);
        if idle.len() < limits.idle && self.is_up() {
            idle.push((stream, Instant::now()));
        }
    }
}

/// All replicas.
pub struct Backends {
    all: Vec<Arc<Backend>>,
    ring: Ring,
    policy: Policy,
    ejection: Ejection,
    /// Bounds.
    pub limits: Limits,
    turn: AtomicUsize,
}

/// A request that a replica has; it has it no more when this is dropped.
pub(crate) struct Given {
    pub(crate) backend: Arc<Backend>,
    pub(crate) index: usize,
}

impl Drop for Given {
    fn drop(&mut self) {
        self.backend.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Backends {
    /// At these addresses. None has requests before a health check has succeeded.
    #[must_use]
    pub fn new(
        addresses: &[SocketAddr],
        policy: Policy,
        ejection: Ejection,
        limits: Limits,
    ) -> Self {
        let names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let ring = Ring::of(names.iter().map(String::as_str));
        let all = addresses.iter().map(|address| Arc::new(Backend::new(*address))).collect();
        Self { all, ring, policy, ejection, limits, turn: AtomicUsize::new(0) }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Arc<Backend>] {
        &self.all
    }

    /// The header by which replicas are chosen, if they are.
    pub(crate) fn key(&self) -> Option<&str> {
        match &self.policy {
            Policy::Hash { header } => Some(header),
            Policy::RoundRobin | Policy::TwoChoices => None,
        }
    }

    /// Gives a request with this key to a replica that was not tried; none if there is no such one.
    pub(crate) fn give(&self, key: Option<u64>, tried: &[usize]) -> Option<Given> {
        let now = Instant::now();
        let load = |(index, backend): (usize, &Arc<Backend>)| {
            let may =
                backend.is_up() && !tried.contains(&index) && !lock(&backend.record).is_out(now);
            may.then(|| backend.in_flight())
        };
        let loads: Vec<Option<usize>> = self.all.iter().enumerate().map(load).collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let choice = Choice { loads: &loads, ring: &self.ring, key, turn };
        let index = choice.make(&self.policy, |below| rand::random_range(0..below))?;
        let backend = Arc::clone(&self.all[index]);
        backend.in_flight.fetch_add(1, Ordering::Relaxed);
        backend.requests.fetch_add(1, Ordering::Relaxed);
        Some(Given { backend, index })
    }

    /// It answered: with an error of its own it did as well as not.
    pub(crate) fn answered(&self, given: &Given, status: u16) {
        if matches!(status, 500 | 502 | 503 | 504) {
            self.failed(given)
        } else {
            lock(&given.backend.record).succeeded()
        }
    }

    /// It could not be reached, broke off, or kept silent.
    pub(crate) fn failed(&self, given: &Given) {
        let backend = &given.backend;
        backend.failures.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let is_other_in = |other: &Arc<Backend>| {
            !Arc::ptr_eq(other, backend) && other.is_up() && !lock(&other.record).is_out(now)
        };
        let must_stay = !self.all.iter().any(is_other_in);
        if lock(&backend.record).failed(self.ejection, now, must_stay) {
            backend.ejections.fetch_add(1, Ordering::Relaxed);
            tell("replica", || {
                [("address", backend.address.to_string().into()), ("is", "left out".into())]
            });
        }
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        clients: 10,
        idle: 2,
        idle_for: Duration::from_secs(30),
        connect: Duration::from_secs(1),
    };

    fn three(after: u32) -> Backends {
        let addresses: Vec<SocketAddr> =
            (1..=3).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect();
        let ejection = Ejection { after, lasts: Duration::from_secs(30) };
        let backends = Backends::new(&addresses, Policy::TwoChoices, ejection, LIMITS);
        backends.all().iter().for_each(|backend| backend.found(true, ""));
        backends
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_down_left_out_or_tried_gets_nothing_and_one_stays() {
        let backends = three(2);
        backends.all()[0].found(false, "refused");
        assert!((0..50).all(|_| backends.give(None, &[1]).unwrap().index == 2));
        assert!(backends.give(None, &[1, 2]).is_none());
        let second = backends.give(None, &[2]).unwrap();
        backends.failed(&second);
        backends.answered(&second, 503);
        assert!(backends.all()[1].is_out());
        let third = backends.give(None, &[]).unwrap();
        assert_eq!(third.index, 2);
        (0..9).for_each(|_| backends.failed(&third));
        assert!(!backends.all()[2].is_out(), "the last one stays");
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(!backends.all()[1].is_out());
        assert_eq!(backends.all()[1].counts(), [1, 2, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_is_counted_until_it_is_done() {
        let backends = three(0);
        let given: Vec<Given> = (0..30).map(|_| backends.give(None, &[]).unwrap()).collect();
        let loads = || backends.all().iter().map(|b| b.in_flight()).collect::<Vec<_>>();
        assert!(loads().iter().all(|load| (8..=12).contains(load)), "{:?}", loads());
        drop(given);
        assert_eq!(loads(), [0, 0, 0]);
    }
}
