//! Poison: orders that the code which charges cannot bear, sent to a system that has the defect. It
//! is healed as such defects are: by starting the program again without it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::process::await_ready;
use super::{Held, PROOF_POLL, Stage};
use crate::asking;
use crate::launch::Running;
use crate::record::files;
use crate::record::{Attempt, poisoned, write_table};
use crate::scenario::{Effect, FaultKind, FaultSpec};
use crate::system::SystemSpec;

/// The environment variable that puts the defect into a process.
const ARMED: &str = "TRIPTYCH_POISON";
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// Behind a queue an order is met later than it is answered; after an abort, after a start.
const MET_WITHIN: Duration = Duration::from_secs(8);
const CENTS: i64 = 100;
const BYTES_MAX: usize = 64 * 1024;

/// A system as a trial needs it: with a poison fault, every process has the defect from its start.
#[must_use]
pub fn equip(mut system: SystemSpec, faults: &[FaultSpec]) -> SystemSpec {
    if faults.iter().any(|fault| fault.kind == FaultKind::Poison) {
        for process in &mut system.processes {
            process.env.insert(ARMED.to_owned(), "1".to_owned());
        }
    }
    system
}

/// Who places poisonous orders: the first customer.
#[derive(Clone)]
pub struct Poisoner {
    /// The trial's folder, where the attempts are recorded.
    pub folder: PathBuf,
    /// What the trial's keys begin with.
    pub key_prefix: String,
    /// The customer's.
    pub token: String,
    /// Second 0.
    pub start: Instant,
}

impl Poisoner {
    /// Places one; whatever comes back is an attempt of the record.
    async fn place(&self, url: &str, n: u32, effect: Effect) -> anyhow::Result<Attempt> {
        let key = poisoned::key(&self.key_prefix, n);
        let item = json!({"sku": "tea", "quantity": 1, "price_cents": CENTS});
        let body = json!({"items": [item], "card": format!("poison-{}", effect.as_str())});
        let http = crate::http::client(ANSWERS_WITHIN)?;
        let request = http.post(url).bearer_auth(&self.token).header("idempotency-key", &key);
        let sent_ns = self.now_ns();
        let mut attempt = Attempt {
            seq: u64::from(n),
            key,
            operation: "place".to_owned(),
            amount_cents: CENTS,
            intended_ns: sent_ns,
            sent_ns,
            outcome: "unknown".to_owned(),
            ..Attempt::default()
        };
        match asking::ask(request.json(&body), BYTES_MAX).await {
            Ok((status, body)) => {
                attempt.status = status.as_u16();
                let order = serde_json::from_slice::<Value>(&body).ok();
                let state = order.as_ref().and_then(|order| order["status"].as_str());
                attempt.receipt = state.filter(|_| status.is_success()).unwrap_or("").to_owned();
                attempt.outcome = outcome(status, !attempt.receipt.is_empty()).to_owned();
            }
            Err(error)
                if error.downcast_ref::<reqwest::Error>().is_some_and(|e| e.is_connect()) =>
            {
                (attempt.outcome, attempt.trouble) = ("failed".to_owned(), "refused".to_owned());
            }
            Err(_) => attempt.trouble = "reset".to_owned(),
        }
        attempt.done_ns = self.now_ns();
        Ok(attempt)
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// As of the load: a server's error may hide an effect, a refusal does not.
fn outcome(status: StatusCode, readable: bool) -> &'static str {
    match status {
        _ if status.is_success() && readable => "ok",
        _ if status.is_client_error() => "failed",
        _ => "unknown",
    }
}

/// The processes that charge, with the defect in them.
pub(super) struct Defect<'a> {
    running: &'a mut Running,
    players: Vec<usize>,
    fault: &'a FaultSpec,
}

impl<'a> Defect<'a> {
    pub(super) fn of(stage: &'a mut Stage<'_>, fault: &'a FaultSpec) -> Self {
        let players = stage.running.spec.players(&fault.harm);
        Self { running: stage.running, players, fault }
    }

    /// Places the orders, and starts again who ends of them. Proof: their answers, the log of
    /// whoever charges (which names each that it met), and of an abort the end by SIGABRT.
    pub(super) async fn poison(
        mut self,
        poisoner: &Poisoner,
        held: &mut Held,
    ) -> anyhow::Result<String> {
        let effect = self.fault.effect.context("poison without an effect")?;
        let url = format!("{}/orders", self.running.spec.entry.orders);
        held.poisoned = true;
        let mut attempts = Vec::new();
        for n in 0..self.fault.count.unwrap_or(1) {
            attempts.push(poisoner.place(&url, n, effect).await?);
            // Of a crash, too: an attempt that was made is in the record.
            write_table(&poisoner.folder.join(files::POISONED), &attempts)?;
            let key = poisoned::key(&poisoner.key_prefix, n);
            self.await_met(&key, effect, held).await?;
        }
        let answers: Vec<String> = attempts.iter().map(|a| a.status.to_string()).collect();
        let ends = held.aborted.join(", ");
        let count = attempts.len();
        Ok(format!("{count} met by payments; answered {} (0: none); {ends}", answers.join(" ")))
    }

    /// Waits until an order was met, and of an abort until its process was started again.
    async fn await_met(
        &mut self,
        key: &str,
        effect: Effect,
        held: &mut Held,
    ) -> anyhow::Result<()> {
        let before = held.aborted.len();
        let deadline = Instant::now() + MET_WITHIN;
        while !self.met(key) || (effect == Effect::Abort && held.aborted.len() == before) {
            ensure!(Instant::now() < deadline, "nobody met the order {key}");
            self.restart(held).await;
            sleep(PROOF_POLL).await;
        }
        Ok(())
    }

    fn met(&self, key: &str) -> bool {
        let word = format!("poison: {key}");
        self.players.iter().any(|index| {
            let log = format!("{}.log", self.running.spec.processes[*index].name);
            // A log may hold any bytes.
            let text = std::fs::read(self.running.logs().join(log)).unwrap_or_default();
            text.split(|byte| *byte == b'\n').any(|line| line == word.as_bytes())
        })
    }

    /// Starts again who has ended. One that meets poison before it is ready is left to the next
    /// call; one that ended of something else is left alone, and makes the trial invalid.
    pub(super) async fn restart(&mut self, held: &mut Held) {
        for index in self.players.clone() {
            if self.aborted(index, held).await {
                let _ = self.running.launch(index).await;
            }
        }
    }

    /// Whether a process ended as this poison ends it; then its end is accounted for.
    async fn aborted(&mut self, index: usize, held: &mut Held) -> bool {
        let ended = self.running.ended(index).filter(|status| status.contains("SIGABRT"));
        let Some(status) = ended.filter(|_| self.fault.effect == Some(Effect::Abort)) else {
            return false;
        };
        if self.running.await_end(index).await.is_err() {
            return false;
        }
        held.aborted.push(format!("{}: {status}", self.running.spec.processes[index].name));
        true
    }

    /// Starts them again without the defect. Proof: each is ready; the orders are charged now, or
    /// are dead letters already.
    pub(super) async fn mend(mut self, held: &mut Held) -> anyhow::Result<String> {
        let mut proofs = Vec::new();
        for index in self.players.clone() {
            self.aborted(index, held).await;
            self.running.spec.processes[index].env.remove(ARMED);
            let name = self.running.spec.processes[index].name.clone();
            // Already ended, or not started again yet: then nobody hears it.
            let _ = self.running.signal(index, Signal::TERM);
            if self.running.top(index).is_some() && self.running.await_end(index).await.is_err() {
                self.running.kill(index).await?;
            }
            self.running.launch(index).await?;
            await_ready(self.running, index).await?;
            proofs.push(format!("{name}: ready without the defect"));
        }
        held.poisoned = false;
        let ends = held.aborted.len();
        Ok(format!("{}; {ends} ended by poison", proofs.join("; ")))
    }
}
