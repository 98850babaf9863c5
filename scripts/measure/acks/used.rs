//! CPU that a server's processes and we ourselves have used.

use std::time::Duration;

use anyhow::{Context, Result};
use servers::Running;

/// So far, or in between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) server: Duration,
    pub(crate) client: Duration,
}

impl Used {
    pub(crate) fn now(running: &Running) -> Result<Self> {
        // One that has ended meanwhile is not counted.
        let server = running.processes().into_iter().filter_map(|pid| cpu(&pid.to_string()).ok());
        Ok(Self { server: server.sum(), client: cpu("self")? })
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            server: self.server.saturating_sub(before.server),
            client: self.client.saturating_sub(before.client),
        }
    }
}

/// User and system time of a process: fields 14 and 15 of proc_pid_stat(5), in ticks.
fn cpu(process: &str) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("a name in brackets")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks =
        |index: usize| -> Result<u64> { Ok(fields.get(index).context("a field")?.parse()?) };
    let all = ticks(11)? + ticks(12)?;
    Ok(Duration::from_secs_f64(all as f64 / rustix::param::clock_ticks_per_second() as f64))
}
