//! What people and scrapers see of the queue through its side door.

use std::fmt::Write;

use async_trait::async_trait;

use super::queue::Queue;
use super::state::TopicDepth;
use super::topics::Counts;
use crate::clock::now_us;
use crate::door::Behind;
use crate::{DeadLetter, Result};

#[async_trait]
impl Behind for Queue {
    async fn check(&self) -> Result<()> {
        self.check().await
    }

    async fn metrics(&self) -> Result<String> {
        Ok(metrics_text(&self.depths().await?, self.counts(), now_us()))
    }

    async fn dead(&self, topic: &str, after: i64, limit: u32) -> Result<Vec<DeadLetter>> {
        self.dead(topic, after, limit).await
    }

    async fn replay(&self, topic: &str, limit: u32) -> Result<u64> {
        self.replay(topic, limit).await
    }
}

fn metrics_text(topics: &[TopicDepth], counts: Counts, now_us: i64) -> String {
    let mut text = String::new();
    gauges(&mut text, topics, now_us);
    let counters = [
        ("publishes", "Messages stored", counts.publishes),
        ("claims", "Deliveries claimed", counts.claims),
        ("acks", "Messages done", counts.acks),
        ("deferrals", "Deliveries put off, uncounted", counts.deferrals),
        ("failures", "Failures reported", counts.failures),
        ("rejections", "Messages given up at once", counts.rejections),
        ("fenced", "Settlements refused because the lease was lost", counts.fenced),
        ("commits", "Commits that reached the disk", counts.commits),
        ("transactions", "Transactions in those commits", counts.transactions),
    ];
    for (name, help, value) in counters {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "# TYPE broker_{name} counter\n# HELP broker_{name} {help}.\nbroker_{name}_total {value}\n"
        );
    }
    text + "# EOF\n"
}

fn gauges(text: &mut String, topics: &[TopicDepth], now_us: i64) {
    *text += "# TYPE broker_messages gauge\n# HELP broker_messages Messages by topic and state.\n";
    for TopicDepth { topic, depth, .. } in topics {
        let states = [
            ("ready", depth.ready),
            ("delayed", depth.delayed),
            ("leased", depth.leased),
            ("dead", depth.dead),
        ];
        for (state, count) in states {
            let labels = format!("topic=\"{topic}\",state=\"{state}\"");
            let _ = writeln!(text, "broker_messages{{{labels}}} {count}");
        }
    }
    *text += "# TYPE broker_oldest_ready_age_seconds gauge\n\
              # UNIT broker_oldest_ready_age_seconds seconds\n\
              # HELP broker_oldest_ready_age_seconds Since the oldest ready message was published.\n";
    for TopicDepth { topic, oldest_ready_us, .. } in topics {
        let age_us = oldest_ready_us.map_or(0, |published_us| (now_us - published_us).max(0));
        let age_s = age_us as f64 / 1e6;
        let _ = writeln!(text, "broker_oldest_ready_age_seconds{{topic=\"{topic}\"}} {age_s}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Depth;

    #[test]
    fn metrics_name_topics_states_and_ages() {
        let depth = Depth { ready: 3, delayed: 0, leased: 2, dead: 1 };
        let topic = "charges".to_owned();
        let topics = [TopicDepth { topic, depth, oldest_ready_us: Some(1_000_000) }];
        let counts = Counts { publishes: 6, commits: 4, ..Counts::default() };
        let text = metrics_text(&topics, counts, 3_500_000);
        for line in [
            "broker_messages{topic=\"charges\",state=\"leased\"} 2\n",
            "broker_oldest_ready_age_seconds{topic=\"charges\"} 2.5\n",
            "broker_publishes_total 6\n",
            "broker_commits_total 4\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
