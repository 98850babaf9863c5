//! What a process that remembers counts, beside what its server does.

use std::fmt;

use http_server::Metrics;
use http_server::prometheus_client::collector::Collector;
use http_server::prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use http_server::prometheus_client::metrics::counter::ConstCounter;
use stores::Stores;

/// Metrics that tell, at each look, how many commits of this store reached the disk; those alone of the server, if it
/// has no group commit.
#[must_use]
pub fn of_store(stores: &Stores) -> Metrics {
    with_store(Metrics::default(), stores)
}

/// As `of_store`, beside these.
#[must_use]
pub fn with_store(mut metrics: Metrics, stores: &Stores) -> Metrics {
    if stores.stats().is_some() {
        metrics.registry().register_collector(Box::new(Commits(stores.clone())));
    }
    metrics
}

struct Commits(Stores);

impl fmt::Debug for Commits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commits").finish_non_exhaustive()
    }
}

impl Collector for Commits {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let count = ConstCounter::new(self.0.stats().unwrap_or_default().commits);
        let help = "Commits that reached the disk, an fsync each";
        let metric = encoder.encode_descriptor("store_commits", help, None, count.metric_type())?;
        count.encode(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn commits_of_a_store_are_told_as_they_are_now() {
        let folder = std::env::temp_dir().join(format!("service-metrics-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let stores = stores::open(&format!("sqlite:{}", folder.join("a.db").display())).unwrap();
        let metrics = of_store(&stores);
        let told = || {
            let text = metrics.text();
            let line = text.lines().find(|line| line.starts_with("store_commits_total ")).unwrap();
            line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
        };
        let before = told();
        stores.clone().check().await.unwrap();
        assert_eq!(told(), before + 1);
        assert!(!of_store(&stores::open("memory:").unwrap()).text().contains("commits"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
