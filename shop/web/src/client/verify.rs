//! The auth service, asked whose a token is.

use async_trait::async_trait;
use http::{HeaderValue, Method, StatusCode, Uri};
use shop::{Error, Result, UserId, Verify};

use super::http_client::Call;
use super::timeouts::SERVICE_CALL;
use super::{Base, Http};
use crate::accounts::Who;

/// Asks an auth service.
pub struct RemoteVerify {
    http: Http,
    verify: Uri,
}

impl RemoteVerify {
    /// The service at this address.
    #[must_use]
    pub fn new(http: Http, base: &Base) -> Self {
        Self { http, verify: base.at("/verify") }
    }
}

#[async_trait]
impl Verify for RemoteVerify {
    async fn verify(&self, token: &str) -> Result<UserId> {
        let bearer = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Error::Unauthenticated("the token is not valid".to_owned()))?;
        let call =
            Call { bearer: Some(bearer), ..Call::new(Method::GET, &self.verify, SERVICE_CALL) };
        Ok(self.http.call(call).await?.parsed::<Who>(StatusCode::OK)?.user_id)
    }
}
