//! A variant: a system file that says only what differs from another. It opens no file: its base is given.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::change::Change;
use super::spec::{LinkSpec, SystemSpec, Urls};
use crate::config::{Span, near};

/// What a file with `extends` holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variant {
    /// The system that it is but for what follows: a name beside it or in `./systems`, or a path.
    pub(super) extends: Spanned<String>,
    /// In place of what is made of `differs`.
    about: Option<String>,
    /// In place of the base's.
    expect_violation: Option<record::ExpectedViolation>,
    variant: Difference,
    default: Option<u32>,
    lease: Option<Span>,
    /// Settings in place of the base's, or beside them.
    #[serde(default)]
    parity: BTreeMap<String, String>,
    /// Broken promises in place of the base's, or beside them.
    #[serde(default)]
    breaks: BTreeMap<String, String>,
    /// The base's processes that are otherwise, by name.
    #[serde(default)]
    pub(super) change: BTreeMap<Spanned<String>, Change>,
    /// Further processes, by name.
    #[serde(default)]
    pub(super) add: BTreeMap<Spanned<String>, Change>,
    /// Links beside the base's; one of the same name replaces the base's.
    #[serde(default)]
    pub(super) link: Vec<Spanned<LinkSpec>>,
    entry: Option<EntryChange>,
    audit: Option<AuditChange>,
}

/// `[variant]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    /// What differs, as the end of the sentence "As the base, but …".
    differs: Spanned<String>,
    #[serde(default)]
    remove_processes: Vec<Spanned<String>>,
    #[serde(default)]
    remove_links: Vec<Spanned<String>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryChange {
    auth: Option<Urls>,
    orders: Option<Urls>,
    provider: Option<String>,
    callbacks: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditChange {
    orders: Option<Urls>,
    journal: Option<String>,
    dead_letters: Option<Vec<String>>,
    stock: Option<String>,
}

/// What is wrong, and how many bytes from the beginning of the file.
pub(super) struct Misfit {
    pub(super) at: usize,
    pub(super) text: String,
}

impl Variant {
    /// The base with what differs.
    ///
    /// # Errors
    /// If something that is changed or removed is not there, or something added is.
    pub(super) fn of(&self, base: SystemSpec) -> Result<SystemSpec, Misfit> {
        let differs = self.variant.differs.get_ref().trim().trim_end_matches('.');
        if differs.is_empty() {
            let text = "variant.differs is empty; expected what differs, in one sentence";
            return Err(misfit(&self.variant.differs, text.to_owned()));
        }
        let mut spec = base;
        spec.about =
            self.about.clone().unwrap_or_else(|| format!("As {}, but {differs}.", spec.name));
        differs.clone_into(&mut spec.differs);
        spec.expect_violation = self.expect_violation.clone().or(spec.expect_violation);
        spec.default = self.default;
        spec.lease = self.lease.or(spec.lease);
        spec.parity.extend(self.parity.clone());
        spec.breaks.extend(self.breaks.clone());
        self.remove(&mut spec)?;
        self.change(&mut spec)?;
        self.add(&mut spec)?;
        self.put_links(&mut spec);
        self.put_places(&mut spec);
        Ok(spec)
    }

    fn remove(&self, spec: &mut SystemSpec) -> Result<(), Misfit> {
        for name in &self.variant.remove_processes {
            let index = find(spec, name)?;
            let gone = spec.processes.remove(index).name;
            for link in &mut spec.links {
                link.from.retain(|from| *from != gone);
            }
        }
        // What nobody goes through any more is no edge of this system.
        spec.links.retain(|link| !link.from.is_empty());
        for name in &self.variant.remove_links {
            let names: Vec<&str> = spec.links.iter().map(|link| link.name.as_str()).collect();
            let Some(index) = names.iter().position(|known| known == name.get_ref()) else {
                let text = format!("the base has no link {}", near(name.get_ref(), &names));
                return Err(misfit(name, text));
            };
            spec.links.remove(index);
        }
        Ok(())
    }

    fn change(&self, spec: &mut SystemSpec) -> Result<(), Misfit> {
        for (name, change) in &self.change {
            let index = find(spec, name)?;
            if let Some(misplaced) = change.like.as_ref().or(change.before.as_ref()) {
                let text = "like and before are for what is added: [add.NAME]".to_owned();
                return Err(misfit(misplaced, text));
            }
            let process = &mut spec.processes[index];
            change.apply(process).map_err(|text| misfit(name, text))?;
        }
        Ok(())
    }

    fn add(&self, spec: &mut SystemSpec) -> Result<(), Misfit> {
        for (name, change) in &self.add {
            if spec.processes.iter().any(|process| process.name == *name.get_ref()) {
                let text = format!(
                    "the base has a process {name:?} already: change it with [change.{0}]",
                    name.get_ref()
                );
                return Err(misfit(name, text));
            }
            let like = change.like.as_ref().map(|like| find(spec, like)).transpose()?;
            let before = change.before.as_ref().map(|before| find(spec, before)).transpose()?;
            let process = change.made(name.get_ref(), like.map(|index| &spec.processes[index]));
            let process = process.map_err(|text| misfit(name, text))?;
            if let Some(like) = &change.like {
                let through =
                    spec.links.iter_mut().filter(|link| link.from.contains(like.get_ref()));
                through.for_each(|link| link.from.push(name.get_ref().clone()));
            }
            let after = like.map(|index| index + 1);
            let place = before.or(after).unwrap_or(spec.processes.len());
            spec.processes.insert(place, process);
        }
        Ok(())
    }

    fn put_links(&self, spec: &mut SystemSpec) {
        for link in &self.link {
            let link = link.get_ref().clone();
            match spec.links.iter_mut().find(|known| known.name == link.name) {
                Some(known) => *known = link,
                None => spec.links.push(link),
            }
        }
    }

    fn put_places(&self, spec: &mut SystemSpec) {
        if let Some(EntryChange { auth, orders, provider, callbacks }) = self.entry.clone() {
            spec.entry.callbacks = callbacks.or(spec.entry.callbacks.take());
            put(&mut spec.entry.auth, auth);
            put(&mut spec.entry.orders, orders);
            put(&mut spec.entry.provider, provider);
        }
        if let Some(AuditChange { orders, journal, dead_letters, stock }) = self.audit.clone() {
            spec.audit.stock = stock.or(spec.audit.stock.take());
            put(&mut spec.audit.orders, orders);
            put(&mut spec.audit.journal, journal);
            put(&mut spec.audit.dead_letters, dead_letters);
        }
    }
}

fn put<T>(place: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *place = new;
    }
}

fn find(spec: &SystemSpec, name: &Spanned<String>) -> Result<usize, Misfit> {
    let names: Vec<&str> = spec.processes.iter().map(|process| process.name.as_str()).collect();
    names.iter().position(|known| known == name.get_ref()).ok_or_else(|| {
        misfit(name, format!("the base has no process {}", near(name.get_ref(), &names)))
    })
}

fn misfit(place: &Spanned<String>, text: String) -> Misfit {
    Misfit { at: place.span().start, text }
}
