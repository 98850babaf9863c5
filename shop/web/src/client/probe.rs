//! Whether another service is there.

use futures_util::future::BoxFuture;
use http::{Method, StatusCode, Uri};
use shop::{Error, Result};

use super::http_client::Call;
use super::timeouts::SERVICE_CALL;
use super::{Base, Http};

/// Asks one service whether it lives, or whether it can work.
#[derive(Clone)]
pub struct Probe {
    http: Http,
    uri: Uri,
}

impl Probe {
    /// Asks its `/healthz`: enough for who needs nothing of what it keeps.
    #[must_use]
    pub fn alive(http: &Http, base: &Base) -> Self {
        Self { http: http.clone(), uri: base.at("/healthz") }
    }

    /// Asks its `/readyz`.
    #[must_use]
    pub fn ready(http: &Http, base: &Base) -> Self {
        Self { http: http.clone(), uri: base.at("/readyz") }
    }

    /// # Errors
    /// What it answers instead of 200, or why it does not answer.
    #[must_use]
    pub fn check(self) -> BoxFuture<'static, Result<()>> {
        Box::pin(self.checked())
    }

    async fn checked(self) -> Result<()> {
        let answer = self.http.call(Call::new(Method::GET, &self.uri, SERVICE_CALL)).await?;
        if answer.status == StatusCode::OK {
            return Ok(());
        }
        Err(Error::Unavailable(format!("{} answered {}", self.uri, answer.status)))
    }
}
