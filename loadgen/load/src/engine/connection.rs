//! One keep-alive connection with at most one open request (no pipelining).

use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::SystemTime;

use socket2::{Domain, Protocol, Socket, Type};

use super::response::Parser;
use super::stamp;
use super::target::Try;
use super::tls::{Session, Tls};
use crate::workload::Job;
use record::Trouble;

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) job: Job,
    pub(super) intended_ns: u64,
    pub(super) sent_ns: u64,
    /// How long it waited for a connection.
    pub(super) waited_ns: u64,
    /// 0 for the first attempt.
    pub(super) retry: u8,
}

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) target: usize,
    /// Which of its addresses this is.
    pub(super) of: Try,
    /// False until the kernel says that it is established, and both sides have greeted.
    pub(super) connected: bool,
    session: Option<Session>,
    /// The request is encrypted, but not a byte of it written.
    sealed: bool,
    pub(super) open: Option<Open>,
    /// The request's bytes, and how many of them are written.
    pub(super) request: Vec<u8>,
    pub(super) written: usize,
    pub(super) parser: Parser,
    /// When the kernel got what was read last.
    pub(super) arrived: Option<SystemTime>,
    /// Tells events and time-outs of an earlier use from those of this one.
    pub(super) generation: u32,
}

/// What reading found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Nothing,
    /// Some of an answer, but not all.
    Part,
    Complete,
    /// So much that others come first; there may be more.
    Plenty,
    /// The peer closed, or reset.
    Ended,
    /// It sent what is not HTTP, or too much.
    Refused(Trouble),
}

/// Readings of one connection before others have their turn: a large answer must not delay what is due.
const READS_MAX: usize = 8;

impl Connection {
    /// Begins to connect; does not wait.
    pub(super) fn begin(
        address: SocketAddr,
        (target, of): (usize, Try),
        tls: Option<&Tls>,
        generation: u32,
    ) -> io::Result<Self> {
        let session = tls.map(Tls::begin).transpose()?;
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&address.into()) {
            Ok(()) => {}
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(e) => return Err(e),
        }
        let stream = socket.into();
        stamp::enable(&stream);
        Ok(Self {
            stream,
            target,
            of,
            connected: false,
            session,
            sealed: false,
            open: None,
            request: Vec::with_capacity(1_024),
            written: 0,
            parser: Parser::default(),
            arrived: None,
            generation,
        })
    }

    /// The request that is to be sent next.
    pub(super) fn load(&mut self, request: Vec<u8>) -> Vec<u8> {
        (self.written, self.sealed) = (0, false);
        std::mem::replace(&mut self.request, request)
    }

    /// What both sides say before any request, as far as it gets without waiting; true when all is said.
    pub(super) fn greet(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        match &mut self.session {
            Some(session) => session.greet(&self.stream, buffer),
            None => Ok(true),
        }
    }

    /// Writes what is left of the request; true when all of it is written.
    pub(super) fn send(&mut self) -> io::Result<bool> {
        if self.session.is_some() {
            return self.send_sealed();
        }
        while self.written < self.request.len() {
            match self.stream.write(&self.request[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    /// As long as not all is written, `written` tells whether anything is.
    fn send_sealed(&mut self) -> io::Result<bool> {
        let Self { session: Some(session), stream, request, written, sealed, .. } = self else {
            return Ok(true);
        };
        if !*sealed {
            session.seal(request)?;
            *sealed = true;
        }
        let whole = session.flush(stream, &mut |_| *written = 1)?;
        if whole {
            *written = request.len();
        }
        Ok(whole)
    }

    /// Takes what has come; whether the answer is complete.
    fn take(&mut self, bytes: &[u8]) -> Result<bool, Trouble> {
        let Some(session) = &mut self.session else {
            return if self.open.is_none() {
                Err(Trouble::Garbled)
            } else {
                self.parser.feed(bytes)
            };
        };
        match session.open(bytes) {
            // What belongs to the encryption alone, as tickets, may come at any time.
            Ok([]) => Ok(false),
            Ok(_) if self.open.is_none() => Err(Trouble::Garbled),
            Ok(plain) => self.parser.feed(plain),
            Err(_) => Err(Trouble::Garbled),
        }
    }

    /// Reads what is there; to the end if the peer has hung up.
    pub(super) fn receive(&mut self, buffer: &mut [u8], hung_up: bool) -> Incoming {
        let mut found = Incoming::Nothing;
        for _ in 0..READS_MAX {
            match stamp::read(&self.stream, buffer) {
                Ok((0, _)) if self.parser.close() => return Incoming::Complete,
                Ok((0, _)) => return Incoming::Ended,
                Ok((count, arrived)) => {
                    self.arrived = arrived;
                    match self.take(&buffer[..count]) {
                        Ok(true) => return Incoming::Complete,
                        Ok(false) if count < buffer.len() && !hung_up => return Incoming::Part,
                        Ok(false) => found = Incoming::Part,
                        Err(trouble) => return Incoming::Refused(trouble),
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return found,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Incoming::Ended,
            }
        }
        Incoming::Plenty
    }
}
