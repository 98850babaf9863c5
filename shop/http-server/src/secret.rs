//! Secrets of the environment: long enough, or the process does not start.

const CHARACTERS_MIN: usize = 32;

/// A secret is missing, too short, or not to be sent in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name}: expected at least {CHARACTERS_MIN} printable ASCII characters, found {found}; try {name}=$(openssl rand -hex 32)"
)]
pub struct NoSecret {
    name: &'static str,
    found: usize,
}

/// The secret in this variable, as it stands.
///
/// # Errors
/// If it has fewer than 32 characters, or others than printable ASCII.
pub fn secret(name: &'static str) -> Result<String, NoSecret> {
    long_enough(name, std::env::var(name).unwrap_or_default())
}

fn long_enough(name: &'static str, secret: String) -> Result<String, NoSecret> {
    let printable = |byte: &u8| matches!(byte, b' '..=b'~');
    let found = secret.bytes().take_while(|byte| printable(byte)).count();
    let whole = found == secret.len() && found >= CHARACTERS_MIN;
    if whole { Ok(secret) } else { Err(NoSecret { name, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_32_characters_that_can_be_sent() {
        assert_eq!(long_enough("X", "x".repeat(32)), Ok("x".repeat(32)));
        for (wrong, found) in [("x".repeat(31), 31), ("x".repeat(40) + "\n" + "x", 40)] {
            let error = long_enough("X_TOKEN", wrong).unwrap_err().to_string();
            let told =
                format!("X_TOKEN: expected at least 32 printable ASCII characters, found {found};");
            assert!(error.starts_with(&told), "{error}");
            assert!(!error.contains('\n'));
        }
    }
}
