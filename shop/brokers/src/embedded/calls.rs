//! How a client's users ask: what they share with its link. It knows neither the socket nor what is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::exchange::{Command, Exchange};
use super::wire::{Answer, Call};
use crate::{Error, Result};

/// After this an answer is not expected any more.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What publishers and consumers of one client share.
pub(super) struct Calls {
    commands: mpsc::Sender<Command>,
    pub(super) exchange: Arc<Exchange>,
    subscriptions: AtomicU64,
}

impl Calls {
    /// Calls that the link takes from the other end of this channel.
    pub(super) fn new(commands: mpsc::Sender<Command>) -> Self {
        let exchange = Arc::new(Exchange::new(commands.downgrade()));
        Self { commands, exchange, subscriptions: AtomicU64::new(0) }
    }

    /// A number that no subscription of this client has had.
    pub(super) fn next_subscription(&self) -> u64 {
        self.subscriptions.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, call: Call) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            let command = Command { call, reply: Some(reply) };
            self.commands.send(command).await.map_err(|_| closed())?;
            answer.await.map_err(|_| closed())?
        };
        timeout(ANSWER_MAX, asked).await.unwrap_or_else(|_| {
            Err(Error::Unavailable(format!("no answer within {} s", ANSWER_MAX.as_secs())))
        })
    }

    /// Says something that needs no answer; lost if the link has no room.
    pub(super) fn tell(&self, call: Call) {
        let _ = self.commands.try_send(Command { call, reply: None });
    }
}

fn closed() -> Error {
    Error::Unavailable("the client is closed".to_owned())
}
