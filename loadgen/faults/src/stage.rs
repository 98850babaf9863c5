//! What faults act on, and what they share: the system under way, who plays, what the undo journal has.

use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use tokio::time::Instant;

use scenario::{Provider, Target};
use supervise::launch::Running;
use supervise::mutex::lock;
use supervise::undo::{Entry, Undo};
use supervise::watch::Watch;
use supervise::witness::{self, Mark};

/// The role of the card network, whose settings are in its memory.
pub(super) const PROVIDER: &str = "provider";

/// Everything a fault needs to know of the trial.
pub struct Stage<'a> {
    /// The harmed system.
    pub running: &'a mut Running,
    /// The provider's settings when it is not harmed.
    pub provider: &'a Provider,
    /// Guards the provider's control endpoint.
    pub control_token: &'a str,
    /// Shows who runs the shop.
    pub operator_token: &'a str,
    /// Tells how many requests are open.
    pub open_requests: &'a (dyn Fn() -> u64 + Sync),
    /// Samples resources.
    pub watch: &'a Watch,
    /// Second 0.
    pub start: Instant,
    /// Where the trial is recorded.
    pub folder: &'a Path,
    /// Places poisonous orders.
    pub poisoner: Poisoner,
    /// How far the card network's journal was, whenever it was about to be harmed.
    pub marks: Arc<Mutex<Vec<Mark>>>,
}

/// Who places poisonous orders: the first customer.
#[derive(Clone)]
pub struct Poisoner {
    /// What the trial's keys begin with.
    pub key_prefix: String,
    /// The customer's.
    pub token: String,
    /// Second 0.
    pub start: Instant,
}

impl Stage<'_> {
    /// Seconds since second 0.
    pub(super) fn now_s(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Who is harmed: processes, or the two ends of a link.
    pub(super) fn names(&self, target: &Target) -> String {
        let spec = &self.running.spec;
        if let Some(link) = spec.links.iter().find(|link| Some(&*link.name) == target.link()) {
            return format!("{} to {}", link.from.join(" "), link.upstream);
        }
        self.named(&spec.harmed(target))
    }

    /// Names of processes.
    pub(super) fn named(&self, players: &[usize]) -> String {
        let processes = &self.running.spec.processes;
        let names: Vec<&str> = players.iter().map(|i| &*processes[*i].name).collect();
        names.join(" ")
    }

    /// Asks the card network how far its journal is, before it cannot tell. A network that does not say is
    /// a doubt at the end.
    pub(super) async fn mark(&self) {
        let base = &self.running.spec.entry.provider;
        if let Ok(mark) = witness::mark(base, self.control_token).await {
            lock(&self.marks).push(mark);
        }
    }
}

/// The stage, and whom a fault harms on it.
pub(super) struct Scene<'a, 's> {
    pub(super) stage: &'a mut Stage<'s>,
    pub(super) target: &'a Target,
    /// The processes that it harms: nobody where it harms a link.
    pub(super) players: &'a [usize],
}

/// Entries of the undo journal, open until the healing is proved.
#[derive(Default)]
pub(super) struct Entries(Vec<Entry>);

impl Entries {
    /// Writes down how something is taken back, before it is done.
    pub(super) fn add(&mut self, running: &Running, undo: Undo) -> anyhow::Result<()> {
        self.0.push(running.undo.before(undo)?);
        Ok(())
    }

    /// It was taken back.
    pub(super) fn close(&mut self, running: &Running) -> anyhow::Result<()> {
        let closed = self.0.drain(..).try_for_each(|entry| running.undo.done(entry));
        closed.context("healed, but the undo journal cannot be written")
    }
}
