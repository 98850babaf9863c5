//! How processes begin and end as their system file says: made ready by a command, seen to be ready, run
//! as somebody, told to end by a signal of their own.

use std::path::Path;

use scenario::config;
use scenario::system::{Init, ProcessSpec, Stop, StopSignal, SystemSpec};
use supervise::cores::Cores;
use supervise::launch::{Running, Secrets};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::ends::{READY, SYSTEM, shell};

/// Starts this process alone.
async fn start(folder: &Path, process: ProcessSpec) -> anyhow::Result<Running> {
    let mut spec: SystemSpec = config::parse(Path::new("s.toml"), SYSTEM).unwrap();
    spec.processes.push(ProcessSpec { name: "shop".to_owned(), ..process });
    let (secrets, cores) = (Secrets::new(), Cores::divide().unwrap());
    let (_open, interrupt) = watch::channel(false);
    Running::start(&spec, folder, &secrets, &cores, None, interrupt).await
}

fn process(script: &str) -> ProcessSpec {
    ProcessSpec { command: shell(script), ready: READY.to_owned(), ..ProcessSpec::default() }
}

fn init(script: &str, timeout: &str) -> Option<Init> {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    Some(Init { command, timeout: timeout.parse().unwrap() })
}

async fn refused(process: ProcessSpec, parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let error = start(folder.path(), process).await.err().expect("it must not start");
    let told = format!("{error:#}");
    assert!(parts.iter().all(|part| told.contains(part)), "{told}");
}

#[tokio::test]
async fn init_is_run_once_before_the_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let init = init("echo made $WHO | tee -a {data}/made", "20s");
    let mut process = ProcessSpec { init, ..process("cat {data}/made >> {data}/seen; exec SERVE") };
    process.env.insert("WHO".to_owned(), "me".to_owned());
    let mut running = start(folder.path(), process).await.unwrap();
    running.kill(0).await.unwrap();
    running.launch(0).await.unwrap();
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(text("data/made"), "made me\n", "once, with the process's environment");
    assert_eq!(text("data/seen"), "made me\nmade me\n", "it was there at both starts");
    assert_eq!(text("logs/shop-init.log"), "made me\n");
    assert!(running.stop().await.is_empty());
}

#[tokio::test]
async fn an_init_that_fails_or_hangs_is_told_with_its_log() {
    let failing = init("echo no room >&2; exit 3", "20s");
    let parts = ["the init of the process shop", "exit status: 3", "no room"];
    refused(ProcessSpec { init: failing, ..process("exec SERVE") }, &parts).await;
    let hanging = init("echo waiting; sleep 600", "300ms");
    let parts = ["it has not ended within 300ms", "waiting"];
    refused(ProcessSpec { init: hanging, ..process("exec SERVE") }, &parts).await;
    let missing =
        Some(Init { command: vec!["no-such-init".to_owned()], timeout: "1s".parse().unwrap() });
    refused(ProcessSpec { init: missing, ..process("exec SERVE") }, &["\"no-such-init\""]).await;
}

#[tokio::test]
async fn what_speaks_no_http_is_ready_when_it_takes_a_connection() {
    let folder = tempfile::tempdir().unwrap();
    let listen = "exec python3 -c 'import socket,time; s=socket.create_server((\"127.0.0.1\", {port:shop})); time.sleep(600)'";
    let process =
        ProcessSpec { ready: "tcp://127.0.0.1:{port:shop}".to_owned(), ..process(listen) };
    let mut running = start(folder.path(), process).await.unwrap();
    assert!(running.is_ready(0).await);
    running.kill(0).await.unwrap();
    assert!(!running.is_ready(0).await);
    running.stop().await;
}

#[tokio::test]
async fn a_command_may_say_that_a_process_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let ready_command = ["sh", "-c", "test -e {data}/open"].map(str::to_owned).to_vec();
    let process = ProcessSpec {
        ready: "tcp://127.0.0.1:{port:shop}".to_owned(),
        ready_command,
        ..process("touch {data}/open; sleep 600")
    };
    let mut running = start(folder.path(), process).await.unwrap();
    std::fs::remove_file(folder.path().join("data/open")).unwrap();
    assert!(!running.is_ready(0).await);
    running.kill(0).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_process_is_told_to_end_by_its_own_signal_and_ends_well_with_its_own_code() {
    let folder = tempfile::tempdir().unwrap();
    let stop = Stop { signal: StopSignal::Int, exit_codes: vec![7] };
    // A shell's `wait` may sleep through a signal that comes just before it; sigwait loses none.
    let process = ProcessSpec {
        stop: stop.clone(),
        ready: "tcp://127.0.0.1:{port:shop}".to_owned(),
        ..process(
            "exec python3 -c 'import os, signal, socket; both = (signal.SIGINT, signal.SIGTERM); \
             signal.pthread_sigmask(signal.SIG_BLOCK, both); \
             s = socket.create_server((\"127.0.0.1\", {port:shop})); \
             os._exit(7 if signal.sigwait(both) == signal.SIGINT else 1)'",
        )
    };
    let mut running = start(folder.path(), process).await.unwrap();
    running.tell_to_end(0).unwrap();
    let status = running.await_end(0).await.unwrap();
    assert!(stop.is_good(status), "{status}");
    assert!(!Stop::default().is_good(status));
    assert!(running.stop().await.is_empty());
}

/// Root starts a process as somebody who may write to his own folder alone.
#[tokio::test]
async fn a_process_runs_as_its_user_in_a_folder_of_his() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can start a process as another user");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // The temporary folder is root's alone; somebody else must be able to pass it.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let listen = "id -u > {data}/shop/me; touch {data}/other 2>/dev/null; exec python3 -c 'import socket,time; s=socket.create_server((\"127.0.0.1\", {port:shop})); time.sleep(600)'";
    let process = ProcessSpec {
        user: Some("65534".to_owned()),
        init: init("id -u > {data}/shop/init", "20s"),
        ready: "tcp://127.0.0.1:{port:shop}".to_owned(),
        ..process(listen)
    };
    let running = start(folder.path(), process).await.unwrap();
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(
        (text("data/shop/init"), text("data/shop/me")),
        ("65534\n".into(), "65534\n".into())
    );
    assert!(!folder.path().join("data/other").exists());
    assert!(running.stop().await.is_empty());
}

#[tokio::test]
async fn a_user_that_is_not_there_is_named() {
    let user = Some("no-such-user".to_owned());
    refused(
        ProcessSpec { user, ..process("exec SERVE") },
        &["process shop", "no user \"no-such-user\""],
    )
    .await;
}

#[tokio::test]
async fn replicas_run_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_loadgen");
    let text = format!(
        r#"about = "x"
[[process]]
name = "shop"
replicas = 2
plays = ["provider"]
command = ["{program}", "null-server", "--listen", "127.0.0.1:{{port:shop-{{index}}}}"]
ready = "http://127.0.0.1:{{port:shop-{{index}}}}/"
[entry]
auth = ["http://127.0.0.1:{{port:shop-1}}", "http://127.0.0.1:{{port:shop-2}}"]
orders = "http://127.0.0.1:{{port:shop-1}}"
provider = "x"
[audit]
orders = "x"
journal = "x"
"#
    );
    let path = folder.path().join("two.toml");
    std::fs::write(&path, text).unwrap();
    let spec = SystemSpec::read(path.to_str().unwrap()).unwrap();
    let (secrets, cores) = (Secrets::new(), Cores::divide().unwrap());
    let (_open, interrupt) = watch::channel(false);
    let trial = folder.path().join("trial");
    let running = Running::start(&spec, &trial, &secrets, &cores, None, interrupt).await.unwrap();
    let names: Vec<&str> = running.spec.processes.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["shop-1", "shop-2"]);
    assert!(running.is_ready(0).await && running.is_ready(1).await);
    for url in running.spec.entry.auth.all() {
        let address = url.strip_prefix("http://").unwrap();
        assert!(TcpListener::bind(address).await.is_err(), "{address} is taken");
    }
    assert!(running.stop().await.is_empty());
}
