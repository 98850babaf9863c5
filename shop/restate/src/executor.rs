//! Whoever asks the server to bring a workflow to its end.

use std::time::Duration;

use async_trait::async_trait;
use shop::{Charge, Error, Executor, Result};
use tokio::time::timeout;

use crate::Ingress;
use crate::held::Held;

/// How long a workflow is waited for, before others may. It goes on meanwhile.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// Workflows by Restate.
pub struct Restate {
    ingress: Ingress,
    pub(crate) held: Held,
}

impl Restate {
    /// The server behind this ingress, which calls [`serve`](crate::serve).
    #[must_use]
    pub fn new(ingress: Ingress) -> Self {
        Self { ingress, held: Held::default() }
    }
}

#[async_trait]
impl Executor for Restate {
    async fn finish(&self, charge: Charge) -> Result<()> {
        let key = charge.key.clone();
        let _held = self.held.hold(charge);
        let late = |_| Error::TimedOut(format!("the workflow did not end within {WAIT_MAX:?}"));
        timeout(WAIT_MAX, self.ingress.finish(&key)).await.map_err(late)?
    }
}
