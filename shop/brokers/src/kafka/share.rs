//! One member of a share group: what it has acquired, and what becomes of it.
//!
//! A session is a sequence on one connection: a take or a settlement after the other. So that no settlement
//! waits for a take, a take itself does not wait: that something was appended is learnt beside the session.
//! When a session is in doubt its connection ends, and the broker gives back what it held.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex as Turn;
use tokio::time::{Instant, sleep};

use super::batcher::Batcher;
use super::calls::{self, Acquired, Edge, Fate, Place, code, refused};
use super::cluster::{Cluster, LOOK, Whom};
use super::line::Line;
use crate::{Error, Result};

/// How long a take may wait within the session: while others take, little is to be had.
const TAKE_WAIT: Duration = Duration::from_millis(10);
/// Settlements that go together.
const TOGETHER: usize = 512;
/// A member that says nothing for longer than this says that it lives.
const BEAT: Duration = Duration::from_secs(5);

/// A member, and the group and queue that it is of: they have one name.
pub(super) struct Member {
    cluster: Arc<Cluster>,
    queue: String,
    /// How long what was taken is surely ours.
    lease: Duration,
    /// None before the first take, while a request is under way, and when it is in doubt.
    session: Turn<Option<Session>>,
    /// Up to where it is known what was appended.
    seen: Turn<Option<i64>>,
    settling: Batcher<(i64, Fate), ()>,
    held: Mutex<HashMap<i64, Held>>,
}

/// Each session is a new member's: so nothing that is late of another can end it.
struct Session {
    line: Line,
    place: Place,
    member: String,
    /// The number of its next request; 0 if that opens it.
    epoch: i32,
    /// How often this member has said that it lives, as the group counts it, and when it last did.
    life: i32,
    beaten: Option<Instant>,
}

/// One record that is ours.
struct Held {
    times: i16,
    until: Instant,
}

impl Member {
    pub(super) fn new(cluster: Arc<Cluster>, queue: &str, lease: Duration) -> Self {
        Self {
            cluster,
            queue: queue.to_owned(),
            lease,
            session: Turn::default(),
            seen: Turn::default(),
            settling: Batcher::default(),
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<i64, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn begin(&self) -> Result<Session> {
        self.held().clear();
        let place = self.cluster.place(&self.queue).await?;
        let line = self.cluster.connect(Whom::Broker(place.leader)).await?;
        Ok(Session { line, place, member: name(rand::random()), epoch: 0, life: 0, beaten: None })
    }

    /// The session is in doubt.
    fn lost(&self) {
        self.held().clear();
        self.cluster.doubt(&self.queue);
    }

    /// Takes so many records at most, and waits for the first of them for so long.
    pub(super) async fn take(&self, most: u32, wait: Duration) -> Result<Vec<(i64, i16, Bytes)>> {
        let end = Instant::now() + wait;
        loop {
            let over = Instant::now() >= end;
            match self.take_now(most).await? {
                Some(records) if !records.is_empty() || over => return Ok(records),
                Some(_) => self.appended(end).await?,
                None if over => {
                    return Err(refused(
                        code::UNKNOWN,
                        &self.handing_out(),
                        "its share is not begun",
                    ));
                }
                None => sleep(LOOK).await,
            }
        }
    }

    /// None if the broker cannot say yet what this queue's share has: the next take begins a session anew.
    async fn take_now(&self, most: u32) -> Result<Option<Vec<(i64, i16, Bytes)>>> {
        let acquired = {
            let mut session = self.session.lock().await;
            // A call that is dropped takes the session along: then it begins anew.
            let taken = match session.take() {
                Some(session) => self.take_in(session, most).await,
                None => match self.begin().await {
                    Ok(session) => self.take_in(session, most).await,
                    Err(error) => Err(error),
                },
            };
            let Some((kept, acquired)) = taken.inspect_err(|_| self.lost())? else {
                return Ok(None);
            };
            *session = Some(kept);
            acquired
        };
        Ok(Some(self.sort(acquired).await))
    }

    async fn take_in(
        &self,
        mut session: Session,
        most: u32,
    ) -> Result<Option<(Session, Acquired)>> {
        self.live(&mut session).await?;
        let asked = calls::take(self.turn(&session), session.place.id, most, TAKE_WAIT);
        session.line.send(&asked).await?;
        session.epoch = next(session.epoch);
        match calls::read_take(&mut session.line.answer(TAKE_WAIT).await?)? {
            (code::NONE, acquired) => Ok(Some((session, acquired))),
            // So it answers who comes before the group has begun this share; its own client asks again, too.
            (code::UNKNOWN, _) => Ok(None),
            (code, _) => Err(refused(code, &self.handing_out(), "")),
        }
    }

    fn handing_out(&self) -> String {
        format!("to hand out of {}", self.queue)
    }

    fn turn<'a>(&'a self, session: &'a Session) -> calls::Turn<'a> {
        calls::Turn { group: &self.queue, member: &session.member, epoch: session.epoch }
    }

    /// Waits until something was appended, but not for longer than this.
    async fn appended(&self, end: Instant) -> Result<()> {
        let mut seen = self.seen.lock().await;
        let from = match *seen {
            Some(from) => from,
            None => {
                self.cluster
                    .ask_leader(&self.queue, &calls::edge(&self.queue, Edge::End), calls::read_edge)
                    .await?
            }
        };
        let wait = end.saturating_duration_since(Instant::now());
        let asked = calls::fetch(&self.queue, from, 1, wait);
        let told =
            self.cluster.ask_leader_patiently(&self.queue, &asked, wait, calls::read_fetch).await;
        // A queue that lost all ends before where we were.
        *seen = told.as_ref().ok().map(|(end, _)| *end);
        told.map(drop)
    }

    /// Notes what is ours now; what is no record is done with.
    async fn sort(&self, acquired: Acquired) -> Vec<(i64, i16, Bytes)> {
        let (now, mut records) = (Instant::now(), Vec::new());
        let mut gaps = Vec::new();
        {
            let mut held = self.held();
            held.retain(|_, held| held.until > now);
            for (offset, times, body) in acquired.records {
                match body {
                    Some(body) => {
                        held.insert(offset, Held { times, until: now + self.lease });
                        records.push((offset, times, body));
                    }
                    None => gaps.push(offset),
                }
            }
        }
        for gap in gaps {
            // If it is not done with now, it comes again and is.
            let _ = self.settle(gap, Fate::Gap).await;
        }
        records
    }

    /// Whether this delivery is ours, as far as we know.
    pub(super) fn holds(&self, offset: i64, times: i16) -> bool {
        let now = Instant::now();
        self.held().get(&offset).is_some_and(|held| held.times == times && held.until > now)
    }

    /// Ends a delivery. Errors: `Fenced`.
    pub(super) async fn done(&self, offset: i64, times: i16) -> Result<()> {
        if !self.holds(offset, times) {
            return Err(Error::Fenced);
        }
        let settled = self.settle(offset, Fate::Done).await;
        if matches!(settled, Ok(()) | Err(Error::Fenced)) {
            self.held().remove(&offset);
        }
        settled
    }

    /// Lets a lease last anew. Errors: `Fenced`.
    pub(super) async fn renew(&self, offset: i64, times: i16) -> Result<()> {
        if !self.holds(offset, times) {
            return Err(Error::Fenced);
        }
        let asked = Instant::now();
        let renewed = self.settle(offset, Fate::Renewed).await;
        match &renewed {
            Ok(()) => {
                if let Some(held) = self.held().get_mut(&offset) {
                    held.until = asked + self.lease;
                }
            }
            Err(Error::Fenced) => drop(self.held().remove(&offset)),
            Err(_) => {}
        }
        renewed
    }

    async fn settle(&self, offset: i64, fate: Fate) -> Result<()> {
        let fit = |waiting: &[_]| waiting.len().min(TOGETHER);
        self.settling.go((offset, fate), fit, |all| self.settle_all(all)).await
    }

    /// Places stand in a request once each and in their sequence, else all of it is refused.
    async fn settle_all(&self, all: Vec<(i64, Fate)>) -> Vec<Result<()>> {
        let mut outcomes = vec![Ok(()); all.len()];
        let mut left: Vec<usize> = (0..all.len()).collect();
        left.sort_by_key(|index| all[*index].0);
        while !left.is_empty() {
            let (mut now, mut later) = (Vec::<usize>::new(), Vec::new());
            for index in left {
                let is_next = now.last().is_none_or(|last| all[*last].0 < all[index].0);
                if is_next { now.push(index) } else { later.push(index) }
            }
            self.settle_sorted(&all, &now, &mut outcomes).await;
            left = later;
        }
        outcomes
    }

    /// A broker refuses all of a request for one that is not ours: then each half goes by itself.
    async fn settle_sorted(&self, all: &[(i64, Fate)], now: &[usize], outcomes: &mut [Result<()>]) {
        let mut parts = Vec::from([(0, now.len())]);
        while let Some((first, end)) = parts.pop() {
            let fates: Vec<_> = now[first..end].iter().map(|index| all[*index]).collect();
            let outcome = self.settle_together(&fates).await;
            if outcome == Err(Error::Fenced) && end - first > 1 {
                let middle = first.midpoint(end);
                parts.extend([(first, middle), (middle, end)]);
                continue;
            }
            for index in &now[first..end] {
                outcomes[*index] = outcome.clone();
            }
        }
    }

    async fn settle_together(&self, fates: &[(i64, Fate)]) -> Result<()> {
        let mut session = self.session.lock().await;
        // What was held of the one before is nobody's.
        let Some(mut now) = session.take() else { return Err(Error::Fenced) };
        let asked = calls::settle(self.turn(&now), now.place.id, fates);
        let answered = now.line.ask(&asked).await;
        let code = answered.and_then(|mut answer| calls::read_settle(&mut answer));
        match code.inspect_err(|_| self.lost())? {
            code @ (code::NONE | code::INVALID_RECORD_STATE) => {
                now.epoch = next(now.epoch);
                *session = Some(now);
                if code == code::NONE { Ok(()) } else { Err(Error::Fenced) }
            }
            code => {
                self.lost();
                Err(refused(code, &format!("to settle in {}", self.queue), ""))
            }
        }
    }

    /// Joins its group, or says that it lives, if it is time.
    async fn live(&self, session: &mut Session) -> Result<()> {
        if session.beaten.is_some_and(|beaten| beaten.elapsed() < BEAT) {
            return Ok(());
        }
        let beat = calls::heartbeat(&self.queue, &session.member, session.life, &self.queue);
        session.life = self.cluster.ask_keeper(&self.queue, &beat, calls::read_heartbeat).await?;
        session.beaten = Some(Instant::now());
        Ok(())
    }
}

/// After the largest number comes the first that opens nothing.
fn next(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

/// A name of a member: 16 bytes, as Kafka writes them.
fn name(bytes: [u8; 16]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = u128::from_be_bytes(bytes);
    let letter = |place: u32| {
        // 22 letters of six bits: the last has two bits of ours.
        let shift = 122_i32 - 6 * place as i32;
        let six = if shift >= 0 { bits >> shift } else { bits << -shift };
        char::from(LETTERS[(six & 63) as usize])
    };
    (0..22).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_base64_without_padding() {
        assert_eq!(name([0; 16]), "A".repeat(22));
        assert_eq!(name([255; 16]), format!("{}w", "_".repeat(21)));
        assert_eq!(name(*b"0123456789abcdef"), "MDEyMzQ1Njc4OWFiY2RlZg");
    }
}
