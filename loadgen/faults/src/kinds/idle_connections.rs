//! Connections that say nothing: a client leaks them, or attacks. Closed at the end.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::bounds::{check_count, check_most};
use crate::kind::{Example, Facts, Kind};
use crate::proof::{PROOF_WITHIN, Proof};
use crate::stage::Scene;
use supervise::http::address;

/// Below the number of ports that one address can connect from.
const COUNT_MAX: u64 = 20_000;
/// A connection that takes longer waits for room in the kernel's queue: there is none.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// The kernel's table is long while many are open.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Of both versions of the protocol: whoever listens to all addresses is in the second.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// The states ESTABLISHED and CLOSE_WAIT in them.
const OPEN: [&str; 2] = ["01", "08"];

/// Connections that say nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdleConnections {
    /// To each process, 1 to 20,000.
    pub count: u32,
}

/// Those to one process.
pub(crate) struct Crowd {
    index: usize,
    address: String,
    held: Vec<TcpStream>,
}

impl Kind for IdleConnections {
    const FACTS: Facts = Facts {
        name: "idle-connections",
        state: "holding idle connections",
        about: "`count` connections are made to where it listens and say nothing; those that it closes are made again",
        seen: "the kernel's table: it has accepted them",
        healed: "they are gone from that table, and it is ready",
        example: Example { parameters: "count = 200", ..Facts::ROLE.example },
        ..Facts::ROLE
    };

    type Held = Vec<Crowd>;

    fn check(&self) -> Result<(), String> {
        check_count(Some(self.count))?;
        check_most("count", self.count.into(), COUNT_MAX)
    }

    /// Nothing is written down first: they end with the harness. Proof: all are accepted, or as many as there
    /// was room for.
    async fn inject(&self, scene: &mut Scene<'_, '_>, held: &mut Vec<Crowd>) -> Proof {
        let running = &mut *scene.stage.running;
        let mut proofs = Vec::new();
        for index in scene.players.iter().copied() {
            running.keeper(index)?;
            running.may_end(index);
            let spec = &running.spec.processes[index];
            let address = address(&spec.ready)?;
            held.push(Crowd { index, address, held: Vec::new() });
            let crowd = held.len() - 1;
            let proof = held[crowd].gather(self.count, PROOF_WITHIN).await;
            proofs.push(format!("{}: {}", spec.name, proof.with_context(|| spec.name.clone())?));
        }
        Ok(proofs.join("; "))
    }

    async fn tend(&self, _: &mut Scene<'_, '_>, held: &mut Vec<Crowd>) {
        for crowd in held {
            crowd.held.retain(is_open);
            crowd.fill(self.count).await;
        }
    }

    async fn heal(&self, scene: &mut Scene<'_, '_>, held: &mut Vec<Crowd>) -> Proof {
        let mut proofs = Vec::new();
        for crowd in held.drain(..) {
            let index = crowd.index;
            proofs.push(crowd.leave().await?);
            scene.stage.running.survived(index);
        }
        Ok(format!("{}; {}", proofs.join("; "), scene.raise().await?))
    }
}

impl Crowd {
    /// Connects, and waits until the process has accepted all, or takes no more.
    async fn gather(&mut self, count: u32, within: Duration) -> Proof {
        let deadline = Instant::now() + within;
        loop {
            self.fill(count).await;
            let ports = self.ports();
            let mut accepted = ends(&self.address)?;
            accepted.retain(|end| end.accepted && ports.contains(&end.client));
            if accepted.len() == count as usize || Instant::now() > deadline {
                let made = self.held.len();
                ensure!(!accepted.is_empty(), "none of {made} connections was accepted");
                return Ok(format!("{} of {count} connections accepted", accepted.len()));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Connects until there are as many as wanted, or there is no room.
    async fn fill(&mut self, count: u32) {
        while self.held.len() < count as usize {
            let connected = timeout(CONNECT_WITHIN, TcpStream::connect(&self.address)).await;
            let Ok(Ok(stream)) = connected else { return };
            self.held.push(stream);
        }
    }

    /// Closes them. Proof: the process has let go of all.
    async fn leave(mut self) -> Proof {
        let ports = self.ports();
        self.held.clear();
        let deadline = Instant::now() + PROOF_WITHIN;
        loop {
            let left = ends(&self.address)?.into_iter().filter(|end| ports.contains(&end.client));
            let (left, made) = (left.count(), ports.len());
            if left == 0 {
                return Ok(format!("{made} connections closed, and gone"));
            }
            ensure!(Instant::now() < deadline, "{left} of {made} closed connections are not gone");
            sleep(LOOK_EVERY).await;
        }
    }

    fn ports(&self) -> BTreeSet<u16> {
        let own = self.held.iter().filter_map(|stream| stream.local_addr().ok());
        own.map(|address| address.port()).collect()
    }
}

/// Whether the other side has not closed it. What it says is not listened to.
fn is_open(stream: &TcpStream) -> bool {
    let mut unheard = [0; 512];
    loop {
        match stream.try_read(&mut unheard) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

/// A connection to a listener, as the kernel has it on the listener's side.
struct End {
    client: u16,
    /// Whether somebody has taken it out of the kernel's queue.
    accepted: bool,
}

/// The open connections to whoever listens at an address. The kernel's table (proc_net_tcp.txt): field 2 is the
/// local address, 3 the remote one, 4 the state, 10 the inode, which is 0 until somebody has accepted.
fn ends(listener: &str) -> anyhow::Result<Vec<End>> {
    let (_, port) = listener.rsplit_once(':').context("an address without a port")?;
    let listener: u16 = port.parse()?;
    let tables = TABLES.iter().filter_map(|table| std::fs::read_to_string(table).ok());
    let end = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, state, _, _, _, _, _, inode, ..] = fields[..] else { return None };
        let open = OPEN.contains(&state) && port_of(local)? == listener;
        open.then_some(End { client: port_of(remote)?, accepted: inode != "0" })
    };
    Ok(tables.flat_map(|table| table.lines().filter_map(end).collect::<Vec<_>>()).collect())
}

fn port_of(address: &str) -> Option<u16> {
    u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::tests::plan;

    fn crowd(listener: &TcpListener) -> Crowd {
        let address = listener.local_addr().unwrap().to_string();
        Crowd { index: 0, address, held: Vec::new() }
    }

    #[tokio::test]
    async fn the_kernel_tells_who_was_accepted_and_who_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut crowd = crowd(&listener);
        crowd.fill(3).await;
        let accepted = [listener.accept().unwrap(), listener.accept().unwrap()];
        // The last step of a handshake may come a moment after the client knows of its connection.
        let mut seen = ends(&crowd.address).unwrap();
        while seen.len() < 3 {
            tokio::task::yield_now().await;
            seen = ends(&crowd.address).unwrap();
        }
        assert_eq!((seen.len(), seen.iter().filter(|end| end.accepted).count()), (3, 2));
        let address = crowd.address.clone();
        drop((accepted, listener));
        let told = crowd.leave().await.unwrap();
        assert_eq!(told, "3 connections closed, and gone");
        assert!(ends(&address).unwrap().is_empty());
    }

    #[tokio::test]
    async fn who_accepts_nobody_is_not_harmed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = crowd(&listener).gather(2, Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(error.to_string(), "none of 2 connections was accepted");
    }

    #[tokio::test]
    async fn those_that_are_closed_are_made_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut crowd = crowd(&listener);
        crowd.fill(2).await;
        drop(listener.accept().unwrap());
        while crowd.held.iter().all(is_open) {
            tokio::task::yield_now().await;
        }
        crowd.held.retain(is_open);
        assert_eq!(crowd.held.len(), 1);
        crowd.fill(2).await;
        assert_eq!(crowd.held.len(), 2);
    }

    #[test]
    fn nobody_and_too_many_are_no_number() {
        let told = |count: u32| {
            let text = format!(
                "[[fault]]\nat = \"6s\"\nfor = \"1s\"\nharm = \"orders\"\n\
                 kind = \"idle-connections\"\ncount = {count}\n"
            );
            plan(&text).map(drop).unwrap_err()
        };
        assert!(told(0).contains("count is 0; expected 1 or more"), "{}", told(0));
        assert!(
            told(30_000).contains("count is 30000; expected at most 20000"),
            "{}",
            told(30_000)
        );
    }
}
