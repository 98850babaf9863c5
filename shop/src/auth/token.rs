//! Signed tokens: HS256 and nothing else, every claim required.

use std::collections::HashSet;

use async_trait::async_trait;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Session, UserId, Verify};
use crate::time::Clock;
use crate::{Error, Result, now_us};

const ISSUER: &str = "triptych-auth";
const AUDIENCE: &str = "triptych-shop";
const LIFETIME_S: i64 = 3600;
/// Between the clocks of two hosts.
const LEEWAY_S: i64 = 5;
const SECRET_BYTES_MIN: usize = 32;

/// Issues and checks tokens with one secret.
pub struct Tokens {
    signing: EncodingKey,
    checking: DecodingKey,
    rules: Validation,
    clock: Clock,
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
        // Time is checked here, by a clock that bears being set.
        rules.validate_exp = false;
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.required_spec_claims =
            HashSet::from(["exp", "iat", "sub", "iss", "aud"].map(ToOwned::to_owned));
        Ok(Self {
            signing: EncodingKey::from_secret(secret),
            checking: DecodingKey::from_secret(secret),
            rules,
            clock: Clock::new(now_us),
        })
    }

    /// A token for this customer, valid for an hour.
    pub(crate) fn issue(&self, user: UserId) -> Result<Session> {
        let iat = self.clock.wall_us() / 1_000_000;
        let exp = iat + LIFETIME_S;
        let claims =
            Claims { sub: user.0, iss: ISSUER.to_owned(), aud: AUDIENCE.to_owned(), iat, exp };
        let token = encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .map_err(|e| Error::Internal(format!("signing a token: {e}")))?;
        Ok(Session { token, expires_at: exp * 1_000_000 })
    }

    /// Whose token this is. It is taken within its time by the wall clock, or by what the wall clock
    /// would say if nobody had set it: a step of the clock ends no session.
    pub(crate) fn check(&self, token: &str) -> Result<UserId> {
        let claims = decode::<Claims>(token, &self.checking, &self.rules)
            .map_err(|e| Error::Unauthenticated(format!("the token is not valid ({e})")))?
            .claims;
        if self.clock.readings_us().iter().any(|now_us| claims.hold_at(now_us / 1_000_000)) {
            return Ok(UserId(claims.sub));
        }
        Err(Error::Unauthenticated("the token has expired, or is from the future".to_owned()))
    }
}

impl Claims {
    fn hold_at(&self, now_s: i64) -> bool {
        self.iat <= now_s + LEEWAY_S && now_s <= self.exp.saturating_add(LEEWAY_S)
    }
}

#[async_trait]
impl Verify for Tokens {
    async fn verify(&self, token: &str) -> Result<UserId> {
        self.check(token)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    use serde_json::{Value, json};
    use tokio::time::advance;

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

    const HOUR_S: i64 = 3_600;

    /// Tokens whose wall clock the test sets.
    struct Bench {
        tokens: Tokens,
        wall_us: Arc<AtomicI64>,
    }

    impl Bench {
        fn new() -> Self {
            let wall_us = Arc::new(AtomicI64::new(1_000 * HOUR_S * 1_000_000));
            let wall = Arc::clone(&wall_us);
            let clock = Clock::new(move || wall.load(Ordering::Relaxed));
            Self { tokens: Tokens { clock, ..Tokens::new(SECRET).unwrap() }, wall_us }
        }

        fn issue(&self) -> String {
            self.tokens.issue(UserId(Uuid::from_u128(7))).unwrap().token
        }

        fn set(&self, by_s: i64) {
            self.wall_us.fetch_add(by_s * 1_000_000, Ordering::Relaxed);
        }

        async fn pass(&self, span_s: i64) {
            self.set(span_s);
            advance(Duration::from_secs(span_s.cast_unsigned())).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_lives_for_an_hour() {
        let bench = Bench::new();
        let token = bench.issue();
        bench.pass(HOUR_S).await;
        assert!(bench.tokens.check(&token).is_ok());
        bench.pass(LEEWAY_S + 1).await;
        assert!(bench.tokens.check(&token).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_ends_no_session() {
        for by_s in [-HOUR_S, HOUR_S, -30 * 24 * HOUR_S, 30 * 24 * HOUR_S] {
            let bench = Bench::new();
            let old = bench.issue();
            bench.pass(60).await;
            bench.set(by_s);
            assert!(bench.tokens.check(&old).is_ok(), "issued before it was set by {by_s} s");
            let new = bench.issue();
            assert!(bench.tokens.check(&new).is_ok(), "issued after it was set by {by_s} s");
            let fresh = Tokens {
                clock: Clock::new({
                    let wall = Arc::clone(&bench.wall_us);
                    move || wall.load(Ordering::Relaxed)
                }),
                ..Tokens::new(SECRET).unwrap()
            };
            assert!(fresh.check(&new).is_ok(), "by a service that began later");
        }
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(Tokens::new(b"short").is_err());
    }
}
