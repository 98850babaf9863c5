//! Brokers, who of them leads which queue, and connections to them that are made when they are needed. It
//! knows no share of a queue.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::calls::{self, Place, code, refused};
use super::line::{ANSWER_MAX, Line, away};
use super::wire::{Answer, Request};
use crate::{Error, Result};

/// Who asks so soon after a refusal waits for its end, and hears the same without another try.
const REFUSED_FOR: Duration = Duration::from_millis(100);
/// How often it is looked whether what was made is there.
pub(super) const LOOK: Duration = Duration::from_millis(20);
/// Connections to a broker that nobody uses.
const IDLE_MAX: usize = 16;
/// How a broker must be set for returned to mean durable.
const FLUSH: &str = "log.flush.interval.messages";
const EACH: &str = "1";

/// Some of its brokers, and what was learnt of the others.
pub(super) struct Cluster {
    seeds: Vec<String>,
    /// Whether they must be set so that returned means durable.
    durable: bool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    brokers: BTreeMap<i32, String>,
    places: HashMap<String, Place>,
    /// Who keeps which group.
    keepers: HashMap<String, i32>,
    idle: HashMap<Whom, Vec<Line>>,
    refused: HashMap<String, (Instant, Error)>,
    /// Who did not answer last: a broker that stands still lets clients in. It is tried after all others.
    silent: Option<String>,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whom {
    /// Whoever is there.
    Any,
    Broker(i32),
}

impl Cluster {
    /// Of these brokers, `HOST:PORT` and a comma between them; none need be there yet.
    pub(super) fn new(addresses: &str, durable: bool) -> Self {
        let seeds = addresses.split(',').map(str::to_owned).collect();
        Self { seeds, durable, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks over a connection that nobody else uses meanwhile; a call that is dropped ends it.
    pub(super) async fn ask(&self, whom: Whom, request: &Request) -> Result<Answer> {
        self.ask_patiently(whom, request, Duration::ZERO).await
    }

    /// Asks for what may wait for so long on purpose.
    async fn ask_patiently(
        &self,
        whom: Whom,
        request: &Request,
        waits: Duration,
    ) -> Result<Answer> {
        self.ask_at(whom, request, waits).await.map(|(answer, _)| answer)
    }

    /// Tells who was asked, too.
    async fn ask_at(
        &self,
        whom: Whom,
        request: &Request,
        waits: Duration,
    ) -> Result<(Answer, String)> {
        let mut line = self.line(whom).await?;
        let address = line.address().to_owned();
        if whom == Whom::Any {
            // Until it has answered: a call that is given up tells nothing.
            self.known().silent = Some(address.clone());
        }
        let answer = match line.send(request).await {
            Ok(()) => line.answer(waits).await,
            Err(error) => Err(error),
        };
        match &answer {
            Ok(_) => self.give_back(whom, line),
            // The others are as old as this one.
            Err(_) => drop(self.known().idle.remove(&whom)),
        }
        answer.map(|answer| (answer, address))
    }

    fn give_back(&self, whom: Whom, line: Line) {
        let mut known = self.known();
        if known.silent.as_deref() == Some(line.address()) {
            known.silent = None;
        }
        let idle = known.idle.entry(whom).or_default();
        if idle.len() < IDLE_MAX {
            idle.push(line);
        }
    }

    /// A connection of its own, of those that nobody uses or a new one.
    async fn line(&self, whom: Whom) -> Result<Line> {
        loop {
            let (idle, silent) = {
                let mut known = self.known();
                (known.idle.get_mut(&whom).and_then(Vec::pop), known.silent.clone())
            };
            let silent = silent.filter(|_| whom == Whom::Any);
            match idle {
                Some(line) if line.is_closed() || silent.as_deref() == Some(line.address()) => {}
                Some(line) => return Ok(line),
                None => return self.connect(whom).await,
            }
        }
    }

    /// A new connection; to a broker of whom no loss is known.
    pub(super) async fn connect(&self, whom: Whom) -> Result<Line> {
        let Whom::Broker(number) = whom else { return self.connect_any().await };
        let address = self.known().brokers.get(&number).cloned();
        let address = address.ok_or_else(|| away(&self.seeds.join(","), "a broker is unknown"))?;
        let mut line = self.connect_to(&address).await?;
        let mut answer = line.ask(&calls::setting(number, FLUSH)).await?;
        match calls::read_setting(&mut answer)?.as_str() {
            EACH => Ok(line),
            _ if !self.durable => Ok(line),
            found => {
                let text = format!("kafka at {address}: {FLUSH} is {found}, expected {EACH}");
                Err(Error::Invalid(format!("{text}: else what is answered may be lost")))
            }
        }
    }

    async fn connect_any(&self) -> Result<Line> {
        let known: Vec<_> = self.known().brokers.values().cloned().collect();
        let silent = self.known().silent.clone();
        let known = known.iter().filter(|address| !self.seeds.contains(address));
        let mut all: Vec<&String> = self.seeds.iter().chain(known).collect();
        all.sort_by_key(|address| Some(*address) == silent.as_ref());
        let mut last = away(&self.seeds.join(","), "nobody is there");
        for address in all {
            match self.connect_to(address).await {
                Ok(line) => return Ok(line),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(&self, address: &str) -> Result<Line> {
        let refused = self.known().refused.get(address).cloned();
        if let Some((until, why)) = refused.filter(|(until, _)| Instant::now() < *until) {
            sleep_until(until).await;
            return Err(why);
        }
        let made = Line::connect(address).await;
        let mut known = self.known();
        match &made {
            Ok(_) => drop(known.refused.remove(address)),
            Err(why) => {
                let refused = (Instant::now() + REFUSED_FOR, why.clone());
                known.refused.insert(address.to_owned(), refused);
            }
        }
        made
    }

    /// Where a queue is; it is made if it is not there.
    pub(super) async fn place(&self, queue: &str) -> Result<Place> {
        let known = self.known().places.get(queue).copied();
        if let Some(place) = known {
            return Ok(place);
        }
        let end = Instant::now() + ANSWER_MAX;
        let mut made = false;
        loop {
            let metadata = self.metadata(queue).await?;
            if let Some(place) = metadata.place {
                self.known().places.insert(queue.to_owned(), place);
                return Ok(place);
            }
            if Instant::now() >= end {
                return Err(refused(metadata.code, &format!("to say who leads {queue}"), ""));
            }
            if metadata.code == code::UNKNOWN_TOPIC && !made {
                let mut answer = self.ask(Whom::Any, &calls::create(queue)).await?;
                calls::read_create(&mut answer, queue)?;
                made = true;
            }
            sleep(LOOK).await;
        }
    }

    /// Who is alone is where it was asked, wherever it tells others to come.
    async fn metadata(&self, queue: &str) -> Result<calls::Metadata> {
        let (mut answer, asked) =
            self.ask_at(Whom::Any, &calls::metadata(queue), Duration::ZERO).await?;
        let mut metadata = calls::read_metadata(&mut answer)?;
        if let [(_, address)] = &mut metadata.brokers[..] {
            *address = asked;
        }
        self.known().brokers.extend(metadata.brokers.drain(..));
        Ok(metadata)
    }

    /// A refusal, with where that is.
    fn named(&self, error: Error) -> Error {
        let at = format!("kafka at {} refuses", self.seeds.join(","));
        let named = |text: String| text.replacen("kafka refuses", &at, 1);
        match error {
            Error::Unavailable(text) => Error::Unavailable(named(text)),
            Error::Invalid(text) => Error::Invalid(named(text)),
            other => other,
        }
    }

    /// Something went wrong there: it may have moved.
    pub(super) fn doubt(&self, queue: &str) {
        self.known().places.remove(queue);
    }

    /// Asks who leads a queue; reads the answer so.
    pub(super) async fn ask_leader<T>(
        &self,
        queue: &str,
        request: &Request,
        read: impl FnOnce(&mut Answer) -> Result<T>,
    ) -> Result<T> {
        self.ask_leader_patiently(queue, request, Duration::ZERO, read).await
    }

    /// As `ask_leader`, for what may wait for so long on purpose.
    pub(super) async fn ask_leader_patiently<T>(
        &self,
        queue: &str,
        request: &Request,
        waits: Duration,
        read: impl FnOnce(&mut Answer) -> Result<T>,
    ) -> Result<T> {
        let leader = Whom::Broker(self.place(queue).await?.leader);
        let asked = self.ask_patiently(leader, request, waits).await;
        let told = asked.and_then(|mut answer| read(&mut answer)).map_err(|e| self.named(e));
        if matches!(told, Err(Error::Unavailable(_))) {
            self.doubt(queue);
        }
        told
    }

    /// Asks who keeps a group, again and again while nobody does yet.
    pub(super) async fn ask_keeper<T>(
        &self,
        group: &str,
        request: &Request,
        read: impl Fn(&mut Answer) -> Result<T>,
    ) -> Result<T> {
        let end = Instant::now() + ANSWER_MAX;
        loop {
            let told = match self.keeper(group).await? {
                Some(keeper) => {
                    let asked = self.ask(Whom::Broker(keeper), request).await;
                    let told = asked.and_then(|mut answer| read(&mut answer));
                    if told.is_err() {
                        self.known().keepers.remove(group);
                    }
                    told
                }
                None => Err(away(&self.seeds.join(","), "nobody keeps groups yet")),
            };
            if !matches!(told, Err(Error::Unavailable(_))) || Instant::now() >= end {
                return told.map_err(|error| self.named(error));
            }
            sleep(LOOK).await;
        }
    }

    /// None if nobody does yet.
    async fn keeper(&self, group: &str) -> Result<Option<i32>> {
        let known = self.known().keepers.get(group).copied();
        if known.is_some() {
            return Ok(known);
        }
        let mut found = self.ask(Whom::Any, &calls::coordinator(group)).await?;
        let Some((number, address)) = calls::read_coordinator(&mut found)? else { return Ok(None) };
        let mut known = self.known();
        known.brokers.entry(number).or_insert(address);
        known.keepers.insert(group.to_owned(), number);
        Ok(Some(number))
    }
}
