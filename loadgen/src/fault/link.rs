//! Harm to a link, through the fault proxy; proved by looks through the link from the client's side
//! and by what the proxy counts.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::time::{Instant, sleep};

use super::{Held, PROOF_POLL, PROOF_WITHIN, Stage};
use crate::http::address;
use crate::launch::Running;
use crate::link::{Answered, Counts, Harm, Links, Probe};
use crate::scenario::FaultSpec;
use crate::tree::Member;

/// An answer that has not come after this does not come: over loopback it takes a millisecond.
const SILENT_FOR: Duration = Duration::from_millis(400);
/// Whatever the answer is, it came through the link; the ready URL would ask other links, too.
const ALIVE: &str = "/healthz";
/// Below this a healed round trip is not told from a busy machine's.
const TELLS_APART: Duration = Duration::from_millis(50);

/// Round trips before bytes are late.
const LOOKS_BEFORE: u32 = 3;

/// A link of the running system.
pub(super) struct Edge<'a> {
    links: &'a mut Links,
    name: String,
    address: String,
    ask: Ask,
    /// Why the upstream cannot answer, if it is harmed itself.
    absent: Option<&'static str>,
    harm: Harm,
    share: f64,
    onset: &'a mut Option<Counts>,
}

/// What the upstream surely answers.
enum Ask {
    /// A request that asks nobody else, where it listens for HTTP.
    Get { host: String },
    /// The end of a connection.
    HangUp,
}

impl<'a> Edge<'a> {
    pub(super) fn of(
        stage: &'a mut Stage<'_>,
        fault: &FaultSpec,
        held: &'a mut Held,
    ) -> anyhow::Result<Self> {
        let name = fault.link().context("a fault of a link that names none")?.to_owned();
        let harm = fault.link_harm().context("a kind that is not done to links")?;
        let running = &mut *stage.running;
        let link = running.spec.links.iter().find(|link| link.name == name);
        let upstream = link.with_context(|| format!("no link {name:?}"))?.upstream.clone();
        let (ask, absent) = upstream_of(running, &upstream);
        let links = running.links.as_mut().context("the links do not go through the proxy")?;
        let address = links.addresses().get(&name).context("a link that is not open")?.clone();
        let share = fault.share.unwrap_or(1.0);
        let onset = &mut held.link;
        Ok(Self { links, name, address, ask, absent, harm, share, onset })
    }

    /// Proof: bytes had to wait, and a round trip took as long as it must and longer than before.
    pub(super) async fn latency(mut self) -> anyhow::Result<String> {
        let least = self.least();
        let usual = self.usual().await;
        let before = self.begin().await?;
        let deadline = Instant::now() + PROOF_WITHIN + 2 * least;
        while Instant::now() < deadline {
            let met = self.look(PROOF_WITHIN + 4 * least).await;
            let held = self.since_onset().await?.held;
            if let Answered::Well(took) = met
                && is_late(took, least, usual, held)
            {
                return Ok(format!(
                    "{before}, {} ms during; {held} arrivals had to wait",
                    ms(took)
                ));
            }
        }
        bail!("{before}, but none took {} ms, more than before, while bytes had to wait", ms(least))
    }

    /// Proof: bytes had to wait.
    pub(super) async fn bandwidth(self) -> anyhow::Result<String> {
        self.until(SILENT_FOR, |now, onset| counted("arrivals had to wait", now.held, onset.held))
            .await
    }

    /// Proof: bytes were swallowed, and a look met silence.
    pub(super) async fn black_hole(mut self) -> anyhow::Result<String> {
        let before = self.begin().await?;
        let deadline = Instant::now() + PROOF_WITHIN;
        while Instant::now() < deadline {
            let met = self.look(SILENT_FOR).await;
            let swallowed = self.since_onset().await?.swallowed_bytes;
            if met == Answered::Not && (swallowed > 0 || matches!(self.ask, Ask::HangUp)) {
                let silent = ms(SILENT_FOR);
                return Ok(format!(
                    "{before}, silence for {silent} ms; {swallowed} bytes swallowed"
                ));
            }
        }
        bail!("{before}, and still answers")
    }

    /// Proof: a look was cut, and the proxy counts it.
    pub(super) async fn reset(mut self) -> anyhow::Result<String> {
        let before = self.begin().await?;
        let deadline = Instant::now() + PROOF_WITHIN;
        while Instant::now() < deadline {
            let met = self.look(PROOF_WITHIN).await;
            let reset = self.since_onset().await?.reset;
            if met == Answered::Cut && reset > 0 {
                return Ok(format!("{before}, then reset; {reset} connections reset"));
            }
        }
        bail!("{before}, and no look was reset")
    }

    /// Proof: replies were lost, of customers or of looks.
    pub(super) async fn reply_lost(self) -> anyhow::Result<String> {
        self.until(PROOF_WITHIN, |now, onset| {
            counted("replies lost", now.replies_lost, onset.replies_lost)
        })
        .await
    }

    /// Proof: connections were closed on the upstream's side alone, and a new one works.
    pub(super) async fn half_open(mut self) -> anyhow::Result<String> {
        let before = self.begin().await?;
        let met = self.look(PROOF_WITHIN).await;
        let half_opened = self.since_onset().await?.half_opened;
        ensure!(half_opened > 0, "{before}, but no connection was open to be closed half");
        ensure!(matches!(met, Answered::Well(_)), "{before}, but a new connection met {met:?}");
        Ok(format!("{before}; {half_opened} connections half-open, a new one answers"))
    }

    /// Proof: an end had to wait.
    pub(super) async fn slow_close(mut self) -> anyhow::Result<String> {
        self.ask = Ask::HangUp;
        self.bandwidth().await
    }

    /// Proof: bytes had to wait.
    pub(super) async fn slice(self) -> anyhow::Result<String> {
        self.bandwidth().await
    }

    /// Passes everything on again. Proof: a look is answered as before, if the upstream can.
    pub(super) async fn heal(mut self) -> anyhow::Result<String> {
        self.links.heal(&self.name).await?;
        let seen = self.since_onset().await?;
        let told = format!(
            "{} connections reset, {} replies lost, {} bytes swallowed meanwhile",
            seen.reset, seen.replies_lost, seen.swallowed_bytes
        );
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
    fn least(&self) -> Duration {
        match self.harm {
            Harm::Latency { delay, jitter, direction } => {
                direction.ways() * delay.0.saturating_sub(jitter.0)
            }
            _ => Duration::ZERO,
        }
    }

    /// The least round trip of some looks before the harm: one alone may meet a busy machine.
    async fn usual(&self) -> Option<Duration> {
        let mut usual = None;
        for _ in 0..LOOKS_BEFORE {
            if let Answered::Well(took) = self.look(PROOF_WITHIN).await {
                usual = Some(usual.map_or(took, |least: Duration| least.min(took)));
            }
        }
        usual
    }

    /// Looks, then orders the harm. Returns what was met before it.
    async fn begin(&mut self) -> anyhow::Result<String> {
        let met = self.look(PROOF_WITHIN).await;
        let Answered::Well(took) = met else {
            bail!("before the harm a look through the link met {met:?}")
        };
        let counts = self.links.harm(&self.name, self.harm, self.share).await?;
        *self.onset = Some(counts);
        Ok(format!("{} live connections; round trip {} ms before", counts.live, ms(took)))
    }

    /// Harms, and looks until the counts prove it.
    async fn until(
        mut self,
        patience: Duration,
        proves: impl Fn(Counts, Counts) -> Option<String>,
    ) -> anyhow::Result<String> {
        let before = self.begin().await?;
        let deadline = Instant::now() + PROOF_WITHIN;
        while Instant::now() < deadline {
            let met = self.look(patience).await;
            let (now, onset) =
                (self.links.counts(&self.name).await?, self.onset.unwrap_or_default());
            if let Some(proof) = proves(now, onset) {
                return Ok(format!("{before}; {proof}; a look met {}", words(met)));
            }
        }
        bail!("{before}, and nothing was seen of the harm")
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

    async fn look(&self, within: Duration) -> Answered {
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
    (Ask::Get { host: upstream.to_owned() }, absent)
}

/// Whether a look met the lateness: a slow machine delays looks, too, and a look may be outside of
/// the share, but then the proxy holds nothing or the round trip is as before.
fn is_late(took: Duration, least: Duration, usual: Option<Duration>, held: u64) -> bool {
    held > 0 && took >= least && usual.is_some_and(|usual| took > usual)
}

fn counted(what: &str, now: u64, onset: u64) -> Option<String> {
    (now > onset).then(|| format!("{} {what}", now - onset))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(took_ms: u64, usual_ms: Option<u64>, held: u64, expected: bool) {
        let ms = Duration::from_millis;
        assert_eq!(is_late(ms(took_ms), ms(10), usual_ms.map(ms), held), expected);
    }

    #[test]
    fn a_slow_look_alone_proves_no_lateness() {
        check(11, Some(1), 2, true);
        check(9, Some(1), 2, false);
        check(11, Some(1), 0, false);
        check(11, Some(12), 2, false);
        check(11, None, 2, false);
    }
}
