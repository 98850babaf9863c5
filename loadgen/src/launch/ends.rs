//! Tests of who is told to have ended by itself: nobody's end is taken for the harness's doing.

use std::path::Path;

use super::*;
use crate::config;
use crate::disk;

const SYSTEM: &str = r#"
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
/// Nobody listens there for long, and nobody answers.
const READY: &str = "http://127.0.0.1:{port:none}/readyz";

/// A system with one process, which was not started yet and will never be ready.
async fn system(folder: &Path, script: &str, disk: Option<DiskSpec>) -> Running {
    let spec: SystemSpec = config::parse(Path::new("s.toml"), SYSTEM).unwrap();
    let (secrets, cores) = (Secrets::new(), Cores::divide().unwrap());
    let (_open, interrupt) = watch::channel(false);
    let started = Running::start_on(disk, &spec, folder, &secrets, &cores, None, interrupt).await;
    let mut running = started.unwrap();
    running.spec.processes.push(ProcessSpec {
        name: "shop".to_owned(),
        plays: Vec::new(),
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        ready: Ports::default().fill(READY).unwrap(),
        crash_points: Vec::new(),
        env: BTreeMap::new(),
        keeps_data: true,
    });
    running.children.push(None);
    running.versions.push(1);
    running
}

/// Starts the process without waiting until it is ready.
fn begin(running: &mut Running) {
    let child = running.spawn(0).unwrap();
    let entry = running.undo.process(child.id().unwrap(), "shop").unwrap();
    running.children[0] = Some(Started { child, entry, may_end: false });
}

/// As the kernel does when memory is short.
async fn end_from_outside(running: &mut Running) {
    let pid = Pid::from_raw(running.pid(0).unwrap().cast_signed()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    running.children[0].as_mut().unwrap().child.wait().await.unwrap();
}

#[tokio::test]
async fn a_kill_is_proved_by_its_signal_and_is_no_end_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = system(folder.path(), "exec sleep 60", None).await;
    begin(&mut running);
    assert_eq!(running.kill(0).await.unwrap().signal(), Some(9));
    assert!(running.all_ended().is_empty(), "{:?}", running.all_ended());
    running.stop().await;
}

#[tokio::test]
async fn who_had_ended_by_itself_is_not_killed_and_stays_known_when_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = system(folder.path(), "exit 101", None).await;
    assert!(running.launch(0).await.is_err());
    for signal in [Signal::KILL, Signal::TERM] {
        let error = running.signal(0, signal).unwrap_err().to_string();
        assert_eq!(error, "shop had ended by itself before (exit status: 101)");
    }
    assert!(running.kill(0).await.is_err());
    assert!(running.launch(0).await.is_err());
    assert_eq!(running.all_ended(), ["shop (exit status: 101)", "shop (exit status: 101)"]);
    begin(&mut running);
    running.spec.processes[0].command[2] = "exec sleep 60".to_owned();
    end_from_outside(&mut running).await;
    assert!(running.kill(0).await.is_err(), "not even if it ended as a kill ends it");
    running.stop().await;
}

#[tokio::test]
async fn an_end_is_a_fault_s_effect_only_while_the_fault_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = system(folder.path(), "exec sleep 60", None).await;
    let killed = "shop (signal: 9 (SIGKILL))";
    for (survives, expected) in [(false, &[][..]), (true, &[killed])] {
        begin(&mut running);
        running.may_end(0);
        if survives {
            running.survived(0);
        }
        end_from_outside(&mut running).await;
        running.survived(0);
        running.note_end(0);
        assert_eq!(running.lost, expected);
        running.forget(0).unwrap();
    }
    running.stop().await;
}

#[tokio::test]
async fn nobody_who_keeps_data_is_started_while_the_disk_is_away() {
    let folder = tempfile::tempdir().unwrap();
    if let Some(reason) = disk::lacks(folder.path()).await.unwrap() {
        let could = std::env::var_os("CI").is_some() && rustix::process::geteuid().is_root();
        assert!(!could, "{reason}");
        eprintln!("skipped: {reason}");
        return;
    }
    let mark = folder.path().join("began");
    let script = format!("touch {}; exit 1", mark.display());
    let mut running = system(folder.path(), &script, Some(DiskSpec { size_mib: 16 })).await;
    let mut disk = running.disk.take().unwrap();
    disk.unmount(&running.undo).await.unwrap();
    running.disk = Some(disk);
    let error = running.launch(0).await.unwrap_err().to_string();
    assert!(error.contains("its disk is not mounted"), "{error}");
    assert!(!mark.exists());
    running.stop().await;
}
