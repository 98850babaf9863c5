//! The card network as a port. Its contract is its own, not ours.

use async_trait::async_trait;
use http::{Method, StatusCode, Uri};
use serde::Deserialize;
use shop::{CardNetwork, Charge, Error, Result, Verdict};

use super::http_client::Call;
use super::{Base, Credential, Http, Patience};

/// Asks the card network.
pub struct RemoteProvider {
    http: Http,
    charges: Uri,
    voids: Uri,
    credential: Credential,
    patience: Patience,
}

#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Decision {
    Captured { charge_id: String },
    Declined,
    Voided,
}

impl RemoteProvider {
    /// The network at this address, which wants this credential.
    #[must_use]
    pub fn new(http: Http, base: &Base, credential: Credential) -> Self {
        let patience = Patience::default();
        let (charges, voids) = (base.at("/charges"), base.at("/voids"));
        Self { http, charges, voids, credential, patience }
    }

    /// The same, asked as long and as often as this.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }
}

#[async_trait]
impl CardNetwork for RemoteProvider {
    async fn capture(&self, charge: &Charge) -> Result<Verdict> {
        self.patiently(&self.charges, charge).await
    }

    async fn void(&self, charge: &Charge) -> Result<Verdict> {
        self.patiently(&self.voids, charge).await
    }
}

impl RemoteProvider {
    async fn patiently(&self, what: &Uri, charge: &Charge) -> Result<Verdict> {
        let mut pause = self.patience.backoff;
        for _ in 1..self.patience.attempts {
            match self.ask(what, charge).await {
                Err(Error::TimedOut(_)) => tokio::time::sleep(pause).await,
                answered => return answered,
            }
            pause *= 2;
        }
        self.ask(what, charge).await
    }

    async fn ask(&self, what: &Uri, charge: &Charge) -> Result<Verdict> {
        let call = Call::new(Method::POST, what, self.patience.call).with(charge)?;
        let call = Call { bearer: self.credential.header(), ..call };
        let answer = self.http.call(call).await?;
        if answer.status == StatusCode::OK {
            crash_point::reach(crash_point::CARD_CHARGED);
        }
        match answer.status {
            StatusCode::OK => Ok(match answer.parsed(StatusCode::OK)? {
                Decision::Captured { charge_id } => Verdict::Paid { charge_id },
                Decision::Declined => Verdict::Declined,
                Decision::Voided => Verdict::Cancelled,
            }),
            StatusCode::CONFLICT => Err(Error::KeyReused),
            StatusCode::TOO_MANY_REQUESTS => {
                Err(Error::Busy("the card network refuses more charges for now".to_owned()))
            }
            StatusCode::GATEWAY_TIMEOUT => {
                Err(Error::TimedOut("the card network ran out of time".to_owned()))
            }
            // Another's network at its address, or a credential that was changed: no charge's own fault.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Error::Unavailable("the card network refuses our credential".to_owned()))
            }
            status if status.is_server_error() => {
                Err(Error::Unavailable(format!("the card network answered {status}")))
            }
            status => Err(Error::Internal(format!("the card network answered {status}"))),
        }
    }
}
