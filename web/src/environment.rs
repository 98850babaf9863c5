//! What a process is given besides its flags: secrets, and processors.

use std::thread::available_parallelism;

/// Signs tokens; text, used as it stands.
const TOKEN_SECRET: &str = "TRIPTYCH_TOKEN_SECRET";
/// Whoever shows it may read all orders.
const OPERATOR_TOKEN: &str = "TRIPTYCH_OPERATOR_TOKEN";
const SECRET_BYTES_MIN: usize = 32;

/// The token secret is missing or too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{TOKEN_SECRET}: expected at least {SECRET_BYTES_MIN} bytes, found {found}; \
     try {TOKEN_SECRET}=$(openssl rand -hex 32)"
)]
pub struct NoSecret {
    found: usize,
}

/// The secret that signs tokens.
///
/// # Errors
/// If it has fewer than 32 bytes.
pub fn token_secret() -> Result<Vec<u8>, NoSecret> {
    long_enough(std::env::var(TOKEN_SECRET).unwrap_or_default().into_bytes())
}

fn long_enough(secret: Vec<u8>) -> Result<Vec<u8>, NoSecret> {
    let found = secret.len();
    if found < SECRET_BYTES_MIN { Err(NoSecret { found }) } else { Ok(secret) }
}

/// The token that reads all orders; empty, and then nobody's, when there is none.
#[must_use]
pub fn operator_token() -> String {
    std::env::var(OPERATOR_TOKEN).unwrap_or_default()
}

/// How many passwords are hashed at once: as many as there are processors.
#[must_use]
pub fn parallel_hashes() -> usize {
    available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_32_bytes() {
        assert_eq!(long_enough(vec![7; 32]), Ok(vec![7; 32]));
        let error = long_enough(vec![7; 31]).unwrap_err().to_string();
        assert!(error.contains("at least 32 bytes, found 31"), "{error}");
        assert!(!error.contains('\n'));
    }
}
