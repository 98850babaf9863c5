//! A connection that is made when it is needed, and made again after a break. It knows no protocol.

use std::future::Future;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::{Error, Result};

/// Who asks so soon after a refusal hears the same without another try.
const REFUSED_FOR: Duration = Duration::from_millis(100);

pub(crate) struct Lazy<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    made: Option<T>,
    refused: Option<(Instant, Error)>,
}

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self { state: Mutex::new(State { made: None, refused: None }) }
    }
}

impl<T: Clone> Lazy<T> {
    /// What was made, if it is still good; else makes it, while who asks meanwhile waits.
    pub(crate) async fn get(
        &self,
        good: impl Fn(&T) -> bool,
        make: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut state = self.state.lock().await;
        if let Some(made) = state.made.as_ref().filter(|made| good(made)) {
            return Ok(made.clone());
        }
        state.made = None;
        if let Some((until, why)) = &state.refused
            && Instant::now() < *until
        {
            return Err(why.clone());
        }
        let made = make.await;
        match &made {
            Ok(made) => state.made = Some(made.clone()),
            Err(why) => state.refused = Some((Instant::now() + REFUSED_FOR, why.clone())),
        }
        made
    }

    /// It is in doubt: the next who asks has another made.
    #[cfg(feature = "rabbitmq")]
    pub(crate) async fn forget(&self) {
        self.state.lock().await.made = None;
    }
}
