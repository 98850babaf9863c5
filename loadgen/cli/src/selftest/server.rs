//! The server that the generator is tested against: answers at once, except while it stalls, and
//! remembers when each request arrived.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use rustix::event::{Timespec, epoll};
use tokio::time::Instant;

use supervise::cores::Cores;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const NAP: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
const EVENTS: usize = 256;
const LISTENER: u64 = u64::MAX;
const BACKLOG: i32 = 4_096;

/// For a duration nothing is answered.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    /// When it begins.
    pub from: From,
    /// How long it lasts.
    pub lasts: Duration,
}

/// Whether the server sleeps while nothing comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awake {
    /// As servers do.
    WhenNeeded,
    /// It asks all the time, so that its own waking is not taken for the generator's lateness.
    Always,
}

/// When a stall begins.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// At an instant.
    Instant(Instant),
    /// So long after the first request.
    First(Duration),
}

/// A server on a thread of its own, on the systems' cores.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<Vec<Instant>>>,
}

impl Server {
    /// Starts it; port 0 takes a free one.
    ///
    /// # Errors
    /// If it cannot listen.
    pub fn start(
        listen: SocketAddr,
        cores: &Cores,
        stall: Option<Stall>,
        awake: Awake,
    ) -> anyhow::Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&listen.into()).with_context(|| format!("cannot listen on {listen}"))?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let listener: TcpListener = socket.into();
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, cores) = (Arc::clone(&stop), cores.systems.clone());
        let thread =
            thread::Builder::new().name("selftest-server".to_owned()).spawn(move || {
                Cores::pin(&cores)?;
                Serving::new(listener, stall)?.run(&stopped, awake)
            })?;
        Ok(Self { address, stop, thread })
    }

    /// Ends, and tells when each request arrived.
    ///
    /// # Errors
    /// If it had failed.
    pub fn stop(self) -> anyhow::Result<Vec<Instant>> {
        self.stop.store(true, Ordering::Relaxed);
        let joined = self.thread.join();
        Ok(joined.map_err(|_| anyhow::anyhow!("the self-test's server ended early"))??)
    }
}

struct Serving {
    listener: TcpListener,
    stall: Option<Stall>,
    epoll: OwnedFd,
    connections: Vec<Option<TcpStream>>,
    arrivals: Vec<Instant>,
    buffer: Vec<u8>,
}

impl Serving {
    fn new(listener: TcpListener, stall: Option<Stall>) -> std::io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(LISTENER);
        epoll::add(&epoll, &listener, data, epoll::EventFlags::IN)?;
        Ok(Self {
            listener,
            stall,
            epoll,
            connections: Vec::new(),
            arrivals: Vec::new(),
            buffer: vec![0; 16 * 1024],
        })
    }

    fn run(mut self, stop: &AtomicBool, awake: Awake) -> std::io::Result<Vec<Instant>> {
        let wait = if awake == Awake::Always { Timespec::default() } else { NAP };
        let mut events = Vec::with_capacity(EVENTS);
        while !stop.load(Ordering::Relaxed) {
            let spare = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.epoll, spare, Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let now = Instant::now();
            if let Some(from) = self.stall_from().filter(|from| now >= *from) {
                let lasts = self.stall.map_or(Duration::ZERO, |s| s.lasts);
                thread::sleep((from + lasts).saturating_duration_since(now));
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    index => self.answer(index as usize),
                }
            }
        }
        Ok(self.arrivals)
    }

    fn stall_from(&self) -> Option<Instant> {
        match self.stall?.from {
            From::Instant(at) => Some(at),
            From::First(after) => self.arrivals.first().map(|first| *first + after),
        }
    }

    fn accept(&mut self) -> std::io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let data = epoll::EventData::new_u64(self.connections.len() as u64);
                    epoll::add(&self.epoll, &stream, data, epoll::EventFlags::IN)?;
                    self.connections.push(Some(stream));
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
    }

    /// The self-test's requests are small and come one at a time: one read holds one request.
    fn answer(&mut self, index: usize) {
        let Some(stream) = self.connections.get_mut(index).and_then(Option::as_mut) else { return };
        match stream.read(&mut self.buffer) {
            Ok(0) => self.connections[index] = None,
            Ok(_) => {
                self.arrivals.push(Instant::now());
                if stream.write_all(ANSWER).is_err() {
                    self.connections[index] = None;
                }
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.connections[index] = None,
        }
    }
}
