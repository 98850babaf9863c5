//! Signed tokens: HS256 and nothing else, every claim required.

use std::collections::HashSet;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Session, UserId};
use crate::{Error, Result, now_us};

const ISSUER: &str = "triptych-auth";
const AUDIENCE: &str = "triptych-shop";
const LIFETIME_S: i64 = 3600;
const LEEWAY_S: u64 = 5;
const SECRET_BYTES_MIN: usize = 32;

/// Issues and checks tokens with one secret.
pub struct Tokens {
    signing: EncodingKey,
    checking: DecodingKey,
    rules: Validation,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: Uuid,
    iss: String,
    aud: String,
    iat: i64,
    exp: i64,
}

impl Tokens {
    /// Tokens signed with this secret.
    ///
    /// # Errors
    /// `Invalid` if the secret has fewer than 32 bytes.
    pub fn new(secret: &[u8]) -> Result<Self> {
        if secret.len() < SECRET_BYTES_MIN {
            let found = secret.len();
            let text = format!(
                "the token secret has {found} bytes; at least {SECRET_BYTES_MIN} are needed"
            );
            return Err(Error::Invalid(text));
        }
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = LEEWAY_S;
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.required_spec_claims =
            HashSet::from(["exp", "iat", "sub", "iss", "aud"].map(ToOwned::to_owned));
        Ok(Self {
            signing: EncodingKey::from_secret(secret),
            checking: DecodingKey::from_secret(secret),
            rules,
        })
    }

    /// A token for this customer, valid for an hour.
    pub(crate) fn issue(&self, user: UserId) -> Result<Session> {
        let iat = now_us() / 1_000_000;
        let exp = iat + LIFETIME_S;
        let claims =
            Claims { sub: user.0, iss: ISSUER.to_owned(), aud: AUDIENCE.to_owned(), iat, exp };
        let token = encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .map_err(|e| Error::Internal(format!("signing a token: {e}")))?;
        Ok(Session { token, expires_at: exp * 1_000_000 })
    }

    /// Whose token this is.
    pub(crate) fn check(&self, token: &str) -> Result<UserId> {
        let claims = decode::<Claims>(token, &self.checking, &self.rules)
            .map_err(|e| Error::Unauthenticated(format!("the token is not valid ({e})")))?
            .claims;
        if claims.iat > now_us() / 1_000_000 + LEEWAY_S.cast_signed() {
            return Err(Error::Unauthenticated("the token is from the future".to_owned()));
        }
        Ok(UserId(claims.sub))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn claims() -> Value {
        let now = now_us() / 1_000_000;
        json!({"sub": Uuid::from_u128(7), "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 60})
    }

    #[track_caller]
    fn check(algorithm: Algorithm, secret: &[u8], claims: &Value, valid: bool) {
        let key = EncodingKey::from_secret(secret);
        let token = encode(&Header::new(algorithm), claims, &key).unwrap();
        let result = Tokens::new(SECRET).unwrap().check(&token);
        assert_eq!(result.is_ok(), valid, "{claims} gave {result:?}");
    }

    fn with(field: &str, value: Value) -> Value {
        let mut changed = claims();
        changed[field] = value;
        changed
    }

    fn without(field: &str) -> Value {
        let mut changed = claims();
        changed.as_object_mut().unwrap().remove(field);
        changed
    }

    #[test]
    fn only_a_complete_fresh_token_of_ours_is_valid() {
        let now = now_us() / 1_000_000;
        check(Algorithm::HS256, SECRET, &claims(), true);
        check(Algorithm::HS256, b"another secret of thirty-two bytes", &claims(), false);
        check(Algorithm::HS384, SECRET, &claims(), false);
        check(Algorithm::HS256, SECRET, &with("exp", json!(now - 60)), false);
        check(Algorithm::HS256, SECRET, &with("exp", json!("soon")), false);
        check(Algorithm::HS256, SECRET, &with("iat", json!(now + 600)), false);
        check(Algorithm::HS256, SECRET, &with("iss", json!("somebody")), false);
        check(Algorithm::HS256, SECRET, &with("aud", json!("elsewhere")), false);
        for field in ["sub", "iss", "aud", "iat", "exp"] {
            check(Algorithm::HS256, SECRET, &without(field), false);
        }
    }

    #[test]
    fn an_unsigned_token_is_refused() {
        // {"alg":"none"} . claims . no signature
        let signed = Tokens::new(SECRET).unwrap().issue(UserId(Uuid::from_u128(7))).unwrap().token;
        let payload = signed.split('.').nth(1).unwrap();
        let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");
        assert!(Tokens::new(SECRET).unwrap().check(&unsigned).is_err());
        assert!(Tokens::new(SECRET).unwrap().check(&signed).is_ok());
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(Tokens::new(b"short").is_err());
    }
}
