//! Password hashing: argon2id in a bounded pool.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::{Error, Result};

/// OWASP's minimum for argon2id (Password Storage Cheat Sheet): 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Requests that may wait for a hash; one more is refused. At 35 ms each: a second or two.
const WAITING_MAX: usize = 64;

/// Hashes and checks passwords, a bounded number at a time.
pub struct Passwords {
    running: Semaphore,
    waiting: Semaphore,
    /// Checked against when there is no such user, so that the answer takes as long.
    decoy: String,
}

impl Passwords {
    /// A pool that computes at most `parallel` hashes at once.
    ///
    /// # Errors
    /// `Internal` if the decoy cannot be hashed.
    pub fn new(parallel: usize) -> Result<Self> {
        Ok(Self {
            running: Semaphore::new(parallel.max(1)),
            waiting: Semaphore::new(WAITING_MAX),
            decoy: hash("not anybody's password")?,
        })
    }

    /// The PHC string of a password.
    pub async fn hash(&self, password: String) -> Result<String> {
        self.run(move || hash(&password)).await
    }

    /// Whether the password belongs to the hash; costs the same when there is no hash.
    pub async fn verify(&self, password: String, phc: Option<String>) -> Result<bool> {
        let known = phc.is_some();
        let phc = phc.unwrap_or_else(|| self.decoy.clone());
        self.run(move || Ok(matches(&password, &phc)? && known)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let busy = || Error::Busy("too many password checks are waiting".to_owned());
        let _waiting = self.waiting.try_acquire().map_err(|_| busy())?;
        let _running = self.running.acquire().await.map_err(|_| busy())?;
        tokio::task::spawn_blocking(work).await.map_err(|e| Error::Internal(e.to_string()))?
    }
}

fn hasher() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str) -> Result<String> {
    Ok(hasher()?.hash_password(password.as_bytes()).map_err(internal)?.to_string())
}

fn matches(password: &str, phc: &str) -> Result<bool> {
    let phc = PasswordHash::new(phc).map_err(internal)?;
    Ok(hasher()?.verify_password(password.as_bytes(), &phc).is_ok())
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("password hashing: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_states_its_cost_and_fits_only_its_password() {
        let passwords = Passwords::new(1).unwrap();
        let phc = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        let verify = |p: &str, h| passwords.verify(p.to_owned(), h);
        assert!(verify("correct horse", Some(phc.clone())).await.unwrap());
        assert!(!verify("battery staple", Some(phc)).await.unwrap());
        assert!(!verify("not anybody's password", None).await.unwrap());
    }
}
