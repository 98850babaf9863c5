//! Checks that did not pass as GitHub's workflow commands: failures are errors, what could not be judged is a warning.

use super::checks::{Check, Checked};

/// A step shows ten of each kind.
const SHOWN: usize = 10;

/// The commands, a line each; nothing if all is well.
pub(super) fn text(checks: &[Check]) -> String {
    let failed = |check: &Check| match &check.result {
        Checked::Failed(text) => Some(text.clone()),
        _ => None,
    };
    let unknown = |check: &Check| match &check.result {
        Checked::Unknown(text) => Some(text.clone()),
        _ => None,
    };
    commands("error", checks, failed) + &commands("warning", checks, unknown)
}

fn commands(kind: &str, checks: &[Check], text: impl Fn(&Check) -> Option<String>) -> String {
    let found = checks.iter().filter_map(|check| Some((check, text(check)?)));
    let lines: Vec<String> = found
        .map(|(Check { place, name, .. }, text)| {
            format!("::{kind} title={}::{}\n", property(place), data(&format!("{name}: {text}")))
        })
        .collect();
    if lines.len() <= SHOWN {
        return lines.concat();
    }
    let more = lines.len() - (SHOWN - 1);
    lines[..SHOWN - 1].concat() + &format!("::{kind}::and {more} more; junit.xml has them all\n")
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(result: Checked) -> Check {
        Check { place: "s: a, b".to_owned(), name: "failed < 1%".to_owned(), result }
    }

    #[test]
    fn what_did_not_pass_is_annotated_and_escaped() {
        let checks = [
            check(Checked::Unknown("INVALID:\nlate".to_owned())),
            check(Checked::Passed),
            check(Checked::Skipped("x".to_owned())),
            check(Checked::Failed("found 2 %".to_owned())),
        ];
        assert_eq!(
            text(&checks),
            "::error title=s%3A a%2C b::failed < 1%25: found 2 %25\n\
             ::warning title=s%3A a%2C b::failed < 1%25: INVALID:%0Alate\n"
        );
        assert_eq!(text(&checks[1..3]), "");
        let many = vec![checks[3].clone(); 12];
        assert_eq!(text(&many).lines().count(), 10);
        assert!(text(&many).ends_with("::error::and 3 more; junit.xml has them all\n"));
    }
}
