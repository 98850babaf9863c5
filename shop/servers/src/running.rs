//! An instance that runs, and all that belongs to it.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::{Place, Recipe, tree};

/// How long a server may take to stop, and a step before it to end. The last of three nodes of Kafka that stop at once
/// took 8 s on a busy machine.
const STOP_MAX: Duration = Duration::from_secs(30);
const STEP_MAX: Duration = Duration::from_secs(60);
/// How long too few nodes of a cluster must be left before it is believed, and how often it is looked.
const DESERTED_AFTER: Duration = Duration::from_secs(5);
const DESERTED_LOOK: Duration = Duration::from_millis(200);
/// How often it is looked whether all that a server started has ended.
const LOOK: Duration = Duration::from_millis(1);

/// What opens and replays dead letters, and the word of a cluster: the environment is no server's to know.
const SECRETS: [&str; 2] = ["TRIPTYCH_CONTROL_TOKEN", crate::CLUSTER_SECRET];

/// A server under way. Dropping it kills it with all that it started.
pub struct Running {
    recipe: &'static Recipe,
    /// Where the nodes of its cluster meet.
    nodes: Vec<SocketAddr>,
    server: Child,
    companions: Vec<Child>,
}

/// Where its output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// With ours.
    Shown,
    /// In a file of its place, behind what stands there.
    Kept,
    /// Nowhere: what is measured writes nothing for us.
    Dropped,
}

impl Recipe {
    /// Starts an instance, on what it kept; it need not answer yet.
    ///
    /// # Errors
    /// If it is not installed, or a step before it fails.
    pub async fn start(&'static self, place: &Place, output: Output) -> Result<Running> {
        let program = (self.program)()
            .with_context(|| format!("{} is not installed ({})", self.name, self.install))?;
        let parts = (self.parts)(&program, place)?;
        let file = match output {
            Output::Shown => None,
            Output::Kept => Some(place.output()),
            Output::Dropped => Some(PathBuf::from("/dev/null")),
        };
        for step in parts.steps {
            finish(prepared(step, file.as_deref())?).await?;
        }
        let started = |command| {
            let mut command = prepared(command, file.as_deref())?;
            let what = named(&command);
            command.spawn().with_context(|| format!("{what} cannot be started"))
        };
        let companions = parts.companions.into_iter().map(started).collect::<Result<_>>()?;
        let nodes = place.nodes.clone();
        Ok(Running { recipe: self, nodes, server: started(parts.server)?, companions })
    }
}

impl Running {
    /// Waits until the server ends by itself.
    ///
    /// # Errors
    /// If that cannot be learnt.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        Ok(self.server.wait().await?)
    }

    /// Tells it to stop, and waits for it. A node that cannot stop without others, who are gone, is killed: what it has
    /// acknowledged it has written.
    ///
    /// # Errors
    /// If it does not, or not as it should.
    pub async fn stop(&mut self) -> Result<()> {
        let root = root(&self.server).context("the server has ended")?;
        rustix::process::kill_process(root, self.recipe.stop)?;
        let deserted = deserted(self.recipe, &self.nodes, DESERTED_AFTER);
        let ended = tokio::select! {
            ended = timeout(STOP_MAX, self.server.wait()) => ended.context("the server does not stop")??,
            () = deserted => {
                let name = self.recipe.name;
                process_log::say(format_args!("{name}: most of its cluster is gone; killed"));
                return self.kill().await;
            }
        };
        // What ran beside it ends before us: whoever keeps us takes the last end for ours.
        self.kill().await?;
        if ended.code().is_some_and(|code| self.recipe.stopped.contains(&code)) {
            return Ok(());
        }
        bail!("the server stopped with {ended}")
    }

    /// Kills it, and whatever it started: nothing is written any more.
    ///
    /// # Errors
    /// If its end cannot be learnt.
    pub async fn kill(&mut self) -> Result<()> {
        let killed = self.signal(Signal::KILL);
        for child in std::iter::once(&mut self.server).chain(&mut self.companions) {
            child.wait().await?;
        }
        let all_ended = async {
            while !killed.iter().all(|process| tree::has_ended(*process)) {
                sleep(LOOK).await;
            }
        };
        timeout(STOP_MAX, all_ended).await.context("what the server started does not end")
    }

    /// Halts all of it, as if the machine stood still: every thread stands when this returns.
    ///
    /// # Errors
    /// If one does not.
    pub async fn freeze(&self) -> Result<()> {
        let halted = self.signal(Signal::STOP);
        let all_stand = async {
            while !halted.iter().all(|process| tree::stands(*process)) {
                sleep(LOOK).await;
            }
        };
        timeout(STOP_MAX, all_stand).await.context("the server does not stand still")
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// All that run now: the server, what it has started, and what runs beside it.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        let roots = std::iter::once(&self.server).chain(&self.companions).filter_map(root);
        roots.flat_map(tree::family).map(|process| process.as_raw_nonzero().get()).collect()
    }

    /// To all of them; returns whom it met.
    fn signal(&self, signal: Signal) -> Vec<Pid> {
        let roots = std::iter::once(&self.server).chain(&self.companions).filter_map(root);
        roots.flat_map(|root| tree::signal(root, signal)).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn root(child: &Child) -> Option<Pid> {
    Pid::from_raw(child.id()?.cast_signed())
}

/// With its output at the end of this file, or with ours.
fn prepared(command: std::process::Command, output: Option<&Path>) -> Result<Command> {
    let mut command = Command::from(command);
    command.stdin(Stdio::null()).kill_on_drop(true);
    for name in SECRETS {
        command.env_remove(name);
    }
    if let Some(output) = output {
        let file = File::options().append(true).create(true).open(output);
        let file = file.with_context(|| output.display().to_string())?;
        command.stdout(file.try_clone()?).stderr(file);
    }
    Ok(command)
}

fn named(command: &Command) -> String {
    command.as_std().get_program().display().to_string()
}

/// Runs a step to its end.
async fn finish(mut step: Command) -> Result<()> {
    let what = named(&step);
    let ended = timeout(STEP_MAX, step.status()).await;
    let ended = ended.with_context(|| format!("{what} does not end"))?;
    let ended = ended.with_context(|| format!("{what} cannot be started"))?;
    if ended.success() { Ok(()) } else { bail!("{what} ended with {ended}") }
}

/// Ends when so few nodes of a cluster have been left, for so long, that this one would wait for them for ever.
async fn deserted(recipe: &Recipe, nodes: &[SocketAddr], after: Duration) {
    if recipe.stops_alone || nodes.is_empty() {
        return std::future::pending().await;
    }
    let mut since = None;
    loop {
        if most_are_there(nodes).await {
            since = None;
        } else if since.get_or_insert_with(Instant::now).elapsed() >= after {
            return;
        }
        sleep(DESERTED_LOOK).await;
    }
}

async fn most_are_there(nodes: &[SocketAddr]) -> bool {
    let mut there = 0;
    for node in nodes {
        let connected = timeout(DESERTED_LOOK, TcpStream::connect(node)).await;
        there += usize::from(connected.is_ok_and(|connected| connected.is_ok()));
    }
    there > nodes.len() / 2
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_node_is_deserted_when_most_are_gone_and_only_where_that_matters() {
        let mut listeners = Vec::new();
        for _ in 0..3 {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let nodes: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
        let soon = Duration::from_millis(1);
        let is = async |recipe, nodes: &[SocketAddr]| {
            timeout(DESERTED_LOOK * 10, deserted(recipe, nodes, soon)).await.is_ok()
        };
        listeners.pop();
        assert!(!is(&crate::kafka::RECIPE, &nodes).await, "two of three are there");
        listeners.pop();
        assert!(is(&crate::kafka::RECIPE, &nodes).await);
        assert!(!is(&crate::nats::RECIPE, &nodes).await, "it stops alone");
        assert!(!is(&crate::kafka::RECIPE, &[]).await, "it has no others");
    }
}
