//! Reading TOML that people write: unknown keys are refused with file, line and nearest valid key.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};

/// A broken file can hold a value of any length: this much of a message is shown.
const TEXT_MAX: usize = 1_000;

/// What is wrong with a file, and where.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}{}: {}",
    path.display(),
    line.map(|l| format!(":{l}")).unwrap_or_default(),
    text.chars().take(TEXT_MAX).collect::<String>()
)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Its line, from 1, if known.
    pub line: Option<usize>,
    /// What was found, what is expected.
    pub text: String,
}

impl ConfigError {
    /// An error about the file as a whole.
    pub fn new(path: &Path, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, text: text.into() }
    }

    /// An error at a place of the file's text, which holds `file`.
    pub fn at(path: &Path, file: &str, place: Option<usize>, text: impl Into<String>) -> Self {
        let line = place.map(|place| line(file, place));
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

/// Reads a file into `T`, which denies unknown fields.
///
/// # Errors
/// If the file cannot be read or does not fit `T`.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    parse(path, &load(path)?)
}

/// The text of a file.
///
/// # Errors
/// If the file cannot be read.
pub fn load(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|e| ConfigError::new(path, format!("cannot be read: {e}")))
}

/// The line, from 1, of a text's byte.
pub(crate) fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// As [`read`], from text that came from `path`.
///
/// # Errors
/// If the text does not fit `T`.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| line(text, span.start));
        ConfigError { path: path.to_owned(), line, text: explain(error.message()) }
    })
}

/// Adds the nearest valid key to serde's "unknown field `x`, expected one of `a`, `b`".
pub fn explain(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let about_a_name =
        message.starts_with("unknown field") || message.starts_with("unknown variant");
    let Some((wrong, valid)) = quoted.split_first().filter(|_| about_a_name) else {
        return message.trim().to_owned();
    };
    unknown(if message.starts_with("unknown field") { "key" } else { "value" }, wrong, valid)
}

/// Says that there is no such key or value, with the nearest that there is.
pub fn unknown(what: &str, wrong: &str, valid: &[&str]) -> String {
    let all = valid.join(", ");
    match nearest(wrong, valid) {
        Some(key) => format!("unknown {what} `{wrong}`; did you mean `{key}`? Valid: {all}"),
        None => format!("unknown {what} `{wrong}`. Valid: {all}"),
    }
}

/// The valid name that is most like the wrong one, if one is like it at all.
pub fn nearest<'a>(wrong: &str, valid: &[&'a str]) -> Option<&'a str> {
    let distances = valid.iter().map(|name| (strsim::damerau_levenshtein(wrong, name), *name));
    let (distance, name) = distances.min()?;
    (distance <= name.len().max(wrong.len()) / 2).then_some(name)
}

/// A wrong name, what may have been meant, and what there is.
#[must_use]
pub fn near(wrong: &str, valid: &[&str]) -> String {
    let hint = nearest(wrong, valid).map(|name| format!("did you mean {name:?}? "));
    format!("{wrong:?}; {}there are {}", hint.unwrap_or_default(), valid.join(", "))
}

/// A duration written as `250ms`, `15s`, `2m` or `1h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// A span of whole seconds.
    #[must_use]
    pub const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// In seconds.
    #[must_use]
    pub fn as_s(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// In whole seconds, if it is a whole number of them.
    #[must_use]
    pub fn whole_s(self) -> Option<u32> {
        if self.0.subsec_nanos() == 0 { u32::try_from(self.0.as_secs()).ok() } else { None }
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("the duration {text:?} is not of the form 250ms, 15s, 2m or 1h");
        let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(unit_at);
        let scale_s = match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let seconds = number * scale_s;
        if !seconds.is_finite() || !(0.0..=1e7).contains(&seconds) {
            return Err(format!("the duration {text:?} is not between 0 and 10000000 s"));
        }
        Ok(Self(Duration::from_nanos((seconds * 1e9).round() as u64)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0.as_micros();
        match us {
            0 => f.write_str("0s"),
            _ if us.is_multiple_of(1_000_000) => write!(f, "{}s", us / 1_000_000),
            _ if us.is_multiple_of(1_000) => write!(f, "{}ms", us / 1_000),
            _ => write!(f, "{us}us"),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[expect(dead_code, reason = "only its name matters")]
        warm_up: Span,
        #[serde(default)]
        #[expect(dead_code, reason = "only its name matters")]
        drain: Span,
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = parse::<Example>(Path::new("x.toml"), text).unwrap_err().to_string();
        assert_eq!(error, expected);
    }

    #[test]
    fn errors_name_file_line_and_nearest_key() {
        check(
            "warm_up = \"1s\"\nwarmup = \"1s\"\n",
            "x.toml:2: unknown key `warmup`; did you mean `warm_up`? Valid: warm_up, drain",
        );
        check(
            "warm_up = \"1s\"\nzzzzzzz = 1\n",
            "x.toml:2: unknown key `zzzzzzz`. Valid: warm_up, drain",
        );
        check("", "x.toml:1: missing field `warm_up`");
        check(
            "warm_up = \"5 parsecs\"",
            "x.toml:1: the duration \"5 parsecs\" is not of the form 250ms, 15s, 2m or 1h",
        );
        check(
            "warm_up = \"-5s\"",
            "x.toml:1: the duration \"-5s\" is not between 0 and 10000000 s",
        );
    }

    #[test]
    fn spans_are_read_and_written() {
        for text in ["0s", "250ms", "15s", "1500ms", "7us"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!("2m".parse::<Span>().unwrap(), Span::secs(120));
        for text in ["", "5", "s", "1e400s", "nans", "1d", "💥s"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
