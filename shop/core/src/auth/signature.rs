//! Claims with a signature: a JSON Web Signature in compact form (RFC 7515), by HMAC with SHA-256. No other
//! algorithm exists here, so none can be asked for (decision 38). It knows neither the claims nor the time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{Error, Result};

/// What may stand in a header: anything else (`crit`, `b64`, `jwk`) could ask for another reading.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: Option<String>,
    alg: String,
}

const ALGORITHM: &str = "HS256";

/// Signs and opens with one secret.
pub(super) struct Key(Hmac<Sha256>);

impl Key {
    /// A key of this secret.
    pub(super) fn new(secret: &[u8]) -> Result<Self> {
        Hmac::new_from_slice(secret)
            .map(Self)
            .map_err(|e| Error::Invalid(format!("the token secret is no key: {e}")))
    }

    /// `header.claims.signature`
    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String> {
        let header = Header { typ: Some("JWT".to_owned()), alg: ALGORITHM.to_owned() };
        let message = format!("{}.{}", encoded(&header)?, encoded(claims)?);
        let signature = URL_SAFE_NO_PAD.encode(self.over(&message).finalize().into_bytes());
        Ok(format!("{message}.{signature}"))
    }

    /// The claims, if this key signed them. Nothing of the token is interpreted before that is known.
    pub(super) fn open<C: DeserializeOwned>(&self, token: &str) -> Result<C> {
        let (message, signature) = token.rsplit_once('.').ok_or_else(|| not_valid("its form"))?;
        let signature = decoded(signature, "its signature")?;
        // In constant time, and in full length only.
        self.over(message).verify_slice(&signature).map_err(|_| not_valid("its signature"))?;
        let (header, claims) = message.split_once('.').ok_or_else(|| not_valid("its form"))?;
        if read::<Header>(header, "its header")?.alg != ALGORITHM {
            return Err(not_valid("its algorithm"));
        }
        read(claims, "its claims")
    }

    fn over(&self, message: &str) -> Hmac<Sha256> {
        self.0.clone().chain_update(message)
    }
}

fn encoded(part: &impl Serialize) -> Result<String> {
    let text = serde_json::to_vec(part).map_err(|e| Error::Internal(format!("a token: {e}")))?;
    Ok(URL_SAFE_NO_PAD.encode(text))
}

fn read<T: DeserializeOwned>(part: &str, what: &str) -> Result<T> {
    serde_json::from_slice(&decoded(part, what)?).map_err(|_| not_valid(what))
}

fn decoded(part: &str, what: &str) -> Result<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| not_valid(what))
}

fn not_valid(what: &str) -> Error {
    Error::Unauthenticated(format!("the token is not valid ({what})"))
}
