//! A server of a pair as a process: PostgreSQL, started as what the manager says, and killed when it may not write any more.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use async_trait::async_trait;
use failover::{Counted, Data, Duty, Following, NODES, Order, Report, Role, Runs, duty};
use http_server::{Limits, Listen, ReadyCheck, Settings, shutdown_signal};
use process_log::tell;
use servers::{Attended, Output, Place, Recipe, Running};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::folder;
use crate::line::Line;
use crate::looks::{COPY, Look, Server};
use crate::notes;

/// How often the manager is asked.
const EVERY: Duration = Duration::from_millis(100);
/// What failed is not tried again before that.
const PAUSE: Duration = Duration::from_secs(1);
/// A copy that runs and was not said to have everything for so long is copied anew: what it lacks may not be there any more.
const ASTRAY: Duration = Duration::from_secs(60);
const FILE: &str = "data.json";

#[derive(clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    attended: Attended,
    /// Where the manager listens
    #[arg(long, value_name = "ADDRESS:PORT")]
    manager: SocketAddr,
    /// The name of the pair
    #[arg(long, value_name = "NAME")]
    shard: String,
    /// Which of the two it is, from 0: that one begins as the one that writes
    #[arg(long, value_parser = clap::value_parser!(u8).range(..NODES as i64))]
    node: u8,
    /// Where the other one serves its clients, as this one comes there
    #[arg(long, value_name = "ADDRESS:PORT")]
    other: SocketAddr,
}

/// Runs until a signal.
pub(crate) async fn run(flags: Flags) -> Result<()> {
    let Flags { attended, manager, shard, node, other } = flags;
    let Attended { server, port, data, http } = attended;
    let signal = shutdown_signal()?;
    let recipe = servers::known(&server)?;
    std::fs::create_dir_all(&data).context("--data")?;
    let shown = Arc::new(Shown(Mutex::new(Err("it was told nothing yet".to_owned()))));
    let limits = Limits::default().within_descriptors();
    let settings = Settings::default()
        .with("store", "PostgreSQL, a server of a pair, with an fsync before it answers")
        .with("version", recipe.version().unwrap_or_else(|| "unknown".to_owned()))
        .with("role", "as the manager says")
        .and(limits.settings());
    let listener = Listen { listen: http, any_address: false }.bind().context("--http")?;
    process_log::say(format_args!("http on {}", listener.local_addr()?));
    let stop = CancellationToken::new();
    let door = servers::door(Arc::clone(&shown) as _, settings);
    let served =
        tokio::spawn(http_server::serve(listener, door, limits, stop.clone().cancelled_owned()));
    folder::end_what_was_left(&data).await?;
    let life = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let mut node = Node {
        life: u64::try_from(life).unwrap_or(u64::MAX),
        asked: 0,
        place: place(port, data.clone(), other),
        recipe,
        other,
        line: Line::new(manager, &shard, node.into()),
        server: Server::new(port)?,
        data: notes::read(&data.join(FILE))?.unwrap_or_default(),
        running: None,
        leased_until: Instant::now(),
        is_promoting: false,
        following: Following::default(),
        synchronous: true,
        astray_at: Instant::now() + ASTRAY,
        not_before: Instant::now(),
        shown,
    };
    let ended = tokio::select! {
        () = signal => Ok(()),
        ended = node.keep() => ended,
    };
    let stopped = node.stop().await;
    stop.cancel();
    served.await??;
    ended.and(stopped)
}

fn place(port: u16, data: PathBuf, other: SocketAddr) -> Place {
    let (host, port_of_other) = (other.ip(), other.port());
    let primary = format!(
        "primary_conninfo=host={host} port={port_of_other} user=shop application_name={COPY}"
    );
    let also = [
        primary.as_str(),
        // One that was away for long finds what it lacks.
        "wal_keep_size=1GB",
        // Who is silent for as long as a lease is gone.
        "wal_sender_timeout=2s",
        "wal_receiver_timeout=2s",
        "wal_retrieve_retry_interval=200ms",
    ];
    Place { also: also.map(str::to_owned).to_vec(), ..Place::durable(port, data) }
}

/// Whether it can do its work, as of the last look.
struct Shown(Mutex<Result<(), String>>);

#[async_trait]
impl ReadyCheck for Shown {
    async fn ready(&self) -> Result<(), String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Node {
    life: u64,
    asked: u64,
    place: Place,
    recipe: &'static Recipe,
    other: SocketAddr,
    line: Line,
    server: Server,
    /// As it is noted.
    data: Data,
    running: Option<(Running, Runs)>,
    /// Until when it may be written to.
    leased_until: Instant,
    /// It was told to be written to, and may be at any moment.
    is_promoting: bool,
    /// Whether a copy has what it must have to take over.
    following: Following,
    /// Whether that is so only if commits wait for it, as it was told.
    synchronous: bool,
    /// When a copy that has not everything by then is copied anew.
    astray_at: Instant,
    not_before: Instant,
    shown: Arc<Shown>,
}

impl Node {
    /// Asks and does what it is told, and ends PostgreSQL when its lease is over, whatever it waits for then.
    async fn keep(&mut self) -> Result<()> {
        loop {
            let (writes, over) = (self.may_be_written_to(), self.leased_until);
            tokio::select! {
                done = self.step() => done?,
                () = sleep_until(over), if writes => {}
            }
            self.heed_lease().await?;
            let (writes, over) = (self.may_be_written_to(), self.leased_until);
            tokio::select! {
                done = self.pause() => done?,
                () = sleep_until(over), if writes => {}
            }
            self.heed_lease().await?;
        }
    }

    fn may_be_written_to(&self) -> bool {
        self.runs() == Runs::Primary || self.is_promoting
    }

    fn is_leased(&self) -> bool {
        Instant::now() < self.leased_until
    }

    async fn heed_lease(&mut self) -> Result<()> {
        if self.may_be_written_to() && !self.is_leased() {
            tell("lease-over", || [("data", format!("{:?}", self.data).into())]);
            self.kill().await?;
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<()> {
        let looked = self.look().await;
        let report = self.report(looked.as_ref());
        let asked = Instant::now();
        match self.line.ask(&report).await {
            Ok(order) => {
                if order.role == Role::Primary && order.lease_ms > 0 {
                    self.leased_until = asked + order.lease();
                }
                self.synchronous = order.synchronous;
                self.show(&report, &order);
                self.obey(&order, looked.as_ref()).await
            }
            Err(error) => {
                tell("manager-silent", || [("error", format!("{error:#}").into())]);
                Ok(())
            }
        }
    }

    /// Until it asks again; it notices if PostgreSQL ends.
    async fn pause(&mut self) -> Result<()> {
        let Some((running, _)) = &mut self.running else {
            sleep(EVERY).await;
            return Ok(());
        };
        let Ok(ended) = timeout(EVERY, running.ended()).await else { return Ok(()) };
        tell("server-ended", || [("how", format!("{ended:?}").into())]);
        self.not_before = Instant::now() + PAUSE;
        self.kill().await
    }

    fn runs(&self) -> Runs {
        self.running.as_ref().map_or(Runs::Nothing, |(_, runs)| *runs)
    }

    async fn look(&mut self) -> Result<Look> {
        match self.running {
            Some(_) => self.server.look(self.synchronous).await,
            None => bail!("PostgreSQL does not run"),
        }
    }

    fn report(&mut self, looked: Result<&Look, &anyhow::Error>) -> Report {
        self.asked += 1;
        let silent =
            Report { life: self.life, asked: self.asked, data: self.data, ..Report::default() };
        let writes = self.runs() == Runs::Primary;
        let Some(look) = looked.ok().filter(|look| look.copies != writes) else {
            self.following.count(false, false);
            return silent;
        };
        if self.following.count(look.keeps_up, look.has) == Counted::Mark {
            self.server.mark();
        }
        Report {
            runs: true,
            streams: writes && look.streams,
            waits: writes && look.waits,
            followed: writes && self.following.is_so(),
            ..silent
        }
    }

    fn show(&self, report: &Report, order: &Order) {
        let told = match (report.runs, order.role) {
            (false, _) => Err(format!("PostgreSQL does not serve: {order:?} with {:?}", self.data)),
            (true, Role::Replica) if !order.followed => Err("it has not everything yet".to_owned()),
            (true, _) => Ok(()),
        };
        *self.shown.0.lock().unwrap_or_else(PoisonError::into_inner) = told;
    }

    async fn obey(&mut self, order: &Order, looked: Result<&Look, &anyhow::Error>) -> Result<()> {
        if order.followed || self.runs() != Runs::Replica {
            self.astray_at = Instant::now() + ASTRAY;
        }
        let next = duty(order, self.data, self.runs());
        match next {
            Duty::Stay if Instant::now() >= self.astray_at => {
                tell("astray", || [("data", format!("{:?}", self.data).into())]);
                self.kill().await?;
                self.note(Data::None)?;
            }
            Duty::Stay => self.wait_as_told(order, looked).await,
            Duty::End => self.kill().await?,
            Duty::Promote => self.promote(order, looked).await?,
            Duty::Refuse => tell("data-lost", || {
                [("told", format!("{order:?}").into()), ("has", format!("{:?}", self.data).into())]
            }),
            Duty::Serve if !self.is_leased() => {}
            _ if Instant::now() < self.not_before => {}
            Duty::Serve | Duty::Follow | Duty::Copy => {
                if let Err(error) = self.start(next, order).await {
                    tell("not-started", || [("error", format!("{error:#}").into())]);
                    self.not_before = Instant::now() + PAUSE;
                }
            }
        }
        Ok(())
    }

    async fn wait_as_told(&mut self, order: &Order, looked: Result<&Look, &anyhow::Error>) {
        let Ok(look) = looked else { return };
        if order.role == Role::Primary && look.waits != order.waits {
            self.following = Following::default();
            if let Err(error) = self.server.wait_for_copy(order.waits).await {
                tell("not-set", || [("error", format!("{error:#}").into())]);
            }
        }
    }

    /// Tells PostgreSQL to be written to; once it can be, that is noted before the manager hears of it.
    async fn promote(
        &mut self,
        order: &Order,
        looked: Result<&Look, &anyhow::Error>,
    ) -> Result<()> {
        let Ok(look) = looked else { return Ok(()) };
        if look.copies {
            self.is_promoting = true;
            if let Err(error) = self.server.promote().await {
                tell("not-promoted", || [("error", format!("{error:#}").into())]);
            }
            return Ok(());
        }
        self.note(Data::Primary(order.term))?;
        if let Some((_, runs)) = &mut self.running {
            *runs = Runs::Primary;
        }
        self.following = Following::default();
        tell("promoted", || [("term", order.term.into())]);
        Ok(())
    }

    async fn start(&mut self, next: Duty, order: &Order) -> Result<()> {
        let runs = if next == Duty::Serve { Runs::Primary } else { Runs::Replica };
        self.place.follows = (runs == Runs::Replica).then_some(self.other);
        match next {
            Duty::Serve => {
                let there = folder::is_there(&self.place.data);
                ensure!(order.first || there, "PostgreSQL's folder is gone: it would begin empty");
                self.note(Data::Primary(order.term))?;
            }
            Duty::Copy => {
                // What it has is kept until there is something better.
                self.note(Data::None)?;
                folder::set_aside(&self.place.data)?;
            }
            _ => {}
        }
        let started = self.recipe.start(&self.place, Output::Shown).await?;
        self.running = Some((started, runs));
        if next == Duty::Copy {
            // In this sequence: what is there and not noted is copied again.
            folder::forget_aside(&self.place.data)?;
            self.note(Data::Replica(order.term))?;
        }
        Ok(())
    }

    fn note(&mut self, data: Data) -> Result<()> {
        if data != self.data {
            notes::write(&self.place.data.join(FILE), &data)?;
            self.data = data;
        }
        Ok(())
    }

    async fn kill(&mut self) -> Result<()> {
        self.is_promoting = false;
        self.following = Following::default();
        match self.running.take() {
            Some((mut running, _)) => running.kill().await,
            None => Ok(()),
        }
    }

    async fn stop(&mut self) -> Result<()> {
        match self.running.take() {
            Some((mut running, _)) => running.stop().await,
            None => Ok(()),
        }
    }
}
