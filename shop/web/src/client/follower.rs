//! A service that follows settlements, as a port.

use async_trait::async_trait;
use http::{Method, StatusCode, Uri};
use serde::de::IgnoredAny;
use shop::{Follower, Result, Settled};

use super::http_client::Call;
use super::timeouts::SERVICE_CALL;
use super::{Base, Credential, Http};

/// Tells a service of settlements.
pub struct RemoteFollower {
    http: Http,
    settlements: Uri,
    credential: Credential,
}

impl RemoteFollower {
    /// The service at this address, which wants this credential.
    #[must_use]
    pub fn new(http: Http, base: &Base, credential: Credential) -> Self {
        Self { http, settlements: base.at("/settlements"), credential }
    }
}

#[async_trait]
impl Follower for RemoteFollower {
    async fn tell(&self, settled: &Settled) -> Result<()> {
        let call = Call::new(Method::POST, &self.settlements, SERVICE_CALL).with(settled)?;
        let call = Call { bearer: self.credential.header(), ..call };
        self.http.call(call).await?.parsed::<IgnoredAny>(StatusCode::OK).map(drop)
    }
}
