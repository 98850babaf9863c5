//! What a variant says of one process. It knows neither files nor other processes.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::process::{Init, ProcessSpec, Stop};

/// `[change.NAME]` or `[add.NAME]`: what stands here is in place of the base's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// The process that an added one is but for what follows; it goes through the same links.
    pub(super) like: Option<Spanned<String>>,
    /// The process before which an added one is started; else after the one that it is like, or last.
    pub(super) before: Option<Spanned<String>>,
    plays: Option<Vec<String>>,
    command: Option<Vec<String>>,
    /// Options of the command: a text is the option's value, `true` the option alone, `false` none.
    #[serde(default)]
    arguments: BTreeMap<String, Value>,
    replicas: Option<u32>,
    ready: Option<String>,
    ready_command: Option<Vec<String>>,
    leads: Option<String>,
    init: Option<Init>,
    stop: Option<Stop>,
    user: Option<String>,
    crash_points: Option<Vec<String>>,
    data: Option<Vec<String>>,
    /// Variables beside the base's or in their place; `false` is none.
    #[serde(default)]
    env: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a text, true or false")]
enum Value {
    Text(String),
    Flag(bool),
}

impl Change {
    /// # Errors
    /// If something is taken away that is not there.
    pub(super) fn apply(&self, process: &mut ProcessSpec) -> Result<(), String> {
        put(&mut process.plays, self.plays.as_ref());
        put(&mut process.command, self.command.as_ref());
        put(&mut process.crash_points, self.crash_points.as_ref());
        put(&mut process.data, self.data.as_ref());
        put(&mut process.ready, self.ready.as_ref());
        put(&mut process.ready_command, self.ready_command.as_ref());
        put(&mut process.leads, self.leads.as_ref());
        put(&mut process.stop, self.stop.as_ref());
        process.replicas = self.replicas.or(process.replicas);
        process.init = self.init.clone().or(process.init.take());
        process.user = self.user.clone().or(process.user.take());
        for (option, value) in &self.arguments {
            set_option(&mut process.command, option, value)?;
        }
        for (name, value) in &self.env {
            match value {
                Value::Text(text) => {
                    process.env.insert(name.clone(), text.clone());
                }
                Value::Flag(false) if process.env.remove(name).is_some() => {}
                Value::Flag(false) => {
                    return Err(format!("env.{name} = false, but the base has none"));
                }
                Value::Flag(true) => {
                    return Err(format!(
                        "env.{name} is true; expected a text, or false to take it away"
                    ));
                }
            }
        }
        Ok(())
    }

    /// A further process.
    ///
    /// # Errors
    /// As [`Self::apply`], and if neither the one it is like nor the file says what is started.
    pub(super) fn made(
        &self,
        name: &str,
        like: Option<&ProcessSpec>,
    ) -> Result<ProcessSpec, String> {
        let mut process = like.cloned().unwrap_or_default();
        name.clone_into(&mut process.name);
        self.apply(&mut process)?;
        for (key, is_missing) in
            [("command", process.command.is_empty()), ("ready", process.ready.is_empty())]
        {
            if is_missing {
                return Err(format!("missing key `{key}`: [add.{name}] is like no other process"));
            }
        }
        Ok(process)
    }
}

fn put<T: Clone>(place: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        place.clone_from(new);
    }
}

/// Both `--option value` and `--option=value` are known.
fn set_option(command: &mut Vec<String>, option: &str, value: &Value) -> Result<(), String> {
    let joined = format!("{option}=");
    let at = command.iter().position(|word| word == option || word.starts_with(&joined));
    let Some(at) = at else {
        return match value {
            Value::Text(text) => {
                command.extend([option.to_owned(), text.clone()]);
                Ok(())
            }
            Value::Flag(true) => {
                command.push(option.to_owned());
                Ok(())
            }
            Value::Flag(false) => {
                Err(format!("arguments.{option:?} = false, but the base's command has none"))
            }
        };
    };
    let is_joined = command[at] != option;
    let has_value = !is_joined && command.get(at + 1).is_some_and(|next| !next.starts_with("--"));
    let new = match value {
        Value::Text(text) if is_joined => vec![format!("{joined}{text}")],
        Value::Text(text) => vec![option.to_owned(), text.clone()],
        Value::Flag(true) => vec![option.to_owned()],
        Value::Flag(false) => Vec::new(),
    };
    command.splice(at..=at + usize::from(has_value), new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base: &[&str], arguments: &str, expected: Result<&[&str], &str>) {
        let change: Change = toml::from_str(&format!("arguments = {{ {arguments} }}")).unwrap();
        let command = base.iter().map(|word| (*word).to_owned()).collect();
        let mut process = ProcessSpec { command, ..ProcessSpec::default() };
        match (change.apply(&mut process), expected) {
            (Ok(()), Ok(words)) => assert_eq!(process.command, words),
            (Err(text), Err(part)) => assert!(text.contains(part), "{text}"),
            (result, expected) => panic!("{result:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn an_option_is_replaced_where_it_stands_or_added_at_the_end() {
        let base = ["shop", "--listen", "a:1", "--fast", "--store=x", "-v"];
        check(
            &base,
            "\"--listen\" = \"b:2\"",
            Ok(&["shop", "--listen", "b:2", "--fast", "--store=x", "-v"]),
        );
        check(
            &base,
            "\"--store\" = \"y\"",
            Ok(&["shop", "--listen", "a:1", "--fast", "--store=y", "-v"]),
        );
        check(&base, "\"--fast\" = false", Ok(&["shop", "--listen", "a:1", "--store=x", "-v"]));
        check(&base, "\"--listen\" = false", Ok(&["shop", "--fast", "--store=x", "-v"]));
        check(&["shop"], "\"--a\" = true, \"--b\" = \"1\"", Ok(&["shop", "--a", "--b", "1"]));
        check(&["shop"], "\"--a\" = false", Err("the base's command has none"));
    }

    #[test]
    fn variables_are_added_replaced_and_taken_away() {
        let change: Change = toml::from_str("env = { A = \"2\", B = \"3\", C = false }").unwrap();
        let env = [("A", "1"), ("C", "1"), ("D", "1")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let mut process = ProcessSpec { env: env.into(), ..ProcessSpec::default() };
        change.apply(&mut process).unwrap();
        let left: Vec<_> = process.env.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(left, ["A=2", "B=3", "D=1"]);
        assert!(change.apply(&mut process).unwrap_err().contains("env.C = false"));
        let odd: Change = toml::from_str("env = { A = true }").unwrap();
        assert!(odd.apply(&mut process).unwrap_err().contains("expected a text"));
    }
}
