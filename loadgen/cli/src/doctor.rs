//! What this machine offers for measuring, and what it lacks.

mod servers;

use std::path::Path;
use std::time::Duration;

use rustix::process::geteuid;
use tokio::time::Instant;

use crate::Boxed;
use crate::environment;
use crate::fsync;
use faults::requirements;
use load::priority;
use record::Generator;
use supervise::cores::Cores;
use supervise::foreign::Look;
use supervise::watch::Hiccups;

const LISTEN: Duration = Duration::from_secs(1);
/// Lines of findings: (good, text).
pub struct Findings(pub Vec<(bool, String)>);

/// Looks at the machine; takes about three seconds.
///
/// # Errors
/// If the folder cannot be written or a thread not started.
pub fn examine(folder: &Path) -> Boxed<'_, anyhow::Result<Findings>> {
    Box::pin(examined(folder))
}

async fn examined(folder: &Path) -> anyhow::Result<Findings> {
    let mut found = Findings(Vec::new());
    let cores = Cores::divide()?;
    found.add(
        cores.apart(),
        if cores.apart() {
            format!("cores: generator {:?}, systems {:?}", cores.generator, cores.systems)
        } else {
            "cores: only one may be used; every trial will be marked invalid".to_owned()
        },
    );
    let pinned = Cores::pin(&cores.generator);
    found.add(pinned.is_ok(), format!("pinning: {}", words(pinned.err())));
    std::fs::create_dir_all(folder)?;
    let (p50, p99) = fsync::probe(folder)?;
    let kind = environment::file_system(folder);
    let real = !kind.starts_with("tmpfs");
    let note = if real { "" } else { " — memory only: durability would cost nothing" };
    found.add(
        real,
        format!("fsync in {}: p50 {p50} µs, p99 {p99} µs ({kind}){note}", folder.display()),
    );
    found.timers().await?;
    found.others(&cores).await;
    found.add(true, servers::found());
    found.privileges();
    found.faults(folder).await?;
    Ok(found)
}

impl Findings {
    fn add(&mut self, good: bool, text: String) {
        self.0.push((good, text));
    }

    /// How late sleeps end, and what the hypervisor takes, over a second.
    async fn timers(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let hiccups = Hiccups::start(begun, priority::of_watchers(false))?;
        tokio::time::sleep(LISTEN.saturating_sub(begun.elapsed())).await;
        let mut generator = Generator::default();
        // What stands still now disturbs nothing.
        let _ = hiccups.stop(&mut generator);
        let good = generator.hiccup_p99_us < 1_000;
        self.add(
            good,
            format!(
                "timer: a sleep ends late by p99 {} µs, at most {} µs; stolen by the hypervisor: {:.1} %",
                generator.hiccup_p99_us,
                generator.hiccup_max_us,
                generator.steal_share * 100.0
            ),
        );
        Ok(())
    }

    /// Who else works now, and whether giving way keeps them off a measurement.
    async fn others(&mut self, cores: &Cores) {
        let look = Look::begin(cores);
        tokio::time::sleep(LISTEN).await;
        let foreign = look.end();
        let load = environment::load_average();
        self.add(foreign.is_quiet(), format!("others: {foreign}; load average {load}"));
        if let Some(text) = autogroup(&environment::autogroup()) {
            self.add(false, text.to_owned());
        }
    }

    /// Tries what some faults need.
    async fn faults(&mut self, folder: &Path) -> anyhow::Result<()> {
        for (need, kinds) in requirements::all() {
            let lacks = need.lacking(folder).await?;
            let good = lacks.is_none();
            let found =
                lacks.map_or("can be injected".to_owned(), |why| format!("not here: {why}"));
            self.add(good, format!("faults {} ({}): {found}", kinds.join(", "), need.words));
        }
        Ok(())
    }

    fn privileges(&mut self) {
        let root = geteuid().is_root();
        let text = if root { "root" } else { "not root: see below which faults need more" };
        self.add(true, format!("privileges: {text}"));
        self.real_time();
    }
}

impl Findings {
    /// Tried on a thread of its own, which keeps it.
    fn real_time(&mut self) {
        let granted = std::thread::spawn(priority::take_real_time).join().unwrap_or(false);
        let text = if granted {
            "works: requests are sent on time beside other programs"
        } else {
            "refused: beside other programs requests are sent late, and figures get intervals; \
             `ulimit -r 1` (RLIMIT_RTPRIO), CAP_SYS_NICE or root gives it"
        };
        self.add(granted, format!("real-time priority of the sending thread: {text}"));
    }
}

/// What the kernel's grouping by session does to priorities: sched(7), "The autogroup feature".
fn autogroup(setting: &str) -> Option<&'static str> {
    (setting == "1").then_some(
        "autogroup: on: nice and SCHED_IDLE give way within a session alone, so a build in another \
         terminal takes half a core from a measurement whatever its priority; run builds in a control \
         group with the least weight, or turn it off: sysctl kernel.sched_autogroup_enabled=0",
    )
}

fn words(error: Option<std::io::Error>) -> String {
    error.map_or_else(|| "works".to_owned(), |e| format!("refused ({e})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grouping_by_session_is_told_where_it_is_on() {
        assert!(autogroup("1").unwrap().contains("SCHED_IDLE"));
        assert_eq!(autogroup("0"), None);
        assert_eq!(autogroup("unknown"), None);
    }
}
