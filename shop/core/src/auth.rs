//! Who is asking: accounts, passwords and signed tokens.

mod password;
mod service;
mod signature;
mod token;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Micros, Result};

pub use password::Passwords;
pub use service::AuthService;
pub use token::Tokens;

/// Identifies a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub Uuid);

/// What a customer types to sign up or in. Its `Debug` form hides the password.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The account's name.
    pub email: String,
    /// The secret.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("email", &self.email).finish_non_exhaustive()
    }
}

/// A proof of identity and the instant at which it ends.
#[derive(Clone, Deserialize, Serialize)]
pub struct Session {
    /// To be sent as a bearer token.
    pub token: String,
    /// When the token stops being valid.
    pub expires_at: Micros,
}

/// An account as it is stored.
#[derive(Clone)]
pub struct User {
    /// Its identity.
    pub id: UserId,
    /// Lower-cased and trimmed.
    pub email: String,
    /// A PHC string.
    pub password_hash: String,
}

/// Says whose a token is: all that the orders service wants to know of accounts.
#[async_trait]
pub trait Verify: Send + Sync {
    /// Whose token this is. Errors: `Unauthenticated`, and those of the way to whoever knows.
    async fn verify(&self, token: &str) -> Result<UserId>;
}

/// The service that knows customers.
#[async_trait]
pub trait Auth: Verify {
    /// Opens an account. Errors: `EmailTaken`, `Invalid`, `Busy`.
    async fn signup(&self, credentials: Credentials) -> Result<UserId>;
    /// Trades a password for a session. Errors: `Unauthenticated`, `Busy`.
    async fn login(&self, credentials: Credentials) -> Result<Session>;
}

/// Where accounts are remembered.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Durably adds an account. Errors: `EmailTaken`.
    async fn insert(&self, user: User) -> Result<()>;
    /// The account with this address.
    async fn find(&self, email: &str) -> Result<Option<User>>;
}
