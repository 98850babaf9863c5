//! The folder that a run writes its records into: made anew, and kept from the first measurement on,
//! whatever fails after it. It knows names and files, not what they tell.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail, ensure};

use crate::environment::{self, Facts};
use crate::terminal::Terminal;
use record::files;
use supervise::cores::Cores;
use supervise::undo;

/// The link to the newest results.
const LATEST: &str = "latest";
/// Of a report, beside the scenarios.
const CHARTS: &str = "charts";
/// scenario/system/trial.
const LEVELS: u32 = 3;

/// Refuses names of which two would share a folder, or that are none.
///
/// # Errors
/// If there is such a name, with what to do.
pub(crate) fn check_names<'a>(
    kind: &str,
    named: impl Iterator<Item = (&'a str, &'a Path)>,
) -> anyhow::Result<()> {
    let mut known: Vec<(&str, &Path)> = Vec::new();
    for (name, path) in named {
        ensure!(
            !matches!(name, "" | "." | ".." | CHARTS),
            "{}: the {kind} would be named {name:?}, which no folder of records can be; rename the file",
            path.display()
        );
        if let Some((_, other)) = known.iter().find(|(other, _)| *other == name) {
            bail!(
                "the {kind} {name} is named twice: {} and {} would write into one folder; \
                 leave one out, or rename a file",
                other.display(),
                path.display()
            );
        }
        known.push((name, path));
    }
    Ok(())
}

/// A new folder that no run has written to.
///
/// # Errors
/// If it cannot be made, or something that is no link stands where `latest` will point to it.
pub(crate) fn new_folder(out: &Path) -> anyhow::Result<PathBuf> {
    let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string().replace(':', "");
    let name = format!("{time}-{}", environment::host());
    let refuse = |path: &Path| {
        format!("cannot make the results folder {}: choose another with --out", path.display())
    };
    fs::create_dir_all(out).with_context(|| refuse(out))?;
    check_latest(out)?;
    for suffix in std::iter::once(String::new()).chain((2..100).map(|n| format!("-{n}"))) {
        let path = out.join(format!("{name}{suffix}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e).with_context(|| refuse(&path)),
        }
    }
    bail!("{}: there are a hundred results of this second already", out.display())
}

fn check_latest(out: &Path) -> anyhow::Result<()> {
    let latest = out.join(LATEST);
    let taken = fs::symlink_metadata(&latest).is_ok_and(|found| !found.is_symlink());
    ensure!(
        !taken,
        "{} is no link, and a run would let it point to its results; rename it, or choose another folder with --out",
        latest.display()
    );
    Ok(())
}

/// Makes the folder of a trial, which must be new: what stands there already is another's.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn new_trial(folder: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot make the folder {}", folder.display());
    fs::create_dir_all(folder.parent().unwrap_or(folder)).with_context(cannot)?;
    fs::create_dir(folder).with_context(cannot)
}

/// Lays the record of a trial aside, so that it can be run again in its place; why stands in its name
/// ([`record::read::LAID_ASIDE`], [`record::read::CUT_OFF`]).
///
/// # Errors
/// If it cannot be renamed.
pub(crate) fn lay_aside(folder: &Path, why: &str) -> anyhow::Result<()> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let numbered = (1..).map(|times: u32| folder.with_file_name(format!("{name}{why}{times}")));
    let cannot = || format!("cannot lay {} aside", folder.display());
    let aside = numbered.take(1_000).find(|aside| !aside.exists()).with_context(cannot)?;
    fs::rename(folder, aside).with_context(cannot)
}

/// What becomes of a results folder at its end: without results it goes, if nothing was measured and
/// nothing is left to take back; else it stays, and an error says where.
///
/// # Errors
/// Those of the `result`.
pub(crate) fn settle<T>(
    folder: PathBuf,
    has_results: bool,
    result: anyhow::Result<T>,
) -> anyhow::Result<(Option<PathBuf>, T)> {
    let is_gone = !has_results && discard(&folder);
    let kept = || format!("what was measured is in {}", folder.display());
    let value = if is_gone { result } else { result.with_context(kept) }?;
    Ok((has_results.then_some(folder), value))
}

/// Takes the generator's cores, and reads what is to be known of the machine.
///
/// # Errors
/// If the cores cannot be divided or taken.
pub(crate) fn machine(folder: &Path, command: &[String]) -> anyhow::Result<(Cores, Facts)> {
    let cores = Cores::divide()?;
    Cores::pin(&cores.generator)?;
    let facts = environment::facts(&cores, command, folder);
    Ok((cores, facts))
}

/// Writes what is known of the machine before the first trial.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn begin(folder: &Path, facts: &mut Facts) -> anyhow::Result<()> {
    facts.insert("finished".to_owned(), "not finished".to_owned());
    environment::write(folder, facts)
}

/// Removes a folder in which nothing was measured and nothing is left to take back; returns whether it
/// is gone.
pub(crate) fn discard(folder: &Path) -> bool {
    if !is_measured(folder, LEVELS) {
        undo::remove_if_closed(folder);
    }
    !folder.exists()
}

/// Whether a load has begun in a folder or below it, and anything of it was written.
fn is_measured(folder: &Path, levels: u32) -> bool {
    let below = || fs::read_dir(folder).into_iter().flatten().flatten();
    fs::metadata(folder.join(files::HISTORY)).is_ok_and(|history| history.len() > 0)
        || (levels > 0 && below().any(|entry| is_measured(&entry.path(), levels - 1)))
}

/// Says when the run ended, reports on it and lets `latest` point to it. What fails is told, and hides
/// no record; returns whether there is a report.
pub(crate) fn conclude(out: &Path, folder: &Path, mut facts: Facts, terminal: &Terminal) -> bool {
    facts.insert("finished".to_owned(), environment::now());
    facts.insert("load average at the end".to_owned(), environment::load_average());
    if let Err(error) = environment::write(folder, &facts) {
        terminal.note(&format!("warning: {error:#}"));
    }
    if let Err(error) = point_latest(out, folder) {
        terminal.note(&format!("warning: {error:#}; the results are in {}", folder.display()));
    }
    let reported = report::write(folder);
    if let Err(error) = &reported {
        terminal.note(&unreported(folder, error));
    }
    reported.is_ok()
}

/// What to say when a report could not be written.
pub(crate) fn unreported(folder: &Path, error: &anyhow::Error) -> String {
    format!(
        "warning: the report could not be written: {error:#}; the records are kept: when that is mended, run: loadgen report {}",
        folder.display()
    )
}

/// Lets `latest` point to a folder of results.
///
/// # Errors
/// If there can be no link, or it cannot take the old one's place.
pub(crate) fn point_latest(out: &Path, folder: &Path) -> anyhow::Result<()> {
    let latest = out.join(LATEST);
    let name = folder.file_name().context("a results folder without a name")?;
    let new = out.join(format!(".latest-{}", std::process::id()));
    let cannot = || format!("cannot let {} point to the results", latest.display());
    std::os::unix::fs::symlink(name, &new).with_context(cannot)?;
    let moved = fs::rename(&new, &latest);
    if moved.is_err() {
        let _ = fs::remove_file(&new);
    }
    moved.with_context(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(paths: &[&str], expected: Option<&str>) {
        let named = paths.iter().map(|path| {
            let path = Path::new(path);
            (path.file_stem().unwrap().to_str().unwrap(), path)
        });
        let error = check_names("system", named).err().map(|error| error.to_string());
        assert_eq!(error.is_some(), expected.is_some(), "{error:?}");
        assert!(error.unwrap_or_default().contains(expected.unwrap_or_default()));
    }

    #[test]
    fn one_folder_has_one_name() {
        check(&["a/x.toml", "a/y.toml"], None);
        check(&["a/x.toml", "y.toml", "b/x.toml"], Some("a/x.toml and b/x.toml would write into"));
        check(&["..toml"], Some("named \".\""));
        check(&["charts.toml"], Some("named \"charts\""));
    }

    #[test]
    fn what_was_measured_is_not_discarded() {
        let out = tempfile::tempdir().unwrap();
        let run = new_folder(out.path()).unwrap();
        let (one, other) = (run.join("s/m/1"), run.join("s/m/2"));
        new_trial(&one).unwrap();
        new_trial(&other).unwrap();
        assert!(new_trial(&one).is_err(), "it is another's");
        fs::write(one.join(files::HISTORY), "x").unwrap();
        fs::write(other.join(files::HISTORY), "").unwrap();
        assert!(discard(&other) && !other.exists());
        assert!(!discard(&one) && !discard(&run));
        assert!(one.join(files::HISTORY).exists());
        fs::remove_file(one.join(files::HISTORY)).unwrap();
        assert!(discard(&run));
    }

    #[test]
    fn latest_may_be_a_folder_before_and_after() {
        let out = tempfile::tempdir().unwrap();
        let run = new_folder(out.path()).unwrap();
        point_latest(out.path(), &run).unwrap();
        assert_eq!(fs::read_link(out.path().join("latest")).unwrap(), run.file_name().unwrap());
        fs::remove_file(out.path().join("latest")).unwrap();
        fs::create_dir(out.path().join("latest")).unwrap();
        assert!(point_latest(out.path(), &run).is_err());
        let error = new_folder(out.path()).unwrap_err().to_string();
        assert!(error.contains("is no link"), "{error}");
        let names = fs::read_dir(out.path()).unwrap();
        assert_eq!(names.count(), 2, "nothing but latest and the run is left");
    }
}
