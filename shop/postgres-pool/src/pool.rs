//! The connections of one process to one database.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, SimpleQueryMessage};

use crate::connection::{Connection, Outcome, Schema};
use crate::{ANSWER_MAX, Error, Result, Target};

/// Who asks so soon after a refusal hears the same without another try.
const REFUSED_FOR: Duration = Duration::from_millis(100);

/// Connections that are made when they are needed. Whoever gives up closes the one that he used.
pub struct Pool {
    target: Target,
    schema: Option<Schema>,
    places: Semaphore,
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
        let places = Semaphore::new(target.connections);
        Self { target, schema, places, state: Mutex::default() }
    }

    /// Which database it is.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The rows of one statement, which is a transaction of its own.
    ///
    /// # Errors
    /// After each but `Refused` and `Unfit` it may have been done.
    pub async fn ask(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.in_time(async {
            let mut connection = self.connection().await?;
            let Outcome { result, is_sound } = connection.ask(sql, params).await;
            if is_sound {
                self.state().idle.push(connection);
            }
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
            let connection = self.connection().await?;
            let told = connection.run(sql).await?;
            self.state().idle.push(connection);
            Ok(told.iter().rev().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            }))
        })
        .await
    }

    /// With a place among those that ask at once.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let work = async {
            let closed = |_| Error::Unavailable("closed".to_owned());
            let _place = self.places.acquire().await.map_err(closed)?;
            work.await
        };
        timeout(ANSWER_MAX, work).await.unwrap_or_else(|_| {
            let (place, after) = (&self.target.place, ANSWER_MAX.as_secs());
            Err(Error::TimedOut(format!("{place}: no answer within {after} s")))
        })
    }

    /// One that is idle, or a new one; it is the caller's.
    async fn connection(&self) -> Result<Connection> {
        if let Some(connection) = self.idle()? {
            return Ok(connection);
        }
        let made = Connection::prepared(&self.target, self.schema).await;
        if let Err(why) = &made {
            self.state().refused = Some((Instant::now() + REFUSED_FOR, why.clone()));
        }
        made
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
