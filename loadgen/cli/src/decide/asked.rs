//! Which claims a run is asked: those named, or all that can be decided here; and the run's controls.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::ensure;
use decide::{Claim, Expect, LEAST_BLOCKS, LEAST_BLOCKS_OF_FACTS};
use record::Operation;
use report::decided::{Plan, Planned, Scope, scope};
use scenario::config::{self, ConfigError};

/// Where claims have names.
pub(crate) const FOLDER: &str = "claims";

/// A claim with its file.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Its file.
    pub(crate) path: PathBuf,
    /// What the file holds.
    pub(crate) text: String,
    /// What that says.
    pub(crate) claim: Claim,
    /// Whether it was asked for; a control of the run is there unasked.
    pub(crate) is_asked: bool,
}

/// Reads a claim, by its name in `./claims`, or a path, and checks that what it asks for is in records.
///
/// # Errors
/// If the file is missing, does not parse, or asks for what no record has; with the line.
pub(crate) fn read(name: &str) -> Result<Asked, ConfigError> {
    let path = scenario::locate(FOLDER, name)?;
    let text = config::load(&path)?;
    let claim = Claim::parse(&path, &text)?;
    if claim.needs.is_none() {
        for expect in &claim.expect {
            supplied(expect).map_err(|why| {
                let place = text.find(&format!("{:?}", expect.measure.name));
                ConfigError::at(&path, &text, place, why)
            })?;
        }
    }
    Ok(Asked { path, text, claim, is_asked: true })
}

/// Whether records hold what is expected.
fn supplied(expect: &Expect) -> Result<(), String> {
    let name = &expect.measure.name;
    let has_part = expect.operation.is_some() || expect.of.cells().any(|cell| cell.phase.is_some());
    match scope(&expect.measure) {
        Scope::Nothing => {
            Err(format!("no record has the figure {name:?} yet; say so with `needs`"))
        }
        Scope::Trial if has_part => {
            Err(format!("{name:?} is of a whole trial; it has no phase and no operation"))
        }
        Scope::Trial | Scope::Phase => match &expect.operation {
            Some(operation) => known(operation),
            None => Ok(()),
        },
    }
}

fn known(operation: &str) -> Result<(), String> {
    let names: Vec<&str> = Operation::of_customers().map(Operation::as_str).collect();
    if names.contains(&operation) {
        return Ok(());
    }
    Err(config::unknown("operation", operation, &names))
}

/// The claims of these names, or all that can be decided; the run's controls last, but for those that are left out. If
/// `quick`, those that counts decide.
///
/// # Errors
/// If one cannot be read, two have one name, one that is named cannot be decided so, or one that is left out is no
/// control.
pub(crate) fn all(names: &[String], quick: bool, without: &[String]) -> anyhow::Result<Vec<Asked>> {
    let folder = scenario::names(FOLDER).into_iter().map(|name| read(&name));
    let (controls, others): (Vec<Asked>, Vec<Asked>) = folder
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .partition(|asked| asked.claim.must.is_some());
    let controls = kept(controls, without)?;
    // What is told and not run is not asked for, unless it is named.
    let decidable = |one: Asked| Asked { is_asked: one.claim.needs.is_none(), ..one };
    let mut asked: Vec<Asked> = match names {
        [] => others.into_iter().map(decidable).collect(),
        names => names.iter().map(|name| read(name)).collect::<Result<_, _>>()?,
    };
    if quick && !names.is_empty() {
        asked.iter().try_for_each(is_quick)?;
    }
    asked.retain(|one| !quick || one.claim.needs.is_some() || one.claim.is_by_counts());
    let unasked = |control: Asked| Asked { is_asked: false, ..control };
    let is_named = |id: &str| asked.iter().any(|one| one.claim.id == id);
    let rest: Vec<Asked> =
        controls.into_iter().filter(|one| !is_named(&one.claim.id)).map(unasked).collect();
    asked.extend(rest);
    let mut ids = BTreeSet::new();
    for one in &asked {
        let id = &one.claim.id;
        ensure!(
            ids.insert(id.clone()),
            "the claim {id} is named twice; leave one out, or rename a file"
        );
    }
    ensure!(
        asked.iter().any(|one| one.is_asked),
        "there is no claim in ./{FOLDER} that can be decided; run from the project's folder, or name a file"
    );
    Ok(asked)
}

/// The controls of a run but for some.
fn kept(controls: Vec<Asked>, without: &[String]) -> anyhow::Result<Vec<Asked>> {
    let ids: Vec<&str> = controls.iter().map(|one| one.claim.id.as_str()).collect();
    if let Some(none) = without.iter().find(|name| !ids.contains(&name.as_str())) {
        anyhow::bail!("--without: {}", config::unknown("control", none, &ids));
    }
    let is_kept = |one: &Asked| !without.contains(&one.claim.id);
    Ok(controls.into_iter().filter(is_kept).collect())
}

/// The claims of a run that is gone on with, as their files are now.
///
/// # Errors
/// If one cannot be read any more.
pub(super) fn again(plan: &Plan) -> anyhow::Result<Vec<Asked>> {
    let now = |planned: &Planned| {
        let asked = read(&planned.path.to_string_lossy())?;
        Ok(Asked { is_asked: planned.asked, ..asked })
    };
    plan.claims.iter().map(now).collect()
}

fn is_quick(asked: &Asked) -> anyhow::Result<()> {
    let id = &asked.claim.id;
    let repeated = asked.claim.expect.iter().find(|expect| !expect.is_by_counts());
    ensure!(
        asked.claim.needs.is_some() || repeated.is_none(),
        "{id} asks for {:?}, which {LEAST_BLOCKS} blocks decide, and --quick has {LEAST_BLOCKS_OF_FACTS}; leave --quick out",
        repeated.map_or("", |expect| &expect.measure.name)
    );
    Ok(())
}
