//! How many commits the processes of a system count at `/metrics`, beside where they say that they are ready: counters
//! whose names end with `_commits_total`.

use std::time::Duration;

use super::Running;
use crate::asking::{self, Patience};

const PATH: &str = "/metrics";
const COUNTER: &str = "_commits_total";
const WITHIN: Duration = Duration::from_secs(2);
const BYTES_MAX: usize = 1024 * 1024;

impl Running {
    /// Commits that reached the disk, since each process was started. `None` if one that keeps data counts none.
    pub async fn commits(&self) -> Option<u64> {
        let mut sum = 0_u64;
        for process in self.spec.processes.iter().filter(|process| !process.data.is_empty()) {
            sum = sum.saturating_add(ask(&self.http, &process.ready).await?);
        }
        Some(sum)
    }
}

async fn ask(http: &reqwest::Client, ready: &str) -> Option<u64> {
    let mut url = reqwest::Url::parse(ready).ok().filter(|url| url.scheme() == "http")?;
    url.set_path(PATH);
    url.set_query(None);
    let asked = asking::ask(http.get(url), BYTES_MAX);
    let (status, body) = Patience::of(WITHIN).bear(asked).await?.ok()?;
    if status.is_success() { counted(&String::from_utf8_lossy(&body)) } else { None }
}

/// The sum of these counters; `None` if there is none, or one is no number.
fn counted(text: &str) -> Option<u64> {
    let counters = text.lines().filter_map(|line| line.split_once(' '));
    let mut counters = counters.filter(|(name, _)| name.ends_with(COUNTER)).peekable();
    counters.peek()?;
    let value = |(_, value): (&str, &str)| value.split(' ').next()?.parse::<u64>().ok();
    counters.try_fold(0_u64, |sum, counter| sum.checked_add(value(counter)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_commits_are_added_up() {
        let text = "# TYPE store_commits counter\n# HELP a_commits_total x\nstore_commits_total 7\n\
                    broker_commits_total 5 1700000000\nother_total 9\n# EOF\n";
        assert_eq!(counted(text), Some(12));
        assert_eq!(counted("other_total 9\n"), None);
        assert_eq!(counted("a_commits_total x\n"), None);
        assert_eq!(counted("a_commits_total 18446744073709551615\nb_commits_total 1\n"), None);
        assert_eq!(counted(""), None);
    }
}
