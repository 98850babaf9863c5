//! The engine's connections: who carries which request, who waits for one, and what their ends mean.

use std::cmp::Reverse;
use std::io;
use std::net::SocketAddr;

use rustix::event::epoll;

use super::super::connection::{Connection, Incoming, Open};
use super::super::target::Try;
use super::super::{Judged, Source, Traffic, stamp};
use super::{CONNECTING_MAX, Deadline, Engine, Heard, nanos};
use record::{Outcome, Trouble};

impl<T: Traffic, S: Source> Engine<T, S> {
    /// Puts a request on an idle connection, or lets it wait for the next one that is free: one that
    /// ends its request, or one of those that are being made for those who wait.
    pub(super) fn begin(&mut self, open: Open, target: usize, request: Vec<u8>) {
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
        self.scratch = connection.load(request);
        connection.parser.reset(self.traffic.asks_for_heads());
        let at_ns = open.sent_ns + nanos(self.pacing.timeout);
        let generation = connection.generation;
        self.deadlines.push(Reverse(Deadline { at_ns, index, generation, connects: false }));
        self.send(index);
    }

    /// A connection that can carry a request.
    fn free(&mut self, index: usize) {
        let Some(connection) = &self.connections[index] else { return };
        let target = connection.target;
        match self.waiting[target].pop_front() {
            Some((open, request)) => self.assign(index, self.waited(open), request),
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
            self.close_request(self.waited(open), trouble, outcome);
        }
    }

    /// One that has waited for a connection until now.
    fn waited(&self, open: Open) -> Open {
        Open { waited_ns: self.now_ns().saturating_sub(open.sent_ns), ..open }
    }

    /// A connection that could not be made, at no address of its target: the request that has waited
    /// longest learns of it.
    fn not_connected(&mut self, index: usize, trouble: Trouble) {
        let Some((target, of)) = self.connections[index].as_ref().map(|c| (c.target, c.of)) else {
            return;
        };
        self.connecting[target] -= 1;
        self.close(index);
        if self.connect_from(target, of.next()).is_some_and(|made| made.is_ok()) {
            return;
        }
        self.fail_waiting(target, trouble, Outcome::Failed);
        self.connect_for_waiting(target);
    }

    pub(super) fn connect(&mut self, target: usize) -> io::Result<()> {
        let begun = self.connect_from(target, self.targets[target].begin());
        begun.unwrap_or_else(|| Err(io::ErrorKind::AddrNotAvailable.into()))
    }

    /// Begins to connect to the first address that lets it, from this try on; `None` if none is left.
    fn connect_from(&mut self, target: usize, mut of: Try) -> Option<io::Result<()>> {
        let mut begun = None;
        while let Some(address) = self.targets[target].address(of) {
            begun = Some(self.connect_to(address, target, of));
            if begun.as_ref().is_some_and(Result::is_ok) {
                break;
            }
            of = of.next();
        }
        begun
    }

    fn connect_to(&mut self, address: SocketAddr, target: usize, of: Try) -> io::Result<()> {
        self.generation = self.generation.wrapping_add(1);
        let tls = self.targets[target].tls();
        let connection = Connection::begin(address, (target, of), tls, self.generation)?;
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
        let at_ns = self.now_ns() + nanos(self.pacing.timeout);
        let generation = self.generation;
        self.deadlines.push(Reverse(Deadline { at_ns, index, generation, connects: true }));
        Ok(())
    }

    pub(super) fn handle(&mut self, event: epoll::Event) {
        let (data, flags) = (event.data.u64(), event.flags);
        let index = (data & u64::from(u32::MAX)) as usize;
        let generation = (data >> 32) as u32;
        let Some(connection) = &mut self.connections[index] else { return };
        if connection.generation != generation {
            return;
        }
        if !connection.connected {
            let refused = connection.stream.take_error().unwrap_or_else(Some);
            match refused.map_or_else(|| connection.greet(&mut self.buffer), Err) {
                Ok(greeted) => connection.connected = greeted,
                Err(error) => {
                    self.not_connected(index, connect_trouble(&error));
                    return;
                }
            }
            if !connection.connected {
                return;
            }
            let (target, of) = (connection.target, connection.of);
            self.connecting[target] -= 1;
            self.targets[target].reached(of);
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

    /// Goes on with those that had more to read than their turn.
    pub(super) fn read_on(&mut self) {
        for (index, generation, hung_up) in std::mem::take(&mut self.unread) {
            self.receive(index, generation, hung_up);
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
            Incoming::Part => self.prompt = true,
            Incoming::Complete if connection.open.is_none() => self.close(index),
            Incoming::Complete => self.answered(index, hung_up),
            Incoming::Plenty => self.unread.push((index, generation, hung_up)),
            Incoming::Refused(trouble) => self.give_up(index, trouble, Outcome::Unknown),
            Incoming::Ended => self.give_up(index, Trouble::Reset, Outcome::Unknown),
        }
    }

    fn answered(&mut self, index: usize, hung_up: bool) {
        let Some(connection) = &mut self.connections[index] else { return };
        // The age comes first: who loses his core between the two readings finds the answer later than
        // it was, never earlier than it can have been.
        let age = connection.arrived.take().and_then(stamp::age);
        let now_ns = self.now_ns();
        let Some(connection) = &mut self.connections[index] else { return };
        let (Some(response), Some(open)) = (connection.parser.response(), connection.open) else {
            return;
        };
        self.stamped = age.is_some();
        let done_ns = now_ns.saturating_sub(nanos(age.unwrap_or_default())).max(open.sent_ns);
        let judged = self.traffic.judge(&open.job, &response);
        let heard = Heard { status: response.status, wait: response.wait };
        connection.open = None;
        let whole = connection.written == connection.request.len();
        let kept = connection.parser.keep_alive() && !self.traffic.closes();
        let again = kept && whole && !hung_up;
        self.emit(open, done_ns, judged, heard);
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
        let judged = Judged { trouble, ..Judged::plain(outcome) };
        self.emit(open, done_ns, judged, Heard::default());
        self.count_open(done_ns, -1);
    }

    fn close(&mut self, index: usize) {
        if let Some(connection) = self.connections[index].take() {
            self.idle[connection.target].retain(|i| *i != index);
            self.free.push(index);
        }
    }

    pub(super) fn expire(&mut self, now_ns: u64) {
        while let Some(Reverse(first)) = self.deadlines.peek().copied() {
            let stands = self.stands(first);
            if stands && first.at_ns > now_ns {
                break;
            }
            self.deadlines.pop();
            match first {
                _ if !stands => {}
                Deadline { connects: true, index, .. } => {
                    self.not_connected(index, Trouble::ConnectTimeout);
                }
                Deadline { index, .. } => self.give_up(index, Trouble::Timeout, Outcome::Unknown),
            }
        }
        for target in 0..self.targets.len() {
            while self.waits_too_long(target, now_ns) {
                self.fail_waiting(target, Trouble::ConnectTimeout, Outcome::Failed);
            }
        }
    }

    /// Whether what a deadline was set for is still awaited. A connection's later requests have later
    /// deadlines of their own.
    fn stands(&self, deadline: Deadline) -> bool {
        let Some(connection) = &self.connections[deadline.index] else { return false };
        let due = |open: Open| open.sent_ns + nanos(self.pacing.timeout) <= deadline.at_ns;
        let awaited = if deadline.connects {
            !connection.connected
        } else {
            connection.open.is_some_and(due)
        };
        connection.generation == deadline.generation && awaited
    }

    fn waits_too_long(&self, target: usize, now_ns: u64) -> bool {
        let longest = self.waiting[target].front();
        longest.is_some_and(|(open, _)| open.sent_ns + nanos(self.pacing.timeout) <= now_ns)
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
