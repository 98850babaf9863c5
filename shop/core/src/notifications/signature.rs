//! What shows a receiver that a notification is ours, and that it is fresh: an HMAC with SHA-256 over the
//! time and the body, as the header `t=…,v1=…` that payment services send.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{Error, Result};

/// Signs with one secret.
pub struct Signer(Hmac<Sha256>);

impl Signer {
    /// Signs with this secret.
    ///
    /// # Errors
    /// `Invalid` if it cannot be a key.
    pub fn new(secret: &[u8]) -> Result<Self> {
        let key = Hmac::new_from_slice(secret);
        key.map(Self).map_err(|e| Error::Invalid(format!("the callback secret is no key: {e}")))
    }

    /// The signature of this body at this time, s since the epoch.
    #[must_use]
    pub fn sign(&self, at_s: i64, body: &str) -> String {
        let mac = self.0.clone().chain_update(format!("{at_s}.{body}")).finalize().into_bytes();
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("t={at_s},v1={hex}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From another implementation: python3 -c 'import hmac, hashlib;
    /// print(hmac.new(b"secret", b"7.{}", hashlib.sha256).hexdigest())'
    #[test]
    fn a_signature_is_the_one_that_others_compute() {
        let signer = Signer::new(b"secret").unwrap();
        let expected = "76aad9429f417882918162a1928a38769fff65cc07b6bfa344ac9c5fb1e3448e";
        assert_eq!(signer.sign(7, "{}"), format!("t=7,v1={expected}"));
        assert_ne!(signer.sign(8, "{}"), signer.sign(7, "{}"));
    }
}
