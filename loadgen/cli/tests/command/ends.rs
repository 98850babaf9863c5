//! Who is told to have ended by itself: nobody's end is taken for the harness's doing, and a process is the
//! program that was started and all that descends from it.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use scenario::DiskSpec;
use scenario::config;
use scenario::system::{ProcessSpec, SystemSpec};
use supervise::cores::Cores;
use supervise::disk;
use supervise::launch::{Running, Secrets};
use supervise::tree::Member;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

pub(crate) const SYSTEM: &str = r#"
about = "x"
process = []
[entry]
auth = "x"
orders = "x"
provider = "x"
[audit]
orders = "x"
journal = "x"
"#;
pub(crate) const READY: &str = "http://127.0.0.1:{port:shop}/";
const SERVE: &str = "null-server --listen 127.0.0.1:{port:shop}";
const PATIENCE: Duration = Duration::from_secs(60);

/// A shell command in which `SERVE` is a server that is ready at once.
pub(crate) fn shell(script: &str) -> Vec<String> {
    let serve = format!("{} {SERVE}", env!("CARGO_BIN_EXE_loadgen"));
    ["sh", "-c", &script.replace("SERVE", &serve)].map(str::to_owned).to_vec()
}

/// A system with one process, which runs.
async fn system(folder: &Path, script: &str, disk: Option<DiskSpec>) -> Running {
    let mut spec: SystemSpec = config::parse(Path::new("s.toml"), SYSTEM).unwrap();
    spec.processes.push(ProcessSpec {
        name: "shop".to_owned(),
        plays: Vec::new(),
        command: shell(script),
        ready: READY.to_owned(),
        keeps_data: true,
        ..ProcessSpec::default()
    });
    let (secrets, cores) = (Secrets::new(), Cores::divide().unwrap());
    let (_open, interrupt) = watch::channel(false);
    let started = Running::start_on(disk, &spec, folder, &secrets, &cores, None, interrupt).await;
    started.unwrap()
}

/// As the kernel does when memory is short.
async fn end_from_outside(running: &mut Running) {
    Member::of(running.pid(0).unwrap()).unwrap().signal(Signal::KILL).unwrap();
    until(|| running.ended(0).is_some()).await;
}

async fn until(mut condition: impl FnMut() -> bool) {
    let waited = async {
        while !condition() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, waited).await.unwrap();
}

/// Nobody of them is left, soon.
async fn are_gone(members: &[Member]) {
    until(|| !members.iter().any(Member::lives)).await;
}

#[tokio::test]
async fn a_kill_is_proved_by_its_signal_and_is_no_end_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = system(folder.path(), "exec SERVE", None).await;
    assert_eq!(running.members(0).len(), 1);
    assert_eq!(running.kill(0).await.unwrap().to_string(), "signal: 9 (SIGKILL)");
    assert!(running.all_ended().is_empty(), "{:?}", running.all_ended());
    assert!(running.stop().await.is_empty());
}

#[tokio::test]
async fn who_had_ended_by_itself_is_not_killed_and_stays_known_when_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = system(folder.path(), "exec SERVE", None).await;
    running.kill(0).await.unwrap();
    let serve = std::mem::replace(&mut running.spec.processes[0].command, shell("exit 101"));
    assert!(running.launch(0).await.is_err());
    for signal in [Signal::KILL, Signal::TERM] {
        let error = running.signal(0, signal).unwrap_err().to_string();
        assert_eq!(error, "shop had ended by itself before (exit status: 101)");
    }
    assert!(running.kill(0).await.is_err());
    assert!(running.launch(0).await.is_err());
    assert_eq!(running.all_ended(), ["shop (exit status: 101)", "shop (exit status: 101)"]);
    // With its port filled in, as at the start.
    running.spec.processes[0].command = serve;
    running.launch(0).await.unwrap();
    end_from_outside(&mut running).await;
    assert!(running.kill(0).await.is_err(), "not even if it ended as a kill ends it");
    assert!(running.stop().await.is_empty());
}

#[tokio::test]
async fn an_end_is_a_fault_s_effect_only_while_the_fault_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = system(folder.path(), "exec SERVE", None).await;
    let killed = "shop (signal: 9 (SIGKILL))";
    for (survives, expected) in [(false, &[][..]), (true, &[killed])] {
        running.may_end(0);
        if survives {
            running.survived(0);
        }
        end_from_outside(&mut running).await;
        running.survived(0);
        running.launch(0).await.unwrap();
        assert_eq!(running.all_ended(), expected);
    }
    assert!(running.stop().await.is_empty());
}

#[tokio::test]
async fn nobody_who_keeps_data_is_started_while_the_disk_is_away() {
    let folder = tempfile::tempdir().unwrap();
    if let Some(reason) = disk::lacks(folder.path()).await.unwrap() {
        let could = std::env::var_os("CI").is_some() && rustix::process::geteuid().is_root();
        assert!(!could, "{reason}");
        println!("skipped: {reason}");
        return;
    }
    let small = Some(DiskSpec { size_mib: 16 });
    let mut running = system(folder.path(), "exec SERVE", small).await;
    running.kill(0).await.unwrap();
    let mark = folder.path().join("began");
    running.spec.processes[0].command = shell(&format!("touch {}; exit 1", mark.display()));
    let mut disk = running.disk.take().unwrap();
    disk.unmount(&running.undo).await.unwrap();
    running.disk = Some(disk);
    let error = running.launch(0).await.unwrap_err().to_string();
    assert!(error.contains("its disk is not mounted"), "{error}");
    assert!(!mark.exists());
    running.stop().await;
}

/// A shell that waits, a child, and a grandchild in a session of its own: one process to us.
#[tokio::test]
async fn a_kill_reaches_all_that_descends_from_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let script = "setsid sh -c 'sleep 600; true' & SERVE; true";
    let mut running = system(folder.path(), script, None).await;
    until(|| running.members(0).len() == 4).await;
    let members = running.members(0);
    assert_eq!(running.kill(0).await.unwrap().to_string(), "signal: 9 (SIGKILL)");
    are_gone(&members).await;
    running.launch(0).await.unwrap();
    until(|| running.members(0).len() == 4).await;
    let members = running.members(0);
    // SIGTERM ends the shell; what it leaves behind is told, too.
    let begun = Instant::now();
    assert!(running.stop().await.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(10), "nobody was waited for in vain");
    are_gone(&members).await;
}

#[tokio::test]
async fn a_server_that_puts_itself_into_the_background_is_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = system(folder.path(), "setsid SERVE & exit 0", None).await;
    assert!(running.is_up(0), "{:?}", running.ended(0));
    let members = running.members(0);
    assert_eq!(running.pid(0), members.first().map(|member| member.pid));
    assert_eq!(running.kill(0).await.unwrap().to_string(), "signal: 9 (SIGKILL)");
    are_gone(&members).await;
    running.launch(0).await.unwrap();
    end_from_outside(&mut running).await;
    assert_eq!(running.all_ended(), ["shop (signal: 9 (SIGKILL))"]);
    assert!(running.stop().await.is_empty());
}

/// Its program is gone, and what it left still serves: that is no process that works.
#[tokio::test]
async fn a_program_that_leaves_others_behind_has_ended_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = system(folder.path(), "SERVE; true", None).await;
    let members = running.members(0);
    end_from_outside(&mut running).await;
    let ended = running.all_ended().remove(0);
    assert!(ended.starts_with("shop (signal: 9 (SIGKILL), while loadgen ("), "{ended}");
    assert!(!running.is_up(0) && running.kill(0).await.is_err());
    // It would keep the port.
    running.launch(0).await.unwrap();
    are_gone(&members).await;
    assert_eq!(running.all_ended(), [ended]);
    assert!(running.stop().await.is_empty());
}

/// A harness that is dropped in the middle leaves nobody.
#[tokio::test]
async fn nobody_outlives_the_handle() {
    let folder = tempfile::tempdir().unwrap();
    let running = system(folder.path(), "setsid sleep 600 & SERVE; true", None).await;
    let members = running.members(0);
    drop(running);
    are_gone(&members).await;
}
