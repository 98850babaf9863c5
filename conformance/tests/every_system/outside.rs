//! The card network refuses most charges, then loses half of its answers: every order that was taken
//! settles, and none is charged twice.

use std::time::Duration;

use anyhow::ensure;
use record::Answer as Verdict;
use scenario::{Latency, Provider};

use crate::crash::{Wave, settles_all};
use crate::stand::Stand;

const ORDERS: u64 = 30;
/// So few that most charges of a wave are refused.
const PER_SECOND: u32 = 20;
/// The recovery takes an order up after 5 s; the card network lets 20 a second pass.
const REPAIR: Duration = Duration::from_secs(60);

pub(crate) async fn endure(system: &str) -> anyhow::Result<()> {
    let stand = Stand::start(system).await?;
    let token = stand.shop()?.customer("ann@example.com", "correct horse battery").await?;
    let usual = Provider {
        latency: Latency::Constant { ms: 5.0 },
        decline_rate: 0.1,
        ..Provider::default()
    };
    let mut attempts = Vec::new();
    let refusing = Provider { rate_limit: Some(PER_SECOND), ..usual.clone() };
    let silent = Provider { lost_answers: 0.5, ..usual };
    for (settings, counter) in [(refusing, "provider_limited"), (silent, "provider_answers_lost")] {
        stand.outside_world(&settings).await?;
        let first = attempts.len() as u64;
        let mut wave = Wave::new(stand.shop()?, token.clone());
        wave.ask(first..first + ORDERS);
        attempts.extend(wave.answers().await);
        settles_all(&stand, REPAIR).await?;
        let seen = stand.provider_counter(counter).await?;
        ensure!(seen > 0, "{counter} is {seen}: this proves nothing");
    }
    let verdict = audit::judge(&attempts, &stand.ledger().await?, &[], true);
    ensure!(verdict.verdict == Verdict::True, "{verdict:#?}\n{}", stand.logs()?);
    ensure!(verdict.counts.captures == verdict.counts.paid, "{:?}", verdict.counts);
    stand.stop().await;
    Ok(())
}
