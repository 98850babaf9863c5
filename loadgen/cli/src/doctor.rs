//! What this machine offers for measuring, and what it lacks.

use std::path::Path;
use std::time::Duration;

use rustix::process::geteuid;
use tokio::time::Instant;

use crate::environment;
use crate::fsync;
use faults::Needs;
use record::Generator;
use supervise::cgroup;
use supervise::cores::Cores;
use supervise::watch::Hiccups;

const LISTEN: Duration = Duration::from_secs(1);
/// Servers that later contestants can use, by their programs.
const SERVERS: [&str; 6] =
    ["postgres", "rabbitmq-server", "nats-server", "redis-server", "haproxy", "nginx"];
/// Debian keeps some servers out of the PATH.
const FURTHER: [&str; 4] = [
    "/usr/sbin",
    "/usr/lib/postgresql/15/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/17/bin",
];

/// Lines of findings: (good, text).
pub struct Findings(pub Vec<(bool, String)>);

/// Looks at the machine; takes about two seconds.
///
/// # Errors
/// If the folder cannot be written or a thread not started.
pub async fn examine(folder: &Path) -> anyhow::Result<Findings> {
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
    let load = environment::load_average();
    let quiet = load.split(' ').next().and_then(|l| l.parse::<f64>().ok()).is_some_and(|l| l < 0.7);
    found.add(
        quiet,
        format!("load average: {load}{}", if quiet { "" } else { " — something else is running" }),
    );
    found.servers();
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
        let hiccups = Hiccups::start()?;
        tokio::time::sleep(LISTEN.saturating_sub(begun.elapsed())).await;
        let mut generator = Generator::default();
        hiccups.stop(&mut generator);
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

    fn servers(&mut self) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<_> =
            std::env::split_paths(&path).chain(FURTHER.iter().map(Into::into)).collect();
        let here = |name: &&&str| folders.iter().any(|f| f.join(name).is_file());
        let (there, missing): (Vec<&str>, Vec<&str>) = SERVERS.iter().partition(here);
        let list =
            |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        self.add(true, format!("servers found: {}; not found: {}", list(&there), list(&missing)));
    }

    /// Tries what the faults of the disk need.
    async fn faults(&mut self, folder: &Path) -> anyhow::Result<()> {
        let needs = [(Needs::Disk, "a disk of the system's own"), (Needs::Tracer, "strace")];
        for (needs, what) in needs {
            let lacks = needs.lacking(folder).await?;
            let found =
                lacks.map_or("can be injected".to_owned(), |why| format!("not here: {why}"));
            let kinds = needs.kinds().join(", ");
            self.add(true, format!("faults {kinds} ({what}): {found}"));
        }
        Ok(())
    }

    fn privileges(&mut self) {
        let root = geteuid().is_root();
        let text = if root {
            "root"
        } else {
            "not root: faults of processes, memory, files and the provider work; they need none"
        };
        self.add(true, format!("privileges: {text}"));
        let quota = cgroup::lacking();
        let text = quota.as_deref().unwrap_or("works");
        self.add(quota.is_none(), format!("fault {}: {text}", Needs::CpuQuota.kinds().join(", ")));
    }
}

fn words(error: Option<std::io::Error>) -> String {
    error.map_or_else(|| "works".to_owned(), |e| format!("refused ({e})"))
}
