//! Links of a system: edges that a scenario may harm. Who uses one says `{link:NAME}`.

use std::collections::BTreeSet;

use super::spec::{LinkSpec, SystemSpec};
use super::wrong::{At, Wrong};
use crate::config::near;

/// What uses a link that the generator goes through.
const ENTRY: &str = "entry";
/// In tables the proxy's process has this name.
pub const LINKS: &str = "links";

impl LinkSpec {
    /// The rules that need no other link.
    fn check(&self, users: &[&str]) -> Result<(), String> {
        if let Some(from) = self.from.iter().find(|from| !users.contains(&from.as_str())) {
            let near = near(from, users);
            return Err(format!("link {:?}: from names no process: {near}", self.name));
        }
        if !self.upstream.contains(':') || self.upstream.contains('/') {
            return Err(format!(
                "link {:?}: the upstream is {:?}; expected host:port",
                self.name, self.upstream
            ));
        }
        Ok(())
    }
}

/// Where a user of links stands.
fn place(user: &str) -> At {
    if user == ENTRY { At::File } else { At::Process(user.to_owned()) }
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

    /// The links between its own processes: neither the customers' nor those to the card network.
    pub fn hops(&self) -> impl Iterator<Item = &LinkSpec> {
        let is_outside = |link: &&LinkSpec| self.entry.provider.ends_with(&link.upstream);
        let is_entry = |link: &&LinkSpec| link.from.iter().any(|from| from == ENTRY);
        self.links.iter().filter(move |link| !is_outside(link) && !is_entry(link))
    }

    pub(super) fn check_links(&self) -> Result<(), Wrong> {
        let mut users = vec![ENTRY];
        users.extend(self.processes.iter().map(|process| process.name.as_str()));
        if let Some(name) = users[1..].iter().find(|name| [ENTRY, LINKS].contains(name)) {
            let text = format!("a process is called {ENTRY:?} or {LINKS:?}; both are taken");
            return Err(Wrong { at: At::Process((*name).to_owned()), text });
        }
        for (i, link) in self.links.iter().enumerate() {
            let wrong = |text| Wrong { at: At::Link(link.name.clone()), text };
            if self.links[..i].iter().any(|other| other.name == link.name) {
                return Err(wrong(format!("two links are called {:?}", link.name)));
            }
            link.check(&users).map_err(wrong)?;
        }
        let mut used = BTreeSet::new();
        for user in users {
            let wrong = |text| Wrong { at: place(user), text };
            for link in self.placeholders(user).map_err(wrong)? {
                self.check_use(user, &link)?;
                used.insert((user.to_owned(), link));
            }
        }
        self.check_used(&used)
    }

    fn check_use(&self, user: &str, name: &str) -> Result<(), Wrong> {
        self.check_link(name).map_err(|text| {
            let text = format!("{user}: {{link:{name}}}: {text}");
            Wrong { at: place(user), text }
        })?;
        let link = self.links.iter().find(|link| link.name == name);
        if link.is_some_and(|link| link.from.iter().any(|from| from == user)) {
            return Ok(());
        }
        let text = format!("{user} uses {{link:{name}}}, but is not in that link's from");
        Err(Wrong { at: At::Link(name.to_owned()), text })
    }

    /// A link that is not used would be harmed without effect.
    fn check_used(&self, used: &BTreeSet<(String, String)>) -> Result<(), Wrong> {
        for link in &self.links {
            let is_unused = |from: &&String| !used.contains(&((*from).clone(), link.name.clone()));
            if let Some(from) = link.from.iter().find(is_unused) {
                let text = format!(
                    "link {:?} comes from {from:?}, which does not use {{link:{0}}}",
                    link.name
                );
                return Err(Wrong { at: At::Link(link.name.clone()), text });
            }
        }
        Ok(())
    }

    /// The links that a user's texts name.
    fn placeholders(&self, user: &str) -> Result<BTreeSet<String>, String> {
        let process = self.processes.iter().find(|process| process.name == user);
        let texts: Vec<&String> = match process {
            Some(process) => process.texts().collect(),
            None => self.entry.auth.all().iter().chain(self.entry.orders.all()).collect(),
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
        let result = system.check().map_err(|wrong| wrong.text);
        match (&result, expected) {
            (Ok(()), Ok(())) => {}
            (Err(text), Err(part)) if text.contains(part) => {}
            _ => panic!("{result:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn hops_lie_between_a_systems_own_processes() {
        let check = |name: &str, expected: &[&str]| {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../systems");
            let system = SystemSpec::read(&format!("{folder}/{name}.toml")).unwrap();
            let hops: Vec<&str> = system.hops().map(|link| link.name.as_str()).collect();
            assert_eq!(hops, expected, "{name}");
        };
        check("monolith", &[]);
        check("monolith-postgres", &["database"]);
        check("microservices-sync", &["payments"]);
        check("sync-fanout", &["payments", "inventory", "notifications"]);
        check("async-fanout", &["broker"]);
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
