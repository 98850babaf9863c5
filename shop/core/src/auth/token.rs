//! Signed tokens: HS256 and nothing else, every claim required.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::signature::Key;
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
    key: Key,
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
        Ok(Self { key: Key::new(secret)?, clock: Clock::new(now_us) })
    }

    /// A token for this customer, valid for an hour.
    pub(crate) fn issue(&self, user: UserId) -> Result<Session> {
        let iat = self.clock.wall_us() / 1_000_000;
        let exp = iat + LIFETIME_S;
        let claims =
            Claims { sub: user.0, iss: ISSUER.to_owned(), aud: AUDIENCE.to_owned(), iat, exp };
        Ok(Session { token: self.key.sign(&claims)?, expires_at: exp * 1_000_000 })
    }

    /// Whose token this is. It is taken within its time by the wall clock, or by what the wall clock
    /// would say if nobody had set it: a step of the clock ends no session.
    pub(crate) fn check(&self, token: &str) -> Result<UserId> {
        let claims: Claims = self.key.open(token)?;
        if claims.iss != ISSUER || claims.aud != AUDIENCE {
            return Err(Error::Unauthenticated("the token is of another shop".to_owned()));
        }
        // Time is checked by a clock that bears being set.
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

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use hmac::{Hmac, KeyInit, Mac};
    use serde_json::{Value, json};
    use sha2::{Sha256, Sha384, Sha512};
    use tokio::time::advance;

    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn claims() -> Value {
        let now = now_us() / 1_000_000;
        json!({"sub": Uuid::from_u128(7), "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 60})
    }

    /// Signed by other code than what is tested, and with any algorithm in the header.
    fn signed<M: Mac + KeyInit>(algorithm: &str, secret: &[u8], claims: &Value) -> String {
        with_header::<M>(&json!({"alg": algorithm, "typ": "JWT"}), secret, claims)
    }

    fn with_header<M: Mac + KeyInit>(header: &Value, secret: &[u8], claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let mac = <M as KeyInit>::new_from_slice(secret).unwrap().chain_update(&message).finalize();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.into_bytes()))
    }

    #[track_caller]
    fn judge(token: &str, valid: bool) {
        let result = Tokens::new(SECRET).unwrap().check(token);
        assert_eq!(result.is_ok(), valid, "{token} gave {result:?}");
    }

    #[track_caller]
    fn check(claims: &Value, valid: bool) {
        judge(&signed::<Hmac<Sha256>>("HS256", SECRET, claims), valid);
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
        check(&claims(), true);
        check(&with("exp", json!(now - 60)), false);
        check(&with("exp", json!("soon")), false);
        check(&with("iat", json!(now + 600)), false);
        check(&with("iss", json!("somebody")), false);
        check(&with("aud", json!("elsewhere")), false);
        for field in ["sub", "iss", "aud", "iat", "exp"] {
            check(&without(field), false);
        }
    }

    #[test]
    fn another_secret_is_refused() {
        for secret in [&b"another secret of thirty-two bytes"[..], b"", &SECRET[..31]] {
            judge(&signed::<Hmac<Sha256>>("HS256", secret, &claims()), false);
        }
    }

    #[test]
    fn another_algorithm_is_refused() {
        judge(&signed::<Hmac<Sha384>>("HS384", SECRET, &claims()), false);
        judge(&signed::<Hmac<Sha512>>("HS512", SECRET, &claims()), false);
        // Signed as HS256 is, and said to be something else.
        for name in
            ["none", "None", "", "hs256", "HS384", "HS512", "RS256", "PS256", "ES256", "EdDSA"]
        {
            judge(&signed::<Hmac<Sha256>>(name, SECRET, &claims()), false);
        }
    }

    #[test]
    fn a_header_that_asks_for_another_reading_is_refused() {
        let good = json!({"alg": "HS256", "typ": "JWT"});
        judge(&with_header::<Hmac<Sha256>>(&good, SECRET, &claims()), true);
        for (key, value) in [("crit", json!(["b64"])), ("b64", json!(false)), ("jwk", json!({}))] {
            let mut header = good.clone();
            header[key] = value;
            judge(&with_header::<Hmac<Sha256>>(&header, SECRET, &claims()), false);
        }
        judge(&with_header::<Hmac<Sha256>>(&json!({"typ": "JWT"}), SECRET, &claims()), false);
        judge(&with_header::<Hmac<Sha256>>(&json!("HS256"), SECRET, &claims()), false);
    }

    #[test]
    fn an_unsigned_or_altered_token_is_refused() {
        let good = Tokens::new(SECRET).unwrap().issue(UserId(Uuid::from_u128(7))).unwrap().token;
        judge(&good, true);
        let (message, signature) = good.rsplit_once('.').unwrap();
        let payload = message.split('.').nth(1).unwrap();
        // {"alg":"none","typ":"JWT"}
        let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
        for signature in ["", signature] {
            judge(&format!("{unsigned}.{payload}.{signature}"), false);
        }
        for signature in ["", "AAAA", &signature[..22], &format!("{signature}AAAA")] {
            judge(&format!("{message}.{signature}"), false);
        }
        let other =
            signed::<Hmac<Sha256>>("HS256", SECRET, &with("sub", json!(Uuid::from_u128(8))));
        judge(&format!("{}.{signature}", other.rsplit_once('.').unwrap().0), false);
        judge(message, false);
        judge("", false);
    }

    /// Made by jsonwebtoken 11.1.0, which signed our tokens before decision 38.
    const FORMER: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDciLCJpc3MiOiJ0cmlwdHljaC1hdXRoIiwiYXVkIjoidHJpcHR5Y2gtc2hvcCIsImlhdCI6MzYwMDAwMCwiZXhwIjozNjAzNjAwfQ.7vJ6H7Cs898jc0SFbXbjhQV6IXM5Xl1rpR8KySjUgZ8";

    #[test]
    fn tokens_are_those_of_jsonwebtoken() {
        let tokens = Tokens::new(SECRET).unwrap();
        let claims = Claims {
            sub: Uuid::from_u128(7),
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            iat: 1_000 * HOUR_S,
            exp: 1_001 * HOUR_S,
        };
        assert_eq!(tokens.key.sign(&claims).unwrap(), FORMER);
        assert_eq!(tokens.key.open::<Claims>(FORMER).unwrap().sub, claims.sub);
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
