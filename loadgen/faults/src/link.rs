//! What all faults of links do alike, through the fault proxy: looks from the client's side, what the proxy
//! counts, the heal. What is done, and what proves it, a kind knows.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use super::bounds::check_share;
use super::kind::{Facts, Kind};
use super::proof::{PROOF_POLL, PROOF_WITHIN, Proof};
use super::stage::Scene;
use link_proxy::{Answered, Counts, LinkFault, Links, Probe};
use supervise::http::address;
use supervise::launch::Running;
use supervise::tree::Member;

/// An answer that has not come after this does not come: over loopback it takes a millisecond.
pub(super) const SILENT_FOR: Duration = Duration::from_millis(400);
/// Whatever the answer is, it came through the link; the ready URL would ask other links, too.
const ALIVE: &str = "/healthz";
/// Below this a healed round trip is not told from a busy machine's.
const TELLS_APART: Duration = Duration::from_millis(50);

/// A kind of fault of a link.
pub(super) trait OfLink: Clone + Debug + PartialEq + Serialize + DeserializeOwned {
    /// What is always true of it.
    const FACTS: Facts;

    /// What the proxy is told.
    fn fault(&self) -> LinkFault;

    /// Of connections, or of replies, those that are harmed; all if it is not said.
    fn share(&self) -> Option<f64>;

    /// Whether the other parameters are in their bounds.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Does it; returns the proof of its effect.
    async fn inject(&self, edge: Edge<'_>) -> Proof;
}

impl<K: OfLink> Kind for K {
    const FACTS: Facts = <K as OfLink>::FACTS;

    type Held = Onset;

    fn check(&self) -> Result<(), String> {
        OfLink::check(self)?;
        check_share(self.share())
    }

    async fn inject(&self, scene: &mut Scene<'_, '_>, onset: &mut Onset) -> Proof {
        OfLink::inject(self, Edge::of(scene, self.fault(), self.share(), onset)?).await
    }

    async fn heal(&self, scene: &mut Scene<'_, '_>, onset: &mut Onset) -> Proof {
        Edge::of(scene, self.fault(), self.share(), onset)?.heal().await
    }
}

/// What the link had seen before it was harmed; nothing if it was not.
type Onset = Option<Counts>;

/// A link of the running system.
pub(super) struct Edge<'a> {
    links: &'a mut Links,
    name: String,
    address: String,
    ask: Ask,
    /// Why the upstream cannot answer, if it is harmed itself.
    absent: Option<&'static str>,
    fault: LinkFault,
    share: f64,
    onset: &'a mut Onset,
}

/// What the upstream surely answers.
enum Ask {
    /// A request that asks nobody else, where it listens for HTTP.
    Get { host: String },
    /// The end of a connection.
    HangUp,
}

impl<'a> Edge<'a> {
    /// The link, its harm not yet begun.
    fn of(
        scene: &'a mut Scene<'_, '_>,
        fault: LinkFault,
        share: Option<f64>,
        onset: &'a mut Onset,
    ) -> anyhow::Result<Self> {
        let name = scene.target.link().context("a fault of a link that names none")?.to_owned();
        let running = &mut *scene.stage.running;
        let link = running.spec.links.iter().find(|link| link.name == name);
        let upstream = link.with_context(|| format!("no link {name:?}"))?.upstream.clone();
        let (ask, absent) = upstream_of(running, &upstream);
        let links = running.links.as_mut().context("the links do not go through the proxy")?;
        let address = links.addresses().get(&name).context("a link that is not open")?.clone();
        let share = share.unwrap_or(1.0);
        Ok(Self { links, name, address, ask, absent, fault, share, onset })
    }

    /// Looks by hanging up: whether an end comes through.
    pub(super) fn by_its_end(self) -> Self {
        Self { ask: Ask::HangUp, ..self }
    }

    /// Whether the upstream says nothing but the end of a connection.
    pub(super) fn only_ends(&self) -> bool {
        matches!(self.ask, Ask::HangUp)
    }

    /// Proof: bytes, or ends, had to wait.
    pub(super) async fn until_held(self) -> Proof {
        self.until(SILENT_FOR, |_, seen| counted("arrivals had to wait", seen.held)).await
    }

    /// Passes everything on again. Proof: a look is answered as before, if the upstream can.
    async fn heal(mut self) -> Proof {
        self.links.heal(&self.name).await?;
        let told = format!("{} meanwhile", counts(self.since_onset().await?));
        if let Some(why) = self.absent {
            return Ok(format!("the proxy passes on; the upstream {why}; {told}"));
        }
        let most =
            if self.least().is_zero() { PROOF_WITHIN } else { self.least().max(TELLS_APART) };
        let deadline = Instant::now() + PROOF_WITHIN;
        let mut met = Answered::Not;
        while Instant::now() < deadline {
            met = self.look(PROOF_WITHIN).await;
            match met {
                Answered::Well(took) if took < most => {
                    return Ok(format!("round trip {} ms; {told}", ms(took)));
                }
                _ => sleep(PROOF_POLL).await,
            }
        }
        bail!("after the heal a look through the link met {met:?}")
    }

    /// The least that a round trip takes while bytes are late.
    pub(super) fn least(&self) -> Duration {
        match self.fault {
            LinkFault::Latency { delay, jitter, direction } => {
                direction.ways() * delay.0.saturating_sub(jitter.0)
            }
            _ => Duration::ZERO,
        }
    }

    /// Looks, then orders the harm. Returns what was met before it.
    async fn begin(&mut self) -> anyhow::Result<String> {
        let met = self.look(PROOF_WITHIN).await;
        let Answered::Well(took) = met else {
            bail!("before the harm a look through the link met {met:?}")
        };
        let counts = self.links.inject(&self.name, self.fault, self.share).await?;
        *self.onset = Some(counts);
        Ok(format!("{} live connections; round trip {} ms before", counts.live, ms(took)))
    }

    /// Injects it, and looks until what a look met, and what the link has seen since the onset, prove it.
    pub(super) async fn until(
        mut self,
        patience: Duration,
        proves: impl Fn(Answered, Counts) -> Option<String>,
    ) -> Proof {
        let before = self.begin().await?;
        let deadline = Instant::now() + PROOF_WITHIN + 2 * self.least();
        loop {
            let met = self.look(patience).await;
            let seen = self.since_onset().await?;
            if let Some(proof) = proves(met, seen) {
                return Ok(format!("{before}; {proof}; a look met {}", words(met)));
            }
            if Instant::now() > deadline {
                bail!("{before}, but the last look met {}; {} since", words(met), counts(seen));
            }
            sleep(PROOF_POLL).await;
        }
    }

    /// What the link has seen since the onset.
    async fn since_onset(&mut self) -> anyhow::Result<Counts> {
        let (now, onset) = (self.links.counts(&self.name).await?, self.onset.unwrap_or_default());
        Ok(Counts {
            reset: now.reset - onset.reset,
            replies_lost: now.replies_lost - onset.replies_lost,
            half_opened: now.half_opened - onset.half_opened,
            held: now.held - onset.held,
            swallowed_bytes: now.swallowed_bytes - onset.swallowed_bytes,
            ..now
        })
    }

    pub(super) async fn look(&self, within: Duration) -> Answered {
        let Ok(probe) = Probe::connect(&self.address).await else { return Answered::Cut };
        match &self.ask {
            Ask::Get { host } => probe.get(host, ALIVE, within).await,
            Ask::HangUp => probe.hang_up(within).await,
        }
    }
}

/// How to ask whoever listens at an address, and why it cannot answer.
fn upstream_of(running: &mut Running, upstream: &str) -> (Ask, Option<&'static str>) {
    let listens = |ready: &str| address(ready).is_ok_and(|address| address == upstream);
    let Some(index) = running.spec.processes.iter().position(|p| listens(&p.ready)) else {
        return (Ask::HangUp, None);
    };
    let states = running.members(index).iter().flat_map(Member::states).collect::<Vec<_>>();
    let stopped = !states.is_empty() && states.iter().all(|state| *state == 'T');
    let absent = match (running.is_up(index), stopped) {
        (false, _) => Some("is down"),
        (true, true) => Some("is stopped"),
        (true, false) => None,
    };
    let is_http = running.spec.processes[index].ready.starts_with("http://");
    let ask = if is_http { Ask::Get { host: upstream.to_owned() } } else { Ask::HangUp };
    (ask, absent)
}

/// The proof that lies in a count.
pub(super) fn counted(what: &str, times: u64) -> Option<String> {
    (times > 0).then(|| format!("{times} {what}"))
}

/// What happened to a link, for a message.
fn counts(seen: Counts) -> String {
    let Counts { reset, replies_lost, half_opened, held, swallowed_bytes, .. } = seen;
    format!(
        "{reset} connections reset, {half_opened} half-open, {replies_lost} replies lost, {held} arrivals held, \
         {swallowed_bytes} bytes swallowed"
    )
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

fn words(met: Answered) -> String {
    match met {
        Answered::Well(took) => format!("an answer after {} ms", ms(took)),
        Answered::Otherwise => "another answer".to_owned(),
        Answered::Cut => "a reset".to_owned(),
        Answered::Not => "silence".to_owned(),
    }
}
