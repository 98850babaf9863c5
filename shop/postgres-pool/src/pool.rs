//! The connections of one process to one database.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, SimpleQueryMessage};

use crate::connection::{Connection, Outcome, Schema};
use crate::{ANSWER_MAX, Error, Result, Target};

/// Who asks so soon after a refusal hears the same without another try.
const REFUSED_FOR: Duration = Duration::from_millis(100);
/// Connections that are made at once: each is a process of the server, and a crowd of them would be late together.
const MADE_AT_ONCE: usize = 4;
/// How much longer than the server grants a statement it may take until its connection is closed.
const GRACE: Duration = Duration::from_millis(500);

/// Connections that are made when they are needed. Whoever gives up leaves the one that he used, or waited for, to others:
/// were it closed, a busy server would be made busier by those who cannot wait for it.
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    target: Target,
    schema: Option<Schema>,
    places: Arc<Semaphore>,
    making: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    refused: Option<(Instant, Error)>,
}

impl Pool {
    /// To a server that need not be there yet, whose database shall have these tables.
    #[must_use]
    pub fn new(target: Target, schema: Option<Schema>) -> Self {
        let places = Arc::new(Semaphore::new(target.connections));
        let (making, state) = (Semaphore::new(MADE_AT_ONCE), Mutex::default());
        Self { shared: Arc::new(Shared { target, schema, places, making, state }) }
    }

    /// Which database it is.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.shared.target
    }

    /// The rows of one statement, which is a transaction of its own.
    ///
    /// # Errors
    /// After each but `Refused` and `Unfit` it may have been done.
    pub async fn ask(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.in_time(async {
            let mut taken = self.shared.take().await?;
            let Outcome { result, is_sound } = taken.connection()?.ask(sql, params).await;
            taken.end(is_sound);
            result
        })
        .await
    }

    /// The first value of the last row that several statements give, sent at once.
    ///
    /// # Errors
    /// As `ask`.
    pub async fn run(&self, sql: &str) -> Result<Option<String>> {
        self.in_time(async {
            let mut taken = self.shared.take().await?;
            let told = taken.connection()?.run(sql).await;
            taken.end(told.is_ok());
            Ok(told?.iter().rev().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            }))
        })
        .await
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        timeout(ANSWER_MAX, work).await.unwrap_or_else(|_| Err(self.shared.late()))
    }
}

/// A connection, and its place among those that there may be.
struct Held {
    connection: Connection,
    _place: OwnedSemaphorePermit,
}

impl Shared {
    /// A connection for whoever waits.
    async fn take(self: &Arc<Self>) -> Result<Taken> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| closed())?;
        let held = match self.idle()? {
            Some(connection) => Held { connection, _place: place },
            None => self.made(place).await?,
        };
        let until = Instant::now() + ANSWER_MAX + GRACE;
        Ok(Taken { shared: Arc::clone(self), held: Some(held), until })
    }

    /// A new one. Once it is being made it is made to its end, also if nobody waits for it any more.
    async fn made(self: &Arc<Self>, place: OwnedSemaphorePermit) -> Result<Held> {
        let (shared, (told, made)) = (Arc::clone(self), oneshot::channel());
        tokio::spawn(async move {
            let Some(made) = shared.make(&told).await else { return };
            let made = made.map(|connection| Held { connection, _place: place });
            // What nobody has waited for began too long ago to say something of now.
            if let (Err(why), false) = (&made, told.is_closed()) {
                shared.state().refused = Some((Instant::now() + REFUSED_FOR, why.clone()));
            }
            if let Err(Ok(held)) = told.send(made) {
                shared.rest(held.connection);
            }
        });
        made.await.map_err(|_| closed())?
    }

    /// Its turn may come when another is idle, when it is known that there is none to be had, or when nobody waits.
    async fn make(&self, told: &oneshot::Sender<Result<Held>>) -> Option<Result<Connection>> {
        let _turn = self.making.acquire().await.ok()?;
        if told.is_closed() {
            return None;
        }
        match self.idle().transpose() {
            Some(known) => Some(known),
            None => {
                let made = Connection::prepared(&self.target, self.schema);
                let made = timeout(ANSWER_MAX, made).await.unwrap_or_else(|_| Err(self.late()));
                if made.is_ok() {
                    self.state().refused = None;
                }
                Some(made)
            }
        }
    }

    fn late(&self) -> Error {
        let (place, after) = (&self.target.place, ANSWER_MAX.as_secs());
        Error::TimedOut(format!("{place}: no answer within {after} s"))
    }

    fn idle(&self) -> Result<Option<Connection>> {
        let mut state = self.state();
        while let Some(connection) = state.idle.pop() {
            if !connection.is_closed() {
                return Ok(Some(connection));
            }
        }
        match &state.refused {
            Some((until, why)) if Instant::now() < *until => Err(why.clone()),
            _ => Ok(None),
        }
    }

    /// For others. A server that has just answered is silent no more; one that lets nobody else in may answer, too.
    fn rest(&self, connection: Connection) {
        let mut state = self.state();
        state.refused.take_if(|(_, why)| matches!(why, Error::TimedOut(_)));
        state.idle.push(connection);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> Error {
    Error::Unavailable("closed".to_owned())
}

/// A connection that somebody uses. If he gives up, what he asked for goes on to its end, and the connection is idle then.
struct Taken {
    shared: Arc<Shared>,
    held: Option<Held>,
    /// When nobody waits any more for what was asked.
    until: Instant,
}

impl Taken {
    fn connection(&mut self) -> Result<&mut Connection> {
        self.held.as_mut().map(|held| &mut held.connection).ok_or_else(closed)
    }

    /// What was asked has been answered: the connection can be used again, or it is closed.
    fn end(mut self, is_sound: bool) {
        if let Some(held) = self.held.take().filter(|_| is_sound) {
            self.shared.rest(held.connection);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let (Some(held), Ok(runtime)) = (self.held.take(), Handle::try_current()) else { return };
        let (shared, until) = (Arc::clone(&self.shared), self.until);
        runtime.spawn(async move {
            // With its place.
            let held = held;
            // Its answer comes after all that was asked before; nothing is left open.
            if let Ok(Ok(_)) = timeout_at(until, held.connection.run("rollback")).await {
                shared.rest(held.connection);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    /// Of a crowd that finds nobody, four knock, and all hear what they heard.
    #[tokio::test]
    async fn few_connections_are_made_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // It lets nobody in and sends nobody away.
        let all = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&all);
        let open = tokio::spawn(async move {
            while let Ok((line, _)) = listener.accept().await {
                lines.lock().unwrap().push(line);
            }
        });
        let pool = Arc::new(Pool::new(Target::parse(&format!("{address}?pool=16")).unwrap(), None));
        let mut asking = JoinSet::new();
        for _ in 0..16 {
            let pool = Arc::clone(&pool);
            asking.spawn(async move { pool.run("select 1").await });
        }
        for told in asking.join_all().await {
            assert!(
                matches!(&told, Err(Error::TimedOut(why)) if why.contains("no connection")),
                "{told:?}"
            );
        }
        assert_eq!(all.lock().unwrap().len(), MADE_AT_ONCE);
        assert_eq!(pool.shared.places.available_permits(), 16, "a place is lost");
        open.abort();
    }
}
