//! Who hears what others notify: a connection of its own that is made again when it breaks.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::connection::Connection;
use crate::{Result, Target};

/// How soon a connection that broke is made again, at most and at least; in between chance decides.
const AGAIN: std::ops::Range<Duration> = Duration::from_millis(100)..Duration::from_millis(500);
/// How often it is asked whether it is there.
const PROBED: Duration = Duration::from_secs(1);

/// Listens until it is dropped. What is notified while it has no connection is not heard: whenever it has one,
/// it tells the empty word, for all that may have been.
pub struct Ear {
    _listens: AbortOnDropHandle<()>,
}

impl Ear {
    /// Tells `hears` what is notified on this channel.
    #[must_use]
    pub fn new(
        target: Target,
        channel: &'static str,
        hears: impl Fn(&str) + Clone + Send + 'static,
    ) -> Self {
        let listens = tokio::spawn(async move {
            loop {
                // Whoever asks the server for anything else tells why.
                let _ = listen(&target, channel, hears.clone()).await;
                sleep(rand::random_range(AGAIN)).await;
            }
        });
        Self { _listens: AbortOnDropHandle::new(listens) }
    }
}

/// Until the connection breaks.
async fn listen(
    target: &Target,
    channel: &str,
    hears: impl Fn(&str) + Clone + Send + 'static,
) -> Result<()> {
    let connection = Connection::open(target, hears.clone()).await?;
    connection.run(&format!("listen {channel}")).await?;
    hears("");
    while !connection.is_closed() {
        sleep(PROBED).await;
    }
    Ok(())
}
