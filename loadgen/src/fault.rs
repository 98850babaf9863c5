//! Faults: harm to the processes of a running system, with proof of effect and certain undo.
//!
//! One task owns the system and walks the timeline, so that no two hands touch a process.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::attack::Gauges;
use crate::config::Span;
use crate::launch::Running;
use crate::record::FaultRow;
use crate::scenario::{FaultKind, FaultSpec, Provider};
use crate::watch::{Watch, process_state};

const PROOF_WITHIN: Duration = Duration::from_secs(2);
const PROOF_POLL: Duration = Duration::from_millis(2);
/// Lets the watcher read a process's account before it is gone.
const LAST_LOOK: Duration = Duration::from_millis(50);

/// Everything a fault needs to know of the trial.
pub struct Stage<'a> {
    /// The harmed system.
    pub running: &'a mut Running,
    /// The provider's settings when it is not harmed.
    pub provider: &'a Provider,
    /// Guards the provider's control endpoint.
    pub control_token: &'a str,
    /// Tells how many requests are open.
    pub gauges: Arc<Gauges>,
    /// Samples resources.
    pub watch: &'a Watch,
    /// Second 0.
    pub start: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Inject,
    Heal,
}

/// Walks the timeline of faults; returns what happened. When `ended` becomes true, all that is
/// still harmed is healed at once and nothing further is injected.
pub async fn walk(
    mut stage: Stage<'_>,
    faults: &[FaultSpec],
    mut ended: watch::Receiver<bool>,
) -> Vec<FaultRow> {
    let mut steps: Vec<(Span, usize, Step)> = Vec::new();
    for (index, fault) in faults.iter().enumerate() {
        steps.push((fault.at, index, Step::Inject));
        steps.push((Span(fault.at.0 + fault.lasts.0), index, Step::Heal));
    }
    steps.sort_by_key(|(at, ..)| *at);
    let mut rows: Vec<FaultRow> = faults.iter().map(|f| stage.row(f)).collect();
    for (at, index, step) in steps {
        tokio::select! {
            () = sleep_until(stage.start + at.0) => {}
            _ = ended.wait_for(|ended| *ended) => {}
        }
        let (fault, row) = (&faults[index], &mut rows[index]);
        let injected = row.in_flight_at_onset != u64::MAX;
        match step {
            Step::Inject if *ended.borrow() => {
                row.effect_proof = "not injected: the load ended".to_owned()
            }
            Step::Inject => stage.inject(fault, row).await,
            Step::Heal if injected => stage.heal(fault, row).await,
            Step::Heal => {}
        }
    }
    for row in &mut rows {
        if row.in_flight_at_onset == u64::MAX {
            row.in_flight_at_onset = 0;
        }
    }
    rows
}

impl Stage<'_> {
    /// A row for a fault that has not happened: marked by an impossible number in flight.
    fn row(&self, fault: &FaultSpec) -> FaultRow {
        let players = self.running.spec.players(&fault.harm);
        let names: Vec<&str> =
            players.iter().map(|i| self.running.spec.processes[*i].name.as_str()).collect();
        FaultRow {
            kind: fault.kind.as_str().to_owned(),
            harm: fault.harm.clone(),
            processes: names.join(" "),
            commanded_s: fault.at.as_s(),
            in_flight_at_onset: u64::MAX,
            ..FaultRow::default()
        }
    }

    fn now_s(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    async fn inject(&mut self, fault: &FaultSpec, row: &mut FaultRow) {
        if fault.kind == FaultKind::Kill {
            self.watch.look();
            sleep(LAST_LOOK).await;
        }
        row.in_flight_at_onset = self.gauges.in_flight.load(Ordering::Relaxed);
        row.commanded_s = self.now_s();
        let proof = match fault.kind {
            FaultKind::Kill => self.kill(&fault.harm).await,
            FaultKind::Pause => self.pause(&fault.harm, Signal::STOP, true).await,
            FaultKind::Provider => self.set_provider(&self.harmed(fault)).await,
        };
        match proof {
            Ok(proof) => {
                row.effective_s = Some(self.now_s());
                row.effect_proof = proof;
            }
            Err(error) => row.effect_proof = format!("no effect seen: {error:#}"),
        }
    }

    async fn heal(&mut self, fault: &FaultSpec, row: &mut FaultRow) {
        row.heal_commanded_s = Some(self.now_s());
        let proof = match fault.kind {
            FaultKind::Kill => self.restart(&fault.harm).await,
            FaultKind::Pause => self.pause(&fault.harm, Signal::CONT, false).await,
            FaultKind::Provider => self.set_provider(self.provider).await,
        };
        match proof {
            Ok(proof) => {
                row.healed_s = Some(self.now_s());
                row.heal_proof = proof;
            }
            Err(error) => row.heal_proof = format!("not healed: {error:#}"),
        }
    }

    async fn kill(&mut self, role: &str) -> anyhow::Result<String> {
        let mut proofs = Vec::new();
        for index in self.running.spec.players(role) {
            let status = self.running.kill(index).await?;
            let spec = &self.running.spec.processes[index];
            let address = address(&spec.ready)?;
            if TcpStream::connect(&address).await.is_ok() {
                bail!("{} ended ({status}), but {address} still accepts connections", spec.name);
            }
            proofs.push(format!("{}: {status}, connection refused", spec.name));
        }
        Ok(proofs.join("; "))
    }

    async fn restart(&mut self, role: &str) -> anyhow::Result<String> {
        let players = self.running.spec.players(role);
        let mut proofs = Vec::new();
        let mut failure = None;
        for index in players {
            let name = self.running.spec.processes[index].name.clone();
            match self.running.launch(index).await {
                Ok(()) => proofs.push(format!("{name}: ready")),
                // The others are healed all the same.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if role == "provider" {
            // Its settings were in its memory.
            proofs.push(self.set_provider(self.provider).await?);
        }
        failure.map_or_else(|| Ok(proofs.join("; ")), Err)
    }

    async fn pause(&mut self, role: &str, signal: Signal, stopped: bool) -> anyhow::Result<String> {
        let players = self.running.spec.players(role);
        // All of them before any proof: one may need another to be ready.
        let sent: Vec<anyhow::Result<u32>> =
            players.iter().map(|index| self.running.signal(*index, signal)).collect();
        let mut proofs = Vec::new();
        for (index, pid) in players.into_iter().zip(sent) {
            let name = self.running.spec.processes[index].name.clone();
            let state = timeout(PROOF_WITHIN, await_state(pid?, stopped))
                .await
                .with_context(|| format!("{name} did not change its state"))?;
            if !stopped {
                self.await_ready(index)
                    .await
                    .with_context(|| format!("{name} runs again, but is not ready"))?;
            }
            proofs.push(format!("{name}: state {state}"));
        }
        Ok(proofs.join("; "))
    }

    async fn await_ready(&self, index: usize) -> anyhow::Result<()> {
        let ready = async {
            while !self.running.is_ready(index).await {
                sleep(PROOF_POLL).await;
            }
        };
        Ok(timeout(PROOF_WITHIN, ready).await?)
    }

    fn harmed(&self, fault: &FaultSpec) -> Provider {
        Provider {
            latency: fault.latency.unwrap_or(self.provider.latency),
            decline_rate: fault.decline_rate.unwrap_or(self.provider.decline_rate),
            error_rate: fault.error_rate.unwrap_or(self.provider.error_rate),
            mode: self.provider.mode,
        }
    }

    async fn set_provider(&self, settings: &Provider) -> anyhow::Result<String> {
        set_provider(&self.running.spec.entry.provider, self.control_token, settings).await
    }
}

/// Gives the provider its settings and reads them back.
///
/// # Errors
/// If it does not take them.
pub async fn set_provider(base: &str, token: &str, settings: &Provider) -> anyhow::Result<String> {
    let http = reqwest::Client::builder().timeout(PROOF_WITHIN).build()?;
    let url = format!("{base}/control");
    let answer = http.patch(&url).bearer_auth(token).json(settings).send().await?;
    let status = answer.status();
    if !status.is_success() {
        bail!("PATCH {url} answered {status}: {}", answer.text().await.unwrap_or_default());
    }
    let read: serde_json::Value =
        http.get(&url).bearer_auth(token).send().await?.error_for_status()?.json().await?;
    let wanted = serde_json::to_value(settings)?;
    for (key, value) in wanted.as_object().into_iter().flatten() {
        if read.get(key) != Some(value) {
            bail!("the provider's {key} is {:?} after it was set to {value}", read.get(key));
        }
    }
    Ok(format!("read back: {wanted}"))
}

async fn await_state(pid: u32, stopped: bool) -> char {
    loop {
        match process_state(pid) {
            Some(state) if (state == 'T') == stopped => return state,
            _ => sleep(PROOF_POLL).await,
        }
    }
}

/// host:port of a URL.
pub(crate) fn address(url: &str) -> anyhow::Result<String> {
    let url = reqwest::Url::parse(url).with_context(|| format!("{url:?} is not a URL"))?;
    let host = url.host_str().context("a URL without a host")?;
    let port = url.port_or_known_default().context("a URL without a port")?;
    Ok(format!("{host}:{port}"))
}
