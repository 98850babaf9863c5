//! The claims of the folder: each is read, is short, and names what there is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use decide::{Claim, Measure};
use scenario::config::{self, ConfigError};

/// A stranger writes one in a quarter of an hour.
const LINES_MAX: usize = 24;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn claims() -> Result<Vec<(Claim, String)>, ConfigError> {
    of_folder("claims")
}

fn of_folder(folder: &str) -> Result<Vec<(Claim, String)>, ConfigError> {
    let folder = root().join(folder);
    let read = |name: String| {
        let path = folder.join(format!("{name}.toml"));
        let text = config::load(&path)?;
        Ok((Claim::parse(&path, &text)?, text))
    };
    scenario::names(&folder.to_string_lossy()).into_iter().map(read).collect()
}

fn names(folder: &str) -> BTreeSet<String> {
    scenario::names(&root().join(folder).to_string_lossy()).into_iter().collect()
}

#[test]
fn each_is_read_short_and_names_what_there_is() {
    let (systems, scenarios) = (names("systems"), names("scenarios"));
    let mut ids = BTreeSet::new();
    let folders = ["claims", "claims/field"];
    for (claim, text) in folders.into_iter().flat_map(|folder| of_folder(folder).unwrap()) {
        assert!(ids.insert(claim.id.clone()), "two are called {}", claim.id);
        assert!(text.lines().count() <= LINES_MAX, "{} is too long", claim.id);
        if claim.needs.is_some() {
            continue;
        }
        for (name, arm) in &claim.arms {
            assert!(systems.contains(&arm.system), "{}: the arm {name}: {}", claim.id, arm.system);
        }
        assert!(scenarios.contains(&claim.scenario), "{}: {}", claim.id, claim.scenario);
        let swept = claim
            .sweep
            .iter()
            .filter(|sweep| sweep.key == "scenario")
            .flat_map(|sweep| &sweep.values);
        for value in swept {
            assert!(
                value.as_str().is_some_and(|name| scenarios.contains(name)),
                "{}: {value}",
                claim.id
            );
        }
    }
}

/// A known nothing, a known difference, and every system with a mistake on purpose that any scenario shows at once.
#[test]
fn the_controls_of_a_run_are_there() {
    let controls: BTreeSet<String> = claims()
        .unwrap()
        .into_iter()
        .filter(|(claim, _)| claim.must.is_some())
        .map(|(claim, _)| claim.id)
        .collect();
    for control in ["same", "two-milliseconds", "no-idempotency", "ack-early", "no-fence"] {
        assert!(controls.contains(&format!("control-{control}")), "{control}");
    }
    assert!(controls.iter().all(|id| id.starts_with("control-")), "{controls:?}");
}

/// Who supplies figures must know all of these.
#[test]
fn what_can_be_decided_asks_for_these_figures() {
    let own = |name: &&str| !record::classes().any(|class| class == *name);
    let (mut asked, claims) = (BTreeSet::new(), claims().unwrap());
    for (claim, _) in claims.iter().filter(|(claim, _)| claim.needs.is_none()) {
        asked.extend(claim.expect.iter().map(|expect| expect.measure.name.as_str()).filter(own));
    }
    let expected = [
        "accepted in time share",
        "accepted p50",
        "accepted share",
        "charges",
        "completed p50",
        "completed share",
        "completions",
        "cpu per order",
        "drain",
        "drain against prediction",
        "failed share",
        "keys moved share",
        "processes restarted",
        "settled out of order",
        "stuck after trigger",
    ];
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), expected);
    assert!(expected.iter().all(|name| Measure::named(name).is_ok()));
}

/// The page shows a stranger's claim, and names every figure.
#[test]
fn the_page_says_what_is_so() {
    let page = config::load(&root().join("docs/methodology/decide.md")).unwrap();
    let (_, example) = page.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    assert!(example.lines().count() <= LINES_MAX);
    let claim = Claim::parse(Path::new("claims/slow-card-network.toml"), example).unwrap();
    assert_eq!((claim.points(), claim.expect.len()), (2, 3));
    let class = |name: &str| record::classes().any(|class| class == name);
    for figure in Measure::all().filter(|figure| !class(&figure.name)) {
        assert!(page.contains(&format!("`{}`", figure.name)), "{}", figure.name);
    }
}
