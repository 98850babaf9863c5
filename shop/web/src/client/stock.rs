//! The inventory as a port.

use async_trait::async_trait;
use http::{Method, StatusCode, Uri};
use shop::{Availability, Item, Result, Stock};

use super::http_client::Call;
use super::timeouts::SERVICE_CALL;
use super::{Base, Credential, Http};
use crate::stock::{Told, Wanted};

/// Asks an inventory to reserve.
pub struct RemoteStock {
    http: Http,
    reservations: Uri,
    credential: Credential,
}

impl RemoteStock {
    /// The inventory at this address, which wants this credential.
    #[must_use]
    pub fn new(http: Http, base: &Base, credential: Credential) -> Self {
        Self { http, reservations: base.at("/reservations"), credential }
    }
}

#[async_trait]
impl Stock for RemoteStock {
    async fn reserve(&self, key: &str, items: &[Item]) -> Result<Availability> {
        let wanted = Wanted { key: key.to_owned(), items: items.to_vec() };
        let call = Call::new(Method::POST, &self.reservations, SERVICE_CALL).with(&wanted)?;
        let call = Call { bearer: self.credential.header(), ..call };
        Ok(self.http.call(call).await?.parsed::<Told>(StatusCode::OK)?.answer)
    }
}
