//! Password hashing: argon2id, a bounded number at a time, in memory that is used again.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
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
    running: Arc<Semaphore>,
    waiting: Semaphore,
    memory: Arc<Memory>,
    /// Checked against when there is no such user, so that the answer takes as long.
    decoy: String,
}

impl Passwords {
    /// What a hash costs, for people.
    #[must_use]
    pub fn cost() -> String {
        format!("argon2id m={} MiB t={PASSES} p={LANES}", MEMORY_KIB / 1_024)
    }

    /// A pool that computes at most `parallel` hashes at once, and keeps the memory of as many.
    ///
    /// # Errors
    /// `Internal` if the decoy cannot be hashed.
    pub fn new(parallel: usize) -> Result<Self> {
        let memory = Arc::new(Memory::default());
        let decoy = memory.lend(|blocks| hash("not anybody's password", blocks))?;
        Ok(Self {
            running: Arc::new(Semaphore::new(parallel.max(1))),
            waiting: Semaphore::new(WAITING_MAX),
            memory,
            decoy,
        })
    }

    /// The PHC string of a password.
    pub async fn hash(&self, password: String) -> Result<String> {
        self.run(move |blocks| hash(&password, blocks)).await
    }

    /// Whether the password belongs to the hash; costs the same when there is no hash.
    pub async fn verify(&self, password: String, phc: Option<String>) -> Result<bool> {
        let known = phc.is_some();
        let phc = phc.unwrap_or_else(|| self.decoy.clone());
        self.run(move |blocks| Ok(matches(&password, &phc, blocks)? && known)).await
    }

    /// Waits for a place and works there. The place belongs to the work: a caller that goes away
    /// frees it no sooner.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let busy = || Error::Busy("too many password checks are waiting".to_owned());
        let waiting = self.waiting.try_acquire().map_err(|_| busy())?;
        let place = Arc::clone(&self.running).acquire_owned().await.map_err(|_| busy())?;
        drop(waiting);
        let memory = Arc::clone(&self.memory);
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            memory.lend(work)
        });
        done.await.map_err(|e| Error::Internal(e.to_string()))?
    }
}

/// What hashes work in. Freed and asked for again each time, 19 MiB by 19 MiB, it would stay with the
/// allocator once for each thread that ever hashed.
#[derive(Default)]
struct Memory(Mutex<Vec<Vec<Block>>>);

impl Memory {
    fn lend<T>(&self, work: impl FnOnce(&mut Vec<Block>) -> T) -> T {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = kept().pop().unwrap_or_default();
        let result = work(&mut blocks);
        kept().push(blocks);
        result
    }
}

fn hash(password: &str, blocks: &mut Vec<Block>) -> Result<String> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(internal)?;
    let salt = Salt::generate();
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    fill(&params, password, &salt, &mut output, blocks)?;
    let phc = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(internal)?,
        salt: Some(salt),
        hash: Some(Output::new(&output).map_err(internal)?),
    };
    Ok(phc.to_string())
}

fn matches(password: &str, phc: &str, blocks: &mut Vec<Block>) -> Result<bool> {
    let known = PasswordHash::new(phc).map_err(internal)?;
    let params = Params::try_from(&known).map_err(internal)?;
    let (Some(salt), Some(expected)) = (&known.salt, &known.hash) else {
        return Err(internal("a stored hash lacks its salt or its end"));
    };
    let mut output = vec![0; expected.len()];
    fill(&params, password, salt, &mut output, blocks)?;
    // Compares in time that does not depend on where the two differ.
    Ok(Output::new(&output).map_err(internal)? == *expected)
}

fn fill(
    params: &Params,
    password: &str,
    salt: &Salt,
    output: &mut [u8],
    blocks: &mut Vec<Block>,
) -> Result<()> {
    blocks.resize(params.block_count(), Block::default());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let filled = argon2.hash_password_into_with_memory(password.as_bytes(), salt, output, blocks);
    filled.map_err(internal)
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("password hashing: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use argon2::PasswordVerifier;
    use futures_util::FutureExt;
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_hash_states_its_cost_and_fits_only_its_password() {
        let passwords = Passwords::new(1).unwrap();
        let phc = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        let verify = |p: &str, h| passwords.verify(p.to_owned(), h);
        assert!(verify("correct horse", Some(phc.clone())).await.unwrap());
        assert!(!verify("battery staple", Some(phc.clone())).await.unwrap());
        assert!(!verify("not anybody's password", None).await.unwrap());
        let other = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert_ne!(phc, other, "each has its salt");
        let anybodys = Argon2::default().verify_password(b"correct horse", phc.as_str());
        assert!(anybodys.is_ok(), "another implementation reads it");
    }

    #[tokio::test]
    async fn the_memory_of_a_hash_is_used_again() {
        let passwords = Passwords::new(2).unwrap();
        let kept = || -> Vec<usize> {
            let blocks = passwords.memory.0.lock().unwrap();
            blocks.iter().map(|blocks| blocks.as_ptr().addr()).collect()
        };
        let before = kept();
        assert_eq!(before.len(), 1);
        for n in 0..5 {
            passwords.hash(format!("password {n}")).await.unwrap();
        }
        assert_eq!(kept(), before);
        let at_once = (0..6).map(|n| passwords.hash(format!("password {n}")));
        futures_util::future::join_all(at_once).await;
        assert!(kept().len() <= 2, "no more than hashes at once");
    }

    /// Work that goes on until the test lets it, of a caller that goes away at once.
    async fn abandoned(passwords: &Passwords) -> mpsc::Sender<()> {
        let (go_on, told) = mpsc::channel();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let work = passwords.run(move |_| {
            let _ = begun.send(());
            told.recv_timeout(PATIENCE).map_err(internal)
        });
        tokio::select! {
            _ = work => panic!("it cannot be done yet"),
            _ = begins => go_on,
        }
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_takes_no_place_along() {
        let passwords = Passwords::new(1).unwrap();
        let go_on = abandoned(&passwords).await;
        assert_eq!(passwords.running.available_permits(), 0, "the work goes on");
        let mut next = Box::pin(passwords.run(|_| Ok(())));
        let early = timeout(Duration::from_millis(50), &mut next).await;
        assert!(early.is_err(), "two at once where one may be");
        go_on.send(()).unwrap();
        assert_eq!(timeout(PATIENCE, next).await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn who_cannot_even_wait_is_refused_and_who_gives_up_waits_no_more() {
        let passwords = Passwords::new(1).unwrap();
        let go_on = abandoned(&passwords).await;
        let mut waiting: Vec<_> =
            (0..WAITING_MAX).map(|_| Box::pin(passwords.run(|_| Ok(())))).collect();
        for waiter in &mut waiting {
            assert!(waiter.as_mut().now_or_never().is_none());
        }
        let refused = timeout(PATIENCE, passwords.run(|_| Ok(()))).await.unwrap();
        assert!(matches!(refused, Err(Error::Busy(_))), "{refused:?}");
        drop(waiting);
        let next = passwords.run(|_| Ok(()));
        go_on.send(()).unwrap();
        assert_eq!(timeout(PATIENCE, next).await.unwrap(), Ok(()));
    }
}
