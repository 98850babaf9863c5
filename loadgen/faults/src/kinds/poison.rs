//! Poison: orders that the code which charges cannot bear, sent to a system that has the defect. It
//! is healed as such defects are: by starting the program again without it.

use std::time::Duration;

use anyhow::ensure;
use reqwest::StatusCode;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::bounds::{check_count, check_most};
use crate::kind::{Example, Facts, Kind, Targets};
use crate::process::{Processes, await_ready, last_look};
use crate::proof::{PROOF_POLL, Proof};
use crate::stage::{Poisoner, Scene};
use record::{Attempt, Operation, Outcome, Receipt, Trouble, files, poisoned, write_table};
use scenario::system::SystemSpec;
use supervise::asking;

/// The environment variable that puts the defect into a process.
const ARMED: &str = "TRIPTYCH_POISON";
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// Behind a queue an order is met later than it is answered; after an abort, after a start.
const MET_WITHIN: Duration = Duration::from_secs(8);
const COUNT_MAX: u64 = 100;
const CENTS: i64 = 100;
const BYTES_MAX: usize = 64 * 1024;

/// Orders that its code cannot bear; started again without the defect at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poison {
    /// How many, 1 to 100.
    pub count: u32,
    /// What each does to whoever charges it.
    pub effect: Effect,
}

/// What a poisonous order does to whoever charges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The charge fails.
    Error,
    /// Its handler panics.
    Panic,
    /// Its process aborts.
    Abort,
}

impl Effect {
    /// The word in the scenario file, and behind `poison-` on the card.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Abort => "abort",
        }
    }
}

impl Kind for Poison {
    const FACTS: Facts = Facts {
        name: "poison",
        targets: Targets::Only("payments", ", which charges"),
        // The first one's heal takes the defect out, for good.
        once: true,
        state: "sent poison",
        about: "`count` orders that the code which charges cannot bear: `effect` is \"error\", \"panic\" or \"abort\"; started again without that defect at the end; one at most in a scenario",
        seen: "the log of whoever charges; for an abort also SIGABRT",
        healed: "it is ready without the defect",
        example: Example {
            target: "payments",
            lasts: "2s",
            parameters: "count = 2\neffect = \"abort\"",
        },
        ..Facts::ROLE
    };

    type Held = Aborted;

    fn check(&self) -> Result<(), String> {
        check_count(Some(self.count))?;
        check_most("count", self.count.into(), COUNT_MAX)
    }

    /// Every process has the defect from its start.
    fn equip(&self, system: &mut SystemSpec) {
        for process in &mut system.processes {
            process.env.insert(ARMED.to_owned(), "1".to_owned());
        }
    }

    fn orders(&self) -> u32 {
        self.count
    }

    /// Places the orders, and starts again who ends of them. Proof: their answers, the log of
    /// whoever charges (which names each that it met), and of an abort the end by SIGABRT.
    async fn inject(&self, scene: &mut Scene<'_, '_>, held: &mut Aborted) -> Proof {
        last_look(scene.stage).await;
        let (poisoner, folder) = (scene.stage.poisoner.clone(), scene.stage.folder);
        let mut processes = Processes::of(scene);
        let url = format!("{}/orders", processes.running.spec.entry.orders.first());
        let mut attempts = Vec::new();
        for n in 0..self.count {
            attempts.push(poisoner.place(&url, n, self.effect).await?);
            // Of a crash, too: an attempt that was made is in the record.
            write_table(&folder.join(files::POISONED), &attempts)?;
            let key = poisoned::key(&poisoner.key_prefix, n);
            self.await_met(&key, &mut processes, held).await?;
        }
        let answers: Vec<String> = attempts.iter().map(|a| a.status.to_string()).collect();
        let ends = held.join(", ");
        let count = attempts.len();
        Ok(format!("{count} met by payments; answered {} (0: none); {ends}", answers.join(" ")))
    }

    async fn tend(&self, scene: &mut Scene<'_, '_>, held: &mut Aborted) {
        self.restart(&mut Processes::of(scene), held).await;
    }

    /// Starts them again without the defect. Proof: each is ready; the orders are charged now, or
    /// are dead letters already.
    async fn heal(&self, scene: &mut Scene<'_, '_>, held: &mut Aborted) -> Proof {
        last_look(scene.stage).await;
        let mut processes = Processes::of(scene);
        let mut proofs = Vec::new();
        for index in processes.players.clone() {
            self.aborted(index, &mut processes, held).await;
            let running = &mut *processes.running;
            running.spec.processes[index].env.remove(ARMED);
            let name = running.spec.processes[index].name.clone();
            // Already ended, or not started again yet: then nobody hears it.
            let _ = running.signal(index, Signal::TERM);
            if running.top(index).is_some() && running.await_end(index).await.is_err() {
                running.kill(index).await?;
            }
            running.launch(index).await?;
            await_ready(running, index).await?;
            proofs.push(format!("{name}: ready without the defect"));
        }
        Ok(format!("{}; {} ended by poison", proofs.join("; "), held.len()))
    }
}

/// Processes that aborted of poison, and how they ended.
type Aborted = Vec<String>;

impl Poison {
    /// Waits until an order was met, and of an abort until its process was started again.
    async fn await_met(
        &self,
        key: &str,
        processes: &mut Processes<'_>,
        held: &mut Aborted,
    ) -> anyhow::Result<()> {
        let before = held.len();
        let deadline = Instant::now() + MET_WITHIN;
        while !met(key, processes) || (self.effect == Effect::Abort && held.len() == before) {
            ensure!(Instant::now() < deadline, "nobody met the order {key}");
            self.restart(processes, held).await;
            sleep(PROOF_POLL).await;
        }
        Ok(())
    }

    /// Starts again who has ended. One that meets poison before it is ready is left to the next
    /// call; one that ended of something else is left alone, and makes the trial invalid.
    async fn restart(&self, processes: &mut Processes<'_>, held: &mut Aborted) {
        for index in processes.players.clone() {
            if self.aborted(index, processes, held).await {
                let _ = processes.running.launch(index).await;
            }
        }
    }

    /// Whether a process ended as this poison ends it; then its end is accounted for.
    async fn aborted(
        &self,
        index: usize,
        processes: &mut Processes<'_>,
        held: &mut Aborted,
    ) -> bool {
        let running = &mut *processes.running;
        let ended = running.aborted(index).filter(|_| self.effect == Effect::Abort);
        let Some(status) = ended else { return false };
        if running.await_end(index).await.is_err() {
            return false;
        }
        held.push(format!("{}: {status}", running.spec.processes[index].name));
        true
    }
}

/// Whether the log of one of them names an order.
fn met(key: &str, processes: &Processes<'_>) -> bool {
    let word = format!("poison: {key}");
    processes.players.iter().any(|index| {
        let log = format!("{}.log", processes.running.spec.processes[*index].name);
        // A log may hold any bytes.
        let text = std::fs::read(processes.running.logs().join(log)).unwrap_or_default();
        text.split(|byte| *byte == b'\n').any(|line| line == word.as_bytes())
    })
}

impl Poisoner {
    /// Places one; whatever comes back is an attempt of the record.
    async fn place(&self, url: &str, n: u32, effect: Effect) -> anyhow::Result<Attempt> {
        let key = poisoned::key(&self.key_prefix, n);
        let item = json!({"sku": "tea", "quantity": 1, "price_cents": CENTS});
        let body = json!({"items": [item], "card": format!("poison-{}", effect.as_str())});
        let http = supervise::http::client(ANSWERS_WITHIN)?;
        let request = http.post(url).bearer_auth(&self.token).header("idempotency-key", &key);
        let sent_ns = self.now_ns();
        let mut attempt = Attempt {
            seq: u64::from(n),
            key,
            operation: Operation::Place,
            amount_cents: CENTS,
            intended_ns: sent_ns,
            sent_ns,
            outcome: Outcome::Unknown,
            ..Attempt::default()
        };
        match asking::ask(request.json(&body), BYTES_MAX).await {
            Ok((status, body)) => {
                attempt.status = status.as_u16();
                let order = serde_json::from_slice::<Value>(&body).ok();
                let state = order.as_ref().and_then(|order| order["status"].as_str());
                let receipt = state.filter(|_| status.is_success()).and_then(Receipt::parse);
                attempt.receipt = receipt.unwrap_or_default();
                attempt.outcome = outcome(status, attempt.receipt.is_told());
            }
            Err(error)
                if error.downcast_ref::<reqwest::Error>().is_some_and(|e| e.is_connect()) =>
            {
                (attempt.outcome, attempt.trouble) = (Outcome::Failed, Trouble::Refused);
            }
            Err(_) => attempt.trouble = Trouble::Reset,
        }
        attempt.done_ns = self.now_ns();
        Ok(attempt)
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// As of the load: a server's error may hide an effect, a refusal does not.
fn outcome(status: StatusCode, readable: bool) -> Outcome {
    match status {
        _ if status.is_success() && readable => Outcome::Ok,
        _ if status.is_client_error() => Outcome::Failed,
        _ => Outcome::Unknown,
    }
}
