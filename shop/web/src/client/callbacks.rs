//! Customers' own servers, which are told what became of orders. Their contract is this one call.

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use shop::{Callbacks, Error, Result};

use super::http_client::Call;
use super::timeouts::CALLBACK_CALL;
use super::{Base, Http};

/// Shows that a notification is ours.
const SIGNATURE: HeaderName = HeaderName::from_static("triptych-signature");

/// Posts to URLs of one server. A URL comes from a customer: any that leads elsewhere could make this
/// process knock at doors that only it can reach.
pub struct RemoteCallbacks {
    http: Http,
    allowed: Base,
}

impl RemoteCallbacks {
    /// URLs that begin with this address may be called.
    #[must_use]
    pub fn new(http: Http, allowed: Base) -> Self {
        Self { http, allowed }
    }
}

#[async_trait]
impl Callbacks for RemoteCallbacks {
    async fn post(&self, url: &str, body: String, signature: &str) -> Result<()> {
        let uri = url.parse::<Uri>().ok().filter(|uri| self.allowed.holds(uri));
        let uri = uri.ok_or_else(|| Error::Invalid("this URL may not be called".to_owned()))?;
        let signature = HeaderValue::try_from(signature)
            .map_err(|_| Error::Internal("the signature cannot be sent".to_owned()))?;
        let call = Call {
            body: Bytes::from(body),
            signature: Some((SIGNATURE, signature)),
            ..Call::new(Method::POST, &uri, CALLBACK_CALL)
        };
        meaning(self.http.call(call).await?.status)
    }
}

/// What a receiver's answer means: whoever is not ready may be so later, and a refusal stays one.
fn meaning(status: StatusCode) -> Result<()> {
    let text = format!("the receiver answered {status}");
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => Err(Error::TimedOut(text)),
        StatusCode::TOO_MANY_REQUESTS => Err(Error::Busy(text)),
        status if status.is_client_error() => Err(Error::Invalid(text)),
        _ => Err(Error::Unavailable(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_final_and_everything_else_may_pass() {
        let of = |status: u16| meaning(StatusCode::from_u16(status).unwrap());
        for good in [200, 201, 202, 204] {
            assert_eq!(of(good), Ok(()));
        }
        for never in [400, 401, 404, 410, 422] {
            assert!(matches!(of(never), Err(Error::Invalid(_))), "{never}");
        }
        for later in [301, 408, 425, 429, 500, 503, 504] {
            assert!(!matches!(of(later), Ok(()) | Err(Error::Invalid(_))), "{later}");
        }
    }
}
