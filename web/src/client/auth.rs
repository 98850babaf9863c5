//! The auth service as a port.

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Uri};
use serde::de::DeserializeOwned;
use shop::{Auth, Credentials, Error, Result, Session, UserId};

use super::http_client::{Answer, Call};
use super::{Base, Http};
use crate::accounts::Who;
use crate::problem;
use crate::timing::SERVICE_CALL;

/// Asks an auth service.
pub struct RemoteAuth {
    http: Http,
    signup: Uri,
    login: Uri,
    verify: Uri,
}

impl RemoteAuth {
    /// The service at this address.
    #[must_use]
    pub fn new(http: Http, base: &Base) -> Self {
        let [signup, login, verify] = ["/signup", "/login", "/verify"].map(|path| base.at(path));
        Self { http, signup, login, verify }
    }

    /// Sends credentials. Signing up twice is not as good as once: the second would be refused.
    async fn post(&self, uri: &Uri, credentials: &Credentials, repeatable: bool) -> Result<Answer> {
        let body = serialized(credentials)?;
        let (method, uri, within) = (Method::POST, uri.clone(), SERVICE_CALL);
        self.http.call(Call { method, uri, bearer: None, body, within, repeatable }).await
    }
}

#[async_trait]
impl Auth for RemoteAuth {
    async fn signup(&self, credentials: Credentials) -> Result<UserId> {
        let answer = self.post(&self.signup, &credentials, false).await?;
        Ok(parsed::<Who>(&answer, StatusCode::CREATED)?.user_id)
    }

    async fn login(&self, credentials: Credentials) -> Result<Session> {
        let answer = self.post(&self.login, &credentials, true).await?;
        parsed(&answer, StatusCode::OK)
    }

    async fn verify(&self, token: &str) -> Result<UserId> {
        let bearer = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Error::Unauthenticated("the token is not valid".to_owned()))?;
        let call = Call {
            method: Method::GET,
            uri: self.verify.clone(),
            bearer: Some(bearer),
            body: Bytes::new(),
            within: SERVICE_CALL,
            repeatable: true,
        };
        Ok(parsed::<Who>(&self.http.call(call).await?, StatusCode::OK)?.user_id)
    }
}

pub(super) fn serialized(value: &impl serde::Serialize) -> Result<Bytes> {
    let body = serde_json::to_vec(value).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(Bytes::from(body))
}

/// The value that an answer of this status holds; any other status is an error.
pub(super) fn parsed<T: DeserializeOwned>(answer: &Answer, status: StatusCode) -> Result<T> {
    if answer.status != status {
        return Err(problem::error(answer.status, &answer.body));
    }
    let unreadable = |e| Error::Internal(format!("an answer cannot be read: {e}"));
    serde_json::from_slice(&answer.body).map_err(unreadable)
}
