//! Ready when everything that is called is alive.

use std::time::Duration;

use async_trait::async_trait;
use http::{Method, StatusCode, Uri};
use http_server::ReadyCheck;

use super::http_client::Call;
use super::{Base, Http};

const WITHIN: Duration = Duration::from_secs(1);

/// Asks the `/healthz` of each service that this process calls.
pub struct Dependencies {
    http: Http,
    health: Vec<Uri>,
}

impl Dependencies {
    /// The services at these addresses.
    #[must_use]
    pub fn new(http: Http, bases: &[&Base]) -> Self {
        Self { http, health: bases.iter().map(|base| base.at("/healthz")).collect() }
    }
}

#[async_trait]
impl ReadyCheck for Dependencies {
    async fn ready(&self) -> Result<(), String> {
        for uri in &self.health {
            let call = Call::new(Method::GET, uri, WITHIN);
            let answer = self.http.call(call).await.map_err(|error| error.to_string())?;
            if answer.status != StatusCode::OK {
                return Err(format!("{uri} answered {}", answer.status));
            }
        }
        Ok(())
    }
}
