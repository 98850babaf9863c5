//! Reading a system file with all that it extends, and where in which of these files something stands.
//! It does not know what a system must hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

use super::spec::SystemSpec;
use super::variant::{Misfit, Variant};
use super::wrong::{At, Wrong};
use crate::config::{self, ConfigError};
use crate::{locate, stem};

/// Where systems have names.
pub const FOLDER: &str = "systems";

/// Where processes and links stand: the last file that says something of each, and its line.
#[derive(Default)]
pub(super) struct Places(BTreeMap<At, (PathBuf, usize)>);

/// All that is read of a file before it is known what it is.
#[derive(Deserialize)]
struct Peek {
    extends: Option<IgnoredAny>,
    #[serde(default)]
    process: Vec<Spanned<Named>>,
    #[serde(default)]
    link: Vec<Spanned<Named>>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

impl Places {
    /// The error with the file and the line that it is about.
    pub(super) fn error(&self, path: &Path, wrong: Wrong) -> ConfigError {
        let place = self.0.get(&wrong.at);
        let (path, line) = place.map_or((path, None), |(path, line)| (path.as_path(), Some(*line)));
        ConfigError { path: path.to_owned(), line, text: wrong.text }
    }

    /// A process that was made of another stands where that stands.
    pub(super) fn also(&mut self, made: &str, of: &str) {
        let place = self.0.get(&At::Process(of.to_owned())).cloned();
        if let Some(place) = place {
            self.0.insert(At::Process(made.to_owned()), place);
        }
    }

    fn put(&mut self, at: At, path: &Path, line: usize) {
        self.0.insert(at, (path.to_owned(), line));
    }
}

/// A system file, its base first, unchecked.
///
/// # Errors
/// If a file of the chain cannot be read, does not fit, or extends itself.
pub(super) fn read(path: &Path) -> Result<(SystemSpec, Places), ConfigError> {
    let mut places = Places::default();
    let mut spec = read_above(path, &mut Vec::new(), &mut places)?;
    spec.path = path.to_owned();
    Ok((spec, places))
}

fn read_above(
    path: &Path,
    chain: &mut Vec<PathBuf>,
    places: &mut Places,
) -> Result<SystemSpec, ConfigError> {
    let text = config::load(path)?;
    let peek: Peek = config::parse(path, &text)?;
    if peek.extends.is_none() {
        let spec = config::parse(path, &text)?;
        return Ok(SystemSpec { name: stem(path), ..note(&peek, spec, path, &text, places) });
    }
    let variant: Variant = config::parse(path, &text)?;
    let line = |at| config::line(&text, at);
    let at = line(variant.extends.span().start);
    let wrong = |text| ConfigError { path: path.to_owned(), line: Some(at), text };
    chain.push(whole(path));
    let base = base(path, variant.extends.get_ref());
    let base = base.map_err(|e| wrong(format!("extends: {}", e.text)))?;
    if chain.contains(&whole(&base)) {
        let mut names: Vec<String> = chain.iter().map(|path| stem(path)).collect();
        names.push(stem(&base));
        return Err(wrong(format!("extends goes in a circle: {}", names.join(" → "))));
    }
    let mut below = read_above(&base, chain, places)?;
    below.family.push(whole(&base));
    for name in variant.change.keys().chain(variant.add.keys()) {
        places.put(At::Process(name.get_ref().clone()), path, line(name.span().start));
    }
    for link in &variant.link {
        places.put(At::Link(link.get_ref().name.clone()), path, line(link.span().start));
    }
    let spec = variant.of(below).map_err(|Misfit { at, text }| ConfigError {
        path: path.to_owned(),
        line: Some(line(at)),
        text,
    })?;
    Ok(SystemSpec { name: stem(path), ..spec })
}

/// A path that no other names the same file by.
pub(super) fn whole(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Remembers where the parts of a file without a base stand.
fn note(peek: &Peek, spec: SystemSpec, path: &Path, text: &str, places: &mut Places) -> SystemSpec {
    let process = |name: &Named| At::Process(name.name.clone());
    let link = |name: &Named| At::Link(name.name.clone());
    let processes = peek.process.iter().map(|p| (process(p.get_ref()), p.span().start));
    let links = peek.link.iter().map(|l| (link(l.get_ref()), l.span().start));
    for (at, start) in processes.chain(links) {
        places.put(at, path, config::line(text, start));
    }
    spec
}

/// The file of a base: beside the file that extends it, or where systems are.
fn base(path: &Path, name: &str) -> Result<PathBuf, ConfigError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    if name.contains('/') || name.ends_with(".toml") {
        let base = folder.join(name);
        let missing = || ConfigError::new(&base, format!("there is no file {}", base.display()));
        return if base.is_file() { Ok(base) } else { Err(missing()) };
    }
    let beside = folder.join(format!("{name}.toml"));
    if beside.is_file() { Ok(beside) } else { locate(FOLDER, name) }
}
