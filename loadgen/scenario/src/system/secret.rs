//! `{secret:NAME}` in a system file: which texts may name a secret, and which one. It knows no words.

const OPENING: &str = "{secret:";
/// The name of the card network's secret.
pub const NETWORK: &str = "network";

/// What stands before the first name, the name, and what stands behind it.
pub fn next(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once(OPENING)?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// Whether the names of secrets in a text can be read.
///
/// # Errors
/// If one has no end, or is no name.
pub fn check(text: &str) -> Result<(), String> {
    let mut rest = text;
    while rest.contains(OPENING) {
        let (_, name, after) =
            next(rest).ok_or(format!("{text:?}: {OPENING} without a closing brace"))?;
        let plain = |c: char| c.is_ascii_lowercase() || c == '-';
        if name.is_empty() || !name.chars().all(plain) {
            return Err(format!(
                "{text:?}: {name:?} names no secret; expected lower-case letters, as in {{secret:token}}"
            ));
        }
        rest = after;
    }
    Ok(())
}

/// Whether a text names the card network's secret.
pub fn names_network(text: &str) -> bool {
    text.contains(&format!("{OPENING}{NETWORK}}}"))
}

/// Whether a text names no secret at all.
///
/// # Errors
/// If it does: everybody on the machine can read it there.
pub fn check_none(text: &str) -> Result<(), String> {
    if !text.contains(OPENING) {
        return Ok(());
    }
    Err(format!("{text:?}: a secret may stand in env alone; elsewhere everybody can read it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_secret_is_refused() {
        assert_eq!(check("{secret:token}{secret:a-b}"), Ok(()));
        for (text, part) in [
            ("{secret:token", "without a closing brace"),
            ("{secret:}", "names no secret"),
            ("{secret:a}{secret:A B}", "\"A B\" names no secret"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(check_none("--token={secret:a}").unwrap_err().contains("env alone"));
    }
}
