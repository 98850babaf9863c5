//! Who of several is harmed where each says whether it leads the others: who leads when the fault begins.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::{Instant, sleep};

use super::stage::Stage;

/// Others may have to choose a new one first.
const LED_WITHIN: Duration = Duration::from_secs(10);
const ASKED_EVERY: Duration = Duration::from_millis(100);

impl Stage<'_> {
    /// Those of these processes who lead, by their own word; none if their file does not say how they
    /// tell it.
    ///
    /// # Errors
    /// If nobody leads for seconds: then it is not known whom to harm.
    pub(super) async fn leading(&self, players: &[usize]) -> anyhow::Result<Option<Vec<usize>>> {
        let tells = |index: &&usize| !self.running.spec.processes[**index].leads.is_empty();
        let asked: Vec<usize> = players.iter().filter(tells).copied().collect();
        if asked.is_empty() {
            return Ok(None);
        }
        let end = Instant::now() + LED_WITHIN;
        loop {
            let mut leaders = Vec::new();
            for index in &asked {
                if self.running.leads(*index).await {
                    leaders.push(*index);
                }
            }
            if !leaders.is_empty() {
                return Ok(Some(leaders));
            }
            let names = self.named(&asked);
            ensure!(Instant::now() < end, "none of {names} says that it leads");
            sleep(ASKED_EVERY).await;
        }
    }
}
