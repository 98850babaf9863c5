//! Checks as JUnit's XML: a suite per trial. What could not be judged is an error, which is no failure.

use std::fmt::Write;

use super::checks::{Check, Checked};

/// The document.
pub(super) fn text(run: &str, checks: &[Check]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to memory cannot fail.
    let _ = writeln!(out, "<testsuites name=\"{}\" {}>", escaped(run), counts(checks));
    for suite in checks.chunk_by(|one, other| one.place == other.place) {
        let name = escaped(&suite[0].place);
        let _ = writeln!(out, "  <testsuite name=\"{name}\" {}>", counts(suite));
        suite.iter().for_each(|check| case(&mut out, check));
        out.push_str("  </testsuite>\n");
    }
    out + "</testsuites>\n"
}

fn counts(checks: &[Check]) -> String {
    let count = |wanted: fn(&Checked) -> bool| checks.iter().filter(|c| wanted(&c.result)).count();
    format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
        checks.len(),
        count(|result| matches!(result, Checked::Failed(_))),
        count(|result| matches!(result, Checked::Unknown(_))),
        count(|result| matches!(result, Checked::Skipped(_)))
    )
}

fn case(out: &mut String, Check { place, name, result }: &Check) {
    let (name, class) = (escaped(name), escaped(place));
    let _ = write!(out, "    <testcase name=\"{name}\" classname=\"{class}\"");
    let (element, text) = match result {
        Checked::Passed => {
            out.push_str("/>\n");
            return;
        }
        Checked::Failed(text) => ("failure", text),
        Checked::Unknown(text) => ("error", text),
        Checked::Skipped(text) => ("skipped", text),
    };
    let _ = writeln!(out, "><{element} message=\"{}\"/></testcase>", escaped(text));
}

/// As the value of an attribute; what XML 1.0 has no character for is left out.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            char if char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}') => {}
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trial_is_a_suite_and_what_could_not_be_judged_is_no_failure() {
        let check = |place: &str, name: &str, result| Check {
            place: place.to_owned(),
            name: name.to_owned(),
            result,
        };
        let checks = [
            check("s · m · trial 1", "audit", Checked::Passed),
            check(
                "s · m · trial 1",
                "p(99) < 1s",
                Checked::Failed("found \"2 s\"\u{1} & more".into()),
            ),
            check("s · m · trial 2", "measurement", Checked::Unknown("INVALID".into())),
            check("s · m · trial 2", "p(99) < 1s", Checked::Skipped("not believed".into())),
        ];
        assert_eq!(
            text("run", &checks),
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="run" tests="4" failures="1" errors="1" skipped="1">
  <testsuite name="s · m · trial 1" tests="2" failures="1" errors="0" skipped="0">
    <testcase name="audit" classname="s · m · trial 1"/>
    <testcase name="p(99) &lt; 1s" classname="s · m · trial 1"><failure message="found &quot;2 s&quot; &amp; more"/></testcase>
  </testsuite>
  <testsuite name="s · m · trial 2" tests="2" failures="0" errors="1" skipped="1">
    <testcase name="measurement" classname="s · m · trial 2"><error message="INVALID"/></testcase>
    <testcase name="p(99) &lt; 1s" classname="s · m · trial 2"><skipped message="not believed"/></testcase>
  </testsuite>
</testsuites>
"#
        );
    }
}
