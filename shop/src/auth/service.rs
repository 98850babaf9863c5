//! The rules of accounts.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Auth, Credentials, Passwords, Session, Tokens, User, UserId, UserStore, Verify};
use crate::{Error, Result};

const PASSWORD_CHARS_MIN: usize = 8;
/// Bounds the work that a stranger can ask for.
const FIELD_BYTES_MAX: usize = 256;

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
        if credentials.password.chars().count() < PASSWORD_CHARS_MIN
            || credentials.password.len() > FIELD_BYTES_MAX
        {
            let text = format!(
                "a password has {PASSWORD_CHARS_MIN} characters or more, and at most {FIELD_BYTES_MAX} bytes"
            );
            return Err(Error::Invalid(text));
        }
        let password_hash = self.passwords.hash(credentials.password).await?;
        let id = UserId(Uuid::new_v4());
        self.users.insert(User { id, email, password_hash }).await?;
        Ok(id)
    }

    async fn login(&self, credentials: Credentials) -> Result<Session> {
        let refused = || Error::Unauthenticated("wrong e-mail address or password".to_owned());
        if credentials.password.len() > FIELD_BYTES_MAX {
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
    email.trim().to_lowercase()
}

fn valid_email(email: &str) -> Result<String> {
    let email = normal(email);
    let parts = email.split_once('@');
    let valid = parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
        && email.len() <= FIELD_BYTES_MAX;
    if valid {
        Ok(email)
    } else {
        Err(Error::Invalid("an e-mail address looks like name@host".to_owned()))
    }
}
