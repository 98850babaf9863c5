//! What waits in the outbox, for those who watch.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use http_server::Metrics;
use http_server::prometheus_client::metrics::gauge::Gauge;
use http_server::prometheus_client::registry::Unit;
use shop::{Backlog, Outbox, now_us};
use tokio::time::interval;

/// How old a figure may be.
const EVERY: Duration = Duration::from_secs(1);

/// The figures of one outbox.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    charges: Gauge,
    age_s: Gauge<f64, AtomicU64>,
}

impl Gauges {
    /// Metrics of this outbox, kept up to date for as long as the process runs.
    #[must_use]
    pub fn kept(outbox: &Arc<dyn Outbox>) -> Metrics {
        let (gauges, mut metrics) = (Self::default(), Metrics::default());
        gauges.register(&mut metrics);
        tokio::spawn(gauges.keep(Arc::clone(outbox)));
        metrics
    }

    /// Where `/metrics` shows them.
    fn register(&self, metrics: &mut Metrics) {
        let registry = metrics.registry();
        let help = "Charges that are not in other hands yet";
        registry.register("outbox_charges", help, self.charges.clone());
        let help = "Since the order was accepted whose charge is the first in line";
        registry.register_with_unit("outbox_age", help, Unit::Seconds, self.age_s.clone());
    }

    /// Keeps them up to date for as long as it is polled.
    async fn keep(self, outbox: Arc<dyn Outbox>) {
        let mut tick = interval(EVERY);
        loop {
            tick.tick().await;
            // A store that cannot be read is told by those who need it.
            if let Ok(backlog) = outbox.backlog().await {
                self.set(backlog, now_us());
            }
        }
    }

    fn set(&self, backlog: Backlog, now_us: i64) {
        self.charges.set(i64::try_from(backlog.charges).unwrap_or(i64::MAX));
        let age_us = backlog.oldest.map_or(0, |oldest| (now_us - oldest).max(0));
        self.age_s.set(age_us as f64 / 1e6);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_is_shown_with_its_age() {
        let (gauges, mut metrics) = (Gauges::default(), Metrics::default());
        gauges.register(&mut metrics);
        gauges.set(Backlog { charges: 7, oldest: Some(1_000_000) }, 3_500_000);
        let text = metrics.text();
        for line in ["outbox_charges 7\n", "outbox_age_seconds 2.5\n"] {
            assert!(text.contains(line), "{line} in {text}");
        }
        gauges.set(Backlog::default(), 4_000_000);
        assert!(metrics.text().contains("outbox_age_seconds 0.0\n"), "{}", metrics.text());
    }
}
