//! The record of a decided run that is kept for good: verdicts, the figures that they rest on, charts, and of each trial
//! all but its raw tables. Its report can be written again as any other.

mod readme;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use record::atomic_write::write_json;
use record::files;
use record::read::{Run, Validate, table};
use serde::{Deserialize, Serialize};

pub use readme::readme;

use crate::charts::Chart;
use crate::{decided, pixels};

/// So much may it take.
pub const SIZE_MAX: u64 = 25_000_000;
/// The number that changes when a reader of the old form would misread the new one.
const FORMAT: u32 = 1;
/// What is kept of a trial, as far as it has it.
const KEPT: [&str; 5] =
    [files::MANIFEST, files::AUDIT, files::THRESHOLDS, files::FAULTS, files::MOVED];
/// What is kept packed.
const PACKED: [&str; 4] = [files::LATENCIES, files::TIMELINE, files::RESOURCES, files::FILE_SIZES];
/// Small, however long it takes.
const LEVEL: i32 = 19;
/// Of a run; the files that scenarios and systems were changed in lie in `inputs`.
const KEPT_OF_RUN: [&str; 3] = [files::ENVIRONMENT, files::DECIDED, files::FIGURES];
const INPUTS: &str = "inputs";
/// How many kinds of files are named where all are too large.
const NAMED: usize = 4;

/// How such a record was made; on which machine says `environment.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// 1.
    pub format: u32,
    /// The folder of the run that it was made from.
    pub run: String,
    /// How many trials that has.
    pub trials: usize,
    /// The command that made this.
    pub made_by: String,
    /// What was left out, in words.
    pub left_out: String,
}

impl Validate for Reference {
    fn check(&self) -> Result<(), String> {
        if self.format == FORMAT { Ok(()) } else { Err(format!("format {}", self.format)) }
    }
}

/// How the record in a folder was made; `None` if it is one as runs write it.
///
/// # Errors
/// If that cannot be read.
pub fn of(folder: &Path) -> anyhow::Result<Option<Reference>> {
    Ok(table::json(&folder.join(files::REFERENCE))?)
}

/// Makes the record of the decided run in `from` and puts it in the place of `to`, if it is no larger than
/// [`SIZE_MAX`]; returns how many bytes it takes.
///
/// # Errors
/// If `from` is no decided run or already pared, `to` is something else, it would be too large (with what takes most),
/// or a file cannot be read or written; then `to` is as before.
pub fn make(from: &Path, to: &Path, made_by: &str) -> anyhow::Result<u64> {
    make_within(from, to, made_by, SIZE_MAX)
}

fn make_within(from: &Path, to: &Path, made_by: &str, most: u64) -> anyhow::Result<u64> {
    let plan = decided::plan(from)?;
    let plan =
        plan.with_context(|| format!("{}: expected a folder of `loadgen decide`", from.display()))?;
    ensure!(
        of(from)?.is_none(),
        "{} was made from a run itself, and has no raw tables; give the folder of that run",
        from.display()
    );
    ensure!(
        !to.exists() || of(to)?.is_some(),
        "{} is no record that this command made, and would be replaced; choose another folder",
        to.display()
    );
    decided::write(from, &plan)?;
    let staged = beside(to, "new")?;
    // Under its own name, which its pages tell.
    let new = staged.join(to.file_name().unwrap_or_default());
    let made = fill(from, &new, made_by).and_then(|()| {
        // What stands in it comes from itself, so that it can be had again.
        crate::write(&new)?;
        let size = size_within(&new, most)?;
        replace(&new, to)?;
        Ok(size)
    });
    let removed = fs::remove_dir_all(&staged);
    let size = made?;
    removed.with_context(|| format!("cannot remove {}", staged.display()))?;
    Ok(size)
}

fn fill(from: &Path, to: &Path, made_by: &str) -> anyhow::Result<()> {
    let run = Run::read(from)?;
    for name in KEPT_OF_RUN {
        copy(&from.join(name), &to.join(name))?;
    }
    for kind in ["scenarios", "systems"] {
        let inputs = Path::new(INPUTS).join(kind);
        for entry in fs::read_dir(from.join(&inputs)).into_iter().flatten().flatten() {
            let place = to.join(&inputs).join(entry.file_name());
            copy(&entry.path(), &place)?;
            name_base(&place)?;
        }
    }
    for trial in &run.trials {
        for name in KEPT {
            let place = trial.folder.join(name);
            copy(&from.join(&place), &to.join(&place))?;
            if Path::new(name).extension().is_some_and(|kind| kind == "json") {
                narrow(&to.join(&place))?;
            }
        }
        for name in PACKED {
            let place = trial.folder.join(name);
            pack(&from.join(&place), &files::packed(&to.join(&place)))?;
        }
    }
    let reference = Reference {
        format: FORMAT,
        run: run.name.clone(),
        trials: run.trials.len(),
        made_by: made_by.to_owned(),
        left_out: "histories, orders, charges, reads and dead letters, logs, pages of audits, pictures of \
                   controls and of changed scenarios; \
                   figures.csv has what verdicts need of them"
            .to_owned(),
    };
    write_json(&to.join(files::REFERENCE), &reference)
}

/// What a system extends is named in place of its path: where the run was made is nobody's business.
fn name_base(place: &Path) -> anyhow::Result<()> {
    const EXTENDS: &str = "extends = \"/";
    let text = fs::read_to_string(place).with_context(|| place.display().to_string())?;
    let named = |line: &str| {
        let path = line.strip_prefix(EXTENDS).and_then(|rest| rest.strip_suffix('"'));
        let stem = path.and_then(|path| Path::new(path).file_stem()?.to_str());
        stem.map_or_else(|| line.to_owned(), |stem| format!("extends = \"{stem}\""))
    };
    let lines: Vec<String> = text.lines().map(named).collect();
    fs::write(place, lines.join("\n") + "\n").with_context(|| place.display().to_string())
}

/// What is not there is not copied.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if !from.is_file() {
        return Ok(());
    }
    let cannot = || format!("cannot copy {} to {}", from.display(), to.display());
    fs::create_dir_all(to.parent().unwrap_or(to)).with_context(cannot)?;
    fs::copy(from, to).map(drop).with_context(cannot)
}

/// Leaves out of a file of JSON what only eyes need: of hundreds of trials that is megabytes.
fn narrow(place: &Path) -> anyhow::Result<()> {
    if !place.is_file() {
        return Ok(());
    }
    let cannot = || place.display().to_string();
    let text = fs::read_to_string(place).with_context(cannot)?;
    fs::write(place, narrowed(&text)).with_context(cannot)
}

fn narrowed(json: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    let kept = json.chars().filter(|c| {
        let is_needed = in_text || !c.is_ascii_whitespace();
        if *c == '"' && !escaped {
            in_text = !in_text;
        }
        escaped = in_text && *c == '\\' && !escaped;
        is_needed
    });
    kept.collect::<String>() + "\n"
}

fn pack(from: &Path, to: &Path) -> anyhow::Result<()> {
    if !from.is_file() {
        return Ok(());
    }
    let cannot = || format!("cannot pack {} into {}", from.display(), to.display());
    let bytes = zstd::encode_all(fs::File::open(from).with_context(cannot)?, LEVEL);
    fs::write(to, bytes.with_context(cannot)?).with_context(cannot)
}

/// The scenarios that claims were asked about and that are as in their files.
fn shown(folder: &Path) -> anyhow::Result<BTreeSet<String>> {
    let plan = decided::plan(folder)?.unwrap_or_default();
    let variants = folder.join(INPUTS).join("scenarios");
    let is_variant = |name: &String| variants.join(format!("{name}.toml")).exists();
    let cells = plan.claims.into_iter().filter(|claim| claim.asked).flat_map(|one| one.cells);
    Ok(cells.map(|cell| cell.scenario).filter(|name| !is_variant(name)).collect())
}

/// Leaves of a run's pictures those of scenarios that claims were asked about and that are as in their files; the
/// others are in the page all the same. Returns those.
pub(crate) fn pared(folder: &Path, charts: &[Chart]) -> anyhow::Result<Vec<Chart>> {
    let shown = shown(folder)?;
    let is_asked = |name: &String| shown.contains(name);
    let (kept, others): (Vec<&Chart>, Vec<&Chart>) =
        charts.iter().partition(|chart| chart.scenario.as_ref().is_none_or(is_asked));
    for chart in others {
        fs::remove_file(&chart.path)
            .with_context(|| format!("cannot remove {}", chart.path.display()))?;
    }
    for chart in &kept {
        pixels::shrink(&chart.path)?;
    }
    Ok(kept.into_iter().cloned().collect())
}

/// A new folder beside another one.
fn beside(folder: &Path, what: &str) -> anyhow::Result<PathBuf> {
    let name = folder.file_name().context("expected the name of a folder to write into")?;
    let name = format!(".{}-{what}-{}", name.to_string_lossy(), std::process::id());
    let path = folder.with_file_name(name);
    fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}

fn replace(new: &Path, to: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot put {} in the place of {}", new.display(), to.display());
    if !to.exists() {
        return fs::rename(new, to).with_context(cannot);
    }
    let old = beside(to, "old")?;
    fs::rename(to, &old).with_context(cannot)?;
    fs::rename(new, to).with_context(cannot)?;
    fs::remove_dir_all(&old).with_context(|| format!("cannot remove {}", old.display()))
}

fn size_within(folder: &Path, most: u64) -> anyhow::Result<u64> {
    let mut sizes = BTreeMap::new();
    sizes_below(folder, folder, &mut sizes)?;
    let all: u64 = sizes.values().sum();
    if all <= most {
        return Ok(all);
    }
    let mut kinds: Vec<(String, u64)> = sizes.into_iter().collect();
    kinds.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let told: Vec<String> = kinds
        .iter()
        .take(NAMED)
        .map(|(kind, bytes)| format!("{kind} {}", megabytes(*bytes)))
        .collect();
    bail!(
        "the record would take {}, more than {}: {}; decide fewer claims at once, or in fewer blocks",
        megabytes(all),
        megabytes(most),
        told.join(", ")
    )
}

/// The bytes of each kind of file.
fn sizes_below(folder: &Path, at: &Path, sizes: &mut BTreeMap<String, u64>) -> anyhow::Result<()> {
    let unreadable = || format!("cannot read {}", at.display());
    for entry in fs::read_dir(at).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let (path, found) = (entry.path(), entry.metadata().with_context(unreadable)?);
        if found.is_dir() {
            sizes_below(folder, &path, sizes)?;
            continue;
        }
        let in_charts = at.strip_prefix(folder).is_ok_and(|below| below.starts_with("charts"));
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = if in_charts { "charts".to_owned() } else { name };
        *sizes.entry(kind).or_default() += found.len();
    }
    Ok(())
}

/// "9.1 MB".
#[must_use]
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_eyes_need_of_json_is_left_out() {
        let wide = "{\n  \"a b\": [1, \" \\\" \\\\\", \"\\\\\"],\n  \"c\": \"\\n x\" }\n";
        let narrow = "{\"a b\":[1,\" \\\" \\\\\",\"\\\\\"],\"c\":\"\\n x\"}\n";
        assert_eq!(narrowed(wide), narrow);
        let of = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(of(wide), of(narrow));
    }
    use crate::decided::{Cell, Plan, Planned, Verdicts};

    const CLAIM: &str = r#"sentence = "Payments work on."
source = { text = "t" }
refuted_by = "r"
scenario = "payment-outage"
arms = { sync = "microservices-sync", async = "microservices-async" }
[[expect]]
figure = "accepted share"
phase = "during"
of = "async"
at_least = 0.5
[[expect]]
figure = "charges"
of = "async@during / async@before"
at_least = 0.5
"#;

    /// An invented run with a plan.
    fn decided_run(folder: &Path) {
        record_fixture::write_some(folder, |scenario, _| scenario == "payment-outage").unwrap();
        let cell = |(arm, system): (&str, &str)| Cell {
            arm: arm.to_owned(),
            point: 0,
            scenario: "payment-outage".to_owned(),
            system: system.to_owned(),
        };
        let cells = [("sync", "microservices-sync"), ("async", "microservices-async")];
        let planned = Planned {
            path: "claims/on.toml".into(),
            text: CLAIM.to_owned(),
            asked: true,
            cells: cells.map(cell).to_vec(),
            ..Planned::default()
        };
        let mut plan = Plan::new("abc", "0", false, 3);
        plan.claims = vec![planned];
        plan.write(folder).unwrap();
        crate::write(folder).unwrap();
    }

    fn verdicts(folder: &Path) -> Verdicts {
        Verdicts { run: String::new(), ..decided::last(folder).unwrap().unwrap() }
    }

    #[test]
    fn what_a_system_extends_is_named_without_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a+b=1.toml");
        let rest = "[variant]\ndiffers = \"extends = \\\"/x\\\"\"\n";
        fs::write(&place, format!("extends = \"/home/ann/shop/systems/a.toml\"\n{rest}")).unwrap();
        name_base(&place).unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), format!("extends = \"a\"\n{rest}"));
    }

    #[test]
    fn it_says_the_same_without_raw_tables_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let (run, kept) = (folder.path().join("run"), folder.path().join("reference"));
        decided_run(&run);
        let size = make(&run, &kept, "loadgen export run").unwrap();
        assert!(size > 50_000 && size < SIZE_MAX, "{size}");
        let trial = kept.join("payment-outage/microservices-async/1");
        for gone in
            ["history.csv.zst", "charges.csv.zst", "orders.csv.zst", "latency.hlog", "audit.html"]
        {
            assert!(!trial.join(gone).exists(), "{gone}");
        }
        assert!(trial.join("latency.hlog.zst").is_file() && trial.join("audit.json").is_file());
        assert!(kept.join("report.html").is_file() && kept.join("decision.html").is_file());
        let said = verdicts(&run);
        assert!(said.verdicts[0].findings[1].effect.is_some(), "charges are counted: {said:?}");
        assert_eq!(verdicts(&kept), said);
        let page = fs::read_to_string(kept.join("report.html")).unwrap();
        assert!(!page.contains("1/audit.html"), "no link leads nowhere");

        crate::write(&kept).unwrap();
        assert_eq!(verdicts(&kept), said);
        insta::assert_snapshot!(readme(&kept, "results/reference").unwrap());
        let error = make(&kept, &folder.path().join("other"), "c").unwrap_err().to_string();
        assert!(error.contains("was made from a run itself"), "{error}");
        make(&run, &kept, "a newer one").unwrap();
        assert_eq!(of(&kept).unwrap().unwrap().made_by, "a newer one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn what_is_too_large_is_refused_with_what_takes_most() {
        let folder = tempfile::tempdir().unwrap();
        let (run, kept) = (folder.path().join("run"), folder.path().join("reference"));
        decided_run(&run);
        let error = make_within(&run, &kept, "c", 100_000).unwrap_err().to_string();
        assert!(error.contains("more than 0.1 MB: ") && error.contains("charts "), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left of it");
        fs::create_dir(&kept).unwrap();
        let error = make(&run, &kept, "c").unwrap_err().to_string();
        assert!(error.contains("is no record that this command made"), "{error}");
        let error = make(&kept, &run, "c").unwrap_err().to_string();
        assert!(error.contains("expected a folder of `loadgen decide`"), "{error}");
    }
}
