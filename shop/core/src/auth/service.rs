//! The rules of accounts.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Auth, Credentials, Passwords, Session, Tokens, User, UserId, UserStore, Verify};
use crate::{Error, Result};

const PASSWORD_CHARS_MIN: usize = 8;
/// Bounds the work that a stranger can ask for; characters, as JSON Schema counts them (code points).
const FIELD_CHARS_MAX: usize = 256;

/// Accounts, passwords and tokens over a store.
pub struct AuthService {
    users: Arc<dyn UserStore>,
    passwords: Passwords,
    tokens: Tokens,
}

impl AuthService {
    /// The service over these parts.
    #[must_use]
    pub fn new(users: Arc<dyn UserStore>, passwords: Passwords, tokens: Tokens) -> Self {
        Self { users, passwords, tokens }
    }
}

#[async_trait]
impl Auth for AuthService {
    async fn signup(&self, credentials: Credentials) -> Result<UserId> {
        let email = valid_email(&credentials.email)?;
        let length = credentials.password.chars().count();
        if !(PASSWORD_CHARS_MIN..=FIELD_CHARS_MAX).contains(&length) {
            let text =
                format!("a password has {PASSWORD_CHARS_MIN} to {FIELD_CHARS_MAX} characters");
            return Err(Error::Invalid(text));
        }
        let password_hash = self.passwords.hash(credentials.password).await?;
        let id = UserId(Uuid::new_v4());
        self.users.insert(User { id, email, password_hash }).await?;
        Ok(id)
    }

    async fn login(&self, credentials: Credentials) -> Result<Session> {
        let refused = || Error::Unauthenticated("wrong e-mail address or password".to_owned());
        if credentials.password.chars().count() > FIELD_CHARS_MAX {
            return Err(refused());
        }
        let user = self.users.find(&normal(&credentials.email)).await?;
        let phc = user.as_ref().map(|u| u.password_hash.clone());
        let right = self.passwords.verify(credentials.password, phc).await?;
        match user {
            Some(user) if right => self.tokens.issue(user.id),
            _ => Err(refused()),
        }
    }
}

#[async_trait]
impl Verify for AuthService {
    async fn verify(&self, token: &str) -> Result<UserId> {
        self.tokens.check(token)
    }
}

fn normal(email: &str) -> String {
    email.trim_matches(' ').to_ascii_lowercase()
}

/// Without spaces around it: one or more printable ASCII characters, the first `@`, one or more of them.
fn valid_email(raw: &str) -> Result<String> {
    let email = normal(raw);
    let filled = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic());
    let valid = email.split_once('@').is_some_and(|(name, host)| filled(name) && filled(host))
        && raw.chars().count() <= FIELD_CHARS_MAX;
    if valid {
        Ok(email)
    } else {
        Err(Error::Invalid("an e-mail address looks like name@host, in ASCII".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expected: Option<&str>) {
        assert_eq!(valid_email(raw).ok().as_deref(), expected, "{raw:?}");
    }

    #[test]
    fn an_address_has_a_name_and_a_host_and_is_compared_without_case() {
        check("a@b", Some("a@b"));
        check("  Ann.O'Neil+x@Example.COM ", Some("ann.o'neil+x@example.com"));
        check("a@b@c", Some("a@b@c"));
        for wrong in ["", "@", "a@", "@b", "a", "a b@c", "a@b c", "a@b\n", "\ta@b", "ä@b", "a@ "] {
            check(wrong, None);
        }
        check(&format!("a@{}", "b".repeat(254)), Some(&format!("a@{}", "b".repeat(254))));
        check(&format!("a@{} ", "b".repeat(254)), None);
    }
}
