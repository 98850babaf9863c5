//! A scenario file with a few keys otherwise. It reads no file and knows no scenario: what the keys mean is checked
//! when the text is read.

use std::path::Path;

use toml::{Table, Value};

use crate::config::{self, ConfigError};

/// The text of the scenario file at `path` (which holds `text`), but for `set`: dotted keys as `provider.latency`,
/// numbers for places in a list as `stages.0.rate`. A table is set key by key, all else is replaced. Files that it
/// names relative to itself are named by their whole path.
///
/// # Errors
/// If the text does not parse, or a key leads through what has no keys.
pub fn vary(path: &Path, text: &str, set: &Table) -> Result<String, ConfigError> {
    let mut table: Table = config::parse(path, text)?;
    for name in ["intensity", "trace"] {
        if let Some(Value::String(file)) = table.get_mut(name) {
            let beside = path.parent().unwrap_or(Path::new("")).join(&*file);
            let whole = beside.canonicalize().unwrap_or(beside);
            *file = whole.to_string_lossy().into_owned();
        }
    }
    let mut whole = Value::Table(table);
    for (key, value) in set {
        put(&mut whole, key.split('.'), value)
            .map_err(|found| ConfigError::new(path, format!("cannot set {key}: {found}")))?;
    }
    toml::to_string(&whole).map_err(|error| ConfigError::new(path, error.to_string()))
}

/// What stands at a dotted key of this text; none if nothing does, or it does not parse.
#[must_use]
pub fn stands(text: &str, key: &str) -> Option<Value> {
    let mut value = Value::Table(text.parse().ok()?);
    for key in key.split('.') {
        value = match &mut value {
            Value::Table(table) => table.remove(key)?,
            Value::Array(list) => list.get(key.parse::<usize>().ok()?)?.clone(),
            _ => return None,
        };
    }
    Some(value)
}

fn put<'k>(
    place: &mut Value,
    mut keys: impl Iterator<Item = &'k str>,
    value: &Value,
) -> Result<(), String> {
    match keys.next() {
        Some(key) => put(below(place, key)?, keys, value),
        None => match (place, value) {
            (Value::Table(old), Value::Table(new)) => new.iter().try_for_each(|(key, value)| {
                let below = old.entry(key).or_insert_with(|| Value::Table(Table::new()));
                put(below, std::iter::empty(), value)
            }),
            (place, value) => {
                *place = value.clone();
                Ok(())
            }
        },
    }
}

/// What a key leads to; a key that is not there leads to an empty table.
fn below<'v>(place: &'v mut Value, key: &str) -> Result<&'v mut Value, String> {
    match place {
        Value::Table(table) => Ok(table.entry(key).or_insert_with(|| Value::Table(Table::new()))),
        Value::Array(list) => {
            let length = list.len();
            let at = key.parse().ok().and_then(|at: usize| list.get_mut(at));
            at.ok_or_else(|| format!("{key:?} is no place in a list of {length}, from 0"))
        }
        other => Err(format!("{key:?} is looked for in {other}, which has no keys")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "about = \"x\"\nstart = 1.0\nstages = [{ duration = \"3s\", rate = 1 }]\n[provider]\nlatency = \"a\"\n";

    #[track_caller]
    fn check(set: &str, expected: Result<&str, &str>) {
        let set: Table = toml::from_str(set).unwrap();
        let varied = vary(Path::new("s.toml"), TEXT, &set).map_err(|error| error.to_string());
        match (varied, expected) {
            (Ok(text), Ok(expected)) => {
                let [text, expected]: [Table; 2] =
                    [&*text, expected].map(|text| toml::from_str(text).unwrap());
                assert_eq!(text, expected);
            }
            (Err(text), Err(part)) => assert!(text.contains(part), "{text}"),
            (varied, expected) => panic!("{varied:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn what_stands_at_a_key_is_found_or_is_not_there() {
        let text = |key| stands(TEXT, key).map(|value| value.to_string());
        assert_eq!(text("stages.0.rate").as_deref(), Some("1"));
        assert_eq!(text("provider.latency").as_deref(), Some("\"a\""));
        for none in ["stages.1.rate", "stages.x", "start.0", "nothing", ""] {
            assert_eq!(text(none), None, "{none}");
        }
        assert_eq!(stands("no toml", "start"), None);
    }

    #[test]
    fn keys_lead_through_tables_and_lists() {
        check(
            "\"stages.0.rate\" = 40\nprovider.latency = \"b\"\n\"limits.timeout\" = \"1s\"",
            Ok(
                "about = \"x\"\nstart = 1.0\nstages = [{ duration = \"3s\", rate = 40 }]\nprovider = { latency = \"b\" }\nlimits = { timeout = \"1s\" }",
            ),
        );
        check(
            "provider = { decline_rate = 0.5 }\nstages = []",
            Ok(
                "about = \"x\"\nstart = 1.0\nstages = []\nprovider = { latency = \"a\", decline_rate = 0.5 }",
            ),
        );
        check("\"stages.1.rate\" = 4", Err("s.toml: cannot set stages.1.rate: \"1\" is no place"));
        check("\"about.x\" = 4", Err("cannot set about.x: \"x\" is looked for in \"x\""));
    }
}
