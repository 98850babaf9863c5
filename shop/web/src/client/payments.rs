//! The payments service as a port.

use async_trait::async_trait;
use http::{Method, StatusCode, Uri};
use shop::{Charge, Charged, Payments, Result};

use super::http_client::Call;
use super::timeouts::SERVICE_CALL;
use super::{Base, Credential, Http};

/// Asks a payments service.
pub struct RemotePayments {
    http: Http,
    charges: Uri,
    cancellations: Uri,
    credential: Credential,
}

impl RemotePayments {
    /// The service at this address, which wants this credential.
    #[must_use]
    pub fn new(http: Http, base: &Base, credential: Credential) -> Self {
        let (charges, cancellations) = (base.at("/charges"), base.at("/cancellations"));
        Self { http, charges, cancellations, credential }
    }

    async fn ask(&self, what: &Uri, charge: &Charge) -> Result<Charged> {
        let call = Call::new(Method::POST, what, SERVICE_CALL).with(charge)?;
        let call = Call { bearer: self.credential.header(), ..call };
        let answer = self.http.call(call).await?;
        if answer.status == StatusCode::ACCEPTED {
            return Ok(Charged::Later);
        }
        Ok(Charged::Now(answer.parsed(StatusCode::OK)?))
    }
}

#[async_trait]
impl Payments for RemotePayments {
    async fn charge(&self, charge: Charge) -> Result<Charged> {
        self.ask(&self.charges, &charge).await
    }

    async fn cancel(&self, charge: Charge) -> Result<Charged> {
        self.ask(&self.cancellations, &charge).await
    }
}
