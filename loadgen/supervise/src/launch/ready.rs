//! Whether a process can work: it answers 200, takes a connection, or a command says so; and what is run
//! before its first start.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Kept, Running, user};
use crate::folder::DATA;
use crate::http::address;
use crate::logs;
use scenario::system::{Init, ProcessSpec};

/// A look that takes longer has failed.
const LOOK_WITHIN: Duration = Duration::from_secs(2);
const TCP: &str = "tcp://";

impl Running {
    /// Whether a process can work, as its file says how to see it.
    pub async fn is_ready(&self, index: usize) -> bool {
        let spec = &self.spec.processes[index];
        if !spec.ready_command.is_empty() {
            return self.says_ready(spec).await.unwrap_or(false);
        }
        if spec.ready.starts_with(TCP) {
            let Ok(address) = address(&spec.ready) else { return false };
            return matches!(timeout(LOOK_WITHIN, TcpStream::connect(address)).await, Ok(Ok(_)));
        }
        let answer = self.http.get(&spec.ready).send().await;
        answer.is_ok_and(|a| a.status().as_u16() == 200)
    }

    /// Whether a process leads those that play its roles, as its file says how to see it.
    pub async fn leads(&self, index: usize) -> bool {
        let answer = self.http.get(&self.spec.processes[index].leads).send().await;
        answer.is_ok_and(|a| a.status().as_u16() == 200)
    }

    async fn says_ready(&self, spec: &ProcessSpec) -> anyhow::Result<bool> {
        let mut command = self.kept(spec, &spec.ready_command)?;
        command.stderr(Stdio::null());
        let mut kept = Kept::spawn(&mut command, |command| self.spawn_beside(command))?;
        // Whoever is too slow is killed with all below when `kept` is dropped.
        Ok(timeout(LOOK_WITHIN, kept.end()).await.is_ok_and(|status| status.success()))
    }

    /// Makes ready what a process needs before its first start: its user's folder, what init makes.
    ///
    /// # Errors
    /// If the folder cannot be made, or init fails or takes too long; with the end of its log.
    pub(super) async fn make_ready(&mut self, index: usize) -> anyhow::Result<()> {
        let spec = &self.spec.processes[index];
        if let Some(account) = user::of(spec)? {
            let trial = self.logs.parent().unwrap_or(Path::new("."));
            user::make_home(&trial.join(DATA).join(&spec.name), account)?;
        }
        if let Some(init) = spec.init.as_ref().filter(|_| !self.begun[index]) {
            let ended = self.initialize(spec, init).await;
            ended.with_context(|| format!("the init of the process {}", spec.name))?;
        }
        self.begun[index] = true;
        Ok(())
    }

    async fn initialize(&self, spec: &ProcessSpec, init: &Init) -> anyhow::Result<()> {
        let log = self.logs.join(format!("{}-init.log", spec.name));
        let words = || logs::last_words(&log);
        let mut command = self.kept(spec, &init.command)?;
        command.stderr(logs::open(&log)?);
        let mut kept = Kept::spawn(&mut command, |command| self.spawn_beside(command))?;
        kept.begun().await.with_context(|| format!("cannot start {}", init.command[0]))?;
        let status = timeout(init.timeout.0, kept.end()).await;
        let within = || format!("it has not ended within {}; its log: {}", init.timeout, words());
        let status = status.with_context(within)?;
        ensure!(status.success(), "it ended with {status}; its log: {}", words());
        Ok(())
    }

    /// What a process had kept is lost: it begins as if for the first time.
    pub fn begins_anew(&mut self, index: usize) {
        self.begun[index] = false;
    }
}
