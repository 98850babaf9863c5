//! What no file of a record may hold: the secrets of a command line and of URLs. They are replaced by a
//! mark, so that the record says that something was there. It knows names, not which values are secret.

/// Stands for what was left out.
pub const MARK: &str = "[redacted]";
/// Options whose values are sent as they are.
const HEADER: &str = "--header";
const BODY: &str = "--body";
/// Headers that say nothing of who asks, as most requests have them (RFC 9110); any other may be a key.
const HARMLESS: [&str; 13] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "range",
    "transfer-encoding",
    "user-agent",
];
/// Parts of the names of parameters that say who asks.
const TELLING: [&str; 9] =
    ["auth", "credential", "key", "passw", "pwd", "secret", "session", "sig", "token"];
/// What ends a URL in a text.
const ENDS: [char; 6] = ['"', '\'', '<', '>', '`', ' '];

/// The words of a command line as they may be written down.
pub fn command_line(words: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut option = String::new();
    words
        .into_iter()
        .map(|word| {
            let before = std::mem::take(&mut option);
            match (before.as_str(), word.split_once('=')) {
                (HEADER, _) => header(&word),
                (BODY, _) => body(&word),
                (_, Some((HEADER, value))) => format!("{HEADER}={}", header(value)),
                (_, Some((BODY, value))) => format!("{BODY}={}", body(value)),
                _ => {
                    option.clone_from(&word);
                    text(&word)
                }
            }
        })
        .collect()
}

fn header(line: &str) -> String {
    let Some((name, value)) = line.split_once(':') else { return MARK.to_owned() };
    let harmless = HARMLESS.iter().any(|known| name.trim().eq_ignore_ascii_case(known));
    if harmless { format!("{name}:{value}") } else { format!("{name}: {MARK}") }
}

fn body(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{MARK} ({} bytes)", text.len()) }
}

/// A text without user, password and telling parameters of the URLs in it.
#[must_use]
pub fn text(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + 3);
        out.push_str(before);
        let end = behind.find(|c: char| ENDS.contains(&c) || c.is_whitespace());
        let (url, after) = behind.split_at(end.unwrap_or(behind.len()));
        push_url(&mut out, url);
        rest = after;
    }
    out + rest
}

/// What follows the scheme.
fn push_url(out: &mut String, url: &str) {
    let (authority, rest) = url.split_at(url.find(['/', '?', '#']).unwrap_or(url.len()));
    match authority.rsplit_once('@') {
        Some((_user, host)) => out.push_str(&format!("{MARK}@{host}")),
        None => out.push_str(authority),
    }
    let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    out.push_str(path);
    for (n, parameter) in query.split('&').enumerate() {
        if n > 0 {
            out.push('&');
        }
        match parameter.split_once('=') {
            Some((name, _)) if is_telling(name) => out.push_str(&format!("{name}={MARK}")),
            _ => out.push_str(parameter),
        }
    }
}

fn is_telling(name: &str) -> bool {
    let name = name.to_lowercase();
    TELLING.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &[&str], expected: &[&str]) {
        assert_eq!(command_line(words.iter().map(|word| (*word).to_owned())), expected);
    }

    #[test]
    fn values_that_may_be_secret_are_marked_and_names_stay() {
        check(
            &["attack", "http://a/b?c=d", "--rate", "5"],
            &["attack", "http://a/b?c=d", "--rate", "5"],
        );
        check(&["--header", "Authorization: Bearer x"], &["--header", "Authorization: [redacted]"]);
        check(&["--header=X-Api-Key:x", "y"], &["--header=X-Api-Key: [redacted]", "y"]);
        let harmless = "Content-Type: application/json";
        check(&["--header", harmless], &["--header", harmless]);
        check(&["--header", "no colon"], &["--header", "[redacted]"]);
        check(&["--body", "{\"pin\":1}"], &["--body", "[redacted] (9 bytes)"]);
        check(&["--body=", "--body=x=y"], &["--body=", "--body=[redacted] (3 bytes)"]);
        check(&["--header", "--body", "x"], &["--header", "[redacted]", "x"]);
        check(&["http://me:pw@h:1/p@q"], &["http://[redacted]@h:1/p@q"]);
        check(&["http://me@h"], &["http://[redacted]@h"]);
        check(
            &["http://h/?a=1&api_key=x&Token=y#z"],
            &["http://h/?a=1&api_key=[redacted]&Token=[redacted]"],
        );
    }

    #[test]
    fn urls_within_a_text() {
        let found =
            text("GET http://a:b@h:1/x?token=t answered 500: \"amqp://c:d@e/f\" :// http://h/");
        let expected = "GET http://[redacted]@h:1/x?token=[redacted] answered 500: \
                        \"amqp://[redacted]@e/f\" :// http://h/";
        assert_eq!(found, expected);
        assert_eq!(text("no URL, a@b:c"), "no URL, a@b:c");
    }
}
