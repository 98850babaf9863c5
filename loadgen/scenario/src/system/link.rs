//! Links of a system: edges that a scenario may harm. Who uses one says `{link:NAME}`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{ProcessSpec, SystemSpec};
use crate::config::nearest;

/// What uses a link that the generator goes through.
const ENTRY: &str = "entry";
/// In tables the proxy's process has this name.
pub const LINKS: &str = "links";

/// An edge between processes. `{link:NAME}` is its upstream's address in ordinary runs, and the
/// fault proxy's in scenarios that harm a link or ask for it with `links = true`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkSpec {
    /// Its name.
    pub name: String,
    /// Who goes through it: processes, or `entry` for the generator.
    pub from: Vec<String>,
    /// host:port of whom it leads to.
    pub upstream: String,
}

impl SystemSpec {
    /// Whether it has this link.
    ///
    /// # Errors
    /// If there is no such link, with the nearest name.
    pub fn check_link(&self, name: &str) -> Result<(), String> {
        if self.links.iter().any(|link| link.name == name) {
            return Ok(());
        }
        let names: Vec<&str> = self.links.iter().map(|link| link.name.as_str()).collect();
        if names.is_empty() {
            return Err(format!("the system {} has no [[link]]", self.name));
        }
        Err(format!("the system {} has no link {}", self.name, near(name, &names)))
    }

    pub(super) fn check_links(&self) -> Result<(), String> {
        let mut users = vec![ENTRY];
        users.extend(self.processes.iter().map(|process| process.name.as_str()));
        if users[1..].iter().any(|name| [ENTRY, LINKS].contains(name)) {
            return Err(format!("a process is called {ENTRY:?} or {LINKS:?}; both are taken"));
        }
        for (i, link) in self.links.iter().enumerate() {
            if self.links[..i].iter().any(|other| other.name == link.name) {
                return Err(format!("two links are called {:?}", link.name));
            }
            if let Some(from) = link.from.iter().find(|from| !users.contains(&from.as_str())) {
                let near = near(from, &users);
                return Err(format!("link {:?}: from names no process: {near}", link.name));
            }
            if !link.upstream.contains(':') || link.upstream.contains('/') {
                return Err(format!(
                    "link {:?}: the upstream is {:?}; expected host:port",
                    link.name, link.upstream
                ));
            }
        }
        let mut used = BTreeSet::new();
        for user in users {
            for link in self.placeholders(user)? {
                self.check_use(user, &link)?;
                used.insert((user.to_owned(), link));
            }
        }
        self.check_used(&used)
    }

    fn check_use(&self, user: &str, name: &str) -> Result<(), String> {
        self.check_link(name).map_err(|text| format!("{user}: {{link:{name}}}: {text}"))?;
        let link = self.links.iter().find(|link| link.name == name);
        if link.is_some_and(|link| link.from.iter().any(|from| from == user)) {
            return Ok(());
        }
        Err(format!("{user} uses {{link:{name}}}, but is not in that link's from"))
    }

    /// A link that is not used would be harmed without effect.
    fn check_used(&self, used: &BTreeSet<(String, String)>) -> Result<(), String> {
        for link in &self.links {
            for from in &link.from {
                if !used.contains(&(from.clone(), link.name.clone())) {
                    return Err(format!(
                        "link {:?} comes from {from:?}, which does not use {{link:{0}}}",
                        link.name
                    ));
                }
            }
        }
        Ok(())
    }

    /// The links that a user's texts name.
    fn placeholders(&self, user: &str) -> Result<BTreeSet<String>, String> {
        let process = self.processes.iter().find(|process| process.name == user);
        let texts: Vec<&str> = match process {
            Some(ProcessSpec { command, env, .. }) => {
                command.iter().chain(env.values()).map(String::as_str).collect()
            }
            None => vec![&self.entry.auth, &self.entry.orders],
        };
        let mut names = BTreeSet::new();
        for text in texts {
            for part in text.split("{link:").skip(1) {
                let name = part.split_once('}').map(|(name, _)| name);
                let name = name.ok_or(format!("{text:?}: {{link: without a closing brace"))?;
                names.insert(name.to_owned());
            }
        }
        Ok(names)
    }
}

fn near(wrong: &str, valid: &[&str]) -> String {
    let hint = nearest(wrong, valid).map(|name| format!("did you mean {name:?}? "));
    format!("{wrong:?}; {}there are {}", hint.unwrap_or_default(), valid.join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    const SYSTEM: &str = r#"
about = "x"
[[process]]
name = "shop"
plays = ["auth", "orders", "payments", "provider"]
command = ["shop", "--provider", "http://{link:provider}"]
ready = "http://127.0.0.1:{port:shop}/readyz"
[[link]]
name = "provider"
from = ["shop"]
upstream = "127.0.0.1:{port:provider}"
[entry]
auth = "http://127.0.0.1:{port:shop}"
orders = "http://127.0.0.1:{port:shop}"
provider = "http://127.0.0.1:{port:shop}"
[audit]
orders = "x"
journal = "x"
"#;

    #[track_caller]
    fn check(from: &str, to: &str, expected: Result<(), &str>) {
        assert!(SYSTEM.contains(from));
        let text = SYSTEM.replace(from, to);
        let system: SystemSpec = config::parse(Path::new("s.toml"), &text).unwrap();
        let result = system.check();
        match (&result, expected) {
            (Ok(()), Ok(())) => {}
            (Err(text), Err(part)) if text.contains(part) => {}
            _ => panic!("{result:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn rules() {
        check("", "", Ok(()));
        check(
            "\"shop\", \"--",
            "\"shop\", \"{link:provide}\", \"--",
            Err("did you mean \"provider\"?"),
        );
        check("from = [\"shop\"]", "from = [\"shp\"]", Err("did you mean \"shop\"?"));
        check("from = [\"shop\"]", "from = []", Err("shop uses {link:provider}, but is not in"));
        check("{link:provider}", "127.0.0.1:1", Err("does not use {link:provider}"));
        check("{link:provider}", "{link:provider", Err("without a closing brace"));
        check("\"127.0.0.1:{port:provider}\"", "\"http://x\"", Err("expected host:port"));
        check("name = \"shop\"", "name = \"links\"", Err("both are taken"));
    }
}
